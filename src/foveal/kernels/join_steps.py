"""The steps in which maps meet."""

from __future__ import annotations

from foveal.kernels import join as loops
from foveal.kernels.buffers import Map
from foveal.kernels.runs import Runs, over_runs
from foveal.kernels.steps import Step

NONE = -float("inf")


def add(name: str, a: Map, b: Map, y: Map, floor: float = NONE) -> Step:
    """Return the step y = max(floor, a + b) for maps of one shape; y may be one of the others."""
    return over_runs(name, loops.add, a=a, b=b, y=y, floor=floor)


def copy_channels(name: str, x: Map, y: Map, *, x_first: int = 0, y_first: int = 0) -> Step:
    """Return the step that copies channels from x to y, as many as the one with fewer has.

    x_first, y_first : the first of these channels in x and in y
    """
    return over_runs(name, loops.copy_channels, x=_pixels(x, x_first), y=_pixels(y, y_first), x_pixel=x.pixel,
                     y_pixel=y.pixel, channels=min(x.C, y.C))  # fmt: skip


def scale(name: str, x: Map, factor: float) -> Step:
    """Return the step x *= factor."""
    return over_runs(name, loops.scale, x=x, y=x, factor=factor)


def _pixels(m: Map, channel: int) -> Runs:
    """Return the rows of a map as runs of pixels, from a channel on."""
    return Runs(m.n, m.D, m.H, m.W, m.address + 4 * channel, m.image, m.plane, m.row, m)
