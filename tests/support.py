"""A garden in a temporary folder, built by the real command in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from generator import memo, pipeline
from generator.config import Config
from generator.model import Asset, CellResult, Program, ProgramResult, Source, Vault

# The build itself, without a process or a disk: for what is to be seen in pages alone.


class NothingRuns:
    """An executor for gardens whose cells don't matter."""

    def run(
        self, programs: Sequence[Program], report: Callable[[ProgramResult], None] | None = None
    ) -> tuple[ProgramResult, ...]:
        return tuple(
            ProgramResult(program.slug, tuple(CellResult("not-run") for _ in program.cells))
            for program in programs
        )


@dataclass(frozen=True)
class Made:
    """A site in memory."""

    files: Mapping[str, bytes]

    def page(self, out: str) -> LexborHTMLParser:
        return LexborHTMLParser(self.text(out))

    def text(self, out: str) -> str:
        return self.files[out].decode()


PLAIN = Config()


def made(notes: Mapping[str, str], config: Config = PLAIN, assets: Sequence[str] = ()) -> Made:
    """The site of these notes, by path."""
    sources = tuple(Source(path, text) for path, text in sorted(notes.items()))
    vault = Vault(sources, tuple(Asset(path, 0, "") for path in assets))
    site = pipeline.build(vault, config, memo.Plain(), memo.Plain(), NothingRuns())
    return Made({str(out): data for out, data in site.files.items()})


BUILD = Path(__file__).resolve().parent.parent / "build.py"


def hear_interrupts() -> None:
    """For `preexec_fn`: what runs in the background inherits that SIGINT is ignored, and so would a build."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Run:
    """What one run of the command left: exit code and the two streams."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    def codes(self) -> list[str]:
        return [problem["code"] for problem in self.report["problems"]]


@dataclass(frozen=True)
class Garden:
    """A folder of notes with its site beside it."""

    root: Path

    @property
    def notes(self) -> Path:
        return self.root / "notes"

    @property
    def site(self) -> Path:
        return self.root / "_site"

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for path, content in files.items():
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)

    def build(self, *arguments: str, environ: Mapping[str, str] = {}, cwd: Path | None = None) -> Run:
        """Run build.py on this garden and wait for it."""
        command = [sys.executable, str(BUILD), *arguments, "--notes", str(self.notes)]
        done = subprocess.run(
            command,
            env={**os.environ, **environ},
            cwd=cwd or self.root,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def page(self, out: str) -> LexborHTMLParser:
        return LexborHTMLParser((self.site / out).read_text("utf-8"))

    def files(self) -> dict[str, bytes]:
        """The site, as bytes by path, without the manifest's own."""
        return {
            path.relative_to(self.site).as_posix(): path.read_bytes()
            for path in sorted(self.site.rglob("*"))
            if path.is_file()
        }


def garden(root: Path, notes: Mapping[str, str | bytes], config: str = "") -> Garden:
    """Write a garden: `notes` by path below `notes/`, and a garden.toml if there is one."""
    made = Garden(root)
    made.notes.mkdir(parents=True, exist_ok=True)
    made.write({f"notes/{path}": content for path, content in notes.items()})
    if config:
        made.write({"garden.toml": config})
    return made
