"""Taps that meet only padding are left out, and no others: against a count over all positions."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from foveal.geometry import Window
from foveal.kernels.convolution_steps import Correlation
from foveal.kernels.isa import host
from foveal.kernels.live import by_row, by_tap, pieces, reaches, saved

AXIS = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3), st.integers(0, 4), st.integers(1, 3))


@given(st.tuples(AXIS, AXIS, AXIS), st.sampled_from([1, 2]))
def test_lists_of_taps(axes, groups):
    sizes, kernel, stride, before, dilation = zip(*axes, strict=True)
    after = tuple(max(b, d * (k - 1) + 1 - n) for n, k, b, d in zip(sizes, kernel, before, dilation, strict=True))
    window = Window(kernel, stride, tuple(zip(before, after, strict=True)), dilation)
    problem = Correlation((2, *sizes), 2, window, groups, host())
    planes, rows, columns = problem.live
    O, P, Q = problem.output
    each = kernel[2] if groups > 1 or dilation[2] > 1 else 1

    def inside(position, tap):
        at = [i * s + t * d - b for i, s, t, d, b in zip(position, stride, tap, dilation, before, strict=False)]
        return all(0 <= i < size for i, size in zip(at, sizes, strict=False))

    taps = list(itertools.product(range(kernel[0]), range(kernel[1]), range(each)))
    order, table = by_row(planes, rows, each)
    for row, position in enumerate(itertools.product(range(O), range(P))):
        start, count = table[2 * row : 2 * row + 2]
        expected = [t for t, tap in enumerate(taps) if inside(position, tap[:2])]
        assert order[start : start + count].tolist() == (expected or list(range(each)))

    spans = by_tap(planes, rows, columns).reshape(-1, 6)
    for t, tap in enumerate(np.ndindex(*kernel)):
        reached = [p for p in np.ndindex(O, P, Q) if inside(p, tap)]
        covered = itertools.product(*(range(*spans[t, i : i + 2]) for i in (0, 2, 4)))
        assert list(covered) == reached


@given(AXIS, st.integers(0, 3), st.booleans())
def test_pieces_of_a_kernel_row(axis, most, merge):
    """All that is inside is computed, pixels are left out at one end only, and no more of them than may be."""
    size, kernel, stride, before, dilation = axis
    pixels = np.arange(9)
    columns = reaches(pixels * stride - before, np.arange(kernel) * dilation, size)
    done = np.zeros_like(columns)
    for piece in pieces(columns, most, merge):
        assert 0 <= piece.begin <= most
        assert 0 <= piece.end <= most
        assert 0 in (piece.begin, piece.end)
        done[piece.begin : len(pixels) - piece.end, piece.first : piece.first + piece.count] += True
    assert done[columns].all()
    for s in range(kernel):  # only what lies between others, or at the other end, or is more than `most`, is too much
        begin, end = np.argmax(columns[:, s]), np.argmax(columns[::-1, s])
        left_out = min(max(begin, end), most) if columns[:, s].any() else len(pixels)
        assert (~done[:, s]).sum() == left_out
    assert saved(columns, [slice(0, len(pixels))], most) * columns.size == (~done).sum()


def test_every_padded_row_of_a_3x3_kernel_saves_a_tap():
    window = Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    planes, rows, _ = Correlation((4, 13, 13), 8, window, 1, host()).live
    _, table = by_row(planes, rows, each=1)
    np.testing.assert_array_equal(table.reshape(13, 2)[:, 1], [2, *[3] * 11, 2])
