"""Notes that use each other's cells, and values in their sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode

from generator import pipeline
from generator.config import Config
from generator.execution.cached import Cached, Mode
from generator.execution.notebook import to_notebook
from generator.execution.protocol import Environment, Recorder
from generator.execution.zygote import Zygote
from generator.memo import Plain
from generator.model import (
    Borrowed,
    Cell,
    CellOptions,
    CellResult,
    Inline,
    OutPath,
    Program,
    ProgramResult,
    Site,
    Slug,
    Source,
    Value,
    Vault,
)
from tests.execution.test_cached import Counting, Dict

EXPORT = CellOptions(export=True)


def first(within: LexborHTMLParser | LexborNode, selector: str) -> LexborNode:
    found = within.css_first(selector)
    assert found is not None, selector
    return found


def attribute(node: LexborNode, name: str) -> str:
    return node.attributes[name] or ""


def borrowed(code: str, path: str = "sub/used.md", line: int = 10, label: str = "lent") -> Borrowed:
    return Borrowed(path, line, Cell(code, label, EXPORT))


def program(
    *codes: str | Cell, prelude: tuple[Borrowed, ...] = (), values: tuple[Inline, ...] = ()
) -> Program:
    cells = tuple(c if isinstance(c, Cell) else Cell(c, f"cell-{n}") for n, c in enumerate(codes, 1))
    return Program(
        Slug("note"), "note.md", cells, tuple(range(1, len(cells) + 1)), prelude=prelude, values=values
    )


# ---------------------------------------------------------------- in an executor


def test_borrowed_cells_run_first_in_the_same_process_and_show_nothing(executor: Recorder) -> None:
    lent = borrowed("print('hidden')\nx = 20"), borrowed("x += 1", label="more")
    result = executor.run([program("x * 2", prelude=lent)])[0]
    assert [dict(o.data)["text/plain"] for o in result.results[0].outputs] == ["42"]
    assert len(result.results) == len(result.log.seconds) == 1
    assert [(one.status, one.outputs) for one in result.prelude] == [("ok", ()), ("ok", ())]


def test_an_error_within_borrowed_code_has_a_place_in_the_other_note(executor: Recorder) -> None:
    meant = Cell("invert(0)", "own", CellOptions(raises="ZeroDivisionError"))
    result = executor.run([program(meant, prelude=(borrowed("def invert(x):\n    return 1 / x"),))])[0]
    frames = result.results[0].outputs[-1].frames
    assert [(frame.cell, frame.line) for frame in frames] == [(0, 1), (-1, 2)]


def test_a_borrowed_cell_that_fails_keeps_the_note_from_running(zygote: Zygote) -> None:
    one = program("1 + 1", prelude=(borrowed("x = 1\nmissing"),), values=(Inline("2", 0), Inline("3", 1)))
    result = zygote.run([one])[0]
    assert result.prelude[0].status == "error" and result.prelude[0].line == 2
    assert result.results[0].message == (
        "Not run, because cell lent of sub/used.md, which this note uses, failed."
    )
    assert result.values == (Value(), Value())


def test_a_borrowed_cell_finds_what_lies_beside_its_own_note(zygote: Zygote, vault: Path) -> None:
    read = "import os\nhere = os.environ['NOTE_DIR']\nown = open(here + '/beside.txt').read()"
    (vault / "sub" / "beside.txt").write_text("beside")
    one = program("import os\nos.environ['NOTE_DIR'] != here, own", prelude=(borrowed(read),))
    result = zygote.run([one])[0]
    assert dict(result.results[0].outputs[0].data)["text/plain"] == "(True, 'beside')"


def test_values_are_evaluated_where_they_stand_and_shown_as_str(executor: Recorder) -> None:
    values = (
        Inline("lent", 0),
        Inline("x", 1),
        Inline(" f'{x:.2f}' ", 1),
        Inline("x", 2),
        Inline("print('no')", 2),
    )
    one = program("x = 1.5", "x = 'text'", prelude=(borrowed("lent = 7"),), values=values)
    result = executor.run([one])[0]
    assert [value.text for value in result.values] == ["7", "1.5", "1.50", "text", "None"]
    assert all(one.outputs == () for one in result.results)


def test_a_value_that_cannot_be_had_harms_nothing_else(zygote: Zygote) -> None:
    values = (Inline("nowhere", 1), Inline("1 +", 1), Inline("x", 2))
    result = zygote.run([program("x = 1", "x + 1", values=values)])[0]
    assert [one.status for one in result.results] == ["ok", "ok"]
    assert [value.status for value in result.values] == ["error", "error", "ok"]
    assert result.values[0].message == "NameError: name 'nowhere' is not defined"
    assert result.values[1].message.startswith("SyntaxError: ")


def test_a_note_may_have_values_and_no_cells(zygote: Zygote) -> None:
    alone = program(values=(Inline("1 + 1", 0),))
    after_skipped = program(Cell("1", "a", CellOptions(skip="why not")), values=(Inline("2 + 2", 1),))
    results = zygote.run([alone])[0], zygote.run([after_skipped])[0]
    assert [result.values[0].text for result in results] == ["2", "4"]


def test_values_after_a_failed_cell_are_not_evaluated(zygote: Zygote) -> None:
    values = (Inline("1", 0), Inline("2", 1), Inline("3", 2))
    result = zygote.run([program("missing", "4", values=values)])[0]
    assert [value.status for value in result.values] == ["ok", "not-run", "not-run"]


# ---------------------------------------------------------------- what needs a run


class Bench:
    """A garden in memory that is built again and again; how many notes ran each time."""

    def __init__(self, zygote: Zygote, environment: Environment) -> None:
        self.inner = Counting(zygote)
        self.environment = environment
        self.store = Dict()
        self.notes: dict[str, str] = {}

    def cached(self, mode: Mode = "normal") -> Cached:
        return Cached(self.inner, self.store, self.environment, mode)

    def build(self, notes: Mapping[str, str] = {}, mode: Mode = "normal") -> Site:
        self.notes |= notes
        vault = Vault(tuple(Source(path, text) for path, text in sorted(self.notes.items())), ())
        before = self.inner.ran
        self.site = pipeline.build(vault, Config(dates="none"), Plain(), Plain(), self.cached(mode))
        self.ran = self.inner.ran - before
        return self.site

    def page(self, out: str) -> LexborHTMLParser:
        return LexborHTMLParser(self.site.files[OutPath(out)].decode())

    def explain(self, path: str) -> str:
        return next(self.cached().explain(one) for one in self.site.programs if one.path == path)

    def codes(self) -> list[tuple[str, int, str]]:
        return [(p.path, p.span.line, p.code) for p in self.site.problems]


@pytest.fixture
def bench(zygote: Zygote, environment: Environment) -> Bench:
    return Bench(zygote, environment)


def cell(code: str, *options: str) -> str:
    return "\n".join(["```{python}", *(f"#| {option}" for option in options), code, "```", ""])


def uses(*names: str) -> str:
    links = ", ".join(f'"[[{name}]]"' for name in names)
    return f"---\nuses: [{links}]\n---\n"


LENDING = {
    "base.md": "Prose.\n\n"
    + cell("scale = 2", "label: scale", "export: true")
    + cell("scale + 1", "label: own"),
    "middle.md": uses("base") + cell("twice = 2 * scale", "label: twice", "export: true"),
    "top.md": uses("middle") + cell("twice + 1  # => 5", "label: sum") + "\nIt is `{python} twice` here.\n",
}


def test_used_notes_run_first_those_that_they_use_before_them_each_once(bench: Bench) -> None:
    both = uses("middle", "base") + cell("scale, twice  # => (2, 4)", "label: both")
    site = bench.build({**LENDING, "both.md": both})
    assert not site.problems
    order = {one.path: [lent.cell.label for lent in one.prelude] for one in site.programs}
    assert order == {
        "base.md": [],
        "both.md": ["scale", "twice"],
        "middle.md": ["scale"],
        "top.md": ["scale", "twice"],
    }
    assert first(bench.page("top.html"), "a.value").text() == "4"


def test_only_what_is_exported_runs_its_users_again(bench: Bench) -> None:
    bench.build(LENDING)
    assert bench.ran == 3
    bench.build({"base.md": LENDING["base.md"].replace("Prose.", "Other prose.\n\nMore.")})
    assert bench.ran == 0
    bench.build({"base.md": bench.notes["base.md"].replace("scale = 2", "scale  =  2  # a comment")})
    assert bench.ran == 0
    bench.build({"base.md": bench.notes["base.md"].replace("scale + 1", "scale + 2")})
    assert bench.ran == 1
    assert bench.explain("top.md") == ""
    changed = bench.notes["base.md"].replace("scale  =  2", "scale = 3")
    before = bench.site
    bench.build({"base.md": changed}, mode="no-exec")
    assert "cell scale of base.md, which it uses, has changed" in bench.explain("top.md")
    bench.build()
    assert bench.ran == 3
    new = {(one.note, one.name): one.text for one in bench.site.shown}
    old = {(one.note, one.name): one.text for one in before.shown}
    assert (old["top.md", "twice"], new["top.md", "twice"]) == ("4", "6")
    assert ("top.md", 6, "cell-mismatch") in bench.codes()


def test_a_new_value_needs_a_run_and_a_sentence_around_it_does_not(bench: Bench) -> None:
    bench.build({"a.md": cell("x = 1") + "\nSee `{python} x`.\n"})
    bench.build({"a.md": cell("x = 1") + "\nSee, there is `{python}  x ` now.\n"})
    assert bench.ran == 0
    bench.build({"a.md": cell("x = 1") + "\nSee `{python} x + 1`.\n"})
    assert bench.ran == 1


# ---------------------------------------------------------------- what is at risk


def test_what_stands_on_a_failed_cell_is_at_risk_everywhere_and_through_others(bench: Bench) -> None:
    broken = LENDING["base.md"].replace("scale = 2", "scale = 2\nscale  # => 3")
    linking = "[[top]] and [[middle]].\n"
    site = bench.build({**LENDING, "base.md": broken, "other.md": linking})
    assert [code for code in bench.codes() if code[2] == "note-at-risk"] == [
        ("middle.md", 2, "note-at-risk"),
        ("top.md", 2, "note-at-risk"),
    ]
    top = bench.page("top.html")
    assert first(top, "article.note[data-risk]") is not None
    notice = first(top, ".problem[data-code='note-at-risk']")
    assert attribute(first(notice, "a"), "href") == "base.html#%5Escale"
    assert first(bench.page("middle.html"), ".users .at-risk") is not None
    assert first(bench.page("previews/top.html"), ".preview-title .at-risk") is not None
    assert bench.page("other.html").css_first("article.note[data-risk]") is None
    rows = json.loads(site.files[OutPath("ledger.json")])["cells"]
    risky = {row["note"]: row["at_risk"] for row in rows}
    assert risky["top.md"] == risky["middle.md"] == [{"note": "base.md", "label": "scale"}]
    assert risky["base.md"] == []
    notes = {note["path"]: note["at_risk"] for note in site.report["notes"]}  # type: ignore[attr-defined]
    assert notes["top.md"] and not notes["other.md"]


def test_a_refuted_check_of_what_is_exported_puts_its_users_at_risk_and_another_cell_does_not(
    bench: Bench,
) -> None:
    bad_check = LENDING["base.md"] + cell("assert scale == 3", "label: claim", "check: true")
    bench.build({**LENDING, "base.md": bad_check})
    assert ("top.md", 2, "note-at-risk") in bench.codes()
    bad_other = LENDING["base.md"].replace("scale + 1", "scale + 1  # => 9")
    bench.build({"base.md": bad_other})
    assert {code for _, _, code in bench.codes()} == {"cell-mismatch"}


def test_a_cell_that_fails_only_in_other_company_is_named_where_it_is_used(bench: Bench) -> None:
    bench.build(
        {
            "base.md": cell("import math", "label: hidden") + cell("math.pi", "label: pi", "export: true"),
            "user.md": uses("base") + cell("1", "label: one"),
        }
    )
    assert bench.codes() == [("user.md", 2, "note-at-risk"), ("user.md", 2, "uses-failed")]
    assert "cell pi, at base.md:8, fails" in bench.site.problems[1].message
    assert "cell pi of base.md" in first(bench.page("user.html"), ".cell-notice").text()


# ---------------------------------------------------------------- results in other places


def test_values_and_results_say_how_far_they_may_be_trusted(bench: Bench) -> None:
    bench.build(
        {
            "a.md": uses("b")
            + "Lent `{python} lent`, [[b#^lent]].\n\n"
            + cell("import math\nx = math.pi\nx  # => 3.14", "label: fit")
            + "\n## About `{python} round(x, 2)`\n\nIt is `{python} x`, with `{python} math.e`"
            + " and `{python} y`.\n\n![[b#^lent]]\n",
            "b.md": cell("lent = 7\nprint(lent)", "label: lent", "export: true"),
        }
    )
    page = bench.page("a.html")
    shown = [
        (v.tag, v.text(), v.attributes["data-grade"], v.attributes.get("href")) for v in page.css(".value")
    ]
    assert shown == [
        ("a", "7", "ran", "b.html#%5Elent"),
        ("a", "3.14", "matches", "#%5Efit"),
        ("a", "3.141592653589793", "matches", "#%5Efit"),
        ("a", "2.718281828459045", "matches", "#%5Efit"),
    ]
    assert first(page, "code.problem[data-code='value-failed']").text() == "{python} y"
    assert bench.codes() == [("a.md", 15, "value-failed")]
    assert first(page, ".note-body > p > .grade").text() == "ran"
    embed = first(page, ".embed")
    assert first(embed, ".cell-output .stdout").text() == "7"
    assert first(embed, "details.cell-hidden .cell-code") is not None
    assert first(embed, ".cell-badge .grade").text() == "ran"
    assert "It is 3.141592653589793" in bench.site.files[OutPath("garden.md")].decode()
    entries = b"".join(data for out, data in bench.site.files.items() if out.startswith("search/words"))
    assert b"141592653589793" in entries


def test_a_description_has_the_value_and_not_its_code(bench: Bench) -> None:
    bench.build({"a.md": "Half is `{python} 1 / 2` of it.\n"})
    assert attribute(first(bench.page("a.html"), "meta[name=description]"), "content") == "Half is 0.5 of it."
    assert "Half is 0.5 of it." in bench.site.files[OutPath("llms.txt")].decode()


def test_without_running_values_stand_as_they_are_written(bench: Bench) -> None:
    bench.build({"a.md": "It is `{python} 1 + 1`.\n"}, mode="no-exec")
    assert bench.ran == 0
    value = first(bench.page("a.html"), ".value[data-grade='not-run']")
    assert value.text() == "{python} 1 + 1 not run"
    assert not bench.site.problems


# ---------------------------------------------------------------- the ledger


def test_the_ledger_lists_every_cell_the_weakest_first(bench: Bench) -> None:
    site = bench.build({**LENDING, "z.md": cell("missing", "label: bad")})
    page = bench.page("ledger.html")
    rows = page.css("table.ledger tbody tr")
    assert [row.attributes["data-grade"] for row in rows] == ["failed", "ran", "ran", "ran", "matches"]
    assert attribute(first(rows[0], "a"), "href") == "z.html#%5Ebad"
    assert first(rows[-1], ".ledger-again").text() == "python build.py verify 'top.md#sum'"
    assert attribute(first(rows[-1], "time[data-age]"), "datetime").endswith("Z")
    grades = [item.attributes["href"] for item in page.css(".ledger-grades a")]
    assert grades == ["#grade-failed", "#grade-ran", "#grade-matches"]
    assert all(page.css_first(f'tr[id="{href[1:]}"]') for href in grades if href)
    data = json.loads(site.files[OutPath("ledger.json")])
    assert [row["label"] for row in data["cells"]] == ["scale", "own", "twice", "sum", "bad"]
    top = data["cells"][3]
    assert top["not_checked"] and top["last_run"] and top["isolation"] and top["device"] and top["key"]
    assert data["values"][0]["from"] == {"note": "middle.md", "label": "twice"}
    assert first(bench.page("all.html"), ".ways a[href='ledger.html']").text() == "Ledger"
    assert first(bench.page("top.html"), ".cell-evidence a[href='ledger.html']") is not None


def test_the_evidence_of_a_cell_says_how_it_was_run_and_how_to_run_it_again(bench: Bench) -> None:
    bench.build(LENDING)
    evidence = first(bench.page("top.html"), ".cell-evidence dl")
    facts = [term.text() for term in evidence.css("dt")]
    assert {"Last run", "Took", "Device", "Versions", "Run by", "Isolation", "Keys", "Run again"} <= set(
        facts
    )
    assert evidence.css("dd")[-1].text() == "python build.py verify 'top.md#sum'"


def test_an_executed_notebook_begins_with_what_the_note_uses_and_holds_its_values() -> None:
    one = program("lent + 1", prelude=(borrowed("lent = 7"),), values=(Inline("lent", 0), Inline("lent", 1)))
    results = CellResult("ok"), (Value("ok", "7"), Value("ok", "8"))
    text = "It is `{python} lent`.\n\n```{python}\nlent + 1\n```\n\nNow `{python}  lent `, `{python} no`.\n"
    one = replace(one, lines=(4,))
    made = json.loads(to_notebook(one, ProgramResult(one.slug, results[:1], values=results[1]), text=text))
    assert [cell["source"] for cell in made["cells"]] == [
        "From sub/used.md, which this note uses:",
        "#| label: lent\n#| export: true\nlent = 7",
        "It is 7.",
        "#| label: cell-1\nlent + 1",
        "Now 8, `{python} no`.",
    ]
    assert len({cell["id"] for cell in made["cells"]}) == 5
    nbformat.validate(nbformat.from_dict(made))  # type: ignore[no-untyped-call]


def test_notes_in_a_circle_are_told_so_and_run_nevertheless(bench: Bench) -> None:
    bench.build(
        {
            "a.md": uses("b") + cell("from_a = 1", "label: a", "export: true"),
            "b.md": uses("a")
            + cell("from_b = 2", "label: b", "export: true")
            + "\n`{python} from_a + from_b`\n",
        }
    )
    assert bench.codes() == [("a.md", 2, "uses-cycle")]
    assert first(bench.page("b.html"), "a.value").text() == "3"
