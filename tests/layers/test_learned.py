"""Initial weights, and access to weights, bias and gradients."""

import math

import numpy as np
import pytest

import foveal
from foveal import reference
from foveal.layers import Affine, Convolution


@pytest.fixture(autouse=True)
def ops_are_the_reference(monkeypatch):
    monkeypatch.setattr(foveal, "ops", reference, raising=False)


@pytest.mark.parametrize(
    ("layer", "input_shape", "std"),
    [
        (Convolution(64, 5), (32, 9, 9), math.sqrt(2 / 800)),
        (Convolution(64, 5, groups=4), (32, 9, 9), math.sqrt(2 / 200)),
        (Affine(200), (8, 10, 10), math.sqrt(2 / 800)),
        (Convolution(64, 5, weight_std=0.01), (32, 9, 9), 0.01),
        (Affine(200, weight_std=0.25), (800,), 0.25),
    ],
)
def test_initial_weights_have_the_standard_deviation_they_should(layer, input_shape, std):
    layer.initialise(input_shape, np.random.default_rng(0))
    w = layer.weight
    assert w.dtype == np.float32
    error = std / math.sqrt(w.size)  # of a mean; of a standard deviation it is 1/sqrt(2) of that
    assert abs(w.mean()) < 4 * error
    assert abs(w.std() - std) < 4 * error
    np.testing.assert_array_equal(layer.bias, 0)


def test_a_weight_std_of_0_gives_zeros():
    layer = Affine(3, weight_std=0)
    layer.initialise((4,), np.random.default_rng(0))
    np.testing.assert_array_equal(layer.weight, 0)


def test_a_seed_gives_the_same_weights_with_and_without_bias():
    weights = []
    for layer in (Convolution(4, 3), Convolution(4, 3, bias=False), Convolution(4, 3)):
        layer.initialise((2, 8, 8), np.random.default_rng(7))
        weights.append(layer.weight)
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[0], weights[2])
    other = Convolution(4, 3)
    other.initialise((2, 8, 8), np.random.default_rng(8))
    assert (other.weight != weights[0]).all()


def test_initialising_again_keeps_the_arrays_and_changes_the_numbers():
    layer = Affine(3)
    layer.initialise((4,), np.random.default_rng(0))
    parameters, w = layer.parameters, layer.weight
    before = w.copy()
    layer.initialise((4,), np.random.default_rng(1))
    assert layer.parameters is parameters
    assert layer.weight is w
    assert (w != before).all()
    layer.initialise((5,), np.random.default_rng(1))
    assert layer.weight.shape == (5, 3)


def test_weights_that_are_set_are_used():
    conv = Convolution(1, 2)
    conv.initialise((1, 3, 3), np.random.default_rng(0))
    conv.weight = [[[[1, 0], [0, 0]]]]
    conv.bias = [10]
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    np.testing.assert_array_equal(conv.forward(x)[0, 0], [[10, 11], [13, 14]])
    conv.weight[0, 0, 1, 1] = 1  # in place
    np.testing.assert_array_equal(conv.forward(x)[0, 0], [[14, 16], [20, 22]])


def test_a_convolution_alone_takes_maps_of_another_size():
    conv = Convolution(2, 3)
    assert conv.forward(np.ones((1, 1, 8, 8))).shape == (1, 2, 6, 6)
    w = conv.weight.copy()
    assert conv.forward(np.ones((2, 1, 5, 4))).shape == (2, 2, 3, 2)
    np.testing.assert_array_equal(conv.weight, w)


def test_backward_belongs_to_the_last_forward():
    layer = Affine(2, bias=False)
    layer.initialise((2,), np.random.default_rng(0))
    layer.forward([[1.0, 2.0]])
    layer.forward([[5.0, 7.0]])
    layer.backward([[1.0, 10.0]])
    np.testing.assert_array_equal(layer.dw, [[5, 50], [7, 70]])
