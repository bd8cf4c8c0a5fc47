"""The moving kernel in one dimension: it slides over a signal, and the area under the product is the result."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal._checks import check_count
from foveal.errors import ParameterError, explain
from foveal.show.animation import Animation
from foveal.show.canvas import BLUE, FAINT, INK, ORANGE, new_figure, plain_axes
from foveal.show.signals import Samples, Values
from foveal.show.sliding import OPERATIONS, Slide, check_operation, slide
from foveal.show.words import bracketed, minus, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREEN = "#009E73"  # the product and its area; with blue and orange from the palette of Okabe and Ito
LENGTH = 6.0  # seconds of sliding, unless the frames are few or fps is given
_FLIP = 8  # frames in which the kernel turns over
_LOOK = 1.5  # seconds in which nothing moves


def convolution(
    signal: str | ArrayLike | Samples = "box",
    kernel: str | ArrayLike | Samples = "box",
    *,
    operation: str = "convolution",
    dx: float | None = None,
    frames: int = 90,
    fps: float | None = None,
    title: str = "",
) -> Animation:
    """Animate a kernel that slides over a signal: the area under the product is shaded, and traced below as the result.

    Before it slides, the kernel is flipped where the operation is a convolution. "both" shows convolution and
    correlation side by side.

    Parameters
    ----------
    signal, kernel, dx
        See `slide`.
    operation : {"convolution", "correlation", "both"}
        What is shown.
    frames : int
        Places of the kernel that are drawn, 2 to 500; never more than there are.
    fps : float, optional
        Places per second; without it all together take 6 seconds, and if they are few each 1.25 seconds.
    title : str
        Above the figure; default: the names of signal and kernel.

    Returns
    -------
    Animation

    Raises
    ------
    ParameterError, ShapeError, DTypeError, DataError
        See `slide`; also if frames or fps is out of range.

    Examples
    --------
    >>> animation = convolution("box", "box", frames=20)
    >>> len(animation), animation.frame(5).shape
    (21, (480, 640, 3))
    """
    check_operation(operation, (*OPERATIONS, "both"))
    wanted = check_frames(frames)
    shown = OPERATIONS if operation == "both" else (operation,)
    slides = [slide(signal, kernel, operation=each, dx=dx) for each in shown]
    last = len(slides[0].result.values) - 1
    places = np.unique(np.linspace(0, last, min(wanted, last + 1)).round().astype(int))
    pace = 1 / (frame_rate(fps) or min(25.0, max(0.8, len(places) / LENGTH)))
    turns = _turns(slides[0])
    figure = new_figure(6.4 if len(slides) == 1 else 7.8, 4.8)
    names = f"signal f: {slides[0].signal.name}      kernel g: {slides[0].kernel.name}"
    figure.suptitle(title or names, fontsize=10.5, color=INK, x=0.01, ha="left")
    axes = figure.subplots(2, len(slides), sharex=True, sharey="row", squeeze=False, height_ratios=(1.1, 1))
    letters = 62 if len(slides) == 1 else 36  # that fit above a column
    columns = [_Column(axes[0, j], axes[1, j], each, letters) for j, each in enumerate(slides)]
    _limits(axes, slides, places)

    def draw(frame: int) -> None:
        for column in columns:
            if frame < len(turns):
                column.turn(turns[frame])
            else:
                column.place(int(places[frame - len(turns)]))

    turning = [_LOOK if abs(turn) == 1 else 0.08 for turn in turns]
    seconds = [*turning, *[pace] * (len(places) - 1), max(pace, _LOOK)]
    few = np.arange(len(places)) if len(places) <= 8 else np.linspace(0, len(places) - 1, 7).round().astype(int)[1:]
    moving = [artist for column in columns for artist in column.moving]
    return Animation(figure, draw, moving, seconds, [len(turns) + int(i) for i in few])


def check_frames(frames: int) -> int:
    """Return how many frames are wanted.

    Raises
    ------
    ParameterError, DTypeError
        If it is no whole number from 2 to 500.
    """
    if check_count(frames, "frames", minimum=2) > 500:
        raise ParameterError(explain("frames", expected="a whole number from 2 to 500", got=str(frames)))
    return int(frames)


def frame_rate(fps: float | None) -> float | None:
    """Return the rate of frames that is asked for, if any is.

    Raises
    ------
    ParameterError
        If it is not from 0.1 to 50.
    """
    if fps is not None and (isinstance(fps, bool) or not isinstance(fps, int | float) or not 0.1 <= fps <= 50):
        raise ParameterError(explain("fps", expected="0.1 to 50 frames per second", got=repr(fps)))
    return fps


def _turns(first: Slide) -> list[float]:
    """How wide the kernel is drawn before it slides: 1 as it is, -1 flipped."""
    if first.operation != "convolution" or first.kernel.even:
        return [1.0]
    return [math.cos(math.pi * step / (_FLIP - 1)) for step in range(_FLIP)]  # an even number: never 0


def _turning(run: Slide, width: float) -> str:
    if run.operation == "convolution" and run.kernel.even:
        return "The kernel g(τ). Flipped, it looks the same"
    if run.operation == "convolution" and width < 1:
        return "The kernel is flipped ..." if width > -1 else "The kernel g(\N{MINUS SIGN}τ), flipped. Now it slides"
    return "The kernel g(τ), as it is"


def outline(values: Values, edges: Values, *, steps: bool) -> Values:
    """Return the corners (., 2) of what lies between the values and zero: bars, or a curve through the middles.

    Examples
    --------
    >>> outline(np.array([2.0, 1.0]), np.array([0.0, 1.0, 2.0]), steps=True).tolist()
    [[0.0, 0.0], [0.0, 2.0], [1.0, 2.0], [1.0, 1.0], [2.0, 1.0], [2.0, 0.0]]
    """
    if steps:
        x, y = np.repeat(edges, 2), np.repeat(values, 2)
    else:
        x = np.concatenate([edges[[0, 0]], (edges[:-1] + edges[1:]) / 2, edges[[-1, -1]]])
        y = np.concatenate([values[:1], values, values[-1:]])
    return np.column_stack([x, np.concatenate([[0.0], y, [0.0]])])


class _Column:
    """Signal, kernel and product above, the result so far below."""

    def __init__(self, above: Axes, below: Axes, run: Slide, letters: int) -> None:
        self.run, self.letters, f = run, letters, run.signal
        signal = outline(f.values, f.edges, steps=run.discrete)
        above.fill(*signal.T, color=BLUE, alpha=0.12, linewidth=0)
        above.plot(*signal.T, color=BLUE, linewidth=2, label="f(τ)")
        flips = run.operation == "convolution"
        label = "g(t \N{MINUS SIGN} τ), flipped" if flips else "g(τ \N{MINUS SIGN} t), not flipped"
        self.kernel = above.plot([], [], color=ORANGE, linewidth=2, label=label)[0]
        self.product = above.fill([0, 0], [0, 0], color=GREEN, alpha=0.6, linewidth=0, label="product")[0]
        self.result = below.plot([], [], color=GREEN, linewidth=2.4)[0]
        self.dot = below.plot([], [], "o", color=GREEN, markersize=7, clip_on=False)[0]
        self.lines = [axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (3, 3))) for axes in (above, below)]
        above.set_title(_formula(run), loc="left", fontsize=10, color=INK, pad=22)
        above.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(-0.02, 0.97), ncols=3,
                     labelcolor=INK, handlelength=1, handletextpad=0.4, columnspacing=1, borderaxespad=0.2)  # fmt: skip
        below.set_xlabel(f"t      as {run.call}", color=INK, fontsize=9)
        self.caption = below.set_title("t", loc="left", fontsize=11, color=INK)
        self.moving = [self.product, self.kernel, self.result, *self.lines, self.dot, self.caption]
        for axes in (above, below):
            axes.axhline(0, color=FAINT, linewidth=0.8, zorder=0)
            plain_axes(axes)

    def turn(self, width: float) -> None:
        """Draw the kernel in its own place: as it is (1), flipped (-1), or on the way."""
        g, flips = self.run.kernel, self.run.operation == "convolution"
        self.kernel.set_data(*outline(g.values, g.edges * (width if flips else 1), steps=self.run.discrete).T)
        self.product.set_xy([[0, 0], [0, 0]])
        for artist in (*self.lines, self.dot, self.result):
            artist.set_visible(False)
        self.caption.set_text(_turning(self.run, width))

    def place(self, i: int) -> None:
        """Draw the kernel where it gives result i, and the result up to there."""
        run, steps = self.run, self.run.discrete
        covered, f, g = run.factors(i)
        self.kernel.set_data(*outline(run.moving, run.edges(i), steps=steps).T)
        self.product.set_xy(outline(f * g, run.signal.edges[covered.start : covered.stop + 1], steps=steps))
        so_far = outline(run.result.values[: i + 1], run.result.edges[: i + 2], steps=steps)
        self.result.set_data(*(so_far if steps else so_far[2:-2]).T)
        t, value = run.result.places[i], run.result.values[i]
        self.dot.set_data([t], [value])
        for line in self.lines:
            line.set_xdata([t, t])
        for artist in (*self.lines, self.dot, self.result):
            artist.set_visible(True)
        self.caption.set_text(_words(run, i, self.letters))


def _limits(axes: NDArray[Any], slides: list[Slide], places: NDArray[Any]) -> None:
    """Give all columns the same limits, wide enough for kernel and product wherever they come."""
    signal, kernel, last = slides[0].signal, slides[0].kernel, len(slides[0].result.values) - 1
    across = [signal.edges, slides[0].edges(0), slides[0].edges(last), kernel.edges, -kernel.edges]
    across += [each.result.places for each in slides]
    left, right = min(x.min() for x in across), max(x.max() for x in across)
    axes[0, 0].set_xlim(left - 0.02 * (right - left), right + 0.02 * (right - left))
    products = [f * g for each in slides for _, f, g in map(each.factors, places.tolist())]
    heights = [signal.values, kernel.values, *products], [each.result.values for each in slides]
    for row, values in zip(axes, heights, strict=True):
        low, high = min(0.0, *(v.min() for v in values)), max(0.0, *(v.max() for v in values))
        room = 0.08 * (high - low or 1.0)
        row[0].set_ylim(low - room * (low < 0), high + room)


def _formula(run: Slide) -> str:
    sign = {"convolution": "∗", "correlation": "⋆"}[run.operation]
    inside = {"convolution": "g(t \N{MINUS SIGN} τ)", "correlation": "g(τ \N{MINUS SIGN} t)"}[run.operation]
    summed = f"Σ f(τ) {inside}" if run.discrete else f"∫ f(τ) {inside} dτ"
    return f"{run.operation.capitalize()}:  (f {sign} g)(t) = {summed}"


def _words(run: Slide, i: int, letters: int) -> str:
    """The sum, written out if there is room for so many letters, or the area."""
    t, value, (_, f, g) = run.result.places[i], run.result.values[i], run.factors(i)
    if run.discrete:
        products = " + ".join(f"{bracketed(a)}·{bracketed(b)}" for a, b in zip(f[:letters], g, strict=False))
        written = f"t = {short(t)}:  {products} = {short(value)}"
        return written if len(written) <= letters else f"t = {short(t)}:  sum of {len(f)} products = {short(value)}"
    # As many decimals for all frames, or the text would jump.
    largest = float(np.abs(run.result.values).max())
    decimals = max(0, 2 - math.floor(math.log10(largest))) if largest else 0
    fine = max(0, -math.floor(math.log10(run.signal.dx) + 1e-9))
    signed = min(run.signal.values.min(), run.kernel.values.min()) < 0
    area = "area above less area below 0" if signed and letters > 50 else "signed area" if signed else "green area"
    return f"t = {minus(f'{t:.{fine}f}')}:  {area} = {minus(f'{value:.{decimals}f}')}"
