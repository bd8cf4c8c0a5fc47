"""One table drives every layer through the same contract: shapes, gradients, configuration, cost, purity."""

import json
import math

import numpy as np
import pytest

import foveal
from foveal import ops, reference
from foveal.layers import (
    Affine,
    AvgPool,
    BatchNorm,
    Convolution,
    ConvTranspose,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool,
    PadChannels,
    Parallel,
    RadialBasis,
    ReLU,
    Residual,
    ScaledTanh,
    Sigmoid,
    Softmax,
    SparseConvolution,
    Subsampling,
    Tanh,
)  # fmt: skip
from tests.support.oracles import assert_gradient

# layer, input shape, output shape, number of parameters, MACs
TABLE = [
    (lambda: Convolution(30, 5), (1, 28, 28), (30, 24, 24), 780, 432_000),
    (lambda: Convolution(4, 3, stride=2, padding=1), (3, 9, 8), (4, 5, 4), 112, 2_160),
    (lambda: Convolution(4, (3, 2), padding="same", dilation=2, groups=2), (6, 7, 8), (4, 7, 8), 76, 4_032),
    (lambda: Convolution(4, 1, bias=False), (3, 5, 5), (4, 5, 5), 12, 300),
    (lambda: Convolution(2, 3, padding=((1, 0), (2, 1))), (1, 4, 4), (2, 3, 5), 20, 270),
    (lambda: Convolution(4, 3, stride=2), (3, 9), (4, 4), 40, 144),
    (lambda: Convolution(4, (3,), padding=((1, 2),), dilation=2, groups=2), (6, 7), (4, 6), 40, 216),
    (lambda: Convolution(2, (2, 1, 3), 1, "same"), (3, 4, 3, 5), (2, 4, 3, 5), 38, 2_160),
    (lambda: Convolution(4, 2, stride=2, bias=False), (2, 4, 4, 4), (4, 2, 2, 2), 64, 512),
    (lambda: ConvTranspose(4, 4, stride=2, padding=1), (3, 5, 4), (4, 10, 8), 196, 3_840),
    (lambda: ConvTranspose(4, (3, 2), dilation=2, groups=2, bias=False), (6, 4, 5), (4, 8, 7), 72, 1_440),
    (lambda: ConvTranspose(2, 3, stride=3, padding="same"), (4, 5), (2, 15), 26, 120),
    (
        lambda: ConvTranspose(2, 2, stride=(2, 1, 2), padding=((0, 1), 0, 0), output_padding=(1, 0, 1)),
        (3, 2, 3, 2),
        (2, 4, 4, 5),
        50,
        576,
    ),
    (lambda: MaxPool(2), (3, 7), (3, 3), 0, 0),
    (lambda: MaxPool((2, 1, 3), 1, padding=(1, 0, 1)), (2, 3, 4, 5), (2, 4, 4, 5), 0, 0),
    (lambda: MaxPool(2), (3, 6, 8), (3, 3, 4), 0, 0),
    (lambda: MaxPool(3, 2, padding=1, rounding="ceil"), (2, 8, 8), (2, 5, 5), 0, 0),
    (lambda: MaxPool((1, 2), dilation=2), (2, 4, 6), (2, 4, 2), 0, 0),
    (lambda: AvgPool(2), (3, 6, 8), (3, 3, 4), 0, 0),
    (lambda: AvgPool(3, 2, padding=1, rounding="ceil", count_padding=True), (2, 8, 8), (2, 5, 5), 0, 0),
    (lambda: AvgPool(3, 2, padding=1), (2, 9), (2, 5), 0, 0),
    (lambda: AvgPool((1, 2, 2)), (2, 3, 4, 5), (2, 3, 2, 2), 0, 0),
    (GlobalAvgPool, (3, 5), (3, 1), 0, 0),
    (GlobalAvgPool, (3, 4, 5), (3, 1, 1), 0, 0),
    (GlobalMaxPool, (3, 4, 5), (3, 1, 1), 0, 0),
    (GlobalMaxPool, (3, 2, 3, 4), (3, 1, 1, 1), 0, 0),
    (Subsampling, (6, 8, 7), (6, 4, 3), 12, 72),
    (lambda: Subsampling((3,), 2), (2, 9), (2, 4), 4, 8),
    (lambda: Subsampling(2, 1), (2, 3, 4, 3), (2, 2, 3, 2), 4, 24),
    (lambda: Affine(100), (30, 12, 12), (100,), 432_100, 432_000),
    (lambda: Affine(3, bias=False), (7,), (3,), 21, 21),
    (Flatten, (3, 4, 5), (60,), 0, 0),
    (ReLU, (3, 4, 5), (3, 4, 5), 0, 0),
    (Sigmoid, (6,), (6,), 0, 0),
    (LeakyReLU, (3, 4, 5), (3, 4, 5), 0, 0),
    (lambda: LeakyReLU(0.3), (6,), (6,), 0, 0),
    (Tanh, (3, 4), (3, 4), 0, 0),
    (ScaledTanh, (6,), (6,), 0, 0),
    (Dropout, (3, 4, 5), (3, 4, 5), 0, 0),
    (lambda: Dropout(0.3, seed=7), (6,), (6,), 0, 0),
    (lambda: LocalResponseNorm(alpha=0.1), (7, 3, 4), (7, 3, 4), 0, 0),
    (lambda: LocalResponseNorm(2, 0.5, 0.6, 1.0), (4, 3, 2, 2), (4, 3, 2, 2), 0, 0),
    (BatchNorm, (3, 4, 5), (3, 4, 5), 6, 0),
    (lambda: BatchNorm(1e-3, 0.5), (6,), (6,), 12, 0),
    (lambda: SparseConvolution([(0, 1), (2,), (0, 1, 2)], 3), (3, 7, 8), (3, 5, 6), 57, 1_620),
    (lambda: SparseConvolution([(2, 0)], 2, 2, 1, 2, bias=False, weight_std=0.3), (4, 6), (1, 3), 4, 12),
    (RadialBasis, (84,), (10,), 0, 840),
    (lambda: RadialBasis([[1, -1, 0.5], [0, 2, -1]]), (3,), (2,), 0, 6),
    (lambda: PadChannels(5), (3, 4, 5), (5, 4, 5), 0, 0),
    (Softmax, (6,), (6,), 0, 0),
    (lambda: Parallel(Convolution(2, 1), [MaxPool(3, 1, 1), Subsampling(1)], []), (3, 4, 5), (8, 4, 5), 14, 180),
    (lambda: Parallel(Affine(4), [Affine(3), ReLU(), Affine(4)], join="add", name="heads"), (6,), (4,), 65, 54),
    (lambda: Residual([Convolution(3, 3, padding=1), ReLU()]), (3, 4, 5), (3, 4, 5), 84, 1_620),
    (lambda: Residual([Affine(5), Residual(Affine(5))], [Affine(5, bias=False)]), (6,), (5,), 95, 85),
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
    joins = {"Add", "Concat"}  # they have several inputs: test_join.py
    assert {type(row[0]()).__name__ for row in TABLE} | joins == set(Layer.types)


def arrays(layer, input_shape, seed):
    """Initialise the layer; return parameters and buffers in float64, moved away from the 0s and 1s of their start."""
    layer.initialise(input_shape, np.random.default_rng(seed))
    rng = np.random.default_rng(seed + 1)
    parameters = {name: np.float64(array) for name, array in layer.parameters.items()}
    moved = {k: v + rng.uniform(0, 1, v.shape) for k, v in parameters.items() if k != "weight"}
    buffers = {name: array + rng.uniform(0, 1, array.shape) for name, array in layer.buffers.items()}
    return parameters | moved, buffers


def forward(layer, training, x, p):
    """Return y and backward of either forward."""
    return layer.run_training(reference, x, p, 5)[:2] if training else layer.run(reference, x, p)


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
    assert layer.buffers.shapes == layer.buffer_shapes(input_shape)
    for training in (False, True):
        y, _ = forward(layer, training, distinct(2, input_shape), layer.state)
        assert y.shape == (2, *output_shape)


@pytest.mark.parametrize("training", [False, True])
@every_layer
def test_backward_agrees_with_differences(make, input_shape, output_shape, count, macs, training):
    layer = make()
    p, buffers = arrays(layer, input_shape, 1)
    x, names = distinct(2, input_shape), list(p)
    y, backward = forward(layer, training, x, p | buffers)
    dy = np.random.default_rng(3).standard_normal(y.shape)
    dx, gradients = backward(dy)
    assert list(gradients) == names

    def f(x, *values):
        return forward(layer, training, x, dict(zip(names, values, strict=True)) | buffers)[0]

    step = 1e-6 if count < 1000 else 1e-4  # linear in each argument: large steps lose nothing, and round less
    grads = [dx, *gradients.values()]
    assert_gradient(f, [x, *p.values()], grads, dy, seed=4, step=step, directions=2, tolerance=1e-6)


@every_layer
def test_only_these_layers_do_something_else_in_training(make, input_shape, output_shape, count, macs):
    layer = make()
    p, buffers = arrays(layer, input_shape, 1)
    x = distinct(2, input_shape)
    y, _, new = layer.run_training(reference, x, p | buffers, 5)
    assert {name: array.shape for name, array in new.items()} == layer.buffer_shapes(input_shape)
    assert np.array_equal(y, layer.run(reference, x, p | buffers)[0]) != isinstance(layer, Dropout | BatchNorm)


@every_layer
def test_configuration_survives_json(make, input_shape, output_shape, count, macs):
    layer = make()
    again = Layer.from_config(json.loads(json.dumps(layer.config())))
    assert type(again) is type(layer)
    assert again.config() == layer.config()
    assert again.output_shape(input_shape) == output_shape
    assert repr(again) == repr(layer) == repr(eval(repr(layer)))  # a repr is the call that makes the layer


@pytest.mark.parametrize("training", [True, False])
@every_layer
def test_forward_and_backward_alone_as_in_the_notes(make, input_shape, output_shape, count, macs, training):
    layer, twin = make(), make()
    assert layer.training  # as in PyTorch
    layer.training = training
    x = distinct(2, input_shape)
    y = layer.forward(x)
    twin.initialise(input_shape, np.random.default_rng(0))
    if training:
        expected, backward, buffers = twin.run_training(reference, x, twin.state, 0)
        for name, value in buffers.items():
            np.testing.assert_array_equal(layer.buffers[name], np.float32(value))
    else:
        expected, backward = twin.run(reference, x, twin.state)
    np.testing.assert_array_equal(y, expected)
    dy = np.random.default_rng(5).standard_normal(y.shape)
    dx, gradients = backward(dy)
    np.testing.assert_array_equal(layer.backward(dy), dx)
    assert layer.gradients.keys() == gradients.keys()
    short = {"weight": "dw", "bias": "db"}
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(layer.gradients[name], gradient)
        assert layer.parameters[name].shape == gradient.shape
        if "." not in name:  # parameters of a layer in a Parallel or Residual are attributes of that layer
            assert getattr(layer, short.get(name, f"d{name}")) is layer.gradients[name]
            assert getattr(layer, name) is layer.parameters[name]


@pytest.mark.parametrize("training", [False, True])
@every_layer
def test_both_forwards_are_pure(make, input_shape, output_shape, count, macs, training):
    layer = make()
    p = {name: array.copy() for part in arrays(layer, input_shape, 1) for name, array in part.items()}
    buffers = {name: array.copy() for name, array in layer.buffers.items()}
    x = distinct(2, input_shape)
    x.setflags(write=False)
    kept = {name: array.copy() for name, array in p.items()}
    y, backward = forward(layer, training, x, p)
    first, second = backward(np.ones_like(y)), backward(np.ones_like(y))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(forward(layer, training, x, p)[0], y)
    assert layer.gradients == {}
    for name, array in kept.items():
        np.testing.assert_array_equal(p[name], array)
    for name, array in buffers.items():
        np.testing.assert_array_equal(layer.buffers[name], array)


@every_layer
def test_float32_stays_float32(make, input_shape, output_shape, count, macs):
    layer = make()
    layer.initialise(input_shape, np.random.default_rng(0))
    x = distinct(2, input_shape).astype(np.float32)
    for y, backward in (layer.run(ops, x, layer.state), layer.run_training(ops, x, layer.state, 5)[:2]):
        assert y.dtype == np.float32
        dx, gradients = backward(np.ones_like(y))
        assert {a.dtype for a in (dx, *gradients.values())} == {np.dtype(np.float32)}
