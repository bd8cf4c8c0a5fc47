"""Normalisation and dropout of arrays (N, C, *spatial): values, what is left to the reference, and its errors."""

import numpy as np
import pytest

from foveal import ops, reference
from tests.support.doors import assert_same_error
from tests.support.oracles import require
from tests.support.rounding import BatchNormTerms, assert_few_roundings

SHAPES = [(2, 5, 4, 3), (3, 6, 7), (2, 3, 2, 3, 4), (40, 9), (1, 2, 200, 300), (6, 1, 1, 2)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def arrays(shape, mean=0.0):
    rng = np.random.default_rng(shape)
    x = (rng.standard_normal(shape) + mean).astype(np.float32)
    dy = rng.standard_normal(shape).astype(np.float32)
    return x, dy, *(rng.uniform(0.5, 2, shape[1]).astype(np.float32) for _ in range(4))


@pytest.mark.parametrize("mean", [0.0, 1000.0])
@every_shape
def test_batch_norm(shape, mean):
    x, dy, scale, shift, *_ = arrays(shape, mean)
    exact = BatchNormTerms(x, dy, scale, shift, 1e-5)
    m, v = ops.batch_statistics(x)
    assert m.dtype == v.dtype == np.float32
    assert_few_roundings(m, exact.mean, exact.mean_size + np.abs(exact.mean))
    assert_few_roundings(v, exact.variance, exact.variance_size)
    assert_few_roundings(ops.batch_norm(x, scale, shift), exact.y, exact.y_size)
    dx, dscale, dshift = ops.batch_norm_grad(x, scale, dy)
    assert dx.dtype == dscale.dtype == dshift.dtype == np.float32
    assert_few_roundings(dx, exact.dx, exact.dx_size)
    assert_few_roundings(dscale, exact.dscale, exact.dscale_size)
    assert_few_roundings(dshift, exact.dshift, exact.dshift_size)


@every_shape
def test_a_gradient_that_cancels(shape):
    """With dy = x all of dx is 0 but for epsilon; what float32 leaves is small beside the terms."""
    x, _, scale, shift, *_ = arrays(shape)
    exact = BatchNormTerms(x, x, scale, shift, 1e-5)
    assert_few_roundings(ops.batch_norm_grad(x, scale, x)[0], exact.dx, exact.dx_size)


@every_shape
def test_batch_norm_with_given_statistics(shape):
    x, dy, scale, shift, mean, variance = arrays(shape)
    wide, given = (a.astype(np.float64) for a in (x, dy, scale, shift)), (mean, variance)
    x64, dy64, scale64, shift64 = wide
    y = reference.batch_norm(x64, scale64, shift64, *given)
    each = (1, -1, *(1,) * (len(shape) - 2))
    beside = np.abs(shift64).reshape(each)
    assert_few_roundings(ops.batch_norm(x, scale, shift, *given), y, np.abs(y - shift64.reshape(each)) + beside)
    found, exact = ops.batch_norm_grad(x, scale, dy, *given), reference.batch_norm_grad(x64, scale64, dy64, *given)
    sizes = [np.abs(v) for v in reference.batch_norm_grad(np.abs(x64) + mean.reshape(each) * 2, scale64, np.abs(dy64),
                                                          *given)]  # fmt: skip
    for ours, theirs, size in zip(found, exact, sizes, strict=True):
        assert_few_roundings(ours, theirs, size)


def test_pytorch():
    torch = require("torch")
    x, dy, scale, shift, *_ = arrays((4, 6, 5, 5))
    tx, ts, tb = (torch.tensor(a.astype(np.float64), requires_grad=True) for a in (x, scale, shift))
    ty = torch.nn.functional.batch_norm(tx, None, None, ts, tb, True, 0.1, 1e-5)
    ty.backward(torch.tensor(dy.astype(np.float64)))
    terms = BatchNormTerms(x, dy, scale, shift, 1e-5)
    assert_few_roundings(ops.batch_norm(x, scale, shift), ty.detach().numpy(), terms.y_size)
    sizes = terms.dx_size, terms.dscale_size, terms.dshift_size
    for found, theirs, size in zip(ops.batch_norm_grad(x, scale, dy), (tx, ts, tb), sizes, strict=True):
        assert_few_roundings(found, theirs.grad.numpy(), size)
    tx = torch.tensor(x.astype(np.float64), requires_grad=True)
    ty = torch.nn.functional.local_response_norm(tx, 5, alpha=5 * 0.2, beta=0.75, k=2.0)
    ty.backward(torch.tensor(dy.astype(np.float64)))
    np.testing.assert_allclose(ops.local_response_norm(x, 5, 0.2), ty.detach().numpy(), rtol=1e-6)
    found = ops.local_response_norm_grad(x, dy, 5, 0.2)
    np.testing.assert_allclose(found, tx.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 4, 5, 30])
