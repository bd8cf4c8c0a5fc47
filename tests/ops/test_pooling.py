"""Pooling of the users' arrays against the formulas: every window, edges, ties, NaN, single maps, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from foveal import ops, reference
from foveal.geometry import Window
from tests.support.doors import assert_same_error
from tests.support.geometries import cases
from tests.support.machine import assert_threads_change_no_bit
from tests.support.oracles import assert_adjoint, assert_close_to_reference, require

random_cases = settings(derandomize=True, deadline=None, max_examples=60)


@st.composite
def pools(draw, dilated=True):
    """Draw x (whole numbers: sums are exact and maxima have ties), with N or without, a kernel and its options."""
    case = draw(cases(axes=draw(st.integers(1, 3)), max_batch=2))
    options = {"stride": case.stride, "padding": case.padding, "rounding": draw(st.sampled_from(["floor", "ceil"]))}
    if dilated:
        options["dilation"] = case.dilation
    shape, kernel, rng = case.x_shape, case.w_shape[2:], np.random.default_rng(case.seed)
    window = Window.resolve(shape[2:], kernel, case.stride, case.padding, case.dilation if dilated else 1)
    assume(all(k <= n + sum(p) for k, n, p in zip(window.extent, shape[2:], window.padding, strict=True)))
    assume(window.blind(shape[2:], options["rounding"]) is None)
    x = rng.integers(-3, 4, shape[draw(st.integers(0, 1)) :]).astype(np.float32)
    return x, kernel, options


def special(x):
    """Return x with -inf and NaN in places."""
    rng = np.random.default_rng(x.size)
    x = x.copy()
    x[rng.random(x.shape) < 0.2] = -np.inf
    x[rng.random(x.shape) < 0.1] = np.nan
    return x


def numbers_like(array, seed=1):
    return np.random.default_rng(seed).integers(-3, 4, array.shape).astype(np.float32)


@random_cases
@given(pools())
def test_max_pool(drawn):
    x, kernel, options = drawn
    for values in (x, special(x)):
        y, indices = ops.max_pool(values, kernel, **options, return_indices=True)
        expected, places = reference.max_pool(values, kernel, **options, return_indices=True)
        assert (y.dtype, indices.dtype) == (np.float32, np.int64)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(indices, places)
        np.testing.assert_array_equal(ops.max_pool(values, kernel, **options), expected)
    dy, axes = numbers_like(y), len(kernel)
    for name, values, shape in (("max_pool_grad", dy, x.shape), ("max_unpool", y, x.shape)):
        found = getattr(ops, name)(values, indices, shape, axes=axes)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, getattr(reference, name)(values, indices, shape, axes=axes))
    found = ops.max_unpool_grad(x, indices, axes=axes)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, reference.max_unpool_grad(x, indices, axes=axes))


@random_cases
@given(pools(dilated=False), st.booleans())
def test_avg_pool(drawn, count_padding):
    x, kernel, options = drawn
    options["count_padding"] = count_padding
    y, size = ops.avg_pool(x, kernel, **options), reference.avg_pool(abs(x), kernel, **options)
    assert y.dtype == np.float32
    assert_close_to_reference(y, reference.avg_pool(x, kernel, **options), size, n=3)
    dy = numbers_like(y)
    dx, size = (
        ops.avg_pool_grad(dy, x.shape, kernel, **options),
        reference.avg_pool_grad(abs(dy), x.shape, kernel, **options),
    )
    assert dx.dtype == np.float32
    assert_close_to_reference(dx, reference.avg_pool_grad(dy, x.shape, kernel, **options), size, math.prod(kernel) + 2)


@random_cases
@given(pools(dilated=False))
def test_subsample(drawn):
    x, kernel, options = drawn
    stride = options["stride"]
    assume(all(k <= n for k, n in zip(kernel, x.shape[-len(kernel) :], strict=True)))
    channels = x.shape[-len(kernel) - 1]
    coefficient, bias = np.random.default_rng(3).integers(-2, 3, (2, channels)).astype(np.float32)
    y = ops.subsample(x, coefficient, bias, kernel, stride=stride)
    np.testing.assert_array_equal(y, reference.subsample(x, coefficient, bias, kernel, stride=stride))
    dy = numbers_like(y)
    found = ops.subsample_grad(x, coefficient, dy, kernel, stride=stride)
    for ours, theirs in zip(found, reference.subsample_grad(x, coefficient, dy, kernel, stride=stride), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("spatial", [(7,), (40, 3), (5, 1, 6)])
def test_global_pooling(spatial):
    x = numbers_like(np.empty((3, 5, *spatial)))
    y, indices = ops.global_max_pool(x, return_indices=True)
    expected, places = reference.global_max_pool(x, return_indices=True)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, places)
    np.testing.assert_array_equal(ops.global_max_pool(x), expected)
    dy = numbers_like(y)
    found = ops.global_max_pool_grad(dy, indices, x.shape)
    np.testing.assert_array_equal(found, reference.global_max_pool_grad(dy, indices, x.shape))
    n = math.prod(spatial) + 2
    assert_close_to_reference(
        ops.global_avg_pool(x), reference.global_avg_pool(x), reference.global_avg_pool(abs(x)), n
    )
    found = ops.global_avg_pool_grad(dy, x.shape)
    expected = reference.global_avg_pool_grad(dy, x.shape)
    assert_close_to_reference(found, expected, reference.global_avg_pool_grad(abs(dy), x.shape), 3)
    assert all(a.dtype == np.float32 for a in (y, found, ops.global_avg_pool(x)))


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("width", [1, 7, 16, 33, 100])
def test_pytorch(stride, width):
    torch = require("torch")
    F = torch.nn.functional
    x = np.random.default_rng(width).standard_normal((2, 3, 9, width)).astype(np.float32)
    kernel = 3 if width > 1 else (3, 1)
    padding = (1, 1 if width > 1 else 0)
    tx = torch.tensor(x)
    y, indices = ops.max_pool(x, kernel, stride=stride, padding=padding, return_indices=True)
    ty, places = F.max_pool2d(tx, kernel, stride, padding, return_indices=True)
    np.testing.assert_array_equal(y, ty.numpy())
    np.testing.assert_array_equal(indices, places.numpy())
    found = ops.avg_pool(x, kernel, stride=stride, padding=padding, count_padding=True)
    ty = F.avg_pool2d(tx.double(), kernel, stride, padding).numpy()
    size = F.avg_pool2d(tx.double().abs(), kernel, stride, padding).numpy()
    assert_close_to_reference(found, ty, size, 12)


def test_adjoint():
    """<pool(x), dy> = <x, pool_grad(dy)>: exact for whole numbers, whose sums a float32 can hold."""
    x = numbers_like(np.empty((2, 4, 11, 12)))
    dy = numbers_like(np.empty((2, 4, 6, 6)), 2)
    options = {"stride": 2, "padding": 1}
    _, indices = ops.max_pool(x, 3, **options, return_indices=True)
    assert_adjoint(lambda x: np.take_along_axis(x.reshape(2, 4, -1), indices.reshape(2, 4, -1), 2).reshape(dy.shape),
                   lambda dy: ops.max_pool_grad(dy, indices, x.shape), x, dy)  # fmt: skip
    assert_adjoint(lambda x: ops.subsample(x, np.full(4, 2, np.float32), np.zeros(4, np.float32), 2),
                   lambda dy: ops.subsample_grad(x, np.full(4, 2, np.float32), dy, 2)[0], x, dy[:, :, :5])  # fmt: skip


def test_float64_keeps_its_precision():
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 6))
    for name in ("avg_pool", "max_pool"):
        y = getattr(ops, name)(x, 2)
        assert y.dtype == np.float64
        np.testing.assert_array_equal(y, getattr(reference, name)(x, 2))


def test_an_empty_batch_stays_empty():
    x, y, i = np.zeros((0, 3, 6, 6), np.float32), np.zeros((0, 3, 3, 3), np.float32), np.zeros((0, 3, 3, 3), np.int64)
    c = np.ones(3, np.float32)
    for found, expected in (
        (ops.max_pool(x, 2), y), (ops.max_pool_grad(y, i, x.shape), x), (ops.avg_pool(x, 2), y),
        (ops.avg_pool_grad(y, x.shape, 2), x), (ops.subsample(x, c, c), y), (ops.max_unpool(y, i, x.shape), x),
    ):  # fmt: skip
        assert found.shape == expected.shape
        assert found.dtype == np.float32


def test_the_number_of_threads_changes_no_bit():
    x, options = (
        np.random.default_rng(1).standard_normal((3, 4, 13, 12)).astype(np.float32),
        {"stride": 2, "padding": 1},
    )

    def compute():
        y, i = ops.max_pool(x, 3, **options, return_indices=True)
        mean, dx = ops.avg_pool(x, 3, **options), ops.avg_pool_grad(y, x.shape, 3, **options)
        return ops.max_pool_grad(y, i, x.shape), mean, dx

    assert_threads_change_no_bit(compute)


X, Y = np.zeros((2, 3, 6, 6), np.float32), np.zeros((2, 3, 3, 3), np.float32)
I, C = np.zeros((2, 3, 3, 3), np.int64), np.zeros(3, np.float32)
BAD = [
    ("max_pool", (X[0, 0], 2), {}),
    ("max_pool", (X, 7), {}),
    ("max_pool", (X, 2), {"stride": 0}),
    ("max_pool", (X, 2), {"padding": 3}),
    ("max_pool", (X.astype(complex), 2), {}),
    ("max_pool", (X, (2, 2, 2, 2)), {}),
    ("max_pool", (X, 4), {"rounding": "error"}),
    ("max_pool", (X[:, :0], 2), {}),
    ("avg_pool", (X, 7), {}),
    ("avg_pool", (X, 2), {"rounding": "up"}),
    ("max_pool_grad", (Y, I.astype(float), X.shape), {}),
    ("max_pool_grad", (Y, I[:1], X.shape), {}),
    ("max_pool_grad", (Y, I, (2, 4, 6, 6)), {}),
    ("max_pool_grad", (Y, I, (2, 3, 6)), {}),
    ("max_pool_grad", (Y, I + 36, X.shape), {}),
    ("max_pool_grad", (Y, I - 1, X.shape), {}),
    ("max_unpool", (Y, I + 36, X.shape), {}),
    ("max_unpool", (Y[0], I[0], X.shape[1:]), {}),
    ("max_unpool", (Y, I, (2, 3, 6, -6)), {}),
    ("max_unpool_grad", (X, I + 36), {}),
    ("max_unpool_grad", (X, I[:, :2]), {}),
    ("global_max_pool", (X[0, 0],), {}),
    ("global_avg_pool", (X[0, 0],), {}),
    ("global_max_pool_grad", (Y, I, (2, 3, 6)), {}),
    ("global_avg_pool_grad", (Y, X.shape), {}),
    ("avg_pool_grad", (X, X.shape, 2), {}),
    ("avg_pool_grad", (Y, (2, 3, 6), 2), {}),
    ("subsample", (X, C[:2], C), {}),
    ("subsample", (X, C, C[:2]), {}),
    ("subsample", (X, C, C, 7), {}),
    ("subsample_grad", (X, C[:2], Y), {}),
    ("subsample_grad", (X, C, Y[:1]), {}),
]


@pytest.mark.parametrize(("name", "args", "options"), BAD, ids=[f"{n}-{i}" for i, (n, *_) in enumerate(BAD)])
def test_what_the_formula_refuses_is_refused_in_its_words(name, args, options):
    assert_same_error(name, *args, **options)
