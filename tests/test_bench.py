"""The comparison with other generators is fair: only who built the notes is measured."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from tests.bench.peers import Garden, Note, Spelling, wanting
from tests.bench.processes import measured

SENTENCE = "All words of this one plain sentence are small and known to everybody."
NOTES = {
    "index": "---\ncreated: 2020-01-01\n---\n\nHello.\n",
    "method/Other note": "---\ncreated: 2020-01-01\n---\n\nNothing.\n",
    "method/Some note": f"---\ncreated: 2020-01-01\n---\n\nFirst. {SENTENCE} See [[Other note|that]].\n",
}


def built(folder: Path, **pages: str) -> str:
    """What is wanting of a site of these pages, that of the linked note and the linking one last edited."""
    for name, text in NOTES.items():
        file = folder / "notes" / f"{name}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    for page, text in pages.items():
        file = folder / "site" / page.replace("_", "-") / "index.html"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"<script>[[</script><p>{text}</p>", "utf-8")
    garden = Garden(folder / "notes", tuple(NOTES))
    return wanting(folder / "site", garden, True, ("method/Other note", "New words"))


def test_who_writes_nothing_cannot_win(tmp_path: Path) -> None:
    assert built(tmp_path) == "it wrote 0 HTML files for 3 notes"


def test_pages_without_the_notes_do_not_count(tmp_path: Path) -> None:
    assert "says" in built(tmp_path, index="", other_note="", some_note="")


def test_a_link_that_stays_as_it_is_written_is_no_link(tmp_path: Path) -> None:
    assert "stayed as it is written" in built(
        tmp_path, index="", other_note="", some_note=f"{SENTENCE} [[x]]"
    )


def test_a_backlink_that_is_claimed_has_to_be_there(tmp_path: Path) -> None:
    assert "links to it" in built(tmp_path, index="", other_note="", some_note=SENTENCE)


def test_a_stale_page_is_seen(tmp_path: Path) -> None:
    stale = built(tmp_path, index="", other_note="Some note", some_note=SENTENCE)
    assert stale == "the page of “method/Other note” does not hold the edit"


def test_a_stale_backlink_is_seen(tmp_path: Path) -> None:
    assert "now" in built(tmp_path, index="", other_note="Some note. New words", some_note=SENTENCE)


def test_a_site_with_all_of_it_wants_nothing(tmp_path: Path) -> None:
    whole = f"<b>{SENTENCE[:9]}</b>{SENTENCE[9:]} Other note"
    assert built(tmp_path, index="", other_note="Some note. New words", some_note=whole) == ""


def test_links_are_ordinary_ones_for_who_knows_no_others() -> None:
    note = Note("method/Some note", NOTES["method/Some note"])
    text = Spelling(lambda here, there: f"/{there}/").note(note, {"Other note": "method/other-note"})
    assert text.startswith("---\ntitle: Some note\ncreated: 2020-01-01\n---\n")
    assert text.endswith("See [that](/method/other-note/).\n")


def test_an_alias_is_an_address_for_who_knows_no_names() -> None:
    note = Note("index", "---\naliases: [Other name]\n---\n\nHello.\n")
    assert "aliases: [/other-name]" in Spelling(lambda here, there: there, rooted=True).note(note, {})
    assert "aliases: [Other name]" in Spelling(lambda here, there: there).note(note, {})


def test_a_process_is_not_charged_with_the_memory_of_who_measures_it(tmp_path: Path) -> None:
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    run = measured([sys.executable, "-I", "-S", "-c", "print('done')"], tmp_path)
    assert (run.code, run.output) == (0, "done\n")
    assert run.largest < ours / 2


def test_who_takes_too_long_is_ended(tmp_path: Path) -> None:
    run = measured([sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"], tmp_path, limit=0.2)
    assert run.code == -9
