"""A matplotlib backend that shows figures as outputs of the cell, the same bytes on every run.

Named by the variable `MPLBACKEND`, so that matplotlib itself loads it, and only when a figure is made.
"""

from __future__ import annotations

import base64
import io
from typing import Any
from weakref import WeakSet

import matplotlib as mpl
from IPython.display import display
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

LARGEST_SVG = 400_000
_SAVE: dict[str, Any] = {"bbox_inches": "tight"}


class FigureManager(FigureManagerBase):
    """`plt.show()` displays the open figures and closes them, as in a notebook."""

    @classmethod
    def pyplot_show(cls, *, block: bool | None = None) -> None:
        show_all()


class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager


_shown: WeakSet[Any] = WeakSet()


def show_all() -> None:
    """Display every open figure in the order in which they were made, and close them. One that the cell
    has shown already is not shown again."""
    import matplotlib.pyplot as plt

    try:
        for figure in map(plt.figure, plt.get_fignums()):
            if figure not in _shown:
                display(figure)  # type: ignore[no-untyped-call]
    finally:
        plt.close("all")
        _shown.clear()


def bundle(figure: Any, include: object = None, exclude: object = None) -> dict[str, str]:
    """A figure as SVG, or as PNG where the SVG would be a huge file."""
    _shown.add(figure)
    svg = _svg(figure)
    return {"image/svg+xml": svg} if len(svg) <= LARGEST_SVG else {"image/png": _png(figure)}


def _svg(figure: Any) -> str:
    # Ids are salted with a constant and the date is left out: equal figures are equal files.
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "notes-garden"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, **_SAVE)
    return buffer.getvalue()


def _png(figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None}, **_SAVE)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
