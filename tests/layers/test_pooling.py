"""The pooling layers hand every hyper-parameter on: against PyTorch's layers."""

import numpy as np
import pytest

from foveal import reference
from foveal.layers import AvgPool, MaxPool
from tests.support.oracles import require

SHARED = [{}, {"stride": (2, 1)}, {"padding": (1, 1)}, {"stride": 2, "rounding": "ceil"}]


@pytest.mark.parametrize(
    ("layer", "options"),
    [*((MaxPool, o) for o in [*SHARED, {"dilation": 2}]), *((AvgPool, o) for o in SHARED)]
    + [(AvgPool, {"padding": 1, "count_padding": True})],
    ids=repr,
)
def test_agrees_with_pytorch(layer, options):
    torch = require("torch")
    names = {"rounding": "ceil_mode", "count_padding": "count_include_pad"}
    theirs = {
        names.get(name, name): value == "ceil" if name == "rounding" else value for name, value in options.items()
    }
    if layer is AvgPool:
        theirs.setdefault("count_include_pad", False)
    pool = layer((3, 2), **options)
    module = (torch.nn.MaxPool2d if layer is MaxPool else torch.nn.AvgPool2d)((3, 2), **theirs)
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2, 3, 8, 9))
    tx = torch.tensor(x, requires_grad=True)
    y, backward = pool.run(reference, x, {})
    ty = module(tx)
    assert y.shape == ty.shape == (2, *pool.output_shape((3, 8, 9)))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-12, atol=1e-13)
    dy = rng.standard_normal(y.shape)
    ty.backward(torch.tensor(dy))
    dx, gradients = backward(dy)
    np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-12, atol=1e-13)
    assert gradients == {}
