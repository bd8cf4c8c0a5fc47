"""Coverage as a picture: how often each cell is read, and how often each cell of the result is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foveal.show.canvas import BLUE, INK, ORANGE, new_figure, plain_axes
from foveal.show.words import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from foveal.accounting import Coverage

Counts = NDArray[Any]

WRITTEN_OUT = 14  # cells of a side that can hold their number
_PALE, _DARK = "#F2F6FA", "#08306B"
_SIDE = 4.2  # inches


def coverage(what: Coverage, *, title: str = "") -> Figure:
    """Draw how often each cell of the input is read, and beside it how often each cell of the result is written.

    The darker a cell, the more often; a cell that is never read, or never written, is orange. Small maps have their
    numbers in them. A signal is drawn as bars, of a volume the plane in the middle is drawn.

    Parameters
    ----------
    what : Coverage
        From `foveal.accounting.coverage`.
    title : str
        Above the picture; without it what was looked at.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> from foveal.accounting import coverage as count
    >>> from foveal.layers import Convolution
    >>> figure = coverage(count(Convolution(1, 3, stride=2), (1, 6, 6)))
    >>> [axes.get_title(loc="left") for axes in figure.axes[:2]]
    ['Read: input, 6x6, 11 cells never', 'Written: result, 2x2']
    """
    signal = what.reads.ndim == 1  # its two rows of bars stand one above the other
    figure = new_figure(2 * _SIDE + 1.2, _SIDE)
    first, second = figure.subplots(2, 1) if signal else figure.subplots(1, 2)
    _panel(figure, first, what.reads, "Read: input")
    _panel(figure, second, what.writes, "Written: result")
    figure.suptitle(title or what.name, color=INK, fontsize=11)
    return figure


def _panel(figure: Figure, axes: Axes, counts: Counts, name: str) -> None:
    never = int((counts == 0).sum())
    said = f"{name}, {'x'.join(map(str, counts.shape))}"
    if counts.ndim == 3 and len(counts) > 1:
        said += f", plane {len(counts) // 2}"
    axes.set_title(said + (f", {never:,} cells never" if never else ""), loc="left", color=INK, fontsize=9)
    if counts.ndim == 1:
        _bars(axes, counts)
    else:
        _cells(figure, axes, counts if counts.ndim == 2 else counts[len(counts) // 2])


def _bars(axes: Axes, counts: Counts) -> None:
    places = np.arange(len(counts))
    axes.bar(places, counts, width=1.0, color=BLUE, edgecolor="white", linewidth=0.4 if len(counts) <= 100 else 0)
    never = places[counts == 0]
    axes.bar(never, np.full(len(never), max(float(counts.max()), 1.0)), width=1.0, color=ORANGE, alpha=0.5)
    axes.set_xlim(-0.5, len(counts) - 0.5)
    axes.set_ylim(0, None)
    axes.set_ylabel("times", color=INK)
    plain_axes(axes)


def _cells(figure: Figure, axes: Axes, counts: Counts) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("times", [_PALE, BLUE, _DARK]).with_extremes(bad=ORANGE)
    most = max(float(counts.max()), 1.0)
    image = axes.imshow(np.ma.masked_equal(counts, 0), cmap=colours, vmin=0, vmax=most, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    if max(counts.shape) <= WRITTEN_OUT and most < 10_000:
        for (row, column), count in np.ndenumerate(counts):
            ink = "white" if count == 0 or count > 0.4 * most else INK
            axes.text(column, row, short(float(count)), ha="center", va="center", fontsize=8, color=ink)
    if counts.min() < most:
        from matplotlib.ticker import MaxNLocator

        bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=MaxNLocator(integer=True))
        bar.set_label("times", color=INK)
