"""What the Nu Html Checker and html-validate say about every page, preview and example of the dialect."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.conformance.report import Finding, Judged
from tests.conformance.sites import Site
from tests.conformance.tools import HERE, Tools
from tests.test_cases import CASES, Case, built, cases_in

EXAMPLES = "pages of the dialect’s examples"
RULES = HERE / "html-validate.mjs"
# Raw HTML is its author's: that a picture has words and a link a text is for authors to see to. Only the
# examples have such HTML, to show what becomes of it.
_AUTHORS = (
    "An “img” element must have an “alt” attribute",
    "Element “a” is missing required attribute “href”",
    "wcag/h37",
    "wcag/h30",
    "no-deprecated-attr",
)
# The browser enforces the policy, and tests in `tests/browser` hear of it if it blocks something. Nu resolves
# addresses that lead upwards wrongly.
_POLICY = "Resource violates Content Security Policy"
_AROUND = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>A preview</title></head>\n'
    "<body><main><h1>A page that shows it</h1>{}</main></body></html>\n"
)


def previews(sites: Iterable[Site], into: Path) -> None:
    """Write each preview as a document, as a page that shows it would have it."""
    for site in sites:
        for preview in site.previews():
            _write(
                into / site.name / preview.removeprefix("previews/"),
                (site.folder / preview).read_bytes(),
                True,
            )


def examples(into: Path) -> None:
    """Write the pages of the notes of every example in `tests/cases`, and their previews, each once."""
    seen: set[bytes] = set()
    lists = {out for out in built(Case("", "", ())).files if out.endswith(".html")}
    for path in sorted(CASES.glob("*.md")):
        for number, case in enumerate(cases_in(path.read_text("utf-8"))[1]):
            for out, data in built(case).files.items():
                if out.endswith(".html") and out not in lists and data.strip() and data not in seen:
                    seen.add(data)
                    fragment = out.startswith("previews/")
                    place = out.replace("previews/", "preview-of-", 1) if fragment else out
                    _write(into / path.stem / str(number) / place, data, fragment)


def _write(file: Path, data: bytes, fragment: bool) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_AROUND.format(data.decode()) if fragment else data.decode(), "utf-8")


# ---------------------------------------------------------------- Nu


def nu(tools: Tools, what: str, site: Site) -> Judged:
    """Errors and warnings of the Nu checker. It is given addresses: for a file, which has no origin, it takes
    each `'self'` in the security policy for a violation."""
    pages = site.pages()
    command = tools.nu("--format", "json", "--exit-zero-always", *(site.url + page for page in pages))
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    messages = [one for one in json.loads(run.stderr)["messages"] if not one["message"].startswith(_POLICY)]
    broken = [_of_nu(one) for one in messages if one["type"] != "info"]
    noted = [_of_nu(one) for one in messages if one["type"] == "info"]
    return _judged("Nu Html Checker", what, len(pages), broken, noted)


def _judged(judge: str, what: str, count: int, broken: list[Finding], noted: list[Finding]) -> Judged:
    theirs = [one for one in broken if what == EXAMPLES and any(words in one.what for words in _AUTHORS)]
    ours = [one for one in broken if one not in theirs]
    return Judged(judge, what, count, tuple(ours), (*noted, *theirs))


def _of_nu(message: Any) -> Finding:
    piece = " ".join(message.get("extract", "").split())
    place = re.sub(r"^https?://[^/]*/", "", message.get("url", ""))
    return Finding(f"{place}:{message.get('lastLine', '')}", message["message"], piece)


# ---------------------------------------------------------------- html-validate


def html_validate(tools: Tools, what: str, site: Site, temporary: Path) -> Judged:
    """What html-validate finds under the rules in `html-validate.mjs`. It writes to a file, because what it
    writes to a pipe is cut short where it is long."""
    pages, out = site.pages(), temporary / "html-validate.json"
    program = "html-validate/bin/html-validate.mjs"
    command = tools.node_program(program, "--config", str(RULES), "--formatter", f"json={out}", *pages)
    run = subprocess.run(command, cwd=site.folder, capture_output=True, text=True, check=False)
    if run.returncode not in (0, 1):
        raise RuntimeError(run.stderr or run.stdout)
    broken = [
        Finding(
            f"{Path(file['filePath']).relative_to(site.folder.resolve())}:{one['line']}",
            f"{one['ruleId']}: {one['message']}",
            one["selector"] or "",
        )
        for file in json.loads(out.read_text("utf-8"))
        for one in file["messages"]
    ]
    return _judged("html-validate", what, len(pages), broken, [])
