"""LRN and batch norm by hand, against PyTorch, ONNX Runtime and differences."""

import numpy as np
import pytest

from foveal.reference import (
    batch_norm,
    batch_norm_grad,
    batch_statistics,
    correlate,
    fold_batch_norm,
    local_response_norm,
    local_response_norm_grad,
)  # fmt: skip
from tests.support.oracles import assert_gradient, require
from tests.support.runtime import onnx_node

MAPS = [(2, 7, 5), (2, 6, 4, 3), (2, 5, 3, 2, 4)]
LRN = {"alpha": 0.3, "beta": 0.6, "k": 1.5}


def maps(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_lrn_by_hand():
    x = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1)
    y = local_response_norm(x, size=3, alpha=0.5, beta=2.0, k=1.0)[0, :, 0]
    np.testing.assert_allclose(y, [1 / 3.5**2, 2 / 8**2, 3 / 15.5**2, 4 / 13.5**2], rtol=1e-15)
    y = local_response_norm(x, size=2, alpha=1.0, beta=1.0, k=1.0)[0, :, 0]  # itself and the one behind
    np.testing.assert_allclose(y, [1 / 6, 2 / 14, 3 / 26, 4 / 17], rtol=1e-15)


@pytest.mark.parametrize("size", [1, 3, 5, 9])
@pytest.mark.parametrize("shape", MAPS)
def test_lrn_agrees_with_pytorch_and_differences(shape, size):
    torch = require("torch")
    x, dy = maps(shape) * 3, maps(shape, 1)
    y, dx = local_response_norm(x, size, **LRN), local_response_norm_grad(x, dy, size, **LRN)
    tx = torch.tensor(x, requires_grad=True)
    ty = torch.nn.functional.local_response_norm(tx, size, **LRN | {"alpha": LRN["alpha"] * size})
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-10, atol=1e-13)
    assert_gradient(lambda v: local_response_norm(v, size, **LRN), [x], [dx], dy, n=20)


@pytest.mark.parametrize("size", [2, 4])
def test_lrn_of_even_size_is_as_onnx_says_and_the_mirror_of_pytorch(size):
    torch = require("torch")
    x, dy = maps((2, 7, 3, 4)) * 3, maps((2, 7, 3, 4), 1)
    y = local_response_norm(x, size, **LRN)
    mirrored = torch.tensor(np.flip(x, 1).copy())
    theirs = torch.nn.functional.local_response_norm(mirrored, size, **LRN | {"alpha": LRN["alpha"] * size})
    np.testing.assert_allclose(y, np.flip(theirs.numpy(), 1), rtol=1e-12)
    assert_gradient(
        lambda v: local_response_norm(v, size, **LRN), [x], [local_response_norm_grad(x, dy, size, **LRN)], dy, n=20
    )  # fmt: skip
    spec = np.zeros_like(x)  # ONNX's text: from c - floor((size - 1) / 2) to c + ceil((size - 1) / 2)
    for c in range(7):
        near = x[:, max(0, c - (size - 1) // 2) : c + size // 2 + 1]
        spec[:, c] = x[:, c] / (LRN["k"] + LRN["alpha"] * (near**2).sum(axis=1)) ** LRN["beta"]
    np.testing.assert_allclose(y, spec, rtol=1e-13)


def test_lrn_agrees_with_onnxruntime():
    x = maps((2, 7, 3, 4)) * 3
    y = onnx_node("LRN", {"x": x}, size=5, alpha=1e-2 * 5, beta=0.75, bias=2.0)
    np.testing.assert_allclose(y, local_response_norm(x, alpha=1e-2), rtol=1e-5)


def test_lrn_sees_all_channels_however_large_its_size_is():
    x = maps((2, 3, 4))
    everything = x / (LRN["k"] + LRN["alpha"] * (x**2).sum(axis=1, keepdims=True)) ** LRN["beta"]
    for size in (5, 2**62):
        np.testing.assert_allclose(local_response_norm(x, size, **LRN), everything, rtol=1e-13)


SHAPES = [(8, 3), (4, 3, 5), (3, 4, 3, 2), (2, 3, 3, 2, 2)]


def arrays(shape):
    rng = np.random.default_rng(2)
    x = rng.standard_normal(shape) * 2 + 5
    scale, shift, mean = (rng.standard_normal(shape[1]) for _ in range(3))
    return x, scale, shift, mean, rng.uniform(0.5, 2, shape[1]), rng.standard_normal(shape)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_agrees_with_pytorch_and_differences(shape, training):
    torch = require("torch")
    x, scale, shift, mean, variance, dy = arrays(shape)
    given = () if training else (mean, variance)
    y, grads = batch_norm(x, scale, shift, *given), batch_norm_grad(x, scale, dy, *given)
    tx, ts, td = (torch.tensor(a, requires_grad=True) for a in (x, scale, shift))
    running = [torch.tensor(mean), torch.tensor(variance)]
    ty = torch.nn.functional.batch_norm(tx, *running, ts, td, training=training, eps=1e-5)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-11, atol=1e-12)
    for ours, theirs in zip(grads, (tx, ts, td), strict=True):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-9, atol=1e-11)
    assert_gradient(lambda a, b, c: batch_norm(a, b, c, *given), (x, scale, shift), grads, dy, n=4 * x.size)


