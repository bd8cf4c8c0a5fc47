"""Batch norm with a floor, and with the sum of another map: forward and gradients against the formula."""

import numpy as np
import pytest

from foveal import reference
from foveal.kernels.batch_norm_steps import BatchNorm
from foveal.kernels.buffers import zeros
from foveal.kernels.steps import program
from foveal.kernels.threads import set_threads
from tests.support.maps import BORDERS, filled, unwritten

EPSILON = 1e-5
SHAPES = [(2, 3, 5, 7), (1, 96, 11, 13), (20, 17), (3, 4, 2, 3, 5), (6, 2, 500)]


@pytest.fixture(autouse=True)
def the_pool_of_before():
    yield
    set_threads(None)


def draw(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def passes(shape, border, *, summed, given, two=False):
    """Run forward and backward, `two`: of a gradient in two terms.

    Return what was found and what the formula gives: y, dx, dother, dscale, dshift.
    """
    C, where = shape[1], BORDERS[border] if len(shape) == 4 else BORDERS["bare"]
    x, other, dy = (draw(shape, seed) for seed in range(3))
    scale, shift, dscale, dshift = draw(C, 3), draw(C, 4), zeros(C), zeros(C)
    mean, variance = zeros(C), zeros(C)
    mean[:C], variance[:C] = draw(C, 5), draw(C, 6) ** 2 + 0.1
    om = filled(other, where) if summed else None
    ym, dxm, dom, dym = unwritten(shape, where), unwritten(shape, where), unwritten(shape), filled(dy)
    norm = BatchNorm(filled(x, where), EPSILON, 0.0)
    if given:
        steps = norm.inference("test", scale, shift, ym, mean, variance, om)
    else:
        steps = norm.forward("test", scale, shift, ym, other=om)
    if summed:
        more = filled(draw(shape, 7)) if two else None
        steps += norm.backward_of_sum("test", scale, ym, dym, dxm, dom, dscale, dshift, given, more)
        dy = dy + more.view if two else dy
    else:
        steps += norm.backward("test", scale, dym, dxm, dscale, dshift, given)
    program(steps).run()
    found = ym.view, dxm.view, dom.view if summed else None, dscale[:C], dshift[:C]

    x, scale, shift = x.astype(np.float64), scale.astype(np.float64), shift.astype(np.float64)
    statistics = (mean[:C].astype(np.float64), variance[:C].astype(np.float64)) if given else ()
    total = reference.batch_norm(x, scale, shift, *statistics, epsilon=EPSILON) + (other if summed else 0)
    gated = np.where(total > 0, dy, 0)
    gradients = reference.batch_norm_grad(x, scale, gated, *statistics, epsilon=EPSILON)
    return found, (np.maximum(total, 0), gradients[0], gated, *gradients[1:])


@pytest.mark.parametrize("given", [False, True], ids=["batch", "running"])
@pytest.mark.parametrize(("summed", "two"), [(False, False), (True, False), (True, True)], ids=["alone", "sum", "two"])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_floor(shape, border, summed, two, given):
    found, exact = passes(shape, border, summed=summed, given=given, two=two)
    for name, one, other in zip(("y", "dx", "dother", "dscale", "dshift"), found, exact, strict=True):
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=4e-7 * np.abs(other).max() + 1e-30, err_msg=name)


def test_threads_do_not_change_a_bit():
    results = []
    for threads in (1, 3):
        set_threads(threads)
        results.append(passes((7, 24, 13, 17), "bare", summed=True, given=False)[0])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
