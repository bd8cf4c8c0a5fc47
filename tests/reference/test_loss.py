"""Softmax and cross-entropy by hand, at the far ends, against PyTorch and differences."""

import numpy as np
import pytest

from foveal.reference import cross_entropy, cross_entropy_grad, softmax
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
