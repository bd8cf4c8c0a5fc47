"""Moved images against what NumPy's own pad, slice and flip give."""

import numpy as np
import pytest

from foveal.reference.augmentation import HOLE, READ, REFLECT, gather

SHAPES = [(3, 2, 9), (3, 2, 5, 7), (2, 1, 4, 6, 5)]
PAD = {READ: {"mode": "constant"}, REFLECT: {"mode": "reflect"}}
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def images(shape):
    return np.random.default_rng(shape).integers(1, 256, shape).astype(np.uint8)


def moves(kind, starts, steps=1):
    """One move for each image and axis."""
    starts = np.asarray(starts)
    return np.stack(np.broadcast_arrays(kind, starts, steps), axis=-1)


def padded_and_cut(x, starts, kind, border=3):
    """One image (C, *spatial) with a border, and the part of its size that begins at `starts`."""
    wide = np.pad(x, [(0, 0)] + [(border, border)] * (x.ndim - 1), **PAD[kind])
    return wide[(slice(None), *(slice(border + s, border + s + n) for s, n in zip(starts, x.shape[1:], strict=True)))]


@pytest.mark.parametrize("kind", PAD)
@shapes
def test_a_crop_is_a_padded_image_cut(shape, kind):
    x = images(shape)
    starts = np.random.default_rng(1).integers(-3, 4, (shape[0], len(shape) - 2))
    expected = [padded_and_cut(image, start, kind) for image, start in zip(x, starts, strict=True)]
    y = gather(x, moves(kind, starts)[None])
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, expected)


@shapes
def test_a_step_of_minus_one_is_a_flip(shape):
    x = images(shape)
    for axis in range(2, x.ndim):
        flip = moves(READ, np.zeros((shape[0], x.ndim - 2), int))
        flip[:, axis - 2] = READ, shape[axis] - 1, -1
        np.testing.assert_array_equal(gather(x, flip[None]), np.flip(x, axis))


@shapes
def test_a_hole_is_a_box(shape):
    x, expected = images(shape), images(shape)
    starts = np.random.default_rng(2).integers(-2, min(shape[2:]), (shape[0], len(shape) - 2))
    for image, start in zip(expected, starts, strict=True):
        image[(slice(None), *(slice(max(0, s), max(0, s + 3)) for s in start))] = 0
    np.testing.assert_array_equal(gather(x, moves(HOLE, starts, 3)[None]), expected)


@shapes
def test_several_moves_are_one_after_the_other(shape):
    """Whatever the moves: all at once is the same as each on the result of the one before."""
    rng, x = np.random.default_rng(3), images(shape)
    for _ in range(20):
        several = []
        for kind in rng.integers(0, 3, 4):
            starts = rng.integers(-2, 3, (shape[0], len(shape) - 2))
            move = moves(kind, starts, 2 if kind == HOLE else 1)
            mirrored = rng.integers(0, 2, starts.shape).astype(bool) & (kind == READ)
            move[mirrored] = np.stack(np.broadcast_arrays(READ, shape[2:], -1), axis=-1)[None].repeat(shape[0], 0)[
                mirrored
            ]
            several.append(move)
        expected = x
        for move in several:
            expected = gather(expected, move[None])
        np.testing.assert_array_equal(gather(x, np.stack(several)), expected)
