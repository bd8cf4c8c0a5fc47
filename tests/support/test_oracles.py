"""The oracles must be able to fail: each is shown an error that it has to find."""

import numpy as np
import pytest

from tests.support import oracles


def test_gamma_is_highams_bound():
    assert oracles.gamma(1) == pytest.approx(2**-24, rel=1e-6)
    assert oracles.gamma(2**23) == pytest.approx(1.0)
    with pytest.raises(AssertionError, match="no bound"):
        oracles.gamma(2**24)


@pytest.mark.parametrize("wrong", [1 + 2e-6, np.nan, np.inf])
def test_close_to_reference_finds_one_wrong_number(wrong):
    ref = np.ones((2, 3))
    oracles.assert_close_to_reference(np.float32(ref), ref, ref, n=9)
    fast = ref.copy()
    fast[1, 2] = wrong
    with pytest.raises(AssertionError, match=r"1 of 6 beyond gamma_9 .* at \(1, 2\)"):
        oracles.assert_close_to_reference(fast, ref, ref, n=9)


def test_close_to_reference_refuses_broadcasting():
    with pytest.raises(AssertionError, match="shapes"):
        oracles.assert_close_to_reference(np.ones(3), np.ones((1, 3)), np.ones(3), n=1)


def test_adjoint_finds_a_wrong_transpose():
    rng = np.random.default_rng(0)
    a, x, dy = rng.standard_normal((4, 4)), rng.standard_normal(4), rng.standard_normal(4)
    oracles.assert_adjoint(lambda v: a @ v, lambda v: a.T @ v, x, dy)
    with pytest.raises(AssertionError, match="<f"):
        oracles.assert_adjoint(lambda v: a @ v, lambda v: a @ v, x, dy)


def test_gradient_finds_a_wrong_factor_and_a_constant_dy():
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal(5), rng.standard_normal(5)
    oracles.assert_gradient(np.sin, [x], [dy * np.cos(x)], dy)
    with pytest.raises(AssertionError, match="seed 7"):
        oracles.assert_gradient(np.sin, [x], [dy * np.cos(x) * 1.0001], dy, seed=7)
    with pytest.raises(AssertionError, match="never constant"):
        oracles.assert_gradient(np.sin, [x], [np.cos(x)], np.ones(5))


def test_gradient_allows_for_the_roundings_of_f_and_no_more():
    """f is large where its gradient is small: differences cannot be nearer than f's own roundings over the step."""
    dy = np.array([1.0, -1.0 + 1e-6])
    f = lambda b: np.array([1e3, 1e3 / 3]) + b  # noqa: E731
    oracles.assert_gradient(f, [np.array([1.0])], [dy.sum(keepdims=True)], dy)
    with pytest.raises(AssertionError, match="rounding"):
        oracles.assert_gradient(f, [np.array([1.0])], [dy.sum(keepdims=True) + 1e-5], dy)


def test_a_missing_oracle_fails_in_ci_and_is_skipped_elsewhere(monkeypatch):
    monkeypatch.setenv("FOVEAL_REQUIRE_ORACLES", "1")
    with pytest.raises(pytest.fail.Exception, match="no_such_oracle"):
        oracles.require("no_such_oracle")
    monkeypatch.delenv("FOVEAL_REQUIRE_ORACLES")
    with pytest.raises(pytest.skip.Exception, match="no_such_oracle"):
        oracles.require("no_such_oracle")
