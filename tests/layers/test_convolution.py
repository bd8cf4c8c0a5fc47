"""The convolution layer hands every hyper-parameter on: against PyTorch's layer with the same weights."""

import numpy as np
import pytest

from foveal import reference
from foveal.layers import Convolution
from tests.support.oracles import require


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": (2, 1)},
        {"padding": (2, 1)},
        {"dilation": (2, 3)},
        {"groups": 2},
        {"bias": False},
        {"stride": 2, "padding": 1, "dilation": 2, "groups": 2},
    ],
    ids=repr,
)
def test_agrees_with_pytorch(options):
    torch = require("torch")
    layer = Convolution(6, (3, 2), **options)
    layer.initialise((4, 9, 10), np.random.default_rng(0))
    if layer.use_bias:
        layer.bias = np.arange(6)
    theirs = torch.nn.Conv2d(4, 6, (3, 2), **options).double()
    with torch.no_grad():
        for name, array in layer.parameters.items():
            getattr(theirs, name).copy_(torch.tensor(array))
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 4, 9, 10))
    tx = torch.tensor(x, requires_grad=True)
    y, backward = layer.run(reference, x, layer.parameters)
    ty = theirs(tx)
    assert y.shape == ty.shape == (2, *layer.output_shape((4, 9, 10)))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-11, atol=1e-12)
    dy = rng.standard_normal(y.shape)
    ty.backward(torch.tensor(dy))
    dx, gradients = backward(dy)
    np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-10, atol=1e-11)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, getattr(theirs, name).grad.numpy(), rtol=1e-10, atol=1e-11)
