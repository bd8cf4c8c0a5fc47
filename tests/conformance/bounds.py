"""How far results may be from another library's, which computes in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.support.oracles import U32, U64, gamma

UNIT = {"float32": U32, "float64": U64}
SMALLEST = {"float32": 2.0**-126, "float64": 2.0**-1022}  # kernels take what is smaller for 0


def assert_within(found: Any, expected: Any, size: Any, n: int, dtype: str, what: str = "", extra: float = 0) -> None:
    """Hold |found - expected| <= gamma_n * size + extra, gamma_n for `dtype` and, as the oracle rounds too, float64.

    No rounding, n = 0, means the same numbers.
    """
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape, f"{what}: shapes {found.shape}, {expected.shape}"
    bound = np.full(found.shape, extra)
    if n:
        bound = bound + (gamma(n, UNIT[dtype]) + gamma(n, U64)) * np.asarray(size, np.float64) + SMALLEST[dtype]
    error = np.abs(found - expected)
    bad = ~(error <= bound)
    if bad.any():
        worst = np.unravel_index(np.argmax(bad), bad.shape)
        raise AssertionError(
            f"{what}: {bad.sum()} of {bad.size} beyond gamma_{n}; the first at {tuple(map(int, worst))}: "
            f"{found[worst]!r}, expected {expected[worst]!r}, bound {bound[worst]:.3g}"
        )
