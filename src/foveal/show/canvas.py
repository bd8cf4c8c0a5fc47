"""What all figures share: how one is made, its colours, and how it is saved."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foveal._files import atomic_write
from foveal.errors import ParameterError, explain, nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Blue and orange stay apart for colour-blind readers and in grey print (Okabe and Ito, 2008).
BLUE, ORANGE, INK, FAINT = "#0072B2", "#D55E00", "#333333", "#DDDDDD"


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure, width and height in inches, that needs no display and no pyplot state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(wspace=0.04))
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes: Axes) -> None:
    """Take away what carries no information: the box and strong grid lines."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)


def save(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 150) -> None:
    """Write a figure to a file, atomically; the format is the file's ending (png, svg, pdf...).

    Parameters
    ----------
    figure : matplotlib Figure
        What the functions of `foveal.show` return.
    path : path
        The file.
    dpi : int
        Pixels per inch, for formats that have pixels.

    Raises
    ------
    ParameterError
        If matplotlib cannot write that format.
    StorageError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "empty.png"
    >>> save(new_figure(2, 1), target)
    >>> target.read_bytes()[1:4]
    b'PNG'
    """
    ending, known = Path(path).suffix.lower().lstrip("."), figure.canvas.get_supported_filetypes()
    if ending not in known:
        where, got = f"figure {str(path)!r}", repr(ending) if ending else "no ending"
        raise ParameterError(explain(where, expected="a known ending", got=got, fix=nearest(ending, known)))
    # A date would make two equal figures differ.
    undated: dict[str, Any] = {"metadata": {"Date": None}} if ending == "svg" else {}
    with atomic_write(path) as file:
        figure.savefig(file, format=ending, dpi=dpi, facecolor="white", **undated)
