"""Activations at their kinks and far ends, against PyTorch and differences."""

import numpy as np
import pytest

from foveal import reference
from foveal.reference import (
    leaky_relu,
    leaky_relu_grad,
    relu,
    relu_grad,
    scaled_tanh,
    scaled_tanh_grad,
    sigmoid,
    tanh,
    tanh_grad,
)  # fmt: skip
from tests.support.oracles import assert_gradient, require


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "leaky_relu"])
def test_values_and_gradients(name):
    torch = require("torch")
    function, gradient = getattr(reference, name), getattr(reference, f"{name}_grad")
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((3, 2, 4, 5)) * 5, rng.standard_normal((3, 2, 4, 5))
    y = function(x)
    tx = torch.tensor(x, requires_grad=True)
    ty = getattr(torch.nn.functional, name)(tx)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(gradient(y, dy), tx.grad.numpy(), rtol=1e-9, atol=1e-12)
    assert_gradient(function, [x], [gradient(y, dy)], dy)


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0, 3.0])
def test_leaky_relu_with_every_slope(slope):
    torch = require("torch")
    x = np.array([-3.0, -1e-300, -0.0, 0.0, 1e-300, 2.0, -np.inf, np.inf])[: 8 if slope else 6]
    dy = np.random.default_rng(1).standard_normal(x.shape)
    tx = torch.tensor(x, requires_grad=True)
    ty = torch.nn.functional.leaky_relu(tx, slope)
    ty.backward(torch.tensor(dy))
    y = leaky_relu(x, slope)
    np.testing.assert_array_equal(y, ty.detach().numpy())
    np.testing.assert_array_equal(leaky_relu_grad(y, dy, slope), tx.grad.numpy())
    assert np.isnan(leaky_relu(np.nan, slope))


def test_scaled_tanh_is_lenets():
    x = np.random.default_rng(2).standard_normal((3, 4)) * 3
    dy = np.random.default_rng(3).standard_normal((3, 4))
    y = scaled_tanh(x)
    np.testing.assert_array_equal(y, 1.7159 * np.tanh(2 / 3 * x))
    assert_gradient(scaled_tanh, [x], [scaled_tanh_grad(y, dy)], dy)
    np.testing.assert_allclose(scaled_tanh([-1.0, 1.0]), [-1, 1], atol=2e-5)  # what its numbers are chosen for
    second = np.diff(scaled_tanh([0.999, 1.0, 1.001]), 2), np.diff(scaled_tanh([0.499, 0.5, 0.501]), 2)
    assert abs(second[0]) > abs(second[1])
    np.testing.assert_array_equal(scaled_tanh([-np.inf, np.inf]), [-1.7159, 1.7159])


def test_tanh_by_hand_and_at_the_ends():
    np.testing.assert_allclose(tanh([0.0, np.log(2)]), [0, 0.6], rtol=1e-15)
    np.testing.assert_array_equal(tanh([-np.inf, -800.0, 800.0, np.inf]), [-1, -1, 1, 1])
    np.testing.assert_array_equal(tanh_grad(tanh([-800.0, 0.0]), [3.0, 3.0]), [0, 3])


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
