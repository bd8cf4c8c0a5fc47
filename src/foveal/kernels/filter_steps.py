"""How an image kernel runs on images of one size: taps, tiles, tables of the edges, tasks. Made once and kept."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.kernels import filters as loops
from foveal.kernels import filtertile
from foveal.kernels.assembler import assemble
from foveal.kernels.buffers import zeros
from foveal.kernels.isa import ISA
from foveal.kernels.steps import Step, step

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]
LOAD = 0.2  # cycles that a load adds although it should be hidden
TASKS = 12  # for each thread, so that none waits long for the last one


@dataclass(frozen=True)
class Taps:
    """The weights of a matrix (kh, kw) as the tile wants them.

    Attributes
    ----------
    R, C : int
        Output rows and vectors of the tile.
    places : ndarray of shape (T, 2), int64
        Row and column of each tap, counted from the first row and column that R output rows need.
    weights : ndarray of shape (T, R), float32
    """

    R: int
    C: int
    places: Index
    weights: NDArray[np.float32]


def taps(matrix: Matrix, R: int, C: int) -> Taps:
    """Return the taps for R output rows at once; places where all weights are zero are left out.

    Examples
    --------
    >>> cross = np.array([[0, 1, 0], [1, 2, 1], [0, 1, 0]], float)
    >>> taps(cross, 1, 1).places.tolist()
    [[0, 1], [1, 0], [1, 1], [1, 2], [2, 1]]
    >>> len(taps(cross, 2, 1).places), taps(cross, 2, 1).weights[1].tolist()
    (8, [1.0, 0.0])
    """
    i, j = np.nonzero(matrix) if matrix.any() else ([0], [0])  # the tile wants one tap
    shifts, columns = np.arange(R), matrix.shape[1]
    rows = np.add.outer(i, shifts)  # output row r reads weight (i, j) at row i + r
    flat, place = np.unique(rows * columns + np.reshape(j, (-1, 1)), return_inverse=True)
    weights = np.zeros((len(flat), R), np.float32)
    weights[place.reshape(rows.shape), shifts] = matrix[i, j][:, None]
    return Taps(R, C, np.stack(np.divmod(flat, columns), axis=1), weights)


def choose(isa: ISA, matrix: Matrix, whole: bool = False, rows: bool = True) -> Taps:
    """Return the taps for the tile that needs the fewest cycles; without `rows` it makes one output row.

    The cycles of a tap are the largest of what arithmetic (2 in a cycle: a float32 multiply-add is one, an int16 one is
    two), loads (2 in a cycle) and latency take. A vector that begins anywhere in a row crosses lines of 64 bytes, and
    then counts as two loads.
    """
    crossing = isa.lanes / 16 if matrix.shape[1] > 1 else 0.0
    fused = isa.fma and not whole
    registers = isa.registers - (not fused)

    def cost(t: Taps) -> float:
        loads = 1 + t.C * (1 + crossing) + t.R
        cycles = max(t.R * t.C / (2 if fused else 1), loads / 2, isa.latency / 2) + LOAD * loads
        return len(t.places) * cycles / (t.R * t.C)

    vectors = [C for C in range(1, 13) if loops.STRIP % (C * filtertile.lanes(isa, whole)) == 0]
    shapes = [(R, C) for R in range(1, 7 if rows else 2) for C in vectors if registers >= R * C + C + 1]
    made = {R: taps(matrix, R, 1) for R, _ in shapes}
    return min((Taps(R, C, made[R].places, made[R].weights) for R, C in shapes), key=cost)


@functools.cache
def _weigh(isa: ISA, R: int, C: int, whole: bool) -> int:
    return assemble(filtertile.weigh_name(isa, R, C, whole), filtertile.weigh(isa, R, C, whole), isa)


@functools.cache
def _quantise(isa: ISA, whole: bool) -> int:
    return assemble(filtertile.quantise_name(isa, whole), filtertile.quantise(isa, whole), isa)


def scalars(values: NDArray[Any], whole: bool) -> NDArray[Any]:
    """Return numbers as the tile reads them: float32, or int16 twice in an int32."""
    if not whole:
        return np.ascontiguousarray(values, np.float32)
    return np.ascontiguousarray(np.repeat(np.asarray(values, np.int16).ravel(), 2)).view(np.int32)


class ImageFilter:
    """An image kernel on images of one size.

    Parameters
    ----------
    shape : (int, int, int)
        (H, W, channels).
    colours : int
        Channels that are filtered; the others are copied.
    matrix : ndarray of shape (kh, kw)
        The image kernel, or with `row` its factor (kh, 1).
    row : ndarray of shape (kw,), optional
        The other factor, if the image kernel is a column times a row.
    row_index, column_index : ndarray of int64
        Which row of the image stands in each of the H + kh - 1 rows that are read, and which column in each of the
        W + kw - 1 columns; -1 for zeros.
    left : int
        Columns that are read before the first one.
    whole : bool
        Whether weights and offset are whole numbers and all sums fit int16; only for uint8 images.
    isa : ISA
    threads : int
    """

    def __init__(
        self, shape: tuple[int, int, int], colours: int, matrix: Matrix, row: Matrix | None, row_index: Index,
        column_index: Index, left: int, whole: bool, isa: ISA, threads: int,
    ) -> None:  # fmt: skip
        (H, W, channels), strip = shape, loops.STRIP
        self.shape, self.whole, self.threads = shape, whole, threads
        self.taps = down = choose(isa, matrix, whole)
        self.row_taps = None if row is None else choose(isa, row[None], whole, rows=False)
        along = self.row_taps or taps(np.ones((1, 1)), 1, 1)
        right = len(column_index) - W - left
        strips = -(-W * channels // strip)
        bands = max(1, min(-(-TASKS * threads // strips), H // (2 * len(matrix)), H // 16))
        band_rows = -(-H // (down.R * bands)) * down.R
        slots, width = len(matrix) + down.R - 1, strip + 32 * -(-(left + right) * channels // 32)
        ring_row, sample, lanes = width if row is None else strip, 2 if whole else 4, filtertile.lanes(isa, whole)
        line_at = sample * slots * ring_row
        sums_at = line_at + sample * width
        table_at = sums_at + sample * down.R * strip
        bytes_at = table_at + 64 * -(-max(len(down.places), len(along.places)) // 8)
        self.scratch_size = bytes_at + strip
        # A call copies this step's arguments and fills in what is its own: small images should not wait for Python.
        self._step = step(
            "filter", loops.filter_image, tile=f"{'int16' if whole else 'float32'} {down.R}x{down.C} ({isa.name})",
            macs=self.macs, source=0, target=0, item=0, factors=0, counts=0, blank=0, scratch=0,
            rows=H, columns=W, channels=channels, colours=colours, row_index=row_index,
            column_index=np.concatenate([column_index[:left], column_index[left + W :]]), left=left, right=right,
            bands=-(-H // band_rows), band_rows=band_rows, strips=strips, strip_columns=strip // channels,
            sample=sample, weigh=_weigh(isa, down.R, down.C, whole), places=down.places * [1, channels],
            w=scalars(down.weights, whole), taps=len(down.places), R=down.R, block=down.C * lanes, slots=slots,
            ring_row=ring_row, weigh_row=_weigh(isa, 1, along.C, whole), row_places=along.places[:, 1] * channels,
            row_w=scalars(along.weights, whole), row_taps=len(along.places) if self.row_taps else 0,
            row_block=along.C * lanes, scratch_size=self.scratch_size, line_at=line_at, sums_at=sums_at,
            table_at=table_at, bytes_at=bytes_at, quantise=_quantise(isa, whole), lanes=lanes,
        )  # fmt: skip

    @property
    def macs(self) -> int:
        """Multiply-adds for an image, without those by zero."""
        each = np.count_nonzero(self.taps.weights[:, 0])
        each += np.count_nonzero(self.row_taps.weights) if self.row_taps else 0
        return int(np.prod(self.shape)) * int(each)

    def steps(
        self, source: NDArray[Any], target: NDArray[Any], factor: float, offset: float, counts: Index
    ) -> list[Step]:
        """Return the step target = (image kernel * source) * factor + offset.

        source, target : contiguous, of the shape, both uint8 or both float32
        factor : 1 if sums are whole
        counts : zeros of shape (threads, 8); counts[:, 0] adds up to the clipped samples, and counts[:, 1] is not zero
            if something was not finite
        """
        factors = scalars(np.array([offset, factor]), self.whole)
        scratch = zeros(self.threads * self.scratch_size // 4)
        own = {"source": source, "target": target, "factors": factors, "counts": counts, "scratch": scratch}
        block = self._step.block.view(np.int64).copy().view(self._step.block.dtype)  # by fields it takes 20 us
        for name, array in own.items():
            block[name] = array.ctypes.data
        block["item"], block["blank"] = source.itemsize, -offset if self.whole else 0
        return [replace(self._step, block=block, keep=(*self._step.keep, *own.values()))]
