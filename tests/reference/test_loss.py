"""Softmax and cross-entropy by hand, at the far ends, against PyTorch and differences."""

import numpy as np
import pytest

from foveal.reference import cross_entropy, cross_entropy_grad, softmax, sum_of_squares, sum_of_squares_grad
from tests.support.oracles import assert_gradient, require


@pytest.fixture
def scores():
    return np.random.default_rng(0).standard_normal((6, 4)) * 3


T = np.array([0, 3, 1, 1, 2, 0])


def test_by_hand():
    np.testing.assert_allclose(softmax([[0, np.log(2), np.log(5)]]), [[1 / 8, 2 / 8, 5 / 8]], rtol=1e-15)
    np.testing.assert_allclose(softmax([0, np.log(3)]), [0.25, 0.75], rtol=1e-15)
    assert cross_entropy([[0, np.log(3)], [0, 0]], [1, 0]) == pytest.approx((np.log(4 / 3) + np.log(2)) / 2)
    np.testing.assert_allclose(cross_entropy_grad([[0, np.log(3)], [0, 0]], [1, 0]), [[0.125, -0.125], [-0.25, 0.25]])


def test_agrees_with_pytorch(scores):
    torch = require("torch")
    ts = torch.tensor(scores, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(ts, torch.tensor(T))
    loss.backward()
    assert cross_entropy(scores, T) == pytest.approx(loss.item(), rel=1e-13)
    np.testing.assert_allclose(cross_entropy_grad(scores, T), ts.grad.numpy(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(softmax(scores), torch.softmax(ts, 1).detach().numpy(), rtol=1e-13)


def test_one_hot_rows_and_indices_are_the_same(scores):
    for dtype in (np.float32, np.int64, bool, np.uint8):
        one_hot = np.eye(4)[T].astype(dtype)
        assert cross_entropy(scores, one_hot) == pytest.approx(cross_entropy(scores, T), rel=1e-14)
        np.testing.assert_allclose(cross_entropy_grad(scores, one_hot), cross_entropy_grad(scores, T), rtol=1e-14)


def test_gradient_agrees_with_differences(scores):
    soft = softmax(np.random.default_rng(1).standard_normal(scores.shape))
    for t in (T, T.astype(np.uint8), np.eye(4)[T], soft):
        dy = np.array(1.7)
        grad = dy * cross_entropy_grad(scores, t)
        assert_gradient(lambda s, t=t: np.array(cross_entropy(s, t)), [scores], [grad], dy)


def test_a_shift_of_all_scores_changes_nothing(scores):
    np.testing.assert_allclose(softmax(scores + 1e4), softmax(scores), rtol=1e-10)
    assert cross_entropy(scores + 1e4, T) == pytest.approx(cross_entropy(scores, T), rel=1e-10)
    np.testing.assert_allclose(softmax(scores).sum(axis=1), 1, rtol=1e-14)


def test_far_ends_are_finite():
    assert cross_entropy([[1e4, 0.0]], [1]) == 1e4
    np.testing.assert_array_equal(softmax([[1e4, -1e4]]), [[1, 0]])
    np.testing.assert_array_equal(cross_entropy_grad([[1e4, 0.0]], [1]), [[1, -1]])
    assert cross_entropy([[0.0, -np.inf]], [0]) == 0  # what is not asked for may be impossible


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("soft", [False, True])
def test_label_smoothing_agrees_with_pytorch_and_differences(scores, smoothing, soft):
    torch = require("torch")
    t = softmax(np.random.default_rng(1).standard_normal(scores.shape)) if soft else T
    ts = torch.tensor(scores, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(ts, torch.tensor(t), label_smoothing=smoothing)
    loss.backward()
    grad = cross_entropy_grad(scores, t, label_smoothing=smoothing)
    assert cross_entropy(scores, t, label_smoothing=smoothing) == pytest.approx(loss.item(), rel=1e-13)
    np.testing.assert_allclose(grad, ts.grad.numpy(), rtol=1e-11, atol=1e-15)
    dy = np.array(1.7)
    assert_gradient(lambda s: np.array(cross_entropy(s, t, label_smoothing=smoothing)), [scores], [dy * grad], dy)


def test_sum_of_squares_by_hand_and_as_in_the_notes():
    y, t = np.array([0.1, 0.05, 0.6, 0.0]), np.array([0, 0, 1, 0])
    assert sum_of_squares(y[None], t[None]) == pytest.approx(0.5 * np.sum((y - t) ** 2), rel=1e-15)
    assert sum_of_squares([[3.0], [1.0]], [[1.0], [1.0]]) == 1.0


@pytest.mark.parametrize("shape", [(4,), (4, 3), (2, 3, 4, 5)])
def test_sum_of_squares_agrees_with_pytorch_and_differences(shape):
    torch = require("torch")
    rng = np.random.default_rng(2)
    y, t = rng.standard_normal(shape), rng.standard_normal(shape)
    ty = torch.tensor(y, requires_grad=True)
    loss = torch.nn.functional.mse_loss(ty, torch.tensor(t), reduction="sum") / 2 / len(y)
    loss.backward()
    grad = sum_of_squares_grad(y, t)
    assert sum_of_squares(y, t) == pytest.approx(loss.item(), rel=1e-13)
    np.testing.assert_allclose(grad, ty.grad.numpy(), rtol=1e-12)
    dy = np.array(1.7)
    assert_gradient(lambda v: np.array(sum_of_squares(v, t)), [y], [dy * grad], dy, n=2 * y.size)
