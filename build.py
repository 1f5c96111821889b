#!/usr/bin/env python3
"""Build the garden: `python build.py [COMMAND] [OPTIONS]`, from any directory. See `--help`."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent

if sys.version_info < (3, 11):
    sys.exit("build.py needs Python 3.11 or newer; `make site` finds one and sets everything up")

sys.path.insert(0, str(HOME))

try:
    from generator.cli import main
except ModuleNotFoundError as missing:
    sys.stderr.write(
        f"build.py: the package {missing.name} is not installed; run `make site`, which installs it\n"
    )
    sys.exit(4)

if __name__ == "__main__":
    code = main(sys.argv[1:], HOME)
    gc.freeze()  # At its end Python would look through a whole garden for cycles: 0.16 s of a thousand notes.
    sys.exit(code)
