"""Softmax and its logarithm on rows: against the formula, in place, with infinite scores, for any number of classes."""

import numpy as np
import pytest

from foveal import reference
from foveal.kernels import softmax
from foveal.kernels.runs import Runs, over_runs
from foveal.kernels.steps import program
from tests.support.maps import filled, ulps, unwritten
from tests.support.oracles import assert_close_to_reference

SHAPES = [(1, 1), (5, 1), (40, 2), (300, 10), (33, 16), (7, 100), (4, 1000), (2, 3001)]
TINY = 2.0**-126 * 2**24  # whose share of gamma is the smallest normal number: what is below may be 0
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def run(kernel, classes, **arrays):
    """Run a kernel over the rows of arrays."""
    cut = {name: Runs.of_array(a, classes) for name, a in arrays.items()}
    steps = [over_runs("rows", kernel, classes=classes, **dict(zip(cut, runs, strict=True))) for runs in
             zip(*cut.values(), strict=True)]  # fmt: skip
    program(steps).run()


def scores(shape):
    rng = np.random.default_rng(shape)
    return (rng.standard_normal(shape) * rng.choice([1, 20], (shape[0], 1))).astype(np.float32)


@every_shape
def test_softmax(shape):
    x, y = scores(shape), np.full(shape, np.nan, np.float32)
    run(softmax.softmax_forward, shape[1], x=x, y=y)
    # e^(x - top) is off by 1.2 units, and so may be their sum; its inverse and the product are rounded
    assert ulps(y, reference.softmax(x)).max() <= 3.4


@every_shape
def test_log_softmax(shape):
    x, y = scores(shape), np.full(shape, np.nan, np.float32)
    run(softmax.log_softmax_forward, shape[1], x=x, y=y)
    exact = reference.log_softmax(x)
    error = np.abs(y - exact) - 0.5 * np.spacing(np.abs(exact).astype(np.float32))
    assert error.max() <= 1.2 * 2.0**-23  # of the sum, relative: so much of its logarithm, absolute


def test_the_logarithm_of_a_probability_near_one():
    """log(1 - d) keeps the digits of d, which a sum in float32 would have lost."""
    x = np.array([[0, -12, -14, -15], [0, -30, -40, -50]], np.float32)
    y = np.empty_like(x)
    run(softmax.log_softmax_forward, 4, x=x, y=y)
    exact = -np.log1p(np.exp(x[:, 1:].astype(np.float64)).sum(axis=1))
    np.testing.assert_allclose(y[0, 0], exact[0], rtol=3e-7)
    np.testing.assert_allclose(y[1, 0], exact[1], rtol=1e-2)  # 9e-14: float64 holds a few digits of 1 + that


@every_shape
def test_gradients(shape):
    x, dy = scores(shape), np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    y, logs = reference.softmax(x).astype(np.float32), reference.log_softmax(x).astype(np.float32)
    dx = np.full(shape, np.nan, np.float32)
    run(softmax.softmax_backward, shape[1], y=y, dy=dy, dx=dx)
    size = TINY + y * (abs(dy) + (y * abs(dy)).sum(axis=1, keepdims=True))
    assert_close_to_reference(dx, reference.softmax_grad(y, dy), size, n=2)
    run(softmax.log_softmax_backward, shape[1], y=logs, dy=dy, dx=dx)
    size = abs(dy) + np.exp(logs) * abs(dy).sum(axis=1, keepdims=True)
    assert_close_to_reference(dx, reference.log_softmax_grad(logs, dy), size, n=4)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@every_shape
def test_in_place(name, shape):
    x, dy = scores(shape), np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    y, dx = np.empty_like(x), np.empty_like(x)
    forward, backward = getattr(softmax, f"{name}_forward"), getattr(softmax, f"{name}_backward")
    run(forward, shape[1], x=x, y=y)
    run(backward, shape[1], y=y, dy=dy, dx=dx)
    run(forward, shape[1], x=x, y=x)
    run(backward, shape[1], y=y, dy=dy, dx=dy)
    np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(dx, dy)


def test_infinite_scores_and_no_numbers():
    inf, nan = np.inf, np.nan
    x = np.array([[0, -inf, 1], [-inf, -inf, 2], [inf, 0, 0], [-inf] * 3, [nan, 0, 1], [3e38, -3e38, 0]], np.float32)
    y, logs = np.empty_like(x), np.empty_like(x)
    run(softmax.softmax_forward, 3, x=x, y=y)
    run(softmax.log_softmax_forward, 3, x=x, y=logs)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        np.testing.assert_allclose(y, reference.softmax(x), rtol=4e-7)
        np.testing.assert_allclose(logs, reference.log_softmax(x).astype(np.float32), rtol=4e-7)


def test_channels_of_a_map():
    """The classes are the channels of each pixel."""
    x = np.random.default_rng(0).standard_normal((2, 5, 3, 4)).astype(np.float32)
    xm, ym = filled(x), unwritten(x.shape)
    program([over_runs("softmax", softmax.softmax_forward, x=xm, y=ym, classes=5)]).run()
    np.testing.assert_allclose(ym.view, reference.softmax(x, axis=1), rtol=4e-7)
