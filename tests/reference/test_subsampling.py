"""Subsampling by hand, against average pooling, PyTorch's grouped convolution, and differences."""

import numpy as np
import pytest

from foveal.reference import avg_pool, subsample, subsample_grad
from tests.support.oracles import assert_adjoint, assert_gradient, require

SHAPES = [((9,), 2, None), ((6, 8), 2, None), ((7, 8), (3, 2), (2, 1)), ((4, 5, 6), 2, 1)]


def arrays(spatial):
    rng = np.random.default_rng(len(spatial))
    return rng.standard_normal((2, 3, *spatial)), rng.standard_normal(3), rng.standard_normal(3)


def test_by_hand():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    np.testing.assert_array_equal(subsample(x, [2.0], [100.0])[0, 0], [[120, 136], [184, 200]])


@pytest.mark.parametrize(("spatial", "kernel", "stride"), SHAPES)
def test_values_and_gradients_agree_with_pytorch(spatial, kernel, stride):
    """It is a depthwise convolution whose weights are all equal: their gradients add up."""
    torch = require("torch")
    x, coefficient, bias = arrays(spatial)
    tx, tc, tb = (torch.tensor(a, requires_grad=True) for a in (x, coefficient, bias))
    size = (kernel,) * len(spatial) if isinstance(kernel, int) else kernel
    w = tc.reshape(3, 1, *[1] * len(spatial)).expand(3, 1, *size)
    convolution = getattr(torch.nn.functional, f"conv{len(spatial)}d")
    ty = convolution(tx, w, tb, stride=size if stride is None else stride, groups=3)
    y = subsample(x, coefficient, bias, kernel, stride=stride)
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-12, atol=1e-12)
    dy = np.random.default_rng(4).standard_normal(y.shape)
    ty.backward(torch.tensor(dy))
    grads = subsample_grad(x, coefficient, dy, kernel, stride=stride)
    for ours, theirs in zip(grads, (tx, tc, tb), strict=True):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-11, atol=1e-12)
    assert_gradient(lambda *a: subsample(*a, kernel, stride=stride), (x, coefficient, bias), grads, dy)
    assert_adjoint(
        lambda v: subsample(v, coefficient, np.zeros(3), kernel, stride=stride), lambda _: grads[0], x, dy
    )  # fmt: skip


def test_it_begins_as_average_pooling():
    x, _, _ = arrays((6, 8))
    np.testing.assert_allclose(subsample(x, [0.25] * 3, [0] * 3), avg_pool(x, 2), rtol=1e-13, atol=1e-15)


def test_a_single_map_and_an_empty_batch():
    x, coefficient, bias = arrays((6, 8))
    y = subsample(x, coefficient, bias, (2, 2))
    np.testing.assert_array_equal(subsample(x[0], coefficient, bias, (2, 2)), y[0])
    dx, dc, db = subsample_grad(x[:1], coefficient, y[:1], (2, 2))
    for ours, batch in zip(subsample_grad(x[0], coefficient, y[0], (2, 2)), (dx[0], dc, db), strict=True):
        np.testing.assert_array_equal(ours, batch)
    assert subsample(x[:0], coefficient, bias).shape == (0, 3, 3, 4)
    assert not subsample_grad(x[:0], coefficient, y[:0])[1].any()
