"""Images on their way into a batch, each moved in its own way: `foveal.reference.augmentation.gather`.

Shifts, flips, crops and holes, and all of them one after the other, are one pass that reads a pixel once. Images stay
what they are, uint8 or float32 (C, *spatial).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.kernels.compiler import bytes_, fields, floats, helper, integers
from foveal.kernels.steps import Step, step
from foveal.kernels.tasks import images, per_task
from foveal.reference.augmentation import HOLE, REFLECT

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
TASK = 6000  # numbers of a task: taking one costs about as much as a hundred of them
AXES = 3
_GATHER = fields("x numbers moves moves_count batch places holes y n channels planes rows columns images_a_task")


@helper
def image_size(a):
    """Return how many numbers an image has."""
    return a.channels * a.planes * a.rows * a.columns


@helper
def trace(a, image, axis, places, holes):
    """Set which place of x each place of an axis reads, -1 for none, and the bits of the holes that it is in."""
    size = places.size
    for i in range(size):
        place, inside = i, 0
        for m in range(a.moves_count - 1, -1, -1):
            move = integers(a.moves + 8 * 3 * ((m * a.batch + image) * AXES + axis), 3)
            kind, start, step = move[0], move[1], move[2]
            if kind == HOLE:
                inside |= (1 if start <= place < start + step else 0) << m
                continue
            place = start + step * place
            if kind == REFLECT:
                place = size - 1 - abs(size - 1 - abs(place))
            elif not 0 <= place < size:
                place = -1
                break
        places[i], holes[i] = place, inside


@helper
def gather_line(y, x, places, inside, holes):
    """y[w] = x[places[w]], and 0 where it is -1 or where a hole meets those that this line is inside of."""
    for w in range(y.size):
        value = x[places[w]]  # -1 reads the last one, which is not taken
        y[w] = value if places[w] >= 0 else 0
    if inside:
        for w in range(y.size):
            y[w] = 0 if inside & holes[w] else y[w]


@helper
def gather(a, image, x, y):
    """y[c, d, h, w] = x[c, D[d], H[h], W[w]], and 0 where one of the places is -1, or in a hole."""
    size = a.planes + a.rows + a.columns
    place, hole = integers(a.places + 8 * image * size, size), integers(a.holes + 8 * image * size, size)
    first = 0
    for axis, length in enumerate((a.planes, a.rows, a.columns)):
        trace(a, image, axis, place[first : first + length], hole[first : first + length])
        first += length
    columns, column_holes = place[a.planes + a.rows :], hole[a.planes + a.rows :]
    for c in range(a.channels):
        for d in range(a.planes):
            for h in range(a.rows):
                plane, row = place[d], place[a.planes + h]
                line = ((c * a.planes + d) * a.rows + h) * a.columns
                out = y[line : line + a.columns]
                if plane < 0 or row < 0:
                    out[:] = 0
                    continue
                line = ((c * a.planes + plane) * a.rows + row) * a.columns
                gather_line(out, x[line : line + a.columns], columns, hole[d] & hole[a.planes + h], column_holes)


_images = per_task(_GATHER, images, lambda a: a.images_a_task)


@_images
def gather_uint8(a, i, thread):
    """y[i] = gather(x[numbers[i]]) for uint8 images."""
    size = image_size(a)
    gather(a, i, bytes_(a.x + integers(a.numbers, a.n)[i] * size, size), bytes_(a.y + i * size, size))


@_images
def gather_float32(a, i, thread):
    """y[i] = gather(x[numbers[i]]) for float32 images."""
    size = image_size(a)
    gather(a, i, floats(a.x + 4 * integers(a.numbers, a.n)[i] * size, size), floats(a.y + 4 * i * size, size))


KERNELS = {np.dtype(np.uint8): gather_uint8, np.dtype(np.float32): gather_float32}


def gather_step(
    name: str, x: NDArray[Any], numbers: NDArray[np.int64], moves: NDArray[np.int64], y: NDArray[Any]
) -> Step:
    """Return the step y[i] = gather(x[numbers[i]], moves[:, i]) for i < n.

    x, y : contiguous images (N, C, *spatial) and (n, C, *spatial) of one dtype, uint8 or float32
    numbers : (n,), which images of x
    moves : (M, n, 3, 3), contiguous: of planes, rows and columns; one that is not there has one place, HOLE, 0, 1
    """
    planes, rows, columns = (1,) * (2 + AXES - x.ndim) + x.shape[2:]
    tables = np.zeros((2, len(y), planes + rows + columns), np.int64)
    return step(name, KERNELS[x.dtype], x=x, numbers=numbers, moves=moves, moves_count=len(moves), batch=len(y),
                places=tables[0], holes=tables[1], y=y, n=len(y), channels=x.shape[1], planes=planes, rows=rows,
                columns=columns, images_a_task=max(1, TASK // y[0].size))  # fmt: skip
