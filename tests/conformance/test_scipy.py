"""`foveal.ops` beside SciPy's convolutions: every mode, large and odd shapes, float32 by its kernels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal import ops
from foveal.ops.method import METHODS, choose_method
from tests.conformance.bounds import UNIT, assert_within
from tests.support.oracles import require

random_cases = settings(derandomize=True, deadline=None, max_examples=40)
MODES = ("valid", "same", "full")
LONGEST = {1: (3000, 60), 2: (70, 12), 3: (17, 5)}  # by number of axes: positions of a map and taps of a kernel


@dataclass(frozen=True)
class Case:
    """Maps x (N, C, *spatial) and filters w (K, C, *kernel) of random numbers."""

    n: int
    channels: int
    filters: int
    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    mode: str
    seed: int

    def arrays(self, dtype: str) -> tuple[Any, Any]:
        rng = np.random.default_rng(self.seed)
        shapes = (self.n, self.channels, *self.spatial), (self.filters, self.channels, *self.kernel)
        x, w = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
        return x, w

    @property
    def padding(self) -> list[tuple[int, int]]:
        """What SciPy's modes are in paddings; the docstrings of `correlate` and `convolve` say so."""
        sides = {"valid": lambda r: (0, 0), "same": lambda r: (r // 2, (r - 1) // 2), "full": lambda r: (r - 1, r - 1)}
        return [sides[self.mode](r) for r in self.kernel]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw maps of 1 to 3 axes; kernels may be larger than the map, except in mode "valid", where SciPy swaps them."""
    axes, mode = draw(st.integers(1, 3)), draw(st.sampled_from(MODES))
    longest, widest = LONGEST[axes]
    spatial = [draw(st.integers(1, longest)) for _ in range(axes)]
    kernel = [draw(st.integers(1, min(widest, n) if mode == "valid" else widest)) for n in spatial]
    sizes = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 5))
    return Case(*sizes, tuple(spatial), tuple(kernel), mode, draw(st.integers(0, 2**16)))


def summed(function: Any, x: Any, w: Any, *args: Any, **options: Any) -> Any:
    """Return (N, K, *output): SciPy's function of two arrays, summed over the channels."""
    wide = x.astype(float), w.astype(float)
    return np.array(
        [[sum(function(*pair, *args, **options) for pair in zip(image, bank, strict=True)) for bank in wide[1]]
         for image in wide[0]]
    )  # fmt: skip


def transform_bound(x: Any, w: Any, padding: Any, u: float) -> float:
    """Return the bound of a correlation by FFT: each of three transforms is off by a few u * log2(n) of its norm.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., theorem 24.2.
    """
    padded = [n + sum(pair) for n, pair in zip(x.shape[2:], padding, strict=True)]
    return 12 * u * math.log2(2 * math.prod(padded) + 2) * float(np.linalg.norm(x) * np.linalg.norm(w))


@pytest.mark.parametrize("dtype", UNIT)
@pytest.mark.parametrize("name", ["correlate", "convolve"])
@random_cases
@given(case=cases())
def test_modes(name: str, dtype: str, case: Case):
    theirs = getattr(require("scipy.signal"), name)
    x, w = case.arrays(dtype)
    y = getattr(ops, name)(x, w, padding=case.padding)
    assert y.dtype == dtype
    expected = summed(theirs, x, w, case.mode, method="direct")
    size = summed(theirs, abs(x), abs(w), case.mode, method="direct")
    by_transform = choose_method(x.shape, w.shape, padding=case.padding, dtype=dtype).method == "fft"
    extra = transform_bound(x, w, case.padding, UNIT[dtype]) if by_transform else 0
    assert_within(y, expected, size, w[0].size + 1, dtype, extra=extra)


@pytest.mark.parametrize("dtype", UNIT)
@pytest.mark.parametrize("name", ["correlate", "convolve"])
@random_cases
@given(case=cases().filter(lambda case: len(case.spatial) == 2), data=st.data())
def test_images_with_stride_and_dilation(name: str, dtype: str, case: Case, data: Any):
    """A stride keeps every s-th number; a dilation puts zeros between the taps."""
    theirs = getattr(require("scipy.signal"), f"{name}2d")
    stride, dilation = (data.draw(st.tuples(*(st.integers(1, 4),) * 2), label=what) for what in ("stride", "dilation"))
    x, w = case.arrays(dtype)
    spread = np.zeros((*w.shape[:2], *(d * (r - 1) + 1 for r, d in zip(case.kernel, dilation, strict=True))))
    spread[:, :, :: dilation[0], :: dilation[1]] = w
    padding = [(r - 1, r - 1) for r in spread.shape[2:]]
    y = getattr(ops, name)(x, w, stride=stride, padding=padding, dilation=dilation, method="direct")
    every = np.s_[:, :, :: stride[0], :: stride[1]]
    options = {"mode": "full", "boundary": "fill", "fillvalue": 0}
    expected, size = (summed(theirs, a, b, **options)[every] for a, b in ((x, spread), (abs(x), abs(spread))))
    assert_within(y, expected, size, w[0].size + 1, dtype)


LARGE = [
    Case(1, 1, 1, (100_003,), (257,), "same", 1),
    Case(2, 3, 17, (4001,), (9,), "full", 2),
    Case(1, 1, 1, (131, 251), (31, 17), "valid", 3),
    Case(1, 2, 33, (61, 127), (3, 5), "same", 4),
    Case(1, 5, 3, (11, 13), (13, 11), "full", 5),
    Case(1, 2, 2, (33, 47, 29), (5, 7, 3), "valid", 6),
    Case(1, 1, 19, (7, 31, 19), (3, 1, 4), "full", 7),
]


@pytest.mark.parametrize("dtype", UNIT)
@pytest.mark.parametrize("case", LARGE, ids=lambda case: f"{'x'.join(map(str, case.spatial))}, {case.mode}")
def test_large_and_odd_shapes_by_every_method(case: Case, dtype: str):
    signal = require("scipy.signal")
    x, w = case.arrays(dtype)
    expected, size = (summed(signal.correlate, a, b, case.mode, method="direct") for a, b in ((x, w), (abs(x), abs(w))))
    for method in METHODS:
        y = ops.correlate(x, w, padding=case.padding, method=method)
        assert y.dtype == dtype
        extra = transform_bound(x, w, case.padding, UNIT[dtype]) if method in ("auto", "fft") else 0
        assert_within(y, expected, size, w[0].size + 1, dtype, method, extra)
