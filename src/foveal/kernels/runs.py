"""Runs: the neighbouring floats that a loop goes along, and kernels that do one run at a time.

A batch, in memory, is n images of planes of rows, and a row is one run of `size` floats: W*C of a channels-last map,
H*W of one channel of an array (N, C, H, W), some thousands of a flat array. A kernel says what happens to a run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.kernels.buffers import Map
from foveal.kernels.compiler import Function, Kernel, apart, fields, floats, inlined, named_after
from foveal.kernels.steps import Step, step
from foveal.kernels.tasks import per_task

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
GRAIN = 16384  # floats of a task at least: taking one costs about as much as a hundred
one_run: Any = None  # names of what a frame calls; `named_after` puts the kernel's own there
grain: Any = None
formula: Any = None


@dataclass(frozen=True)
class Runs:
    """Where the runs of a batch lie.

    Attributes
    ----------
    n, planes, rows : int
        How many there are of each; n images may become fewer for a smaller batch.
    size : int
        Floats of a run.
    address : int
        Of the first float.
    image, plane, row : int
        Floats from one to the next.
    keep : object
        What holds the memory.
    """

    n: int
    planes: int
    rows: int
    size: int
    address: int
    image: int
    plane: int
    row: int
    keep: Any

    @staticmethod
    def of_map(m: Map, together: int = 1) -> Runs:
        """Return the rows of a map, W*C floats each; of a map without a border, `together` of them may be a run."""
        if together == 1:
            return Runs(m.n, m.D, m.H, m.W * m.pixel, m.address, m.image, m.plane, m.row, m)
        return Runs(m.n, 1, m.D * m.H // together, m.row * together, m.address, m.image, 0, m.row * together, m)

    @staticmethod
    def cut(size: int, whole: int = 1) -> list[Runs]:
        """Return `size` floats in equal runs, and apart the last, shorter one; `address` counts from the first float.

        A run holds a multiple of `whole` floats.
        """
        wanted = min(max(size // 32, GRAIN // 4), 4 * GRAIN)
        each = max(wanted // whole, 1) * whole
        rows, rest = divmod(size, each)
        runs = [Runs(1, 1, rows, each, 0, 0, 0, each, None), Runs(1, 1, 1, rest, 4 * rows * each, 0, 0, 0, None)]
        return [r for r in runs if r.rows * r.size]

    @staticmethod
    def of_array(x: NDArray[np.float32], whole: int = 1) -> list[Runs]:
        """Return a contiguous array of any shape in runs, as `cut`."""
        start = x.ctypes.data
        return [replace(r, address=start + r.address, keep=x) for r in Runs.cut(x.size, whole)]

    def places(self, name: str) -> dict[str, int]:
        """Return the fields of an operand called `name`."""
        strides = {f"{name}_image": self.image, f"{name}_plane": self.plane, f"{name}_row": self.row}
        return {name: self.address, **strides}


def operands(names: str, more: str = "", reals: str = "") -> np.dtype[Any]:
    """Return the layout of the arguments of a kernel over runs of these operands.

    Examples
    --------
    >>> operands("x").names
    ('x', 'x_image', 'x_plane', 'x_row', 'n', 'planes', 'rows', 'size')
    """
    places = " ".join(f"{name} {name}_image {name}_plane {name}_row" for name in names.split())
    return fields(f"{places} n planes rows size {more}", reals)


def over_runs(name: str, kernel: Kernel, *, keep: tuple[Any, ...] = (), **values: Any) -> Step:
    """Return the step of a kernel; `Runs`, or maps, among the values, all of one shape, become places."""
    maps = [v for v in values.values() if isinstance(v, Map)]
    together = _rows_together(maps[0]) if maps and all(m.bare for m in maps) else 1
    values = {k: Runs.of_map(v, together) if isinstance(v, Map) else v for k, v in values.items()}
    runs = {k: v for k, v in values.items() if isinstance(v, Runs)}
    plain = {k: v for k, v in values.items() if k not in runs}
    for key, r in runs.items():
        plain |= r.places(key)
    keep += tuple(r.keep for r in runs.values())
    return step(name, kernel, keep=keep, n=r.n, planes=r.planes, rows=r.rows, size=r.size, **plain)


def _rows_together(m: Map) -> int:
    """Return how many rows of a map without border make a run that is not longer than a task."""
    rows = m.D * m.H
    return max(r for r in range(1, rows + 1) if rows % r == 0 and (r == 1 or r * m.row <= GRAIN))


def _one_of_all(a, run, thread):
    image, rest = run // (a.planes * a.rows), run % (a.planes * a.rows)
    one_run(a, image, rest // a.rows, rest % a.rows, thread)


def _all(a):
    return a.n * a.planes * a.rows


def _a_task(a):
    return (grain + a.size - 1) // a.size


def per_run(layout: np.dtype[Any], grain: int = GRAIN) -> Callable[[Function], Kernel]:
    """Make a `Kernel` of a function (arguments, image, plane, row, thread) that does one run.

    A task is as many runs as have `grain` floats.
    """

    def make(f: Function) -> Kernel:
        one_run = named_after(f, _one_of_all, one_run=inlined(f))
        return per_task(layout, _all, named_after(f, _a_task, grain=grain))(one_run)

    return make


def _unary(a, image, plane, row, thread):
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row)
    y = a.y + 4 * (image * a.y_image + plane * a.y_plane + row * a.y_row)
    formula(a, floats(x, a.size), floats(y, a.size))


def _binary(a, image, plane, row, thread):
    y = a.y + 4 * (image * a.y_image + plane * a.y_plane + row * a.y_row)
    dy = a.dy + 4 * (image * a.dy_image + plane * a.dy_plane + row * a.dy_row)
    dx = a.dx + 4 * (image * a.dx_image + plane * a.dx_plane + row * a.dx_row)
    formula(a, floats(y, a.size), floats(dy, a.size), floats(dx, a.size))


def unary(more: str = "", reals: str = "") -> Callable[[Function], Kernel]:
    """Make a kernel y = f(x) of a function (arguments, x, y) that fills the array y; y may lie where x lies."""
    return lambda f: per_run(operands("x y", more, reals))(named_after(f, _unary, formula=apart(f)))


def binary(more: str = "", reals: str = "") -> Callable[[Function], Kernel]:
    """Make a kernel dx = f(y, dy) of a function (arguments, y, dy, dx); dx may lie where y or dy lies."""
    return lambda f: per_run(operands("y dy dx", more, reals))(named_after(f, _binary, formula=apart(f)))
