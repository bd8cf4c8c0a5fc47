"""The moving kernel in two dimensions: it steps over a grid of numbers, and every product and sum is written out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from foveal import reference
from foveal.errors import ShapeError, explain
from foveal.geometry import Padding, PerAxis, Window
from foveal.show.animation import Animation
from foveal.show.canvas import BLUE, INK, ORANGE, new_figure
from foveal.show.moving_kernel import GREEN, frame_rate
from foveal.show.signals import Values, real
from foveal.show.sliding import OPERATIONS, check_operation
from foveal.show.words import bracketed, short

if TYPE_CHECKING:
    from matplotlib.patches import Rectangle
    from matplotlib.text import Text

LARGEST = 10  # cells of a side, padding included: more could not be read
LARGEST_KERNEL = 5
LENGTH = 14.0  # seconds of stepping, unless the steps are few or fps is given
_GAP, _HEAD = 1.2, 0.75  # cells between the grids, and above them for headings
_DIGITS = 6  # of the numbers in the equation
_RULE = "#AAAAAA"
_SAID = {"correlation": "Correlation, kernel not flipped", "convolution": "Convolution, kernel flipped"}


@dataclass(frozen=True, eq=False)
class Steps:
    """A kernel that steps over a map.

    Parameters
    ----------
    operation : str
        "correlation" or "convolution".
    padded : ndarray of shape (H, W), float64
        The map with its padding.
    inside : (slice, slice)
        Where in it the map lies.
    kernel : ndarray of shape (R, S), float64
        As it is laid on the map: flipped if the operation is a convolution.
    stride : (int, int)
        Steps down and to the right.
    result : ndarray of shape (P, Q), float64
        What it gives at each step.
    """

    operation: str
    padded: Values
    inside: tuple[slice, slice]
    kernel: Values
    stride: tuple[int, int]
    result: Values

    @property
    def call(self) -> str:
        """The SciPy call that gives the same numbers, of arrays x and w."""
        before = [(part.start, size - part.stop) for part, size in zip(self.inside, self.padded.shape, strict=True)]
        sides = {n for pair in before for n in pair}
        x = "x" if sides == {0} else f"np.pad(x, {sides.pop() if len(sides) == 1 else before})"
        every = "" if self.stride == (1, 1) else f"[::{self.stride[0]}, ::{self.stride[1]}]"
        name = {"correlation": "correlate2d", "convolution": "convolve2d"}[self.operation]
        return f'scipy.signal.{name}({x}, w, "valid"){every}'

    def window(self, p: int, q: int) -> tuple[slice, slice]:
        """The cells of `padded` that the kernel lies on at output (p, q)."""
        (r, s), top, left = self.kernel.shape, p * self.stride[0], q * self.stride[1]
        return slice(top, top + r), slice(left, left + s)

    def equation(self, p: int, q: int) -> list[str]:
        """Every product at output (p, q), a line for each row of the kernel, and the sum.

        Examples
        --------
        >>> print(*steps([[1, 2], [4, 5]], [[1, 0], [0, -1]]).equation(0, 0), sep="\\n")
        y[0, 0] = 1·1 + 2·0
                + 4·0 + 5·(−1)
                = −4
        """
        x = self.padded[self.window(p, q)]
        rows = [
            " + ".join(f"{bracketed(a, _DIGITS)}·{bracketed(b, _DIGITS)}" for a, b in zip(xs, ws, strict=True))
            for xs, ws in zip(x, self.kernel, strict=True)
        ]
        name = f"y[{p}, {q}]"
        signs = [f"{name} = "] + [" " * len(name) + " + "] * (len(rows) - 1) + [" " * len(name) + " = "]
        return [sign + row for sign, row in zip(signs, [*rows, short(self.result[p, q], _DIGITS)], strict=True)]


def steps(
    x: ArrayLike,
    w: ArrayLike,
    *,
    operation: str = "correlation",
    stride: PerAxis = 1,
    padding: Padding = 0,
) -> Steps:
    """Compute what a kernel gives at each of its places on a map.

    ``correlation: y[p, q] = sum_rs x[p*stride + r, q*stride + s] w[r, s]``; convolution is the same with w flipped in
    both axes. The numbers are those of ``scipy.signal.correlate2d(x, w, "valid")`` and ``convolve2d``, with the map
    padded before, and every stride-th of them kept.

    Parameters
    ----------
    x : array of shape (H, W)
        The map.
    w : array of shape (R, S)
        The kernel.
    operation : {"correlation", "convolution"}
        Whether the kernel is flipped.
    stride : int or one per axis
        Cells from one place to the next.
    padding : int, one per axis, (before, after) pairs, "valid" or "same"
        Zeros around the map.

    Returns
    -------
    Steps

    Raises
    ------
    ParameterError
        If the operation is unknown.
    ShapeError
        If map or kernel are no tables, or too large to be read in a picture.
    GeometryError
        If the kernel does not fit the padded map, or stride or padding are impossible.
    DTypeError, DataError
        If they are no finite real numbers.

    Source
    ------
    V. Dumoulin, F. Visin, A guide to convolution arithmetic for deep learning, arXiv 1603.07285.

    Examples
    --------
    >>> steps([[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[1, 0], [0, -1]]).result
    array([[-4., -4.],
           [-4., -4.]])
    """
    check_operation(operation, OPERATIONS)
    a, k = _table(x, "map", LARGEST), _table(w, "kernel", LARGEST_KERNEL)
    window = Window.resolve(a.shape, k.shape, stride, padding, 1)
    apply = reference.correlate if operation == "correlation" else reference.convolve
    result = apply(a[None, None], k[None, None], stride=stride, padding=padding)[0, 0]
    padded = np.pad(a, window.padding)
    if max(padded.shape) > LARGEST:
        expected = f"at most {LARGEST} cells a side with its padding, or its numbers could not be read"
        raise ShapeError(explain("map", expected=expected, got=f"{padded.shape[0]}x{padded.shape[1]}"))
    (top, _), (left, _) = window.padding
    inside = slice(top, top + a.shape[0]), slice(left, left + a.shape[1])
    laid = k if operation == "correlation" else k[::-1, ::-1]
    return Steps(operation, padded, inside, laid, (window.stride[0], window.stride[1]), result)


def _table(numbers: ArrayLike, where: str, largest: int) -> Values:
    values = real(numbers, where)
    if values.ndim == 1:
        values = values[None]
    if values.ndim != 2 or values.size == 0 or max(values.shape) > largest:
        expected = f"a table of 1 to {largest} rows and columns"
        raise ShapeError(explain(where, expected=expected, got=f"shape {values.shape}"))
    return values


def grid(
    x: ArrayLike,
    w: ArrayLike,
    *,
    operation: str = "correlation",
    stride: PerAxis = 1,
    padding: Padding = 0,
    fps: float | None = None,
    title: str = "",
) -> Animation:
    """Animate a kernel that steps over a grid of numbers, with every product and the sum written out.

    Parameters
    ----------
    x, w, operation, stride, padding
        See `steps`; at most 10x10 cells with the padding, and kernels of at most 5x5.
    fps : float, optional
        Steps per second; without it all together take 14 seconds, and each from 0.25 to 1.25 seconds.
    title : str
        Above the figure; default: the operation and the SciPy call that gives the same numbers.

    Returns
    -------
    Animation
        One frame for each number of the result.

    Raises
    ------
    ParameterError, ShapeError, GeometryError, DTypeError, DataError
        See `steps`; also if fps is out of range.

    Examples
    --------
    >>> animation = grid([[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[1, 0], [0, -1]])
    >>> len(animation)
    4
    """
    run = steps(x, w, operation=operation, stride=stride, padding=padding)
    places = list(np.ndindex(*run.result.shape))
    pace = 1 / (frame_rate(fps) or min(4.0, max(0.8, len(places) / LENGTH)))
    page = _Page(run, title or f"{_SAID[run.operation]}:  {run.call}")
    seconds = [pace] * (len(places) - 1) + [max(pace, 2.0)]
    keys = np.unique(np.linspace(0, len(places) - 1, min(6, len(places))).round().astype(int)).tolist()
    return Animation(page.figure, lambda frame: page.step(*places[frame]), page.moving, seconds, keys)


class _Page:
    """The map, the kernel and the result beside each other in units of cells, and the equation below them."""

    def __init__(self, run: Steps, title: str) -> None:
        self.run, self.flipped = run, run.operation == "convolution"
        (h, w), (r, s), (p, q) = run.padded.shape, run.kernel.shape, run.result.shape
        self.middle, self.right = w + _GAP, w + s + 2 * _GAP  # where kernel and result begin
        across, down = self.right + q, max(h, p, 2 * r + _HEAD if self.flipped else r) + _HEAD
        lines = [line for place in np.ndindex(p, q) for line in run.equation(*place)]
        cell = min(0.62, 8.6 / across)  # inches
        width = max(across * cell, 5.6)
        self.written = min(13.0, _points(max(lines, key=len), width))
        below = (r + 1) * 1.45 * self.written / 72
        height = down * cell + below + 0.5
        self.cell: float = 72 * cell  # points
        self.figure = new_figure(width + 0.4, height + 0.1)
        self.figure.set_layout_engine("none")
        left, total = 0.2 / (width + 0.4), height + 0.1
        self.figure.text(left, 1 - 0.1 / total, title, fontsize=min(11, _points(title, width)), color=INK, va="top")
        self.axes = self.figure.add_axes(
            (left, (below + 0.1) / total, across * cell / (width + 0.4), down * cell / total),
            xlim=(0, across), ylim=(down - _HEAD, -_HEAD), frame_on=False, xticks=[], yticks=[],
        )  # fmt: skip
        self._still()
        self.window = self._rectangle(0, 0, s, r, facecolor=(ORANGE, 0.18), edgecolor=ORANGE, linewidth=3)
        self.current = self._rectangle(0, 0, 1, 1, facecolor=(GREEN, 0.25), edgecolor=GREEN, linewidth=3)
        small: dict[str, Any] = {"fontsize": 0.65 * self._size(run.kernel), "weight": "bold", "color": ORANGE}
        self.weights = {
            (i, j): self.axes.text(0, 0, f"×{short(float(run.kernel[i, j]))}", ha="right", va="bottom", **small)
            for i, j in np.ndindex(r, s)
        }
        self.numbers = self._numbers(self.right, 0, run.result, GREEN)
        said: dict[str, Any] = {"fontsize": self.written, "family": "monospace", "linespacing": 1.35}
        self.products = self.figure.text(left, (below + 0.04) / total, "", color=INK, va="top", **said)
        self.sum = self.figure.text(left, 0.1 / total, "", color=GREEN, va="bottom", weight="bold", **said)
        self.moving = [
            self.window, self.current, *self.weights.values(), *self.numbers.values(), self.products, self.sum
        ]  # fmt: skip

    def _still(self) -> None:
        run, zeros = self.run, self.run.padded.shape != tuple(part.stop - part.start for part in self.run.inside)
        given = run.kernel[::-1, ::-1] if self.flipped else run.kernel
        self._table(0, 0, "map x, zeros around it" if zeros else "map x", run.padded, BLUE)
        for i, j in np.ndindex(*run.padded.shape):
            if not all(part.start <= n < part.stop for part, n in zip(run.inside, (i, j), strict=True)):
                self._rectangle(j, i, 1, 1, facecolor="#EEEEEE", edgecolor=_RULE, linewidth=0.8)
        self._table(self.middle, 0, "kernel w", given, ORANGE)
        if self.flipped:
            self._table(self.middle, len(given) + _HEAD, "flipped", run.kernel, ORANGE)
        self._table(self.right, 0, "result y", run.result, None)
        for x, sign in ((self.middle, "∗" if self.flipped else "⋆"), (self.right, "=")):
            place = x - _GAP / 2, min(len(given), len(run.result)) / 2
            self.axes.text(*place, sign, fontsize=24, color=INK, ha="center", va="center")

    def _table(self, x: float, y: float, heading: str, values: Values, colour: str | None) -> None:
        self.axes.text(x, y - 0.12, heading, fontsize=10, color=INK, va="bottom")
        for i, j in np.ndindex(*values.shape):
            face = (colour, 0.15) if colour else "white"
            self._rectangle(x + j, y + i, 1, 1, facecolor=face, edgecolor=_RULE, linewidth=0.8)
        if colour:
            self._numbers(x, y, values, INK)

    def _rectangle(self, x: float, y: float, width: float, height: float, **look: Any) -> Rectangle:
        from matplotlib.patches import Rectangle

        patch = Rectangle((x, y), width, height, clip_on=False, **look)
        self.axes.add_patch(patch)
        return patch

    def _numbers(self, x: float, y: float, values: Values, colour: str) -> dict[tuple[int, int], Text]:
        """Write values into a table's cells, a little above the middle: below stands what they are multiplied by."""
        look: dict[str, Any] = {"fontsize": self._size(values), "color": colour, "ha": "center", "va": "center"}
        rows, columns = values.shape
        return {
            (i, j): self.axes.text(x + j + 0.5, y + i + 0.44, short(float(values[i, j])), **look)
            for i, j in np.ndindex(rows, columns)
        }

    def _size(self, values: Values) -> float:
        """The size in points at which the longest of the values fits a cell."""
        longest = max(len(short(value)) for value in values.ravel().tolist())
        return float(self.cell * min(0.4, 1.4 / longest))

    def step(self, p: int, q: int) -> None:
        """Lay the kernel where it gives output (p, q), and fill the result up to there."""
        rows, columns = self.run.window(p, q)
        self.window.set_xy((columns.start, rows.start))
        self.current.set_xy((self.right + q, p))
        for (i, j), text in self.weights.items():
            text.set_position((columns.start + j + 0.95, rows.start + i + 0.98))
        for at, text in self.numbers.items():
            text.set_visible(at <= (p, q))
        *products, result = self.run.equation(p, q)
        self.products.set_text("\n".join(products))
        self.sum.set_text(result)


def _points(text: str, inches: float) -> float:
    """The size in points at which a line of text is as wide as that, in a monospaced font."""
    return inches * 72 / (0.605 * len(text))
