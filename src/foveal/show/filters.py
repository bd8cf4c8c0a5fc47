"""Filters before and after learning, on one scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foveal.errors import ShapeError, explain
from foveal.show.canvas import INK, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

Weights = NDArray[Any]

WEAK = 4  # a half this many times weaker than the other would be a uniform grey
_PAPER = "#D6E4F0"  # between the filters: no grey, so that it is not taken for a weight


def filters(before: Weights | None, after: Weights, *, channel: int = 0, title: str = "") -> Figure:
    """Draw filters before and after learning, side by side on the same symmetric scale: zero is mid grey.

    Where one half is so much weaker than the other that nothing of it would be seen, the scale of both is that of
    sign(w) sqrt(|w|), and the legend says so.

    Filters of 3 channels are drawn in colour, each of red, green and blue on that scale, so grey is a filter without
    colour. Of filters with any other number of channels one `channel` is drawn, and the title says which.

    Parameters
    ----------
    before : ndarray of shape (K, C, R, S) or (K, C, R), or None
        Initial weights; None draws `after` alone.
    after : ndarray of the same shape
        Learned weights.
    channel : int
        Which channel to draw, unless there are 3.
    title : str
        Above the figure.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ShapeError
        If the weights are no filters, the halves differ in shape, or there is no such channel.

    Examples
    --------
    >>> w = np.random.default_rng(0).normal(size=(30, 1, 5, 5))
    >>> figure = filters(w / 10, w)
    >>> [axes.get_title(loc="left") for axes in figure.axes[:2]]
    ['Before training', 'After training']
    """
    halves = {"Before training": before, "After training": after} if before is not None else {"Filters": after}
    images = {name: _images(np.asarray(w), channel) for name, w in halves.items()}
    shapes = [image.shape for image in images.values()]
    if len(set(shapes)) > 1:
        got = " and ".join(str(np.shape(w)) for w in halves.values() if w is not None)
        raise ShapeError(explain("filters", expected="the same shape before and after", got=got))
    # One limit for both halves: with one of its own, the noise before training would look as strong as what is learned.
    limit = max(float(np.abs(image).max()) for image in images.values()) or 1.0
    mosaics = {name: mosaic(image) for name, image in images.items()}
    height, width = next(iter(mosaics.values())).shape[:2]
    side = 4.2
    figure = new_figure(side * len(mosaics) + 0.9, max(1.6, side * height / width) + (0.55 if title else 0.25))
    axes = figure.subplots(1, len(mosaics), squeeze=False)[0]
    weakest = min(float(np.abs(image).max()) for image in images.values())
    scale = _scale(limit, bent=0 < weakest < limit / WEAK)
    for place, (name, pixels) in zip(axes, mosaics.items(), strict=True):
        _draw(place, name, pixels, scale)
    _legend(figure, axes, np.shape(after), channel, scale)
    if title:
        figure.suptitle(title, fontsize=11, color=INK, x=0.01, ha="left")
    return figure


def _images(w: Weights, channel: int) -> Weights:
    """(K, R, S) of one channel, or (K, R, S, 3)."""
    if w.ndim == 3:
        w = w[:, :, None, :]  # 1D filters are drawn as one row
    if w.ndim != 4 or w.size == 0:
        raise ShapeError(explain("filters", expected="shape (K, C, R, S) or (K, C, R)", got=str(w.shape)))
    if w.shape[1] == 3:
        return np.moveaxis(w, 1, -1)
    if not 0 <= channel < w.shape[1]:
        raise ShapeError(explain("filters", expected=f"a channel from 0 to {w.shape[1] - 1}", got=str(channel)))
    return w[:, channel]


def mosaic(images: Weights) -> NDArray[np.float64]:
    """Lay images out row by row in a rectangle about 6 wide to 5 high, with gaps (NaN) between them.

    Parameters
    ----------
    images : ndarray of shape (K, R, S) or (K, R, S, 3)
        One image for each filter.

    Returns
    -------
    ndarray of shape (height, width) or (height, width, 3)
        With a gap around each image, as wide as one weight.

    Examples
    --------
    >>> mosaic(np.ones((30, 5, 5))).shape
    (31, 37)
    """
    count, r, s = images.shape[:3]
    columns = max(1, min(count, math.ceil(math.sqrt(count * 1.2 * r / s))))
    rows = math.ceil(count / columns)
    sheet = np.full((rows * (r + 1) + 1, columns * (s + 1) + 1, *images.shape[3:]), np.nan)
    for i, image in enumerate(images):
        y, x = i // columns * (r + 1) + 1, i % columns * (s + 1) + 1
        sheet[y : y + r, x : x + s] = image
    return sheet


def _scale(limit: float, *, bent: bool) -> Normalize:
    """Return what maps weights from -limit .. limit to 0 .. 1, zero to the middle."""
    from matplotlib.colors import FuncNorm, Normalize

    if not bent:
        return Normalize(-limit, limit)
    root, square = (lambda w: np.sign(w) * np.sqrt(np.abs(w))), (lambda w: np.sign(w) * np.square(w))
    return FuncNorm((root, square), -limit, limit)


def _draw(axes: Axes, name: str, pixels: NDArray[np.float64], scale: Normalize) -> None:
    from matplotlib.colors import to_rgb

    if pixels.ndim == 3:
        scaled = np.clip(np.asarray(scale(pixels.ravel())), 0, 1).reshape(pixels.shape)
        axes.imshow(np.where(np.isnan(scaled), to_rgb(_PAPER), scaled), interpolation="nearest")
    else:
        axes.imshow(np.ma.masked_invalid(pixels), cmap="gray", norm=scale, interpolation="nearest")
        axes.images[0].set_cmap(axes.images[0].get_cmap().with_extremes(bad=_PAPER))
    axes.set_title(name, loc="left", fontsize=10, color=INK)
    axes.set_axis_off()


def _legend(figure: Figure, axes: Any, shape: tuple[int, ...], channel: int, scale: Normalize) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import FuncNorm

    bent, limit = isinstance(scale, FuncNorm), float(scale.vmax or 1.0)
    bar = figure.colorbar(ScalarMappable(scale, cmap="gray"), ax=list(axes), shrink=0.8, aspect=25, pad=0.02)
    of = {1: "weight", 3: "weight (of each: red, green, blue)"}.get(
        shape[1], f"weight (channel {channel} of {shape[1]})"
    )
    bar.set_label(of + ", square-root scale" * bent, color=INK, fontsize=9)
    middle = limit / 4 if bent else limit / 2  # where the scale is half as bright
    bar.set_ticks([-limit, -middle, 0, middle, limit])
    bar.ax.set_yticklabels([f"{tick:+.2g}".replace("-", "\N{MINUS SIGN}") if tick else "0" for tick in bar.get_ticks()])
    bar.ax.tick_params(colors=INK, labelsize=8)
