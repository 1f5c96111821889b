"""The module that notes import their checks from, as one file that can lie beside a downloaded notebook."""

from __future__ import annotations

import re
from pathlib import Path

from generator.execution.manifest import LIBRARY
from generator.model import Program

NAME = "garden.py"
_IMPORT = re.compile(r"^from generator\.execution\.(\w+) import .*\n", re.MULTILINE)
_HEAD = re.compile(r'\Ar?""".*?"""\n+from __future__ import annotations\n', re.DOTALL)


def used(program: Program) -> bool:
    """Whether a program imports the checks."""
    return any(re.search(r"^\s*(from garden import|import garden\b)", c.code, re.M) for c in program.cells)


def module() -> bytes:
    """`garden.py` with what it imports from us put in the place of the import."""
    text = Path(LIBRARY, NAME).read_text("utf-8")
    return _IMPORT.sub(_inlined, text).encode()


def _inlined(found: re.Match[str]) -> str:
    inner = (Path(__file__).parent / f"{found[1]}.py").read_text("utf-8")
    return _HEAD.sub("", inner).strip("\n") + "\n\n\n"
