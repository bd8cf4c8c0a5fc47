"""The convolution layers hand every hyper-parameter on: against PyTorch's layers with the same weights."""

import numpy as np
import pytest

from foveal import reference
from foveal.layers import Convolution, ConvTranspose
from tests.support.oracles import require

SPATIAL, KERNEL = (9, 10, 7), (3, 2, 2)
OPTIONS = [
    {},
    {"stride": (2, 1, 2)},
    {"padding": (2, 1, 0)},
    {"dilation": (2, 3, 1)},
    {"groups": 2},
    {"bias": False},
    {"stride": 2, "padding": 1, "dilation": 2, "groups": 2},
]


def per_axes(options, axes):
    return {k: v[:axes] if isinstance(v, tuple) else v for k, v in options.items()}


def agree(layer, theirs, input_shape):
    """Hold values and gradients of both layers equal, with the weights of ours in both."""
    torch = require("torch")
    layer.initialise(input_shape, np.random.default_rng(0))
    if layer.use_bias:
        layer.bias = np.arange(6)
    with torch.no_grad():
        for name, array in layer.parameters.items():
            getattr(theirs, name).copy_(torch.tensor(array))
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, *input_shape))
    tx = torch.tensor(x, requires_grad=True)
    y, backward = layer.run(reference, x, layer.parameters)
    ty = theirs(tx)
    assert y.shape == ty.shape == (2, *layer.output_shape(input_shape))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-11, atol=1e-12)
    dy = rng.standard_normal(y.shape)
    ty.backward(torch.tensor(dy))
    dx, gradients = backward(dy)
    np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-10, atol=1e-11)
    assert gradients.keys() == layer.parameters.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, getattr(theirs, name).grad.numpy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("options", OPTIONS, ids=repr)
def test_convolution_agrees_with_pytorch(options, axes):
    torch, options = require("torch"), per_axes(options, axes)
    theirs = getattr(torch.nn, f"Conv{axes}d")(4, 6, KERNEL[:axes], **options).double()
    agree(Convolution(6, KERNEL[:axes], **options), theirs, (4, *SPATIAL[:axes]))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("options", [*OPTIONS, {"stride": 3, "output_padding": (1, 2, 0)}], ids=repr)
def test_transposed_convolution_agrees_with_pytorch(options, axes):
    torch, options = require("torch"), per_axes(options, axes)
    theirs = getattr(torch.nn, f"ConvTranspose{axes}d")(4, 6, KERNEL[:axes], **options).double()
    agree(ConvTranspose(6, KERNEL[:axes], **options), theirs, (4, *SPATIAL[:axes]))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_an_int_as_kernel_takes_its_axes_from_the_input(axes):
    shape = (2, *SPATIAL[:axes])
    layer = Convolution(5, 3, padding=1)
    assert layer.output_shape(shape) == (5, *SPATIAL[:axes])
    assert layer.parameter_shapes(shape)["weight"] == (5, 2, *[3] * axes)
    assert layer.title() == f"Convolution (5 filters {'x'.join('3' * axes)})"
    assert ConvTranspose(5, 2, stride=2).output_shape(shape) == (5, *(2 * n for n in SPATIAL[:axes]))


def test_a_transposed_convolution_brings_back_the_size_that_a_convolution_took():
    for size in (27, 28, 29, 30):
        small = Convolution(8, 3, stride=2, padding=1).output_shape((4, size, size))
        extra = (size + 2 - 3) % 2
        back = ConvTranspose(4, 3, stride=2, padding=1, output_padding=extra).output_shape(small)
        assert back == (4, size, size)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_variance_of_a_relu_network_stays_through_a_transposed_convolution(stride):
    """He's rule: of x = relu(z) with z ~ N(0, 1), the numbers of y have the variance 1 as well."""
    rng = np.random.default_rng(3)
    layer = ConvTranspose(16, 4, stride=stride, padding=0)
    layer.initialise((32, 16, 16), rng)
    x = np.maximum(rng.standard_normal((8, 32, 16, 16)), 0)
    y, _ = layer.run(reference, x, layer.parameters)
    inside = y[:, :, 4:-4, 4:-4]  # at the ends fewer copies meet
    assert abs(inside.var() - 1) < 0.1
