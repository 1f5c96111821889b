"""Figures that suit light and dark pages."""

from __future__ import annotations

import io
import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from generator.pages.figures import adapted, is_adapted

RC = Path("generator/execution/matplotlibrc")


def drawn(**settings: str) -> str:
    """A line, a black line, a legend and words, as a cell of a note draws them."""
    import matplotlib.pyplot as plt

    rc = mpl.rc_params_from_file(Path(__file__).parent.parent / RC, use_default_template=True)
    with mpl.rc_context({**rc, "backend": "svg", "svg.hashsalt": "x", **settings}):
        figure, axes = plt.subplots()
        axes.plot([0, 1], [0, 1], label="rising")
        axes.plot([0, 1], [1, 0], "k--")
        axes.set_title("Black", color="black")
        axes.legend()
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        plt.close(figure)
    return buffer.getvalue()


def test_every_colour_of_our_own_has_a_value_for_light_and_one_for_dark() -> None:
    text = (Path(__file__).parent.parent / RC).read_text("utf-8")
    ours = set(re.findall(r"color: ([0-9a-f]{6})\b|'([0-9a-f]{6})'", text))
    named = {"".join(pair) for pair in ours}
    assert len(named) >= 10
    for colour in named:
        probe = (
            f'<style type="text/css">*{{stroke-linejoin: round; stroke-linecap: butt}}</style>fill: #{colour}'
        )
        assert adapted(probe).endswith(")"), colour


def test_a_figure_in_our_colours_is_drawn_for_light_and_for_dark() -> None:
    svg = adapted(drawn())
    assert is_adapted(svg)
    assert "#2f86c9" not in svg.partition("</style>")[2]
    assert "#7a7a7a" not in svg.partition("</style>")[2]
    ElementTree.fromstring(svg)


def test_what_an_author_coloured_is_left_as_it_is() -> None:
    assert "stroke: #000000" in adapted(drawn())
    assert "fill: #123456" in adapted(drawn().replace("fill: #7a7a7a", "fill: #123456", 1))


@pytest.mark.parametrize("part", ["figure.facecolor", "axes.facecolor"])
def test_a_figure_on_a_ground_of_its_own_is_left_alone(part) -> None:
    svg = drawn(**{part: "#eaeaf2", "savefig.facecolor": "auto"})
    assert adapted(svg) == svg


def test_a_white_ground_gives_way_to_the_page() -> None:
    assert is_adapted(adapted(drawn(**{"figure.facecolor": "white", "savefig.facecolor": "auto"})))


def test_other_pictures_are_left_alone() -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><rect fill="#2f86c9" style="fill: #2f86c9"/></svg>'
    assert adapted(svg) == svg
