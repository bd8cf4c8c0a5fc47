"""One table drives every layer through the same contract: shapes, gradients, configuration, cost, purity."""

import json
import math

import numpy as np
import pytest

import foveal
from foveal import reference
from foveal.layers import Affine, AvgPool, Convolution, Flatten, Layer, MaxPool, ReLU, Sigmoid, Softmax
from tests.support.oracles import assert_gradient

# layer, input shape, output shape, number of parameters, MACs
TABLE = [
    (lambda: Convolution(30, 5), (1, 28, 28), (30, 24, 24), 780, 432_000),
    (lambda: Convolution(4, 3, stride=2, padding=1), (3, 9, 8), (4, 5, 4), 112, 2_160),
    (lambda: Convolution(4, (3, 2), padding="same", dilation=2, groups=2), (6, 7, 8), (4, 7, 8), 76, 4_032),
    (lambda: Convolution(4, 1, bias=False), (3, 5, 5), (4, 5, 5), 12, 300),
    (lambda: Convolution(2, 3, padding=((1, 0), (2, 1))), (1, 4, 4), (2, 3, 5), 20, 270),
    (lambda: MaxPool(2), (3, 6, 8), (3, 3, 4), 0, 0),
    (lambda: MaxPool(3, 2, padding=1, rounding="ceil"), (2, 8, 8), (2, 5, 5), 0, 0),
    (lambda: MaxPool((1, 2), dilation=2), (2, 4, 6), (2, 4, 2), 0, 0),
    (lambda: AvgPool(2), (3, 6, 8), (3, 3, 4), 0, 0),
    (lambda: AvgPool(3, 2, padding=1, rounding="ceil", count_padding=True), (2, 8, 8), (2, 5, 5), 0, 0),
    (lambda: Affine(100), (30, 12, 12), (100,), 432_100, 432_000),
    (lambda: Affine(3, bias=False), (7,), (3,), 21, 21),
    (Flatten, (3, 4, 5), (60,), 0, 0),
    (ReLU, (3, 4, 5), (3, 4, 5), 0, 0),
    (Sigmoid, (6,), (6,), 0, 0),
    (Softmax, (6,), (6,), 0, 0),
]
every_layer = pytest.mark.parametrize(
    ("make", "input_shape", "output_shape", "count", "macs"), TABLE, ids=[repr(row[0]()) for row in TABLE]
)


@pytest.fixture(autouse=True)
def ops_are_the_reference(monkeypatch):
    """These tests are about layers: forward and backward run on the formula."""
    monkeypatch.setattr(foveal, "ops", reference, raising=False)


def distinct(n, shape):
    """Numbers without ties and away from 0, so that no maximum and no sign changes within a difference step."""
    size = n * math.prod(shape)
    x = np.random.default_rng(size).permutation(size).reshape(n, *shape) / size * 4 - 2
    return x + 0.5 / size


def test_every_layer_is_in_the_table():
    assert {type(row[0]()).__name__ for row in TABLE} == set(Layer.types)


@every_layer
def test_shapes_counts_and_costs(make, input_shape, output_shape, count, macs):
    layer = make()
    assert layer.output_shape(input_shape) == output_shape
    assert layer.output_shape(list(input_shape)) == output_shape
    shapes = layer.parameter_shapes(input_shape)
    assert sum(math.prod(shape) for shape in shapes.values()) == count
    assert layer.macs(input_shape) == macs
    layer.initialise(input_shape, np.random.default_rng(0))
    assert layer.parameters.shapes == shapes
    y, _ = layer.run(reference, distinct(2, input_shape), layer.parameters)
    assert y.shape == (2, *output_shape)


@every_layer
def test_backward_agrees_with_differences(make, input_shape, output_shape, count, macs):
    layer = make()
    layer.initialise(input_shape, np.random.default_rng(1))
    p = {name: np.float64(array) for name, array in layer.parameters.items()}
    if "bias" in p:
        p["bias"] = np.random.default_rng(2).standard_normal(p["bias"].shape)
    x, names = distinct(2, input_shape), list(p)
    y, backward = layer.run(reference, x, p)
    dy = np.random.default_rng(3).standard_normal(y.shape)
    dx, gradients = backward(dy)
    assert list(gradients) == names

    def f(x, *arrays):
        return layer.run(reference, x, dict(zip(names, arrays, strict=True)))[0]

    step = 1e-6 if count < 1000 else 1e-4  # linear in each argument: large steps lose nothing, and round less
    grads = [dx, *gradients.values()]
    assert_gradient(f, [x, *p.values()], grads, dy, seed=4, step=step, directions=2, tolerance=1e-6)


@every_layer
def test_configuration_survives_json(make, input_shape, output_shape, count, macs):
    layer = make()
    again = Layer.from_config(json.loads(json.dumps(layer.config())))
    assert type(again) is type(layer)
    assert again.config() == layer.config()
    assert again.output_shape(input_shape) == output_shape
    assert repr(again) == repr(layer) == repr(eval(repr(layer)))  # a repr is the call that makes the layer


@every_layer
def test_forward_and_backward_alone_as_in_the_notes(make, input_shape, output_shape, count, macs):
    layer, twin = make(), make()
    x = distinct(2, input_shape)
    y = layer.forward(x)
    twin.initialise(input_shape, np.random.default_rng(0))
    expected, backward = twin.run(reference, x, twin.parameters)
    np.testing.assert_array_equal(y, expected)
    dy = np.random.default_rng(5).standard_normal(y.shape)
    dx, gradients = backward(dy)
    np.testing.assert_array_equal(layer.backward(dy), dx)
    assert layer.gradients.keys() == gradients.keys()
    if gradients:
        np.testing.assert_array_equal(layer.dw, gradients["weight"])
        if "bias" in gradients:
            np.testing.assert_array_equal(layer.db, gradients["bias"])


@every_layer
def test_run_is_pure(make, input_shape, output_shape, count, macs):
    layer = make()
    layer.initialise(input_shape, np.random.default_rng(0))
    p = {name: array.copy() for name, array in layer.parameters.items()}
    x = distinct(2, input_shape)
    x.setflags(write=False)
    kept = {name: array.copy() for name, array in p.items()}
    y, backward = layer.run(reference, x, p)
    first, second = backward(np.ones_like(y)), backward(np.ones_like(y))
    np.testing.assert_array_equal(first[0], second[0])
    assert layer.gradients == {}
    for name, array in kept.items():
        np.testing.assert_array_equal(p[name], array)
