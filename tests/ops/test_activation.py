"""Activations and softmax of arrays: any shape, any axis, the errors of the reference, several threads of Python."""

import threading

import numpy as np
import pytest

from foveal import ops, reference
from foveal.kernels.threads import set_threads
from tests.support.doors import assert_same_error
from tests.support.maps import ulps

# Units in the last place, as in the tests of the kernels; a ReLU rounds nothing, a slope is rounded and multiplied.
FORWARD = {"relu": 0, "leaky_relu": 1.5, "sigmoid": 2.5, "tanh": 2.5, "scaled_tanh": 6, "softmax": 3.4}
SHAPES = [(), (1,), (3, 4), (2, 3, 4, 5), (0, 3), (5, 70_001), (16384,), (1, 1, 1, 1, 7)]
AXES = [(0, (7, 3)), (1, (2, 5, 3)), (-3, (4, 2, 3, 2)), (-1, (3, 40))]


@pytest.fixture(autouse=True)
def the_pool_of_before():
    yield
    set_threads(None)


@pytest.mark.parametrize("name", [n for n in FORWARD if n != "softmax"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_shape(name, shape):
    rng = np.random.default_rng(0)
    x, dy = (np.asarray(3 * rng.standard_normal(shape), np.float32) for _ in range(2))
    y = getattr(ops, name)(x)
    assert (y.shape, y.dtype) == (shape, np.float32)
    assert ulps(y, getattr(reference, name)(x)).max(initial=0) <= FORWARD[name]
    dx, exact = getattr(ops, f"{name}_grad")(y, dy), getattr(reference, f"{name}_grad")(y, dy)
    assert (dx.shape, dx.dtype) == (shape, np.float32)
    np.testing.assert_allclose(dx, exact, rtol=1e-6, atol=4 * 2.0**-24 * np.abs(dy).max(initial=0))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(("axis", "shape"), AXES, ids=str)
def test_any_axis(name, axis, shape):
    rng = np.random.default_rng(1)
    x, dy = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    y = getattr(ops, name)(x, axis=axis)
    np.testing.assert_allclose(y, getattr(reference, name)(x, axis=axis), rtol=4e-7, atol=2e-7)
    dx = getattr(ops, f"{name}_grad")(y, dy, axis=axis)
    np.testing.assert_allclose(dx, getattr(reference, f"{name}_grad")(y, dy, axis=axis), rtol=1e-6, atol=1e-6)
    assert dx.dtype == y.dtype == np.float32
    assert y.flags.c_contiguous


def test_no_rows():
    assert ops.softmax(np.zeros((0, 3), np.float32)).shape == (0, 3)
    assert ops.log_softmax(np.zeros((2, 3, 0), np.float32), axis=1).shape == (2, 3, 0)


@pytest.mark.parametrize("name", [*FORWARD, "log_softmax"])
def test_float64_is_the_reference(name):
    x, dy = (np.random.default_rng(i).standard_normal((3, 5)) for i in range(2))
    y = getattr(ops, name)(x)
    np.testing.assert_array_equal(y, getattr(reference, name)(x))
    assert y.dtype == np.float64
    mixed = getattr(ops, f"{name}_grad")(y.astype(np.float32), dy)
    np.testing.assert_array_equal(mixed, getattr(reference, f"{name}_grad")(y.astype(np.float32), dy))


X = np.ones((2, 3), np.float32)
BAD = [
    *[(name, (X.astype(complex),), {}) for name in ("relu", "sigmoid", "tanh", "scaled_tanh", "leaky_relu", "softmax")],
    *[(f"{name}_grad", (X, X[:1]), {}) for name in ("relu", "sigmoid", "tanh", "leaky_relu", "softmax", "log_softmax")],
    ("relu_grad", (X, "dy"), {}),
    ("relu", ([[1.0], [1.0, 2.0]],), {}),
    ("leaky_relu", (X, -0.5), {}),
    ("leaky_relu", (X, "steep"), {}),
    ("leaky_relu_grad", (X, X, np.nan), {}),
    ("softmax", (X,), {"axis": 2}),
    ("softmax", (X,), {"axis": "last"}),
    ("softmax", (X[:, :0],), {}),
    ("softmax", (np.float32(1),), {}),
    ("log_softmax", (X,), {"axis": -3}),
    ("log_softmax_grad", (X, X), {"axis": 5}),
]


@pytest.mark.parametrize(("name", "args", "options"), BAD, ids=[f"{n}-{i}" for i, (n, *_) in enumerate(BAD)])
def test_the_same_errors(name, args, options):
    assert_same_error(name, *args, **options)


def test_several_threads_of_python_at_once():
    """They share prepared programs, and each gets the result of its own array."""
    inputs = [np.full(5000, i, np.float32) for i in range(4)]
    wrong = []

    def work(x):
        for _ in range(200):
            if not np.array_equal(ops.leaky_relu(-x), np.float32(-0.01) * x):
                wrong.append(x[0])

    threads = [threading.Thread(target=work, args=(x,)) for x in inputs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_may_change(threads):
    x = np.random.default_rng(3).standard_normal(100_000).astype(np.float32)
    before = ops.tanh(x)
    set_threads(threads)
    np.testing.assert_array_equal(ops.tanh(x), before)
