import numpy as np
import pytest

from foveal.training.history import Epoch, History, smooth


def book_smooth_curve(x):
    """K. Saitoh, Deep Learning from Scratch, common/util.py: smooth_curve, as printed there."""
    window_len = 11
    s = np.r_[x[window_len - 1 : 0 : -1], x, x[-1:-window_len:-1]]
    w = np.kaiser(window_len, 2)
    y = np.convolve(w / w.sum(), s, mode="valid")
    return y[5 : len(y) - 5]


def test_smooth_equals_the_book_inside():
    x = np.random.default_rng(0).normal(size=100)
    # The book repeats the last value once in its mirror; ours is symmetric, so the last five may differ.
    np.testing.assert_allclose(smooth(x)[:-5], book_smooth_curve(x)[:-5], rtol=1e-12)
    assert len(smooth(x)) == len(book_smooth_curve(x)) == 100


def test_smooth_is_the_same_backwards():
    x = np.random.default_rng(0).normal(size=40)
    np.testing.assert_allclose(smooth(x[::-1]), smooth(x)[::-1], rtol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 10, 11, 12])
def test_smooth_keeps_the_length_and_constants(n):
    np.testing.assert_allclose(smooth([2.5] * n), [2.5] * n)


def test_json_round_trip_is_exact():
    history = History(
        [0.1 + 0.2, 1 / 3], [Epoch(1, 0.3, 0.5, None, 0.1, 7.0), Epoch(2, 0.2, 0.6, 0.55, 0.2, 8.0)], True
    )
    history.settings = {"seed": 3}
    again = History.from_json(history.to_json())
    assert again == history
    assert (again.test_accuracy, again.seconds) == (0.55, pytest.approx(0.3))
