"""The steps in which maps meet."""

from __future__ import annotations

from typing import Any

from foveal.kernels import join as loops
from foveal.kernels.buffers import Map
from foveal.kernels.steps import Step, step

NONE = -float("inf")
TASK = 6000  # floats of a task: taking one costs about as much as a hundred of them


def add(name: str, a: Map, b: Map, y: Map, floor: float = NONE) -> Step:
    """Return the step y = max(floor, a + b) for maps of one shape; y may be one of the others."""
    return step(name, loops.add, keep=(a, b, y), channels=y.pixel, floor=floor, **_place("a", a), **_place("b", b),
                **_place("y", y), **_lines(y))  # fmt: skip


def copy_channels(name: str, x: Map, y: Map, *, x_first: int = 0, y_first: int = 0) -> Step:
    """Return the step that copies channels from x to y, as many as the one with fewer has.

    x_first, y_first : the first of these channels in x and in y
    """
    return step(name, loops.copy_channels, keep=(x, y), channels=min(x.C, y.C), **_place("x", x, x_first),
                x_pixel=x.pixel, **_place("y", y, y_first), y_pixel=y.pixel, **_lines(y))  # fmt: skip


def scale(name: str, x: Map, factor: float) -> Step:
    """Return the step x *= factor for rows of features."""
    return step(name, loops.scale, keep=(x,), x=x.address, x_image=x.image, n=x.n, size=x.C, factor=factor)


def _place(key: str, m: Map, channel: int = 0) -> dict[str, Any]:
    """Return where a map begins, at a channel of its first pixel, and its strides."""
    return {key: m.address + 4 * channel, f"{key}_image": m.image, f"{key}_plane": m.plane, f"{key}_row": m.row}


def _lines(m: Map) -> dict[str, Any]:
    """Return the lines of a map and how many make a task."""
    lines = max(1, TASK // (m.W * m.pixel))
    return {"n": m.n, "planes": m.D, "rows": m.H, "columns": m.W, "lines": lines}
