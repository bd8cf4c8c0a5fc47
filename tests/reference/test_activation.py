"""Activations at their kinks and far ends, against PyTorch and differences."""

import numpy as np
import pytest

from foveal.reference import relu, relu_grad, sigmoid, sigmoid_grad
from tests.support.oracles import assert_gradient, require


@pytest.mark.parametrize(("function", "gradient"), [(relu, relu_grad), (sigmoid, sigmoid_grad)])
def test_values_and_gradients(function, gradient):
    torch = require("torch")
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((3, 2, 4, 5)) * 5, rng.standard_normal((3, 2, 4, 5))
    y = function(x)
    tx = torch.tensor(x, requires_grad=True)
    ty = getattr(torch, function.__name__)(tx)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(gradient(y, dy), tx.grad.numpy(), rtol=1e-9, atol=1e-15)
    assert_gradient(function, [x], [gradient(y, dy)], dy)


def test_relu_has_gradient_0_at_the_kink():
    np.testing.assert_array_equal(relu_grad(relu([-1.0, 0.0, 3.0]), [2.0, 2.0, 2.0]), [0, 0, 2])
    assert relu(np.int64([-3, 3])).dtype == np.float64
    assert np.isnan(relu(np.nan))


def test_sigmoid_by_hand_and_at_the_ends():
    np.testing.assert_allclose(sigmoid([0.0, np.log(3), -np.log(3)]), [0.5, 0.75, 0.25], rtol=1e-15)
    np.testing.assert_array_equal(sigmoid([-np.inf, -800.0, 800.0, np.inf]), [0, 0, 1, 1])
    x = np.linspace(-30, 30, 121)
    np.testing.assert_allclose(sigmoid(x) + sigmoid(-x), 1, rtol=1e-15)
    np.testing.assert_allclose(sigmoid(-700.0), np.exp(-700.0), rtol=1e-13)