@pytest.mark.parametrize("shape", [s for s in SHAPES if len(s) > 2], ids=str)
def test_local_response_norm(shape, size):
    x, dy, *_ = arrays(shape)
    numbers = size, 0.1, 0.75, 1.0
    y, dx = ops.local_response_norm(x, *numbers), ops.local_response_norm_grad(x, dy, *numbers)
    assert y.dtype == dx.dtype == np.float32
    np.testing.assert_allclose(y, reference.local_response_norm(x, *numbers), rtol=(size + 10) * 2.0**-24)
    np.testing.assert_allclose(dx, reference.local_response_norm_grad(x, dy, *numbers), rtol=1e-5, atol=1e-6)


def test_dropout_of_any_shape():
    for shape in [(), (3,), (0, 2), (2, 3, 70_001)]:
        x = np.asarray(np.random.default_rng(0).standard_normal(shape), np.float32)
        for name in ("dropout", "dropout_grad"):
            y = getattr(ops, name)(x, 0.25, seed=11)
            assert (y.shape, y.dtype) == (shape, np.float32)
            np.testing.assert_allclose(y, getattr(reference, name)(x, 0.25, seed=11), rtol=2 * 2.0**-24)


def test_float64_is_the_reference():
    x, dy, scale, shift, *_ = (a.astype(np.float64) for a in arrays((3, 4, 5)))
    calls = {
        "batch_norm": (x, scale, shift), "batch_norm_grad": (x, scale, dy), "batch_statistics": (x,), "dropout": (x,),
        "local_response_norm": (x,), "local_response_norm_grad": (x, dy), "dropout_grad": (dy,),
    }  # fmt: skip
    for name, args in calls.items():
        found, exact = getattr(ops, name)(*args), getattr(reference, name)(*args)
        for ours, theirs in zip(*(v if isinstance(v, tuple) else (v,) for v in (found, exact)), strict=True):
            np.testing.assert_array_equal(ours, theirs, name)


def test_epsilon_zero_and_whole_numbers():
    x, _, scale, shift, *_ = arrays((3, 4, 5))
    y = ops.batch_norm(x, scale, shift, epsilon=0)
    np.testing.assert_array_equal(y, reference.batch_norm(x, scale, shift, epsilon=0).astype(np.float32))
    whole = np.arange(60).reshape(3, 4, 5)
    found, exact = ops.batch_norm(whole, scale, shift), reference.batch_norm(whole, scale, shift)
    np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(ops.dropout(whole, seed=1), reference.dropout(whole, seed=1))


X = np.ones((2, 3, 4), np.float32)
C = np.ones(3, np.float32)
BAD = [
    ("batch_norm", (X, C[:2], C), {}),
    ("batch_norm", (X, C, C, C), {}),
    ("batch_norm", (X, C, C, C, -C), {}),
    ("batch_norm", (X, C, C, C, C), {"epsilon": -1.0}),
    ("batch_norm", (X, C, C), {"epsilon": "small"}),
    ("batch_norm", (X, [[1.0], [1.0, 2.0]], C), {}),
    ("batch_norm", (X, C.astype(complex), C), {}),
    ("batch_norm", (X[:0], C, C), {}),
    ("batch_norm", (X[0, 0], C, C), {}),
    ("batch_norm", (X, C, C), {"epsilon": 0.0}),  # the variance is 0
    ("batch_norm_grad", (X, C, X[:1]), {}),
    ("batch_norm_grad", (X, C, X, None, C), {}),
    ("batch_statistics", (X[:0],), {}),
    ("batch_statistics", (C,), {}),
    ("local_response_norm", (X, 0), {}),
    ("local_response_norm", (X, 5, -1.0), {}),
    ("local_response_norm", (X, 5, 1.0, 0.75, 0.0), {}),
    ("local_response_norm", (X, 5, "much"), {}),
    ("local_response_norm", (C,), {}),
    ("local_response_norm_grad", (X, X[:1]), {}),
    ("dropout", (X, 1.0), {}),
    ("dropout", (X, 0.5), {"seed": -1}),
    ("dropout", (X.astype(complex),), {}),
    ("dropout_grad", (X, "half"), {}),
]


@pytest.mark.parametrize(("name", "args", "options"), BAD, ids=[f"{n}-{i}" for i, (n, *_) in enumerate(BAD)])
def test_the_same_errors(name, args, options):
    assert_same_error(name, *args, **options)
