"""A small garden made by hand: every part that a page can have, as `pages` would hand it to `theme`."""
# ruff: noqa: E501 (markup is easier to read unbroken)

from __future__ import annotations

import base64
import json
from typing import Any

from generator import theme
from generator.model import (
    Backlink,
    FootnoteView,
    Html,
    ListGroup,
    ListPage,
    MessagePage,
    NotePage,
    OutPath,
    Page,
    PreviewPage,
    Problem,
    RedirectPage,
    Ref,
    Slug,
    Span,
    TocEntry,
)
from generator.syntax import math
from generator.syntax.highlight import highlight

CODE = """\
import jax
import jax.numpy as jnp

@jax.jit
def loss(L, data):
    \"\"\"Negative log-likelihood, through the factor.\"\"\"
    cov = L @ L.T + 1e-6 * jnp.eye(2)  # keep it positive definite
    return -jnp.sum(logpdf(data, mean=0.0, cov=cov))

gradient = jax.grad(loss)(L, data)
round(float(jnp.linalg.norm(gradient)), 4)  # => 0.5111
"""


FACTORED = r"\Sigma = L L^\top"
DENSITY = (
    r"p(x \mid \mu, \Sigma) = (2\pi)^{-d/2}\, \lvert\Sigma\rvert^{-1/2} "
    r"\exp\!\Bigl(-\tfrac12 (x-\mu)^\top \Sigma^{-1} (x-\mu)\Bigr),"
)
GRADIENT = (
    r"\frac{\partial}{\partial \Sigma} \log\det\Sigma = \Sigma^{-1}, \qquad "
    r"\nabla_{L}\,\ell(L) = \sum_{i=1}^{n} \left( \int_0^1 f'(t)\,dt \right)_{\!i}."
)

SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="480" height="240" viewBox="0 0 480 240">
<path d="M40 10V210H470" fill="none" stroke="#444"/>
<path d="M40 30C120 60 160 170 250 190S420 200 470 202" fill="none" stroke="#1f77b4" stroke-width="2"/>
<path d="M40 200C140 190 200 80 280 60S420 40 470 38" fill="none" stroke="#ff7f0e" stroke-width="2"/>
</svg>
"""


def formula(tex: str, display: bool = False) -> str:
    mathml, why = math.render(tex, display)
    assert not why
    return f'<div class="math">{mathml}</div>' if display else mathml


def link(root: str, slug: str, text: str, anchor: str = "") -> str:
    href = f"{root}{slug}.html" + (f"#{anchor}" if anchor else "")
    preview = f"{root}previews/{slug}.html"
    return f'<a href="{href}" data-link="found" data-slug="{slug}" data-preview="{preview}">{text}</a>'


def cell(label: str, grade: str, output: str, code: str = CODE, ids: bool = True) -> str:
    identity = f' id="{label}"' if ids else f' data-anchor="{label}"'
    return f"""\
<figure class="cell" data-label="{label}" data-grade="{grade}"{identity}>
<div class="cell-code"><pre class="highlight"><code>{highlight(code, "python")}</code></pre></div>
<div class="cell-output">{output}</div>
<details class="cell-evidence"><summary class="cell-badge" title="What was established, and how"><span class="grade">{grade.replace("-", " ")}</span></summary>
<dl><dt>last ran</dt><dd>2026-11-24 21:04 UTC, 0.41 s</dd><dt>executor</dt><dd>zygote, sandboxed, cpu</dd>
<dt>versions</dt><dd>python 3.11.2, jax 0.10.2, numpy 2.4.1</dd></dl>
<table class="comparisons"><thead><tr><th>line</th><th>the note says</th><th>the program says</th><th>error</th></tr></thead>
<tbody><tr><td>11</td><td>0.5111</td><td>0.51108</td><td>3.9e-5</td></tr></tbody></table>
<ul class="unchecked"><li>Other processors and thread counts were not tried.</li></ul></details>
</figure>"""


CALLOUT = """\
<div class="callout" data-type="note"><p class="callout-title">Two conventions</p>
<div class="callout-body"><p>SciPy returns the <em>upper</em> factor by default, NumPy the lower.</p></div></div>
<details class="callout" data-type="warning"><summary class="callout-title">What a shortcut costs</summary>
<div class="callout-body"><p>Inverting the matrix loses digits; solve instead.</p></div></details>"""

TABLE = """\
<div class="table" tabindex="0" role="region" aria-label="Table"><table><thead><tr><th>mode</th><th>cost of a gradient</th>
<th>memory</th><th>where it is written down</th></tr></thead><tbody>
<tr><td>forward</td><td><code>n</code> passes</td><td>constant</td><td>Wengert, 1964</td></tr>
<tr><td>reverse</td><td>1 pass, about 4 × the program</td><td>grows with the program</td><td>Linnainmaa, 1970</td></tr>
</tbody></table></div>"""


def essay(root: str, ids: bool) -> str:
    """The body of the long note, as its page shows it or as its preview does."""
    name = "id" if ids else "data-anchor"
    figure = f"data:image/svg+xml;base64,{base64.b64encode(SVG.encode()).decode()}"
    return f"""\
