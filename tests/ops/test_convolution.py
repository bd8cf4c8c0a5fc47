"""Convolutions of float32 arrays on 1 to 3 axes, by every method, and their transposes, against the formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal import ops, reference
from foveal.errors import DataError, ParameterError
from foveal.geometry import Window
from foveal.ops import convolution, fourier
from foveal.ops.method import METHODS, choose_method
from tests.support.geometries import Case, cases
from tests.support.oracles import U32, U64, assert_close_to_reference

random_cases = settings(derandomize=True, deadline=None, max_examples=40)
any_axes = st.integers(1, 3).flatmap(lambda axes: cases(axes=axes))
DTYPES = [np.float32, np.float64]
UNITS = {np.float32: U32, np.float64: U64}


def transform_bound(case, u):
    """Return the bound of a correlation by FFT: in proportion to norms, not to the terms of each sum.

    Each of three transforms is off by a few u * log2(n), relative to its norm. Source: Higham, Accuracy and Stability
    of Numerical Algorithms, 2nd ed., theorem 24.2.
    """
    x, w, _ = case.arrays()
    volume = math.prod(2 * (n + r * d) for n, r, d in zip(x.shape[2:], w.shape[2:], case.dilation, strict=True))
    return 12 * u * math.log2(volume) * np.linalg.norm(x) * np.linalg.norm(w)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["correlate", "convolve"])
@random_cases
@given(case=any_axes)
def test_methods_agree(name, dtype, case: Case):
    x, w, b = case.arrays(dtype)
    exact = getattr(reference, name)(x, w, b, **case.options)
    size = getattr(reference, name)(abs(x), abs(w), abs(b), **case.options)
    for method in METHODS:
        y = getattr(ops, name)(x, w, b, **case.options, method=method)
        assert y.dtype == dtype
        assert y.shape == exact.shape
        bound = transform_bound(case, UNITS[dtype]) if method == "fft" else 0
        error = np.abs(y - exact)
        assert (error <= UNITS[dtype] * (w[0].size + 3) * size + bound).all(), (method, error.max())


@random_cases
@given(case=any_axes)
def test_gradients(case: Case):
    x, w, _ = case.arrays(np.float32)
    dy = np.random.default_rng(case.seed).standard_normal(reference.correlate(x, w, **case.options).shape)
    dy = dy.astype(np.float32)
    found, expected = ops.correlate_grad(x, w, dy, **case.options), reference.correlate_grad(x, w, dy, **case.options)
    sizes = reference.correlate_grad(abs(x), abs(w), abs(dy), **case.options)
    terms = w.size // case.groups, dy.size // len(w), dy.size // len(w)
    for ours, theirs, size, n in zip(found, expected, sizes, terms, strict=True):
        assert ours.dtype == np.float32
        assert_close_to_reference(ours, theirs, size, n + 2)


def transposed(case):
    """Return arguments of the transpose of a case's convolution, which takes its maps of y to maps of x."""
    rng = np.random.default_rng(case.seed)
    kernel, K, per_group = case.w_shape[2:], case.w_shape[0], case.w_shape[1]
    x = rng.standard_normal((case.x_shape[0], K, *[max(1, n // s) for n, s in zip(case.x_shape[2:], case.stride,
                            strict=True)])).astype(np.float32)  # fmt: skip
    w = rng.standard_normal((K, per_group, *kernel)).astype(np.float32)
    return x, w, rng.standard_normal(per_group * case.groups).astype(np.float32)


