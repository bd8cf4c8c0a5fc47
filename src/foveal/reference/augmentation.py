"""Moved images: what shifts, flips, crops and holes have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

READ, REFLECT, HOLE = 0, 1, 2
Table = NDArray[np.int64]


def trace(moves: Table, size: int) -> tuple[Table, Table]:
    """Return for one axis which place of x each place of y reads after all moves, and which holes it is in.

    A move of kind `READ` is ``y[i] = x[start + step i]``, and 0 where x has no such place; of kind `REFLECT`, x is
    mirrored at its outermost places instead. One of kind `HOLE` is where ``start <= i < start + step``. As y reads what
    the last move made, a place goes through the moves from the last one to the first.

    Parameters
    ----------
    moves : ndarray of shape (M, N, 3), int64
        Kind, start and step: M moves, one after the other, of this axis of each image.
    size : int
        Of the axis.

    Returns
    -------
    places : ndarray of shape (N, size), int64
        -1: nothing is read.
    holes : ndarray of shape (N, size), int64
        Bit m is set where the hole of move m is.

    Examples
    --------
    >>> one_to_the_right, flip = [[READ, -1, 1]], [[READ, 3, -1]]
    >>> trace(np.array([one_to_the_right, flip]), 4)[0]
    array([[ 2,  1,  0, -1]])
    """
    places, holes = np.tile(np.arange(size), (moves.shape[1], 1)), np.zeros((moves.shape[1], size), np.int64)
    for m, move in reversed(list(enumerate(moves))):
        kind, start, step = move.T[:, :, None]
        holes |= ((kind == HOLE) & (start <= places) & (places < start + step)).astype(np.int64) << m
        moved = start + step * places
        mirrored = size - 1 - np.abs(size - 1 - np.abs(moved))
        there = (places >= 0) & (moved >= 0) & (moved < size)
        read = np.where((kind == REFLECT) & (places >= 0), mirrored, np.where(there, moved, -1))
        places = np.where(kind == HOLE, places, read)
    return places, holes


def gather(x: NDArray[Any], moves: Table) -> NDArray[Any]:
    """Return ``y[n, c, i, j] = x[n, c, R[n, i], Q[n, j]]``, images moved along their axes; `trace` gives R and Q.

    y is 0 where R or Q is -1, and in holes: boxes, where the holes of a move meet on all axes.

    Parameters
    ----------
    x : ndarray of shape (N, C, *spatial)
        Of any dtype.
    moves : ndarray of shape (M, N, axes, 3), int64
        M moves, one after the other, of each image along each spatial axis.

    Returns
    -------
    y : ndarray of the shape of x

    Examples
    --------
    >>> x = np.array([[[[1, 2, 3], [4, 5, 6]]]])
    >>> gather(x, np.array([[[[READ, 0, 1], [READ, -1, 1]]]]))  # one pixel to the right
    array([[[[0, 1, 2],
             [0, 4, 5]]]])
    >>> gather(x, np.array([[[[HOLE, 0, 1], [HOLE, 1, 2]]]]))
    array([[[[1, 0, 0],
             [4, 5, 6]]]])
    """
    y, zero = x, np.zeros((), bool)
    inside: Table | int = -1
    for axis, size in enumerate(x.shape[2:]):
        shape = (len(x),) + tuple(size if a == axis + 2 else 1 for a in range(1, x.ndim))
        places, holes = (table.reshape(shape) for table in trace(moves[:, :, axis], size))
        y = np.take_along_axis(y, np.maximum(places, 0), axis + 2)
        zero, inside = zero | (places < 0), inside & holes
    return np.where(zero | (inside != 0), x.dtype.type(0), y)