<p>A covariance matrix is symmetric and positive definite, and a program that fits one must keep it so at
every step. The trick is old: fit a {link(root, "cholesky", "Cholesky factor")} instead, and the constraint
disappears. With {formula(FACTORED)} every lower-triangular {formula("L")} with a positive
diagonal gives a valid {formula("Σ")}, and gradient descent may go wherever it
likes.<sup class="footnote-ref"><a href="#fn-1" id="fnref-1">1</a></sup></p>
<p>This note does so for a Gaussian in two dimensions and holds the result against the exact answer. It leans on
{link(root, "reverse", "reverse mode", "cost")}, on <a class="stub" data-link="missing" role="link"
aria-disabled="true" title="not written yet">the Wishart distribution</a>, and on
<a href="https://docs.jax.dev" data-link="external" rel="noopener">JAX</a>’s <code>grad</code>.</p>
<h2 {name}="the-likelihood">The likelihood</h2>
<p>The density of one observation, with {formula("d")} dimensions, is</p>
{formula(DENSITY, True)}
<p>so the negative logarithm is a sum of a log-determinant, cheap through the factor, and a quadratic form. Nothing in
it is hard to differentiate:</p>
{formula(GRADIENT, True)}
{cell("gradient", "matches", '<pre class="result">0.5111</pre>', ids=ids)}
<p>Descent takes it from there; 400 steps are plenty, and the loss falls as it should. What remains is
<mark>noise in the data</mark>, not in the method. <a class="tag" href="{root}tags/likelihood.html">#likelihood</a></p>
{cell("figure", "checked", f'<img class="figure" src="{figure}" alt="Loss against steps" width="480" height="240">', "plot(losses)", ids)}
{CALLOUT}
<h2 {name}="how-it-compares">How it compares</h2>
<p>The closed form is the sample mean and the biased sample covariance. Both agree to five digits, which is more than
the data deserve:</p>
<ul><li>the mean to <code>1e-6</code>,</li><li>the covariance to <code>2e-5</code>, where the smaller eigenvalue decides:
<ul><li>it is the one that the loss sees least.</li></ul></li></ul>
<ul><li class="task"><input type="checkbox" disabled checked aria-label="done"> compare with the closed form</li>
<li class="task"><input type="checkbox" disabled aria-label="to do"> try it in ten dimensions</li></ul>
{TABLE}
<blockquote><p>What I cannot create, I do not understand.</p></blockquote>
<h3 {name}="when-it-fails">When it fails</h3>
<p>Start far away and the first step overshoots. The result is not a number, and the note says so:</p>
{cell("overshoot", "failed", '<pre class="traceback">FloatingPointError: the loss is nan after 3 steps (line 4)</pre>', "fit(start=1e9)", ids)}
{cell("torch", "not-run", '<p class="cell-notice">Needs PyTorch, which is not there.</p>', "import torch", ids)}
<section class="embed" data-source="cholesky"><header class="embed-source"><a href="{root}cholesky.html">Cholesky factor</a></header>
<p>Every positive definite matrix is the square of a triangular one, in exactly one way.</p></section>
<pre class="highlight"><code>{highlight("make site && make test", "sh")}</code></pre>
<h2 {name}="what-is-next">What is next</h2>
<p>The same trick fits a mixture; see {link(root, "cholesky", "the factor", "^one-way")}.</p>
<hr>
<p>Measured on a quiet machine. <code class="problem" data-code="math-unsupported">\\begin{{prooftree}}</code></p>"""


def short(root: str, ids: bool) -> str:
    name = "id" if ids else "data-anchor"
    return f"""\
<p>The Cholesky factor of a positive definite matrix {formula("A")} is the lower-triangular {formula("L")} with
{formula(FACTORED)} and a positive diagonal. It is to matrices what the square root is to numbers, and it is how
one {link(root, "gaussian", "fits a Gaussian")} without leaving the cone.</p>
<p {name}="^one-way">Every positive definite matrix is the square of a triangular one, in exactly one way.</p>
<h2 {name}="cost">What it costs</h2><p>A third of {formula("n^3")} multiplications; see {link(root, "reverse", "reverse mode")}.</p>"""


def other(root: str, ids: bool) -> str:
    name = "id" if ids else "data-anchor"
    return f"""\
