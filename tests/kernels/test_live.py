"""Taps that meet only padding are left out, and no others: against a count over all positions."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from foveal.geometry import Window
from foveal.kernels.convolution_steps import Correlation
from foveal.kernels.isa import host
from foveal.kernels.live import by_row, by_tap

AXIS = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3), st.integers(0, 4), st.integers(1, 3))


@given(st.tuples(AXIS, AXIS, AXIS), st.sampled_from([1, 2]))
def test_lists_of_taps(axes, groups):
    sizes, kernel, stride, before, dilation = zip(*axes, strict=True)
    after = tuple(max(b, d * (k - 1) + 1 - n) for n, k, b, d in zip(sizes, kernel, before, dilation, strict=True))
    window = Window(kernel, stride, tuple(zip(before, after, strict=True)), dilation)
    problem = Correlation((2, *sizes), 2, window, groups, host())
    planes, rows, each = problem.live
    O, P, _ = problem.output
    taps = list(itertools.product(range(kernel[0]), range(kernel[1]), range(each)))

    def inside(o, p, tap):
        at = o * stride[0] + tap[0] * dilation[0] - before[0], p * stride[1] + tap[1] * dilation[1] - before[1]
        return 0 <= at[0] < sizes[0] and 0 <= at[1] < sizes[1]

    order, table = by_row(planes, rows, each)
    spans = by_tap(planes, rows, each).reshape(-1, 4)
    for row, (o, p) in enumerate(itertools.product(range(O), range(P))):
        start, count = table[2 * row : 2 * row + 2]
        expected = [t for t, tap in enumerate(taps) if inside(o, p, tap)]
        assert order[start : start + count].tolist() == (expected or [0])
    for t, tap in enumerate(taps):
        reached = [(o, p) for o, p in itertools.product(range(O), range(P)) if inside(o, p, tap)]
        covered = itertools.product(range(*spans[t, :2]), range(*spans[t, 2:]))
        assert list(covered) == reached


def test_every_padded_row_of_a_3x3_kernel_saves_a_tap():
    window = Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    _, table = by_row(*Correlation((4, 13, 13), 8, window, 1, host()).live)
    np.testing.assert_array_equal(table.reshape(13, 2)[:, 1], [2, *[3] * 11, 2])
