"""Softmax with cross-entropy: loss, gradient and who was right, with and without smoothed labels."""

import numpy as np
import pytest

from foveal import reference
from foveal.kernels.loss import smoothed_cross_entropy, softmax_cross_entropy
from foveal.kernels.steps import program, step


class Batch:
    """Scores of n images out of 50, rows of a wider memory, and what the kernel writes."""

    def __init__(self, x, seed=0):
        n, classes = x.shape
        rng = np.random.default_rng(seed)
        self.labels, self.numbers = rng.integers(0, classes, 50), rng.integers(0, 50, n)
        self.t, self.x = self.labels[self.numbers], np.full((n, classes + 3), 9, np.float32)
        self.x[:, :classes], self.classes = x, classes
        self.dx, self.loss, self.correct = np.full_like(self.x, 7), np.empty(n, np.float32), np.empty(n, np.float32)

    def run(self, smoothing=None):
        kernel = softmax_cross_entropy if smoothing is None else smoothed_cross_entropy
        more = {} if smoothing is None else {"smoothing": smoothing}
        made = step("loss", kernel, x=self.x, xs=self.x.shape[1], numbers=self.numbers, labels=self.labels,
                    loss=self.loss, correct=self.correct, dx=self.dx, dxs=self.x.shape[1], n=len(self.x),
                    classes=self.classes, **more)  # fmt: skip
        program([made]).run()
        assert (self.dx[:, self.classes :] == 7).all()
        return self.dx[:, : self.classes]


@pytest.mark.parametrize("smoothing", [None, 0.0, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (9, 2), (100, 10), (33, 1000)], ids=str)
def test_loss_and_gradient(shape, smoothing):
    x = (np.random.default_rng(shape).standard_normal(shape) * 5).astype(np.float32)
    batch = Batch(x)
    dx = batch.run(smoothing)
    for i, loss in enumerate(batch.loss):
        exact = reference.cross_entropy(x[i : i + 1], batch.t[i : i + 1], label_smoothing=smoothing or 0.0)
        assert abs(loss - exact) <= 2.0**-23 * (abs(exact) + 1.5)  # of the sum 1.2 units, and what is stored is rounded
    exact = reference.cross_entropy_grad(x, batch.t, label_smoothing=smoothing or 0.0)
    np.testing.assert_allclose(dx, exact, rtol=4e-7, atol=2e-7 / len(x) / shape[1])
    np.testing.assert_array_equal(batch.correct, x.argmax(axis=1) == batch.t)


def test_the_gradient_of_an_answer_that_is_nearly_right_keeps_its_digits():
    x = np.array([[20.0, 0.0, 1.0]], np.float32)
    batch = Batch(x)
    batch.labels[:] = 0
    dx = batch.run()
    np.testing.assert_allclose(dx, reference.cross_entropy_grad(x, [0]), rtol=4e-7)


def test_infinite_scores():
    """A class that is impossible costs nothing, unless it is the right one."""
    batch = Batch(np.array([[0.0, -np.inf, 1.0], [0.0, -np.inf, 1.0], [np.nan, 0.0, 0.0]], np.float32))
    batch.labels[:3], batch.numbers[:] = (2, 1, 0), (0, 1, 2)
    dx = batch.run()
    np.testing.assert_allclose(batch.loss[:2], [np.log(1 + np.exp(-1)), np.inf], rtol=3e-7)
    assert np.isnan(batch.loss[2])
    assert not np.isnan(dx[:2]).any()
