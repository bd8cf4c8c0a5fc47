"""Local response normalisation in both memory orders: against the formula, with few and many channels, with NaN."""

import numpy as np
import pytest

from foveal import reference
from foveal.kernels.local_response_steps import BLOCK, LocalResponse
from foveal.kernels.steps import program
from foveal.kernels.threads import pool
from tests.support.machine import assert_threads_change_no_bit
from tests.support.maps import BORDERS, assert_untouched, filled, unwritten
from tests.support.oracles import assert_close_to_reference

SHAPES = [(2, 3, 5, 7), (1, 96, 11, 13), (3, 1, 4, 4), (2, 17, 1, 1), (1, 8, 40, 60), (2, 5, 700), (1, BLOCK + 5, 2, 3)]
SIZES = [1, 2, 3, 5, 8, 40]


def arrays(shape):
    rng = np.random.default_rng(shape)
    return (3 * rng.standard_normal(shape)).astype(np.float32), rng.standard_normal(shape).astype(np.float32)


def on_maps(norm, x, dy, border="bare"):
    """Return y and dx, computed on channels-last maps, in arrays."""
    where = BORDERS[border] if x.ndim == 4 else BORDERS["bare"]
    xm, ym, dym, dxm = filled(x, where), unwritten(x.shape, where), filled(dy), unwritten(x.shape, where)
    before = ym.data.copy(), dxm.data.copy()
    threads = pool().size
    program(norm.forward("test", xm, ym, threads) + norm.backward("test", xm, dym, dxm, threads)).run()
    assert_untouched(ym, before[0])
    assert_untouched(dxm, before[1])
    return np.ascontiguousarray(ym.view), np.ascontiguousarray(dxm.view)


def on_arrays(norm, x, dy):
    y, dx, threads = np.full_like(x, np.nan), np.full_like(x, np.nan), pool().size
    program(norm.array_forward("test", x, y, threads) + norm.array_backward("test", x, dy, dx, threads)).run()
    return y, dx


def gradient_size(x, dy, size, alpha, beta, k):
    """Return the sum of absolute values that the gradient is made of."""
    y = reference.local_response_norm(x, size, alpha, beta, k)
    normaliser = np.abs(y / x)
    # dx = dy s^-beta - rest; with -|dy| and |x| both parts have one sign
    return np.abs(reference.local_response_norm_grad(abs(x), -abs(dy), size, alpha, beta, k)) + 2 * abs(dy) * normaliser


@pytest.mark.parametrize("beta", [0.75, 0.5, 1.0, 1.7])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_both_orders_equal_the_formula(shape, size, beta):
    numbers = size, 0.3, beta, 2.0
    (x, dy), norm = arrays(shape), LocalResponse(*numbers)
    y, dx = on_maps(norm, x, dy, "bordered")
    # A sum of `size` squares, each rounded, to a power that is off by 1 + beta units of 2^-23.
    exact = reference.local_response_norm(x, *numbers)
    n = int(np.ceil(beta * (size + 3) + 2 * (1 + beta) + 1))
    assert_close_to_reference(y, exact, abs(exact), n)
    exact = reference.local_response_norm_grad(x, dy, *numbers)
    n = int(np.ceil((beta + 1) * (size + 3) + 2 * (2 + beta) + size + 5))
    assert_close_to_reference(dx, exact, gradient_size(x, dy, *numbers), n)
    for ours, others in zip(on_arrays(norm, x, dy), (y, dx), strict=True):
        np.testing.assert_array_equal(ours, others)


def test_in_place():
    (x, dy), norm = arrays((2, 7, 5, 6)), LocalResponse(5, 0.3, 0.75, 2.0)
    y, dx = on_maps(norm, x, dy)
    xm, dym, threads = filled(x), filled(dy), pool().size
    program(norm.backward("test", xm, dym, dym, threads) + norm.forward("test", xm, xm, threads)).run()
    np.testing.assert_array_equal(xm.view, y)
    np.testing.assert_array_equal(dym.view, dx)


def test_a_bad_number_reaches_its_neighbours_only():
    """NaN at one pixel spoils the channels beside it there, and no other pixel."""
    x, dy = arrays((1, 9, 3, 4))
    x[0, 8, 1, 1] = np.nan
    for y, dx in (on_maps(LocalResponse(3, 0.3, 0.75, 2.0), x, dy), on_arrays(LocalResponse(3, 0.3, 0.75, 2.0), x, dy)):
        assert set(np.argwhere(np.isnan(y))[:, 1]) == {7, 8}
        assert set(np.argwhere(np.isnan(dx))[:, 1]) == {6, 7, 8}
        for found in (y, dx):
            assert set(map(tuple, np.argwhere(np.isnan(found))[:, 2:])) == {(1, 1)}


def test_threads_do_not_change_a_bit():
    x, dy = arrays((3, 16, 20, 30))
    norm = LocalResponse(5, 0.3, 0.75, 2.0)
    assert_threads_change_no_bit(lambda: (*on_maps(norm, x, dy), *on_arrays(norm, x, dy)))


def test_a_smaller_batch():
    x, _ = arrays((4, 6, 5, 5))
    xm, ym = filled(x), unwritten(x.shape)
    steps = LocalResponse(5, 0.3, 0.75, 2.0).forward("test", xm, ym, pool().size)
    steps[0].resize(3)
    program(steps).run()
    assert not np.isnan(ym.view[:3]).any()
    assert np.isnan(ym.view[3:]).all()