def test_batch_norm_agrees_with_onnxruntime():
    x, scale, shift, mean, variance, _ = arrays((2, 3, 4, 5))
    inputs = {"x": x, "scale": scale, "b": shift, "mean": mean, "var": variance}
    theirs = onnx_node("BatchNormalization", inputs, epsilon=1e-3)
    np.testing.assert_allclose(theirs, batch_norm(x, scale, shift, mean, variance, epsilon=1e-3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_batch_has_mean_shift_and_deviation_scale_afterwards(shape):
    x, scale, shift, *_ = arrays(shape)
    mean, variance = batch_statistics(batch_norm(x, scale, shift, epsilon=0.0))
    np.testing.assert_allclose(mean, shift, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(variance, scale**2, rtol=1e-12)
    np.testing.assert_array_equal(batch_norm(x, scale, shift), batch_norm(x, scale, shift, *batch_statistics(x)))


def test_large_means_do_not_spoil_the_variance():
    x = np.array([[1e8], [1e8 + 1], [1e8 + 2]])
    np.testing.assert_allclose(batch_statistics(x)[1], [2 / 3], rtol=1e-15)


def test_a_channel_that_does_not_change_becomes_the_shift():
    np.testing.assert_array_equal(batch_norm(np.full((4, 1), 7.0), [3.0], [5.0]), np.full((4, 1), 5.0))
    np.testing.assert_array_equal(batch_norm([[7.0]], [3.0], [5.0]), [[5.0]])


@pytest.mark.parametrize("kernel", [(3,), (3, 2), (2, 1, 3)])
@pytest.mark.parametrize("biased", [True, False])
def test_folding_gives_the_same_map_with_one_convolution(kernel, biased):
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((2, 4, *[5] * len(kernel))), rng.standard_normal((6, 2, *kernel))
    bias = rng.standard_normal(6) if biased else None
    scale, shift, mean = (rng.standard_normal(6) for _ in range(3))
    variance = rng.uniform(0, 2, 6)
    two = batch_norm(correlate(x, w, bias, groups=2), scale, shift, mean, variance, epsilon=1e-3)
    one = correlate(x, *fold_batch_norm(w, bias, scale, shift, mean, variance, epsilon=1e-3), groups=2)
    np.testing.assert_allclose(one, two, rtol=1e-11, atol=1e-12)


def test_an_empty_batch_stays_empty_where_statistics_are_given():
    x = np.zeros((0, 3, 2, 2))
    assert local_response_norm(x).shape == local_response_norm_grad(x, x).shape == x.shape
    assert batch_norm(x, [1] * 3, [0] * 3, [0] * 3, [1] * 3).shape == x.shape
    dx, dscale, dshift = batch_norm_grad(x, [1] * 3, x, [0] * 3, [1] * 3)
    assert dx.shape == x.shape
    assert not dscale.any()
    assert not dshift.any()
