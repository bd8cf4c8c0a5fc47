"""The oracles: derived tolerances, the adjoint identity, central differences, and other people's libraries."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import pytest

U32 = 2.0**-24  # unit roundoff of float32
U64 = 2.0**-53  # unit roundoff of float64


def gamma(n: int, u: float = U32) -> float:
    """Return n*u / (1 - n*u), the bound of n roundings.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., lemma 3.1.
    """
    assert 0 < n * u < 1, f"no bound exists for n={n}"
    return n * u / (1 - n * u)


def assert_close_to_reference(fast: Any, ref: Any, magnitude: Any, n: int) -> None:
    """Hold |fast - ref| <= gamma_n * magnitude everywhere, where magnitude is the same sum over absolute values.

    For y = x * w, magnitude is |x| * |w| and n = C*R*S (+ 1 with a bias). NaN in `fast` fails.
    """
    fast, ref, magnitude = (np.asarray(a, np.float64) for a in (fast, ref, magnitude))
    assert fast.shape == ref.shape == magnitude.shape, f"shapes {fast.shape}, {ref.shape}, {magnitude.shape}"
    error, bound = np.abs(fast - ref), gamma(n) * magnitude
    bad = ~(error <= bound)
    if bad.any():
        with np.errstate(divide="ignore", invalid="ignore"):
            worst = np.unravel_index(np.argmax(np.where(bad, error / bound, -1)), bad.shape)
        raise AssertionError(
            f"{bad.sum()} of {bad.size} beyond gamma_{n} = {gamma(n):.3g}; at {tuple(map(int, worst))}: "
            f"fast {fast[worst]!r}, reference {ref[worst]!r}, error {error[worst]:.3g}, bound {bound[worst]:.3g}"
        )


def assert_adjoint(
    forward: Callable[[Any], Any], adjoint: Callable[[Any], Any], x: Any, dy: Any, *, tolerance: float = 1e-12
) -> None:
    """Hold <forward(x), dy> = <x, adjoint(dy)> for a linear `forward`, up to tolerance * |forward(x)| |dy|."""
    y, dx = np.asarray(forward(x), np.float64), np.asarray(adjoint(dy), np.float64)
    assert y.shape == np.shape(dy), f"y {y.shape}, dy {np.shape(dy)}"
    assert dx.shape == np.shape(x), f"dx {dx.shape}, x {np.shape(x)}"
    left, right = float(np.vdot(y, dy)), float(np.vdot(x, dx))
    scale = float(np.linalg.norm(y) * np.linalg.norm(dy))
    assert abs(left - right) <= tolerance * scale, f"<f(x), dy> = {left!r}, <x, f*(dy)> = {right!r}, scale {scale:.3g}"


def assert_gradient(
    f: Callable[..., Any],
    args: Sequence[Any],
    grads: Sequence[Any],
    dy: Any,
    *,
    seed: int = 0,
    step: float = 1e-6,
    tolerance: float = 1e-7,
    directions: int = 3,
    magnitude: Callable[..., Any] | None = None,
    n: int = 2,
) -> None:
    """Compare `grads` with central differences of <f(*args), dy> in float64 along random directions.

    `f` takes `args` and returns an array of the shape of `dy`; there is one gradient per argument, None skips it. `dy`
    must be random, never ones: ones hide errors that cancel in a sum.

    Two errors are allowed for. What the formula leaves out (the step's third-order term, and roundings of the gradient
    itself) is in proportion to the gradient: tolerance * |grad| |v|. What f rounds is not: each of its two values is
    off by up to gamma_n * magnitude, which the difference keeps and 2 * step magnifies, however small the gradient is.

    magnitude : callable, optional
        Takes `args` and returns the sum of f over absolute values; default |f(*args)|, right where f does not cancel.
    n : int
        Roundings on the way from an argument to a value of f, that of args + step * v among them.
    """
    assert len(args) == len(grads)
    assert np.size(dy) == 1 or np.ptp(dy) > 0, "dy must be random, never constant"
    rng = np.random.default_rng(seed)
    args = [np.asarray(a, np.float64) for a in args]
    for i, grad in enumerate(grads):
        if grad is None:
            continue
        assert np.shape(grad) == args[i].shape, f"argument {i}: gradient {np.shape(grad)}, value {args[i].shape}"
        for _ in range(directions):
            v = rng.standard_normal(args[i].shape)
            ends = [(*args[:i], args[i] + sign * step * v, *args[i + 1 :]) for sign in (1, -1)]
            up, down = (f(*end) for end in ends)
            sizes = [
                np.abs(value) if magnitude is None else magnitude(*end)
                for value, end in zip((up, down), ends, strict=True)
            ]
            numeric = float(np.vdot(np.asarray(up) - np.asarray(down), dy)) / (2 * step)
            exact = float(np.vdot(grad, v))
            scale = max(float(np.linalg.norm(grad) * np.linalg.norm(v)), 1e-3)
            rounding = gamma(n, U64) * float(np.vdot(sizes[0] + sizes[1], np.abs(dy))) / (2 * step)
            assert abs(numeric - exact) <= tolerance * scale + rounding, (
                f"argument {i}, seed {seed}: differences give {numeric!r}, the gradient {exact!r}, scale {scale:.3g}, "
                f"rounding {rounding:.3g}"
            )


def require(name: str) -> ModuleType:
    """Return the module `name`; without it the test fails where FOVEAL_REQUIRE_ORACLES=1 (CI), else is skipped."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        _lacking(f"the oracle {name!r} is missing: {error}")


def require_data(files: str) -> None:
    """Go on if there is a folder of real data; without it the test fails or is skipped, as by `require`."""
    if not os.environ.get("FOVEAL_DATA"):
        _lacking(f"set FOVEAL_DATA to a folder with {files}")


def _lacking(message: str) -> NoReturn:
    if os.environ.get("FOVEAL_REQUIRE_ORACLES") == "1":
        pytest.fail(message)
    pytest.skip(message)
