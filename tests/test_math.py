"""Formulas: converted, inert, or refused with a reason."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.syntax.math import render, stylesheet

FORMULAS = (
    r"\log p(x) = -\tfrac{1}{2} (x-\mu)^\top \Sigma^{-1} (x-\mu)",
    r"\begin{align} a &= b \\ c &= d \tag{7} \end{align}",
    r"\begin{array}{l|r} a & b \\ \hline c & d \end{array}",
    r"\begin{cases} 1 & x > 0 \\ 0 & \text{otherwise} \end{cases}",
    r"\mathbb{E}_{x \sim p}\!\left[ f(x) \right] \cancel{y} \boxed{z} \hspace{-9em}",
    r"\color{red} \text{not style=\"x\"} \textsc{caps} \cramped{x^2} \widetilde{AB}",
    r"\begin{multline} a \\ b \end{multline}",
)

HOSTILE = (
    r"\href{javascript:alert(1)}{x}",
    r"\url{javascript:alert(1)}",
    r"\text{<script>alert(1)</script>}",
    r"\mathrm{</annotation></semantics></math><script>alert(1)</script>}",
    r"</annotation-xml><img src=x onerror=alert(1)>",
    r"\text{</mtext><img src=x onerror=alert(1)>}",
    r"\htmlClass{x}{y} \htmlStyle{color:red}{y}",
    r"\textcolor{red;background:url(//evil.example)}{x}",
    r'\textcolor{red" onload="alert(1)}{x}',
    r"\includegraphics{x}",
    r"\begin{equation} x \label{location} \end{equation}",
    r"\begin{equation} x \label{a} \end{equation} \eqref{a}",
    r"% --> <script>alert(1)</script>",
    r"\unicode{x3c}script",
)

TAG = re.compile(r"<(/?)([a-z]+)((?: [a-z]+=\"[^\"<>]*\")*)/?>")
ELEMENTS = {
    *(
        "math",
        "semantics",
        "annotation",
        "mrow",
        "mi",
        "mn",
        "mo",
        "mtext",
        "mspace",
        "mfrac",
        "msqrt",
        "mroot",
    ),
    *(
        "msub",
        "msup",
        "msubsup",
        "munder",
        "mover",
        "munderover",
        "mtable",
        "mtr",
        "mtd",
        "mphantom",
        "mpadded",
    ),
    *("menclose", "mmultiscripts", "mprescripts", "mstyle", "span", "b", "i", "code"),
}


def inert(markup: str) -> bool:
    """Only MathML, only plain attributes, and every `<` begins one of its tags."""
    tags = TAG.findall(markup)
    return (
        len(tags) == markup.count("<")
        and {name for _, name, _ in tags} <= ELEMENTS
        and not re.search(
            r" (on\w+|href|src|style|id|xlink)=", "".join(attributes for _, _, attributes in tags)
        )
    )


@pytest.mark.parametrize("tex", FORMULAS)
def test_a_formula_becomes_inert_mathml(tex: str) -> None:
    markup, why = render(tex, True)
    assert why == ""
    assert markup.startswith('<math display="block">') and markup.endswith("</math>")
    assert inert(markup)


@pytest.mark.parametrize("tex", HOSTILE)
def test_no_formula_brings_script_links_ids_or_styles(tex: str) -> None:
    markup, why = render(tex, True)
    assert bool(markup) != bool(why)
    assert inert(markup)


@given(st.text(alphabet=r"""\{}^_&<>"'$ abx=()#%1fractext""", max_size=60), st.booleans())
def test_any_text_gives_inert_mathml_or_a_reason(tex: str, display: bool) -> None:
    markup, why = render(tex, display)
    assert bool(markup) != bool(why)
    assert inert(markup)


def test_the_source_travels_along_for_copying() -> None:
    markup, _ = render(r"a < b \& c", False)
    assert r'<annotation encoding="application/x-tex">a &lt; b \&amp; c</annotation>' in markup


def test_the_annotation_is_what_the_author_wrote_not_what_was_converted() -> None:
    markup, _ = render(r"\begin{align}x\label{q}\end{align}", True)
    assert r">\begin{align}x\label{q}\end{align}</annotation>" in markup


@pytest.mark.parametrize("tex", [r"\nonsense x", r"\frac{1", "a & b", r"\begin{prooftree}x\end{prooftree}"])
def test_an_unsupported_formula_says_why(tex: str) -> None:
    markup, why = render(tex, False)
    assert markup == ""
    assert why and "\x1b" not in why and "\n" not in why


def test_only_an_explicit_tag_numbers_an_equation() -> None:
    markup, _ = render(r"\begin{align}a&=1\\b&=2\tag{9}\end{align}", True)
    assert "(9)" in markup
    assert "(1)" not in markup.split("<annotation")[0]


def test_a_tag_beside_an_environment_numbers_the_whole_formula() -> None:
    markup, why = render(r"f(x) = \begin{cases} 1 & x > 0 \\ 0 \end{cases} \tag{3}", True)
    assert not why
    assert "(3)" in TAG.sub("", markup)


