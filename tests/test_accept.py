"""`audit`, `accept` and evidence beside the notes, by the real command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support import Garden, Run, garden

CONFIG = '[cells]\nplain = "run"\n'
NOTE = """\
# Numbers

Words before, with a *mark*.

```python
import os

x = 0.125
1 + x  # => 1.50
```

```python
print(hash("a") % 1000 / 7)
```

```python
sum(range(10))
```
"""


@pytest.fixture
def one(tmp_path: Path) -> Garden:
    return garden(tmp_path, {"numbers.md": NOTE}, CONFIG)


def text(one: Garden) -> str:
    return (one.notes / "numbers.md").read_bytes().decode()


def grades(run: Run) -> list[str]:
    return [cell["grade"] for cell in run.report["cells"]]


def test_accepting_shows_a_diff_writes_what_is_stable_and_is_a_fixed_point(one: Garden) -> None:
    dry = one.build("accept", "--new", "--dry-run")
    assert dry.code == 0 and text(one) == NOTE
    assert "-1 + x  # => 1.50\n+1 + x  # => 1.12\n" in dry.out
    assert (
        "notes/numbers.md:9: cell cell-1: 1.50 → 1.12 (relative error 2.5e-01, 3.1e+06 ulps of float32)"
        in dry.out
    )
    assert "numbers.md:13: cell cell-2: nothing is written: no digit of " in dry.out
    done = one.build("accept", "--new", "--yes")
    assert done.code == 0
    assert text(one) == NOTE.replace("1.50", "1.12").replace("range(10))", "range(10))  # => 45")
    again = one.build("accept", "--new", "--yes")
    assert (again.code, "nothing to write" in again.err) == (0, True)
    assert text(one) == NOTE.replace("1.50", "1.12").replace("range(10))", "range(10))  # => 45")

    # The page says what is known: what was accepted, and which digits are those of one hash seed.
    built = one.build("--format", "json", "--no-strict")
    assert grades(built) == ["stable", "ran", "stable"]
    page = one.page("numbers.html")
    (dimmed,) = page.css(".unstable")
    assert "under another hash seed" in (dimmed.attributes["title"] or "")
    assert "accepted from an earlier run" in page.css_first('[data-label="cell-1"] .unchecked').text()

    # The same note elsewhere, without the cache: from the evidence, and without running anything.
    there = garden(one.root / "there", {"numbers.md": text(one)}, CONFIG)
    shutil.copytree(one.notes / ".evidence", there.notes / ".evidence")
    frozen = there.build("--frozen", "--format", "json")
    assert frozen.code == 0 and grades(frozen) == ["stable", "recorded", "stable"]
    assert not any(cell["executed"] for cell in frozen.report["cells"])
    assert there.page("numbers.html").css_first(".unstable").text() == dimmed.text()
    there.write({"notes/numbers.md": text(one).replace("0.125", "0.25")})
    stale = there.build("--frozen", "--format", "json")
    assert stale.code == 3 and set(stale.codes()) == {"cell-stale"}
    assert "accept --evidence" in stale.report["problems"][0]["message"]
    assert "the code of cell cell-1 has changed" in stale.report["problems"][0]["message"]

    # Without its audit what was accepted is only recorded; with another code it is nobody's but the author's.
    file = one.notes / ".evidence" / "numbers.md.json"
    kept = json.loads(file.read_bytes())
    for result in kept["entry"]["run"]["result"]["results"]:
        result.pop("audit")
    file.write_text(json.dumps(kept))
    assert grades(one.build("--format", "json", "--no-strict")) == ["recorded", "ran", "recorded"]

    one.write({"notes/numbers.md": text(one).replace("1 + x", "x + 1")})
    changed = one.build("--format", "json", "--no-strict")
    assert grades(changed) == ["matches", "ran", "recorded"]


def test_an_audit_says_of_each_cell_which_digits_survive_and_fails_where_a_claim_does_not(
    one: Garden,
) -> None:
    claim = "```python\nimport os\nassert os.environ['PYTHONHASHSEED'] == '0'\n```\n"
    one.write({"notes/numbers.md": NOTE.replace("1.50", "1.125"), "notes/zero.md": claim})
    audit = one.build("audit", "--dry-run")
    assert audit.code == 3 and not (one.notes / ".evidence").exists()
    lines = audit.out.splitlines()
    assert lines[0] == "notes/numbers.md:6: cell-1: stable, numbers: 1"
    assert lines[1].startswith("notes/numbers.md:13: cell-2: 1 of 1 numbers are not stable: ")
    assert lines[2] == "notes/numbers.md:17: cell-3: stable, numbers: 1"
    assert "cell-1: fails: Under another hash seed this cell fails: AssertionError" in lines[3]


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["--yes"], {"CI": "true"}, "under CI nobody looks"),
        ([], {"CI": ""}, "there is no terminal to ask at"),
        (["--yes", "nowhere"], {"CI": ""}, "no note with cells has “nowhere” in its path"),
    ],
)
def test_accept_refuses_where_nobody_would_look(
    one: Garden, arguments: list[str], environ: dict[str, str], said: str
) -> None:
    run = one.build("accept", *arguments, environ=environ)
    assert run.code == 2 and said in run.err
    assert text(one) == NOTE


def test_evidence_of_what_is_gone_goes(one: Garden) -> None:
    one.write(
        {"notes/numbers.md": "```python\nprint('x' * 5000)\n```\n", "notes/other.md": "```python\n1\n```\n"}
    )
    assert one.build("accept", "--evidence").code == 0
    folder = one.notes / ".evidence"
    assert {path.name for path in folder.iterdir()} == {"numbers.md.json", "other.md.json", "outputs"}
    assert len(list((folder / "outputs").iterdir())) == 1
    (one.notes / "other.md").unlink()
    one.write({"notes/numbers.md": "```python\nprint('y' * 10)\n```\n", "notes/.evidence/mine.rst": "x"})
    assert one.build("accept", "--evidence").code == 0
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"numbers.md.json", "mine.rst"}


def test_evidence_can_be_kept_without_changing_a_note(one: Garden) -> None:
    one.write({"notes/numbers.md": "```python\n1 + 1  # => 3\n```\n"})
    run = one.build("accept", "--evidence")  # nobody answers the question
    assert run.code == 3 and "nothing was written" in run.err
    assert text(one) == "```python\n1 + 1  # => 3\n```\n"
    assert (one.notes / ".evidence" / "numbers.md.json").is_file()
