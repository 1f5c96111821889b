"""Every benchmark: `python -m tests.bench`, with the options of `tests.bench.build`."""

from __future__ import annotations

from tests.bench import build

if __name__ == "__main__":
    build.main()