def test_a_wide_tilde_is_a_character_that_fonts_draw_wide() -> None:
    markup, _ = render(r"\widetilde{XYZ} + \tilde x", False)
    assert '<mo stretchy="true">\u02dc</mo>' in markup
    assert '<mo stretchy="true">~</mo>' not in markup


def test_a_tag_needs_no_environment() -> None:
    markup, why = render(r"x = y \tag{4}", True)
    assert why == "" and "(4)" in markup


def test_math_inside_text_is_math() -> None:
    markup, why = render(r"\text{if $x^2$ is $y$}", False)
    assert why == ""
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in markup
    assert "$" not in markup.split("<annotation")[0]


def test_an_escaped_dollar_in_text_stays_a_dollar() -> None:
    markup, why = render(r"\text{5\$ or $x$}", False)
    assert why == "" and "<mi>x</mi>" in markup and "5$" in markup


def test_a_line_break_outside_environments_is_not_lost() -> None:
    markup, _ = render(r"a = b \\ c = d", True)
    assert markup.count("<mtr>") == 2


@pytest.mark.parametrize(
    "name", ["smallmatrix", "split", "align", "equation", "gather", "multline", "aligned"]
)
def test_common_environments_are_known(name: str) -> None:
    markup, why = render(rf"\begin{{{name}}} a \\ b \end{{{name}}}", True)
    assert why == "" and "<mtable" in markup


@pytest.mark.parametrize("tex", FORMULAS)
def test_every_class_has_its_rule_in_the_stylesheet(tex: str) -> None:
    markup, _ = render(tex, True)
    classes = {name for value in re.findall(r'class="([^"]*)"', markup) for name in value.split()}
    assert {
        name for name in classes if f".{name} " not in stylesheet() and f".{name}," not in stylesheet()
    } == set()


def test_colour_is_an_attribute_since_styles_are_blocked() -> None:
    markup, _ = render(r"\textcolor{blue}{x}", False)
    assert 'mathcolor="#0000FF"' in markup


def test_one_formula_defines_nothing_for_the_next() -> None:
    assert render(r"\def\mine{x}\mine", False)[1] == ""
    assert render(r"\mine", False)[1] != ""


NESTED = (
    "'{' * n + 'x' + '}' * n",
    "'x' + '^{x' * n + '}' * n",
    r"r'\sqrt' * n + ' x'",
    r"r'\left(' * n + r'\right)' * n",
    r"r'\begin{matrix}' * n + r'\end{matrix}' * n",
    r"r'\frac' * n + '1' * (n + 1)",
    r"r'\color{red}' * n + 'x'",
    r"r'\not' * n + 'x'",
    r"r'\text{' * n + 'x' + '}' * n",
    r"r'\text{$' * n + 'x' + '$}' * n",
    r"r'\def\a{' + '{' * n + r'\a' + '}' * n + r'}\a'",
    r"r'\newcommand{\a}{' + 'x^{' * n + r'\a' + '}' * n + r'}\a'",
)


def test_no_depth_of_nesting_takes_the_process_down() -> None:
    program = "from generator.syntax.math import render\n" + "".join(
        f"for n in (10, 45, 240, 480, 960, 5000, 50000): render({nested}, True)\n" for nested in NESTED
    )
    root = Path(__file__).parent.parent
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("tex", ["\x00", "x\x1b[31m", "\ufdd0L1\ufdd1", "\x7f"])
def test_control_characters_and_noncharacters_are_refused(tex: str) -> None:
    assert render(tex, False) == ("", "the formula contains a control character")


@pytest.mark.parametrize(
    "tex",
    [
        r"\frac{\dfrac{a}{b}}{\tfrac cd}",
        r"x^{\displaystyle\sum_i x_i} \textcolor{red}{\scriptstyle y}",
        r"\sum_{\substack{i \\ j}} \begin{pmatrix} a & b \\ c & d \end{pmatrix}",
        r"e^{\begin{cases} 1 \\ 2 \end{cases}} \cfrac{1}{\binom nk} \genfrac{}{}{}{2}{a}{b}",
        r"\begin{align} a &= \begin{smallmatrix} b \end{smallmatrix} \tag{7} \end{align}",
    ],
)
def test_sizes_are_set_where_the_checkers_of_html_allow_it(tex: str) -> None:
    mathml, why = render(tex, display=True)
    assert not why
    tags = TAG.findall(mathml)
    assert any("scriptlevel=" in attributes or "displaystyle=" in attributes for _, _, attributes in tags)
    for _, name, attributes in tags:
        assert "scriptlevel=" not in attributes or name == "mstyle"
        assert "displaystyle=" not in attributes or name in ("mstyle", "mtable")
    opened: list[str] = []
    for closing, name, attributes in tags:
        if closing:
            assert opened.pop() == name
        elif f"<{name}{attributes}/>" not in mathml:
            opened.append(name)
    assert opened == []
