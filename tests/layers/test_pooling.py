"""The pooling layers hand every hyper-parameter on: against PyTorch's layers, on signals, images and volumes."""

import numpy as np
import pytest

from foveal import reference
from foveal.layers import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool, Subsampling
from tests.support.oracles import require

SHARED = [{}, {"stride": (2, 1, 2)}, {"padding": (1, 1, 0)}, {"stride": 2, "rounding": "ceil"}]
SPATIAL, KERNEL = (8, 9, 5), (3, 2, 2)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    ("layer", "options"),
    [*((MaxPool, o) for o in [*SHARED, {"dilation": 2}]), *((AvgPool, o) for o in SHARED)]
    + [(AvgPool, {"padding": 1, "count_padding": True})],
    ids=repr,
)
def test_agrees_with_pytorch(layer, options, axes):
    torch, spatial, kernel = require("torch"), SPATIAL[:axes], KERNEL[:axes]
    options = {name: value[:axes] if isinstance(value, tuple) else value for name, value in options.items()}
    names = {"rounding": "ceil_mode", "count_padding": "count_include_pad"}
    theirs = {
        names.get(name, name): value == "ceil" if name == "rounding" else value for name, value in options.items()
    }
    if layer is AvgPool:
        theirs.setdefault("count_include_pad", False)
    pool = layer(kernel, **options)
    module = getattr(torch.nn, f"{layer.__name__}{axes}d")(kernel, **theirs)
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2, 3, *spatial))
    tx = torch.tensor(x, requires_grad=True)
    y, backward = pool.run(reference, x, {})
    ty = module(tx)
    assert y.shape == ty.shape == (2, *pool.output_shape((3, *spatial)))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-12, atol=1e-13)
    dy = rng.standard_normal(y.shape)
    ty.backward(torch.tensor(dy))
    dx, gradients = backward(dy)
    np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-12, atol=1e-13)
    assert gradients == {}


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_an_int_as_kernel_takes_its_axes_from_the_input(axes):
    shape = (3, *SPATIAL[:axes])
    for layer in (MaxPool(2), AvgPool(2), Subsampling()):
        assert layer.output_shape(shape) == (3, *(n // 2 for n in SPATIAL[:axes]))
        assert layer.title() == f"{type(layer).__name__} ({'x'.join('2' * axes)})"


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_global_pooling_is_pooling_with_a_kernel_as_large_as_the_map(axes):
    spatial = SPATIAL[:axes]
    x = np.random.default_rng(3).standard_normal((2, 3, *spatial))
    dy = np.random.default_rng(4).standard_normal((2, 3, *[1] * axes))
    for layer, other in ((GlobalAvgPool(), AvgPool(spatial)), (GlobalMaxPool(), MaxPool(spatial))):
        (y, backward), (expected, their_backward) = layer.run(reference, x, {}), other.run(reference, x, {})
        np.testing.assert_allclose(y, expected, rtol=1e-13)
        np.testing.assert_allclose(backward(dy)[0], their_backward(dy)[0], rtol=1e-13)


def test_subsampling_begins_as_average_pooling():
    x = np.random.default_rng(5).standard_normal((2, 3, 6, 8))
    layer = Subsampling()
    np.testing.assert_allclose(layer.forward(x), AvgPool(2).forward(x), rtol=1e-6)
    np.testing.assert_array_equal(layer.coefficient, np.float32([0.25] * 3))
    assert Subsampling((1, 3)).forward(x).shape == (2, 3, 6, 2)
    whole = Subsampling(3)
    whole.initialise((2, 3, 3, 3), np.random.default_rng(0))
    np.testing.assert_array_equal(whole.coefficient, np.float32([1 / 27] * 2))
