"""e^x and what is made of it, over numbers of every exponent: how many units in the last place it is off."""

import numpy as np
import pytest
from numba import njit

from foveal.kernels import exponential
from tests.support.maps import ulps

f32 = np.float32
STRIDE = 2551  # every such float32 number of each sign is tried: some 1.7 million of them


def every_exponent(low=0.0, high=np.inf):
    """Return float32 numbers of both signs between `low` and `high`, all exponents, normal ones."""
    positive = np.arange(0x00800000, 0x7F800000, STRIDE, np.int64).astype(np.uint32).view(f32)
    both = np.concatenate([-positive[::-1], positive])
    return both[(both >= low) & (both <= high)]


def apply(function, *operands):
    """Return a helper's results for arrays of numbers."""

    @njit(error_model="numpy")
    def of_one(xs, ys):
        for i in range(ys.size):
            ys[i] = function(xs[i])

    @njit(error_model="numpy")
    def of_two(xs, others, ys):
        for i in range(ys.size):
            ys[i] = function(xs[i], others[i])

    ys = np.empty_like(operands[0])
    (of_one if len(operands) == 1 else of_two)(*operands, ys)
    return ys


def logistic(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("name", "exact", "low", "high", "bound"),
    [
        ("exp", np.exp, -np.inf, 88.0, 1.1),
        ("sigmoid", logistic, -np.inf, np.inf, 2.5),
        ("tanh", np.tanh, -np.inf, np.inf, 2.5),
    ],
)
def test_errors(name, exact, low, high, bound):
    x = every_exponent(low, high)
    found = apply(getattr(exponential, name), x)
    error = ulps(found, exact(x.astype(np.float64)))
    assert error.max() <= bound, f"{error.max()} at {x[error.argmax()]!r}"
    assert x.size > 500_000


def test_a_difference_is_not_rounded_first():
    """e^(x - top) is off by no more than e^x is, though x - top has no float32 of its own."""
    rng = np.random.default_rng(0)
    top = (rng.standard_normal(400_000) * 10.0 ** rng.integers(-3, 4, 400_000)).astype(f32)
    x = (top - rng.uniform(0, 87, top.size)).astype(f32)
    exact = np.exp(x.astype(np.float64) - top)
    assert ulps(apply(exponential.exp_difference, x, top), exact).max() <= 1.2
    assert ulps(apply(exponential.exp, x - top), exact).max() > 10  # what would be without


@pytest.mark.parametrize("exponent", [-0.75, -1.75, -0.5, 0.6, 1.0, 2.0, -3.1])
def test_powers(exponent):
    x = every_exponent(low=2.0**-126)
    exact = x.astype(np.float64) ** float(f32(exponent))
    inside = (exact > 2.0**-125) & (exact < 2.0**126)
    found = apply(exponential.power, x, np.full(x.size, exponent, f32))
    assert ulps(found[inside], exact[inside]).max() <= 1 + abs(exponent)
    assert not np.isnan(found).any()


def test_ends():
    x = np.array([-np.inf, -3e38, -100, -88.5, -0.0, 0.0, 1e-39, 89, 3e38, np.inf], f32)
    e, s = apply(exponential.exp, x), apply(exponential.sigmoid, x)
    assert (e[:4] >= 0).all()
    assert (e[:4] < 2.0**-126).all()
    np.testing.assert_array_equal(e[4:7], 1)
    np.testing.assert_allclose(e[7:], np.exp(88.0), rtol=1e-6)
    assert (s[:4] >= 0).all()
    assert (s[:4] < 2.0**-126).all()
    np.testing.assert_array_equal(s[4:], [0.5] * 3 + [1] * 3)
    np.testing.assert_array_equal(apply(exponential.tanh, x)[[0, 1, 2, 4, 5, 7, 8, 9]], [-1, -1, -1, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(apply(exponential.exp_difference, x[:4], x[5:9]), 0)


@pytest.mark.parametrize("name", ["exp", "sigmoid", "tanh", "power", "exp_difference"])
def test_not_a_number_stays(name):
    nan = np.full(40, np.nan, f32)
    operands = [nan, np.full(40, -0.75, f32)] if name in ("power", "exp_difference") else [nan]
    assert np.isnan(apply(getattr(exponential, name), *operands)).all()
