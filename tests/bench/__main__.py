"""Every benchmark: `python -m tests.bench [NAME] [OPTIONS]`, with the options of that benchmark.

Without a name all of them run that need no site, with what they do by default. None is a test: they print
ratios against a baseline that is measured in the same run.
"""

from __future__ import annotations

import importlib
import pkgutil
import runpy
import sys

import tests.bench

NAMES = tuple(
    sorted(
        found.name
        for found in pkgutil.iter_modules(tests.bench.__path__)
        if found.name not in ("__main__", "gardens")
        and hasattr(importlib.import_module(f"tests.bench.{found.name}"), "main")
    )
)

ASKED = ("graph", "reader")
"""These run when they are named: the one needs a site, the other builds three."""


def main(arguments: list[str]) -> None:
    asked = arguments[:1] if arguments and arguments[0] in NAMES else []
    for name in asked or [name for name in NAMES if name not in ASKED]:
        print(f"\n== {name}\n", flush=True)
        sys.argv = [name, *arguments[len(asked) :]] if asked else [name]
        runpy.run_module(f"tests.bench.{name}", run_name="__main__", alter_sys=False)


if __name__ == "__main__":
    main(sys.argv[1:])
