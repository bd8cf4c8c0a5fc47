"""Affine against numbers by hand, PyTorch, differences, and the convolution that it is."""

import numpy as np
import pytest

from foveal.reference import affine, affine_grad, correlate
from tests.support.oracles import assert_adjoint, assert_gradient, require


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    shapes = ((4, 2, 3, 5), (30, 7), (7,), (4, 7))
    return [rng.standard_normal(shape) for shape in shapes]


def test_by_hand():
    np.testing.assert_array_equal(affine([[1, 2]], [[1, 10], [100, 1000]], [5, 6]), [[206, 2016]])


def test_values_and_gradients_agree_with_pytorch(arrays):
    torch = require("torch")
    x, w, b, dy = arrays
    tx, tw, tb = (torch.tensor(a, requires_grad=True) for a in (x, w, b))
    ty = torch.nn.functional.linear(tx.flatten(1), tw.T, tb)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(affine(x, w, b), ty.detach().numpy(), rtol=1e-12)
    for ours, theirs in zip(affine_grad(x, w, dy), (tx, tw, tb), strict=True):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-12, atol=1e-13)


def test_gradients_are_adjoints_and_agree_with_differences(arrays):
    x, w, b, dy = arrays
    grads = affine_grad(x, w, dy)
    assert_adjoint(lambda v: affine(v, w), lambda _: grads[0], x, dy)
    assert_adjoint(lambda v: affine(x, v), lambda _: grads[1], w, dy)
    assert_gradient(affine, (x, w, b), grads, dy)


def test_a_map_is_flattened_in_channel_row_column_order(arrays):
    x, w, b, _ = arrays
    filters = w.T.reshape(7, 2, 3, 5)
    np.testing.assert_allclose(affine(x, w, b), correlate(x, filters, b)[:, :, 0, 0], rtol=1e-12)
    np.testing.assert_array_equal(affine(x, w, b), affine(x.reshape(4, 30), w, b))


def test_the_bias_is_not_changed_and_an_empty_batch_stays_empty(arrays):
    x, w, b, _ = arrays
    before = b.copy()
    assert affine(x[:0], w, b).shape == (0, 7)
    affine(x, w, b)
    np.testing.assert_array_equal(b, before)