<p>Reverse mode runs the program once, writes down what it did, and goes back through it.</p>
<h2 {name}="cost">What it costs</h2><p>About four times the program, however many inputs there are. Compare
{link(root, "cholesky", "Cholesky factor")}.</p><h3 {name}="memory">Memory</h3><p>The tape is as long as the run.</p>
<h2 {name}="history">History</h2><p>Found several times, and each time forgotten.</p>"""


TITLES = {
    "gaussian": ("Fitting a Gaussian by gradient descent", essay, "failed"),
    "cholesky": ("Cholesky factor", short, ""),
    "reverse": ("Reverse mode", other, "matches"),
}


def note(slug: str) -> Page:
    title, body, grade = TITLES[slug]
    long = slug == "gaussian"
    context = Html(
        f"<p>It is how one <mark>{link('', 'gaussian', 'fits a Gaussian')}</mark> without leaving the cone of "
        "positive definite matrices, and it is cheap.</p>"
    )
    data = NotePage(
        slug=Slug(slug),
        title=title,
        lang="en",
        description="A covariance matrix fitted through its Cholesky factor, and compared with the exact answer.",
        grade=grade,
        created="2026-10-03",
        modified="2026-11-24",
        tags=(Ref("likelihood", "tags/likelihood.html"), Ref("jax", "tags/jax.html")),
        aliases=(),
        cssclasses=(),
        toc=(
            TocEntry(2, "The likelihood", "#the-likelihood"),
            TocEntry(2, "How it compares", "#how-it-compares"),
            TocEntry(3, "When it fails", "#when-it-fails"),
            TocEntry(2, "What is next", "#what-is-next"),
        )
        if long
        else (),
        body=Html(body("", True)),
        footnotes=(
            FootnoteView(
                1, "fn-1", Html("<p>As long as the diagonal stays away from zero.</p>"), ("#fnref-1",)
            ),
        )
        if long
        else (),
        backlinks=(
            Backlink(Ref("Cholesky factor", "cholesky.html", "cholesky"), (context,), ("link",)),
            Backlink(
                Ref("Reverse mode", "reverse.html", "reverse", grade="matches"), (context, context), ("link",)
            ),
        ),
        problems=(
            Problem(
                "link-missing",
                "warning",
                "gaussian.md",
                Span(9, 3),
                "No note is called “the Wishart distribution”.",
                "Write it, or take the brackets away.",
            ),
        )
        if long
        else (),
        words=640,
    )
    return Page(OutPath(f"{slug}.html"), "note", "", data)


def preview(slug: str) -> Page:
    title, body, grade = TITLES[slug]
    data = PreviewPage(Slug(slug), title, grade, Html(body("../", False)))
    return Page(OutPath(f"previews/{slug}.html"), "preview", "../", data)


def pages() -> tuple[Page, ...]:
    everything = tuple(
        Ref(TITLES[slug][0], f"{slug}.html", slug, TITLES[slug][2], date="2026-11-24") for slug in TITLES
    )
    listing = ListPage(
        "All notes", "Every note, by title.", (ListGroup("C–R", everything),), (Ref("jax", "#", count=2),)
    )
    return (
        *map(note, TITLES),
        *map(preview, TITLES),
        Page(OutPath("all.html"), "list", "", listing),
        Page(OutPath("old/name.html"), "redirect", "../", RedirectPage("Reverse mode", "../reverse.html")),
        Page(
            OutPath("404.html"),
            "message",
            "",
            MessagePage("Nothing here", "There is no note at this address."),
        ),
    )


def garden_map() -> bytes:
    """`graph/map.json` of these notes, which are linked in a row."""
    count = len(TITLES)
    data = {
        "slugs": list(TITLES),
        "titles": [title for title, _, _ in TITLES.values()],
        "dates": ["2026-11-24"] * count,
        "grades": [""],
        "grade": [0] * count,
        "tags": [],
        "tagged": [[] for _ in TITLES],
        "x": list(range(0, 100 * count, 100)),
        "y": [0] * count,
        "links": [*([1] for _ in range(count - 1)), []],
    }
    return json.dumps(data).encode()


def site(config: Any) -> dict[OutPath, bytes]:
    rendered = {page.out: theme.render(page, config) for page in pages()}
    return {**theme.static_files(), **rendered, OutPath("graph/map.json"): garden_map()}
