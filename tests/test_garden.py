"""The garden that ships is the acceptance test: built strictly from nothing, every claim in it holds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.timeout(900)  # every cell of the garden really runs
def test_every_claim_of_the_garden_holds_today(tmp_path: Path) -> None:
    folders = ["--out", str(tmp_path / "site"), "--cache", str(tmp_path / "cache")]
    command = [sys.executable, str(ROOT / "build.py"), "--strict", "--fresh", "--format", "json", *folders]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.stdout, run.stderr
    report = json.loads(run.stdout)
    assert report["problems"] == []
    assert run.returncode == 0

    cells = Counter(cell["grade"] for cell in report["cells"])
    assert cells.keys() <= {"ran", "matches", "stable", "checked", "not-run"}
    assert cells["matches"] + cells["stable"] + cells["checked"] >= 2 * cells["ran"]
    assert cells["checked"] >= 20
    assert all(
        cell["executed"] and not cell["cached"] for cell in report["cells"] if cell["grade"] != "not-run"
    )
    assert sum(cell["figures"] for cell in report["cells"]) >= 6
    assert report["links"]["missing"] == report["links"]["ambiguous"] == 0