@random_cases
@given(case=any_axes, extra=st.integers(0, 1))
def test_transposed(case: Case, extra):
    x, w, b = transposed(case)
    padding = [tuple(min(side, (d * (r - 1)) // 2) for side in sides)
               for sides, r, d in zip(case.padding, case.w_shape[2:], case.dilation, strict=True)]  # fmt: skip
    spare = [min(extra, max(s, d) - 1) for s, d in zip(case.stride, case.dilation, strict=True)]
    options = case.options | {"padding": padding, "output_padding": spare}
    exact = reference.conv_transpose(x, w, b, **options)
    size = reference.conv_transpose(abs(x), abs(w), abs(b), **options)
    y = ops.conv_transpose(x, w, b, **options)
    assert y.dtype == np.float32
    assert_close_to_reference(y, exact, size, w.size // case.groups + 2)
    dy = np.random.default_rng(case.seed + 1).standard_normal(y.shape).astype(np.float32)
    found, expected = ops.conv_transpose_grad(x, w, dy, **options), reference.conv_transpose_grad(x, w, dy, **options)
    sizes = reference.conv_transpose_grad(abs(x), abs(w), abs(dy), **options)
    for ours, theirs, size in zip(found, expected, sizes, strict=True):
        assert_close_to_reference(ours, theirs, size, dy.size + w[0].size)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(3, 9), (3, 9, 8), (3, 9, 8, 7)])
def test_a_single_map_comes_back_without_n(shape, method):
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in (shape, (4, 3, *(2,) * (len(shape) - 1))))
    y = ops.correlate(x, w, method=method)
    np.testing.assert_array_equal(y, ops.correlate(x[None], w, method=method)[0])
    dx, dw, db = ops.correlate_grad(x, w, y)
    batch = ops.correlate_grad(x[None], w, y[None])
    assert dx.shape == x.shape
    for ours, theirs in zip((dx[None], dw, db), batch, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert ops.conv_transpose(y, w).shape == x.shape


def test_the_choice_says_why():
    small, large = choose_method((1, 1, 28, 28), (8, 1, 5, 5)), choose_method((1, 1, 2000, 2000), (1, 1, 41, 41))
    assert (small.method, large.method) == ("direct", "fft")
    assert f"{8 * 24 * 24 * 25 / 1e6:,.1f} M multiply-adds cost less" in str(small)
    assert "FLOP of Fourier transforms cost less" in str(large)
    huge = choose_method((1, 1, 4096, 4096), (1, 1, 64, 64), dtype=np.float64)
    assert huge.method == "fft"
    assert "GB" in huge.why


def test_auto_does_what_the_choice_says(monkeypatch):
    ran = []
    for name, run in list(convolution._ALGORITHMS.items()):

        def spy(*args, name=name, run=run):
            ran.append(name)
            return run(*args)

        monkeypatch.setitem(convolution._ALGORITHMS, name, spy)
    for size, kernel in ((20, 3), (400, 35)):
        x, w = np.ones((1, 1, size, size), np.float32), np.ones((1, 1, kernel, kernel), np.float32)
        ops.correlate(x, w)
        assert ran[-1] == choose_method(x.shape, w.shape).method
    assert ran == ["direct", "fft"]


def test_what_is_not_finite_stays_where_it_is():
    x, w = np.ones((1, 1, 400, 400), np.float32), np.ones((1, 1, 35, 35), np.float32)
    assert choose_method(x.shape, w.shape).method == "fft"
    x[0, 0, 5, 5] = np.nan
    y = ops.correlate(x, w)
    assert np.isnan(y[0, 0, :6, :6]).all()
    assert np.isfinite(y).sum() == y.size - 36
    with pytest.raises(DataError, match=r"method 'fft': expected finite x and w.*Use method='direct'"):
        ops.correlate(x, w, method="fft")


def test_an_unknown_method():
    with pytest.raises(ParameterError, match=r"method: expected 'auto', 'direct', 'im2col' or 'fft', got 'ftf'"):
        ops.correlate(np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2)), method="ftf")


@pytest.mark.parametrize("threads", [1, 3])
def test_blocks_of_a_transform_cover_everything(threads, monkeypatch):
    """Blocks far smaller than the map, whatever the threads."""
    monkeypatch.setattr(fourier, "block_size", lambda output, extent: (16, 12))
    x, w = (np.random.default_rng(1).standard_normal(s) for s in ((2, 3, 70, 45), (4, 3, 5, 3)))
    window = Window.resolve((70, 45), (5, 3), (3, 2), ((1, 4), (0, 7)))
    y = fourier.correlate(x, w, window, 1, threads)
    exact = reference.correlate(x, w, stride=(3, 2), padding=((1, 4), (0, 7)))
    np.testing.assert_allclose(y, exact, atol=1e-12)
