"""Softmax and its logarithm on every axis, at the far ends, against PyTorch, ONNX Runtime and differences."""

import numpy as np
import pytest

from foveal.reference import log_softmax, log_softmax_grad, softmax, softmax_grad
from tests.support.oracles import assert_gradient, require
from tests.support.runtime import onnx_node

FUNCTIONS = [("softmax", softmax, softmax_grad), ("log_softmax", log_softmax, log_softmax_grad)]


@pytest.mark.parametrize(("name", "function", "gradient"), FUNCTIONS)
@pytest.mark.parametrize(("shape", "axis"), [((5,), -1), ((4, 6), -1), ((4, 6), 0), ((2, 3, 4), 1), ((2, 3, 4, 2), -3)])
def test_values_and_gradients(name, function, gradient, shape, axis):
    torch = require("torch")
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal(shape) * 3, rng.standard_normal(shape)
    y = function(x, axis=axis)
    tx = torch.tensor(x, requires_grad=True)
    ty = getattr(torch, name)(tx, axis)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(gradient(y, dy, axis=axis), tx.grad.numpy(), rtol=1e-11, atol=1e-13)
    assert_gradient(lambda v: function(v, axis=axis), [x], [gradient(y, dy, axis=axis)], dy, n=2 * x.size)
    operator = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}[name]
    np.testing.assert_allclose(onnx_node(operator, {"x": x}, axis=axis), y, rtol=1e-5, atol=1e-6)


def test_the_last_axis_is_the_default():
    x = np.random.default_rng(1).standard_normal((3, 4))
    np.testing.assert_array_equal(softmax(x), softmax(x, axis=1))
    np.testing.assert_allclose(softmax(x).sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(np.exp(log_softmax(x)), softmax(x), rtol=1e-14)


def test_far_ends():
    np.testing.assert_array_equal(log_softmax([[0.0, 1e4]]), [[-1e4, 0]])
    np.testing.assert_array_equal(softmax([[-np.inf, 0.0]]), [[0, 1]])
    np.testing.assert_array_equal(log_softmax([[-np.inf, 0.0]]), [[-np.inf, 0]])
    assert softmax(np.zeros((0, 3))).shape == log_softmax(np.zeros((0, 3))).shape == (0, 3)
