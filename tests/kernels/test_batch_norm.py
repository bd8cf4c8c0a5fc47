"""Batch norm in both memory orders: statistics, forward and gradients against the formula, also far from zero."""

import numpy as np
import pytest

from foveal import reference
from foveal.kernels.batch_norm_steps import WIDTH, BatchNorm
from foveal.kernels.buffers import zeros
from foveal.kernels.steps import program
from tests.support.machine import assert_threads_change_no_bit
from tests.support.maps import BORDERS, assert_untouched, filled, unwritten
from tests.support.rounding import BatchNormTerms, assert_few_roundings

EPSILON = 1e-5
SHAPES = [(2, 3, 5, 7), (1, 96, 11, 13), (30, 1, 4, 4), (20, 17), (5, 8, 30, 41), (4, WIDTH + 9, 2, 3), (3, 4, 2, 3, 5),
          (6, 2, 500)]  # fmt: skip


class Layer:
    """A batch norm's operands on channels-last maps."""

    def __init__(self, shape, mean=0.0, border="bare"):
        rng = np.random.default_rng(shape)
        self.shape, self.channels = shape, shape[1]
        self.x = (rng.standard_normal(shape) + mean).astype(np.float32)
        self.dy = rng.standard_normal(shape).astype(np.float32)
        self.scale, self.shift = (rng.standard_normal(self.channels).astype(np.float32) for _ in range(2))
        where = BORDERS[border] if len(shape) == 4 else BORDERS["bare"]
        self.xm, self.ym, self.dym = filled(self.x, where), unwritten(shape, where), filled(self.dy)
        self.dxm = unwritten(shape, where)
        self.dscale, self.dshift, self.mean, self.variance = (zeros(self.channels) for _ in range(4))
        self.variance[: self.channels] = 1
        self.norm = BatchNorm(self.xm, EPSILON)

    def learn(self, momentum=0.1):
        """Return the steps of a forward and backward pass."""
        running = self.mean, self.variance, momentum
        forward = self.norm.forward("test", self.scale, self.shift, self.ym, *running)
        return forward + self.norm.backward("test", self.scale, self.dym, self.dxm, self.dscale, self.dshift)


def terms(layer):
    return BatchNormTerms(layer.x, layer.dy, layer.scale, layer.shift, EPSILON)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_learning(shape, mean, border):
    layer = Layer(shape, mean, border)
    before = layer.ym.data.copy(), layer.dxm.data.copy()
    program(layer.learn()).run()
    C, exact = layer.channels, terms(layer)
    assert_few_roundings(layer.norm.mean[:C], exact.mean, exact.mean_size)
    assert_few_roundings(layer.norm.variance[:C], exact.variance, exact.variance_size)
    sample = exact.variance * exact.n / (exact.n - 1)
    assert_few_roundings(layer.mean[:C], 0.1 * exact.mean, exact.mean_size + np.abs(0.1 * exact.mean))
    assert_few_roundings(layer.variance[:C], 0.9 + 0.1 * sample, exact.variance_size + 1)
    assert_few_roundings(layer.ym.view, exact.y, exact.y_size)
    assert_few_roundings(layer.dxm.view, exact.dx, exact.dx_size)
    assert_few_roundings(layer.dscale[:C], exact.dscale, exact.dscale_size)
    assert_few_roundings(layer.dshift[:C], exact.dshift, exact.dshift_size)
    assert_untouched(layer.ym, before[0])
    assert_untouched(layer.dxm, before[1])


def test_a_sum_of_millions_is_as_exact_as_a_short_one():
    """Numbers of one sign in float32 alone would be wrong by thousands of roundings."""
    layer = Layer((50, 4, 150, 150))
    layer.xm.view[...] = np.abs(layer.x)
    layer.x, layer.dy = np.abs(layer.x), np.abs(layer.dy)
    layer.dym.view[...] = layer.dy
    program(layer.learn()).run()
    exact = terms(layer)
    assert_few_roundings(layer.norm.mean[:4], exact.mean, exact.mean_size, 0.5)
    assert_few_roundings(layer.norm.variance[:4], exact.variance, exact.variance_size, 0.5)
    assert_few_roundings(layer.dshift[:4], exact.dshift, exact.dshift_size, 1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_inference(shape):
    layer = Layer(shape)
    C, rng, each = layer.channels, np.random.default_rng(9), (1, -1, *(1,) * (len(shape) - 2))
    layer.mean[:C], layer.variance[:C] = rng.standard_normal(C), rng.uniform(0.5, 2, C)
    program(layer.norm.inference("test", layer.scale, layer.shift, layer.ym, layer.mean, layer.variance)).run()
    given = layer.mean[:C].astype(np.float64), layer.variance[:C].astype(np.float64)
    exact = reference.batch_norm(layer.x.astype(np.float64), layer.scale, layer.shift, *given, epsilon=EPSILON)
    shift = np.abs(layer.shift.astype(np.float64)).reshape(each)
    assert_few_roundings(layer.ym.view, exact, np.abs(exact - layer.shift.reshape(each)) + shift, 3)


def test_threads_do_not_change_a_bit():
    def compute():
        layer = Layer((7, 24, 13, 17), mean=3.0)
        program(layer.learn()).run()
        return layer.ym.view, layer.dxm.view, layer.dscale, layer.dshift, layer.mean, layer.variance

    assert_threads_change_no_bit(compute)


def test_a_smaller_batch_is_a_batch():
    """The same steps, run for fewer images, take the statistics of those."""
    layer = Layer((6, 5, 4, 3))
    steps = layer.learn()
    for s in steps:
        s.resize(2)
    program(steps).run()
    exact = reference.batch_norm(layer.x[:2], layer.scale, layer.shift, epsilon=EPSILON)
    np.testing.assert_allclose(layer.ym.view[:2], exact, rtol=1e-6, atol=1e-6)
    assert np.isnan(layer.ym.view[2:]).all()
    dx, dscale, dshift = reference.batch_norm_grad(layer.x[:2], layer.scale, layer.dy[:2], epsilon=EPSILON)
    np.testing.assert_allclose(layer.dxm.view[:2], dx, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(layer.dscale[:5], dscale, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(layer.dshift[:5], dshift, rtol=1e-6, atol=1e-6)


def test_gradients_without_dx_and_in_place():
    layer, other = Layer((3, 4, 5, 6)), Layer((3, 4, 5, 6))
    program(layer.learn()).run()
    program(other.norm.forward("test", other.scale, other.shift, other.ym)).run()
    program(other.norm.backward("test", other.scale, other.dym, None, other.dscale, other.dshift)).run()
    np.testing.assert_array_equal(other.dscale, layer.dscale)
    assert np.isnan(other.dxm.view).all()
    program(other.norm.backward("test", other.scale, other.dym, other.dym, other.dscale, other.dshift)).run()
    np.testing.assert_array_equal(other.dym.view, layer.dxm.view)


def test_a_constant_channel_and_bad_numbers():
    layer = Layer((4, 3, 5, 5))
    layer.xm.view[:, 0], layer.xm.view[2, 1, 3, 3] = 7.25, np.nan
    program(layer.learn()).run()
    np.testing.assert_array_equal(layer.norm.variance[0], 0)
    np.testing.assert_allclose(layer.ym.view[:, 0], layer.shift[0], rtol=1e-6)
    assert np.isnan(layer.ym.view[:, 1]).all()
    assert not np.isnan(layer.ym.view[:, 2]).any()
