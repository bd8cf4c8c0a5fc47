"""Pooling against numbers by hand, PyTorch and ONNX Runtime, with every rounding and padding."""

import itertools

import numpy as np
import pytest

from foveal.reference import avg_pool, avg_pool_grad, max_pool, max_pool_grad
from tests.support.oracles import assert_adjoint, assert_gradient, require
from tests.support.runtime import onnx_node

# (H, W), kernel, stride, padding, dilation
WINDOWS = [
    ((6, 6), 2, None, 0, 1),
    ((7, 5), 3, 2, 0, 1),
    ((7, 8), 3, 2, 1, 1),
    ((8, 9), (3, 2), (2, 3), (1, 0), 1),
    ((5, 5), 2, 1, 1, 1),
    ((9, 8), 2, 3, 0, 2),
    ((6, 7), 1, 3, 0, 1),
]
ROUNDED = list(itertools.product(WINDOWS, ["floor", "ceil"]))


def distinct(shape, seed):
    """Numbers at least 1 apart in random order: no ties, and no maximum changes within a difference step."""
    return np.random.default_rng(seed).permutation(np.prod(shape)).reshape(shape).astype(np.float64) - 20.0


@pytest.mark.parametrize(("window", "rounding"), ROUNDED)
def test_max_pool_agrees_with_pytorch(window, rounding):
    torch = require("torch")
    spatial, kernel, stride, padding, dilation = window
    x = distinct((2, 3, *spatial), seed=1)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "rounding": rounding}
    y, indices = max_pool(x, kernel, **options, return_indices=True)
    tx = torch.tensor(x, requires_grad=True)
    ty, tindices = torch.nn.functional.max_pool2d(
        tx, kernel, stride, padding, dilation, ceil_mode=rounding == "ceil", return_indices=True
    )
    np.testing.assert_array_equal(y, ty.detach().numpy())
    np.testing.assert_array_equal(indices, tindices.numpy())
    np.testing.assert_array_equal(max_pool(x, kernel, **options), y)
    dy = np.random.default_rng(2).standard_normal(y.shape)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(max_pool_grad(dy, indices, x.shape), tx.grad.numpy(), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("count_padding", [False, True])
@pytest.mark.parametrize(("window", "rounding"), [case for case in ROUNDED if case[0][-1] == 1])
def test_avg_pool_agrees_with_pytorch(window, rounding, count_padding):
    torch = require("torch")
    spatial, kernel, stride, padding, _ = window
    x = np.random.default_rng(3).standard_normal((2, 3, *spatial))
    options = {"stride": stride, "padding": padding, "rounding": rounding, "count_padding": count_padding}
    y = avg_pool(x, kernel, **options)
    tx = torch.tensor(x, requires_grad=True)
    ty = torch.nn.functional.avg_pool2d(tx, kernel, stride, padding, rounding == "ceil", count_padding)
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-12, atol=1e-13)
    dy = np.random.default_rng(4).standard_normal(y.shape)
    ty.backward(torch.tensor(dy))
    dx = avg_pool_grad(dy, x.shape, kernel, **options)
    np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-12, atol=1e-13)
    assert_adjoint(lambda v: avg_pool(v, kernel, **options), lambda _: dx, x, dy)


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((0, 1), (1, 2))])
def test_pooling_agrees_with_onnxruntime(operator, padding):
    x = np.random.default_rng(5).standard_normal((2, 3, 8, 7)).astype(np.float32)
    (top, bottom), (left, right) = padding
    attributes = {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [top, left, bottom, right]}
    pool = max_pool if operator == "MaxPool" else avg_pool
    y = pool(x, (2, 3), stride=(2, 1), padding=padding)
    np.testing.assert_allclose(onnx_node(operator, {"x": x}, **attributes), y, rtol=1e-6, atol=1e-6)
    if operator == "AveragePool":
        y = avg_pool(x, (2, 3), stride=(2, 1), padding=padding, count_padding=True)
        theirs = onnx_node(operator, {"x": x}, count_include_pad=1, **attributes)
        np.testing.assert_allclose(theirs, y, rtol=1e-6, atol=1e-6)


def test_gradients_agree_with_differences():
    x = distinct((2, 2, 7, 8), seed=6)
    for options in ({}, {"stride": 2, "padding": 1}, {"stride": 2, "rounding": "ceil"}):
        y, indices = max_pool(x, 3, **options, return_indices=True)
        dy = np.random.default_rng(7).standard_normal(y.shape)
        dx = max_pool_grad(dy, indices, x.shape)
        assert_gradient(lambda v, o=options: max_pool(v, 3, **o), [x], [dx], dy, seed=7)
        dx = avg_pool_grad(dy, x.shape, 3, **options)
        assert_gradient(lambda v, o=options: avg_pool(v, 3, **o), [x], [dx], dy, seed=7)


def test_of_equal_maxima_the_first_is_taken():
    y, indices = max_pool(np.zeros((1, 1, 4, 4)), 2, return_indices=True)
    np.testing.assert_array_equal(indices[0, 0], [[0, 2], [8, 10]])
    x = np.array([[[[1.0, 5.0], [5.0, 5.0]]]])
    assert max_pool(x, 2, return_indices=True)[1].item() == 1
    assert not y.any()


def test_overlapping_windows_add_their_gradients():
    x = np.array([[[[1.0, 9.0, 2.0]]]])
    _, indices = max_pool(x, (1, 2), stride=1, return_indices=True)
    np.testing.assert_array_equal(max_pool_grad([[[[10.0, 100.0]]]], indices, x.shape)[0, 0], [[0, 110, 0]])


def test_padding_is_never_a_maximum():
    for value in (-np.inf, -5.0):
        x = np.full((1, 1, 2, 2), value)
        y, indices = max_pool(x, 2, stride=1, padding=1, return_indices=True)
        assert (y == value).all()
        np.testing.assert_array_equal(indices[0, 0], [[0, 0, 1], [0, 0, 1], [2, 2, 3]])


def test_nan_is_passed_on():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    x[0, 0, 0, 1] = np.nan
    y, indices = max_pool(x, 2, return_indices=True)
    np.testing.assert_array_equal(y[0, 0], [[np.nan, 7], [13, 15]])
    assert indices[0, 0, 0, 0] == 1


def test_average_by_hand():
    x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    ceil = avg_pool(x, 2, rounding="ceil")[0, 0]
    np.testing.assert_allclose(ceil, [[3, 4.5], [7.5, 9]])
    np.testing.assert_allclose(avg_pool(x, 2, stride=2, padding=1)[0, 0], [[1, 2.5], [5.5, 7]])
    padded = avg_pool(x, 2, stride=2, padding=1, count_padding=True)[0, 0]
    np.testing.assert_allclose(padded, [[0.25, 1.25], [2.75, 7]])


@pytest.mark.parametrize("pool", [max_pool, avg_pool])
def test_a_batch_is_one_by_one(pool):
    x = np.random.default_rng(9).standard_normal((3, 2, 6, 6))
    np.testing.assert_array_equal(pool(x, 2), np.concatenate([pool(image[None], 2) for image in x]))
