"""Pooling against numbers by hand, PyTorch and ONNX Runtime, with every rounding and padding."""

import itertools

import numpy as np
import pytest

from foveal.reference import (
    avg_pool,
    avg_pool_grad,
    global_avg_pool,
    global_avg_pool_grad,
    global_max_pool,
    global_max_pool_grad,
    max_pool,
    max_pool_grad,
    max_unpool,
    max_unpool_grad,
)  # fmt: skip
from tests.support.oracles import assert_adjoint, assert_gradient, require
from tests.support.runtime import onnx_node

# size of a map, kernel, stride, padding, dilation
WINDOWS = [
    ((6, 6), 2, None, 0, 1),
    ((7, 5), 3, 2, 0, 1),
    ((7, 8), 3, 2, 1, 1),
    ((8, 9), (3, 2), (2, 3), (1, 0), 1),
    ((5, 5), 2, 1, 1, 1),
    ((9, 8), 2, 3, 0, 2),
    ((6, 7), 1, 3, 0, 1),
    ((9,), 3, 2, 1, 1),
    ((11,), 2, 3, 0, 3),
    ((5, 6, 7), 2, None, 0, 1),
    ((5, 4, 6), (3, 1, 2), (2, 1, 3), (1, 0, 1), 1),
    ((6, 5, 5), 2, 1, 0, (2, 1, 3)),
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
    ty, tindices = getattr(torch.nn.functional, f"max_pool{len(spatial)}d")(
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
    pool = getattr(torch.nn.functional, f"avg_pool{len(spatial)}d")
    ty = pool(tx, kernel, stride, padding, rounding == "ceil", count_padding)
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


@pytest.mark.parametrize("spatial", [(7,), (6, 5), (4, 5, 3)])
def test_a_single_map_comes_back_without_n(spatial):
    x, kernel = distinct((1, 2, *spatial), seed=10), (2,) * len(spatial)
    y, indices = max_pool(x, kernel, return_indices=True)
    for ours, batch in zip(max_pool(x[0], kernel, return_indices=True), (y, indices), strict=True):
        np.testing.assert_array_equal(ours, batch[0])
    np.testing.assert_array_equal(avg_pool(x[0], kernel), avg_pool(x, kernel)[0])
    dx = avg_pool_grad(y[0], x[0].shape, kernel)
    np.testing.assert_array_equal(dx, avg_pool_grad(y, x.shape, kernel)[0])
    dx = max_pool_grad(y[0], indices[0], x[0].shape, axes=len(spatial))
    np.testing.assert_array_equal(dx, max_pool_grad(y, indices, x.shape)[0])
    back = max_unpool(y[0], indices[0], x[0].shape, axes=len(spatial))
    np.testing.assert_array_equal(back, max_unpool(y, indices, x.shape)[0])
    np.testing.assert_array_equal(max_unpool_grad(back, indices[0], axes=len(spatial)), y[0])


def test_an_int_as_kernel_takes_the_first_axis_for_a_batch():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert max_pool(x, 2).shape == (2, 3, 2)  # 2 signals of 3 channels
    assert max_pool(x, (2, 2)).shape == (2, 1, 2)  # one image of 2 channels


@pytest.mark.parametrize("spatial", [(8,), (6, 4), (4, 6, 2)])
def test_unpooling_agrees_with_pytorch(spatial):
    torch, axes = require("torch"), len(spatial)
    x = distinct((2, 3, *spatial), seed=11)
    y, indices = max_pool(x, 2, return_indices=True)
    ty = torch.tensor(y, requires_grad=True)
    unpool = getattr(torch.nn.functional, f"max_unpool{axes}d")
    tx = unpool(ty, torch.tensor(indices), 2, output_size=spatial)
    back = max_unpool(y, indices, x.shape)
    np.testing.assert_array_equal(back, tx.detach().numpy())
    np.testing.assert_array_equal(back[back != 0], x[back != 0])
    assert np.count_nonzero(back) == y.size - np.count_nonzero(y == 0)
    dx = np.random.default_rng(12).standard_normal(x.shape)
    tx.backward(torch.tensor(dx))
    np.testing.assert_array_equal(max_unpool_grad(dx, indices), ty.grad.numpy())
    assert_adjoint(lambda v: max_unpool(v, indices, x.shape), lambda v: max_unpool_grad(v, indices), y, dx)


def test_unpooling_overlapping_windows_writes_a_shared_maximum_once():
    x = np.array([[[1.0, 9.0, 2.0, 0.0]]])
    y, indices = max_pool(x, 2, stride=1, return_indices=True)
    np.testing.assert_array_equal(max_unpool(y, indices, x.shape), [[[0, 9, 2, 0]]])
    np.testing.assert_array_equal(max_unpool([[[5.0, 6.0]]], [[[1, 1]]], (1, 1, 3)), [[[0, 6, 0]]])


@pytest.mark.parametrize("spatial", [(7,), (6, 5), (4, 5, 3)])
def test_global_pooling_agrees_with_pytorch_and_onnxruntime(spatial):
    torch, axes = require("torch"), len(spatial)
    x = distinct((2, 3, *spatial), seed=13)
    for name, operator in (("avg", "GlobalAveragePool"), ("max", "GlobalMaxPool")):
        tx = torch.tensor(x, requires_grad=True)
        ty = getattr(torch.nn.functional, f"adaptive_{name}_pool{axes}d")(tx, 1)
        dy = np.random.default_rng(14).standard_normal(ty.shape)
        ty.backward(torch.tensor(dy))
        if name == "avg":
            y, dx = global_avg_pool(x), global_avg_pool_grad(dy, x.shape)
            assert_adjoint(global_avg_pool, lambda _, dx=dx: dx, x, dy)
        else:
            y, indices = global_max_pool(x, return_indices=True)
            dx = global_max_pool_grad(dy, indices, x.shape)
            np.testing.assert_array_equal(global_max_pool(x), y)
        assert y.shape == (2, 3, *[1] * axes)
        np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(onnx_node(operator, {"x": x}), y, rtol=1e-6, atol=1e-6)


def test_an_empty_batch_stays_empty():
    x = np.zeros((0, 2, 6, 6))
    y, indices = max_pool(x, 2, return_indices=True)
    assert y.shape == indices.shape == avg_pool(x, 2).shape == (0, 2, 3, 3)
    assert max_pool_grad(y, indices, x.shape).shape == avg_pool_grad(y, x.shape, 2).shape == x.shape
    assert max_unpool(y, indices, x.shape).shape == x.shape
    assert max_unpool_grad(x, indices).shape == y.shape
    assert global_avg_pool(x).shape == global_max_pool(x).shape == (0, 2, 1, 1)
    assert global_avg_pool_grad(np.zeros((0, 2, 1, 1)), x.shape).shape == x.shape


@pytest.mark.parametrize("dtype", [">f8", np.float16, np.uint8, ">i4", bool])
def test_every_real_dtype_and_order_of_memory(dtype):
    x = np.asfortranarray(np.random.default_rng(15).integers(0, 2, (2, 3, 6, 6)).astype(dtype))
    x.setflags(write=False)
    exact = np.ascontiguousarray(x.astype(np.float64))
    for pool in (max_pool, avg_pool):
        np.testing.assert_array_equal(pool(x, 2), pool(exact, 2))
    y, indices = max_pool(x[:, ::-1, ::2], 2, return_indices=True)
    np.testing.assert_array_equal(y, max_pool(exact[:, ::-1, ::2], 2))
    places = indices.astype(">i2")
    shape = x[:, ::-1, ::2].shape
    np.testing.assert_array_equal(max_pool_grad(y, places, shape), max_pool_grad(y, indices, shape))
