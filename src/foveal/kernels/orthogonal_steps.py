"""How Muon's update of weight matrices runs: where their numbers are packed, and the tiles of the products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.kernels import orthogonal as loops
from foveal.kernels.buffers import zeros
from foveal.kernels.compiler import block_of
from foveal.kernels.isa import ISA
from foveal.kernels.steps import Step, one_tap, step
from foveal.kernels.tiles import choose_outer, table
from foveal.reference.orthogonal import as_matrix, steepness

Index = NDArray[np.int64]
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Packed:
    """A weight in an engine's memory.

    Attributes
    ----------
    shape : tuple of int
        Of the users' array.
    index : ndarray
        For each packed float its place in the users' array, or -1.
    p, g, m : ndarray
        The parameter, its gradient and its momentum, packed.
    """

    shape: tuple[int, ...]
    index: Index
    p: Array
    g: Array
    m: Array


def muon_step(name: str, weights: Sequence[Packed], isa: ISA) -> Step:
    """Return the step that updates these weights, each as a matrix."""
    blocks, keep = zip(*(_block(w, isa) for w in weights), strict=True)
    addresses = np.array([b.ctypes.data for b in blocks], np.int64)
    return step(name, loops.muon_matrices, keep=(blocks, keep), matrices=addresses, count=len(blocks),
                c0=0.0, c1=0.0, c2=0.0, c3=0.0, c4=0.0, c5=0.0, c6=0.0)  # fmt: skip


def _block(w: Packed, isa: ISA) -> tuple[NDArray[np.void], Any]:
    """Return the argument block of one matrix, and the memory that it points to."""
    places = np.full(int(np.prod(w.shape)), -1, np.int64)  # where each of the users' numbers is packed
    places[w.index[w.index >= 0]] = np.flatnonzero(w.index >= 0)
    matrix = as_matrix(places.reshape(w.shape))
    scale, short = steepness(matrix), min(matrix.shape)
    if len(matrix) == short:
        matrix = matrix.T
    rows, columns = len(matrix), -(-short // isa.lanes) * isa.lanes
    index = np.full((rows, columns), -1, np.int64)
    index[:, :short] = matrix
    large = choose_outer(isa, rows, columns)
    small = choose_outer(isa, columns, columns, large.C)
    width, (taps, none) = large.width, one_tap(isa)
    last = (columns - 1) % width + 1
    memory = {
        "index": index.ravel(), "z": zeros(rows * columns), "next_z": zeros(rows * columns),
        "gram": zeros(columns * columns), "square": zeros(columns * columns), "taps": taps, "zeros": none,
        "main": table("outer", large, large.C, rows), "last": table("outer", large, last // isa.lanes, rows),
        "small_main": table("outer", small, small.C, columns),
        "small_last": table("outer", small, last // isa.lanes, columns), "p": w.p, "g": w.g, "m": w.m,
    }  # fmt: skip
    numbers = {"size": w.index.size, "rows": rows, "columns": columns, "width": width,
               "lanes": isa.lanes, "rows_tile": large.R, "small_tile": small.R, "steepness": scale}  # fmt: skip
    addresses = {name: array.ctypes.data for name, array in memory.items()}
    return block_of(loops.MATRIX, "muon_matrices", **addresses, **numbers), memory
