"""Convolution against its formula by hand, PyTorch, SciPy and ONNX Runtime, and against itself."""

import numpy as np
import pytest
from hypothesis import example, given, settings

from foveal.reference import convolve, correlate, correlate_grad
from tests.reference.geometries import cases
from tests.support.geometries import Case
from tests.support.oracles import assert_adjoint, assert_close_to_reference, assert_gradient, require
from tests.support.runtime import onnx_node, onnx_window

random_cases = settings(derandomize=True, deadline=None, max_examples=60)


def grad_arrays(case: Case):
    """Return x, w, bias, y and a random dy."""
    x, w, b = case.arrays()
    y = correlate(x, w, b, **case.options)
    return x, w, b, y, np.random.default_rng(case.seed + 1).standard_normal(y.shape)


def loops(case: Case):
    """The formula of the docstring, one number at a time."""
    x, w, b = case.arrays()
    (channels, *spatial), (filters, part, *kernel) = x.shape[1:], w.shape
    y = correlate(x, w, b, **case.options)
    result = np.zeros_like(y)
    for i, k, *place in np.ndindex(*y.shape):
        total = b[k]
        for c, *tap in np.ndindex(part, *kernel):
            axes = zip(place, case.stride, tap, case.dilation, case.padding, strict=True)
            read = tuple(p * s + r * d - before for p, s, r, d, (before, _) in axes)
            if all(0 <= at < n for at, n in zip(read, spatial, strict=True)):
                channel = c + k // (filters // case.groups) * (channels // case.groups)
                total += x[i, channel, *read] * w[k, c, *tap]
        result[i, k, *place] = total
    return y, result


@settings(random_cases, max_examples=25)
@given(cases(max_batch=2))
def test_correlate_is_the_formula(case):
    y, expected = loops(case)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


def test_correlate_by_hand():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    sobel = [[[[1, 0, -1], [2, 0, -2], [1, 0, -1]]]]
    np.testing.assert_array_equal(correlate(x, sobel)[0, 0], [[-8, -8], [-8, -8]])
    np.testing.assert_array_equal(convolve(x, sobel)[0, 0], [[8, 8], [8, 8]])
    # With padding 1 and stride 3 the corner (0, 0) reads [[0,0,0],[0,0,1],[0,4,5]]: -2*1 - 1*5 = -7.
    assert correlate(x, sobel, [100.0], stride=3, padding=1)[0, 0, 0, 0] == 93


@random_cases
@given(cases(symmetric=True))
def test_values_and_gradients_agree_with_pytorch(case):
    torch = require("torch")
    x, w, b, y, dy = grad_arrays(case)
    tx, tw, tb = (torch.tensor(a, requires_grad=True) for a in (x, w, b))
    padding = [before for before, _ in case.padding]
    convolution = getattr(torch.nn.functional, f"conv{len(padding)}d")
    ty = convolution(tx, tw, tb, case.stride, padding, case.dilation, case.groups)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(correlate_grad(x, w, dy, **case.options), (tx, tw, tb), strict=True):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-11, atol=1e-11)


@settings(random_cases, max_examples=20)
@given(cases())
def test_values_agree_with_onnxruntime(case):
    x, w, b = case.arrays(np.float32)
    y = onnx_node("Conv", {"x": x, "w": w, "b": b}, group=case.groups, **onnx_window(case))
    magnitude = correlate(abs(x), abs(w), abs(b), **case.options)
    n = w[0].size + 1
    assert_close_to_reference(y, correlate(x, w, b, **case.options), magnitude, n)


def mode_padding(mode, kernel):
    """What the docstring of `correlate` says about SciPy's modes."""
    full = [(r - 1, r - 1) for r in kernel]
    return {"valid": 0, "full": full, "same": [(r // 2, (r - 1) // 2) for r in kernel]}[mode]


@pytest.mark.parametrize("mode", ["valid", "full", "same"])
@pytest.mark.parametrize("kernel", [(3,), (4,), (3, 3), (2, 4), (1, 5), (2, 3, 4), (3, 1, 2)])
def test_values_agree_with_the_calls_of_scipy_and_numpy_that_the_docstrings_name(kernel, mode):
    signal = require("scipy.signal")
    rng = np.random.default_rng(3)
    spatial = [int(n) for n in rng.integers(5, 9, len(kernel))]
    x, w = rng.standard_normal((2, 3, *spatial)), rng.standard_normal((4, 3, *kernel))
    padding, close = mode_padding(mode, kernel), {"rtol": 1e-12, "atol": 1e-12}
    correlated, convolved = correlate(x, w, padding=padding), convolve(x, w, padding=padding)
    for n, k in np.ndindex(2, 4):
        channels = [signal.correlate(x[n, c], w[k, c], mode) for c in range(3)]
        np.testing.assert_allclose(correlated[n, k], sum(channels), **close)
        if mode == "valid":
            np.testing.assert_allclose(correlated[n, k], signal.correlate(x[n], w[k], mode="valid")[0], **close)
        channels = [signal.convolve(x[n, c], w[k, c], mode) for c in range(3)]
        np.testing.assert_allclose(convolved[n, k], sum(channels), **close)
    grey, filters = x[:1, :1], w[:1, :1]
    theirs = {1: (np.correlate, np.convolve), 2: (signal.correlate2d, signal.convolve2d)}.get(len(kernel), ())
    for ours, other in zip((correlate, convolve), theirs, strict=False):
        own = "same" if mode == "same" and other is signal.correlate2d else padding
        y = ours(grey, filters, padding=own)[0, 0]
        np.testing.assert_allclose(y, other(grey[0, 0], filters[0, 0], mode), **close)


@random_cases
@given(cases())
def test_a_single_map_comes_back_without_n(case):
    x, w, b = case.arrays()
    for function in (correlate, convolve):
        y = function(x[:1], w, b, **case.options)
        np.testing.assert_array_equal(function(x[0], w, b, **case.options), y[0])
    dy = np.random.default_rng(case.seed).standard_normal(y.shape)
    dx, dw, db = correlate_grad(x[:1], w, dy, **case.options)
    for ours, batch in zip(correlate_grad(x[0], w, dy[0], **case.options), (dx[0], dw, db), strict=True):
        np.testing.assert_array_equal(ours, batch)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_convolution_is_commutative_and_correlation_is_not(axes):
    """f*g = g*f, in full: each is the signal once and the kernel once."""
    rng = np.random.default_rng(axes)
    f, g = rng.standard_normal([5] * axes), rng.standard_normal([3] * axes)

    def full(operation, x, w):
        return operation(x[None], w[None, None], padding=[(n - 1, n - 1) for n in w.shape])[0]

    np.testing.assert_allclose(full(convolve, f, g), full(convolve, g, f), rtol=1e-12, atol=1e-13)
    assert not np.allclose(full(correlate, f, g), full(correlate, g, f))
    flipped = np.flip(full(correlate, g, f))  # what is true of it: the other one, backwards
    np.testing.assert_allclose(full(correlate, f, g), flipped, rtol=1e-12, atol=1e-13)


def test_the_derivative_of_a_convolution_is_the_convolution_with_a_derivative():
    """[f*g]' = f'*g = f*g' for differences of signals that are 0 outside: the difference is a convolution as well."""
    rng = np.random.default_rng(0)
    f, g = rng.standard_normal(9), rng.standard_normal(4)

    def full(x, w):
        return convolve(x[None], w[None, None], padding=((len(w) - 1, len(w) - 1),))[0]

    def difference(x):
        return np.diff(x, prepend=0, append=0)

    np.testing.assert_allclose(difference(full(f, g)), full(f, difference(g)), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(difference(full(f, g)), full(difference(f), g), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(difference(f), full(f, np.array([1.0, -1.0])), rtol=1e-15)


@random_cases
@given(cases())
def test_gradients_are_adjoints(case):
    x, w, _, _, dy = grad_arrays(case)
    dx, dw, db = correlate_grad(x, w, dy, **case.options)
    assert_adjoint(lambda v: correlate(v, w, **case.options), lambda _: dx, x, dy)
    assert_adjoint(lambda v: correlate(x, v, **case.options), lambda _: dw, w, dy)
    np.testing.assert_allclose(db, dy.sum(axis=(0, *range(2, dy.ndim))), rtol=1e-12, atol=1e-13)


@settings(random_cases, max_examples=20)
@given(cases())
@example(Case((1, 2, 6, 6), (1, 2, 3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, seed=661))  # dy nearly cancels in db
def test_gradients_agree_with_differences(case):
    x, w, b, _, dy = grad_arrays(case)
    grads = correlate_grad(x, w, dy, **case.options)
    # A value of y is C*R*S products (one rounding each) and a bias, added up (C*R*S more), of arguments rounded once.
    assert_gradient(
        lambda *a: correlate(*a, **case.options), (x, w, b), grads, dy, seed=case.seed,
        magnitude=lambda *a: correlate(*map(abs, a), **case.options), n=w[0].size + 2,
    )  # fmt: skip


@random_cases
@given(cases())
def test_convolve_is_correlate_with_a_flipped_filter(case):
    x, w, b = case.arrays()
    flipped = np.flip(w, axis=range(2, w.ndim))
    np.testing.assert_array_equal(convolve(x, flipped, b, **case.options), correlate(x, w, b, **case.options))


@random_cases
@given(cases())
def test_padding_is_explicit_zeros(case):
    x, w, b = case.arrays()
    options = case.options | {"padding": 0}
    padded = np.pad(x, ((0, 0), (0, 0), *case.padding))
    np.testing.assert_array_equal(correlate(x, w, b, **case.options), correlate(padded, w, b, **options))


@random_cases
@given(cases())
def test_groups_are_split_filters(case):
    x, w, _ = case.arrays()
    parts = zip(np.split(x, case.groups, axis=1), np.split(w, case.groups), strict=True)
    options = case.options | {"groups": 1}
    split = np.concatenate([correlate(*part, **options) for part in parts], axis=1)
    np.testing.assert_allclose(correlate(x, w, **case.options), split, rtol=1e-12, atol=1e-13)


@random_cases
@given(cases())
def test_a_batch_is_one_by_one(case):
    x, w, b = case.arrays()
    single = np.concatenate([correlate(image[None], w, b, **case.options) for image in x])
    np.testing.assert_allclose(correlate(x, w, b, **case.options), single, rtol=1e-12, atol=1e-13)


def test_1x1_is_a_matrix_product():
    rng = np.random.default_rng(5)
    x, w = rng.standard_normal((2, 6, 4, 5)), rng.standard_normal((3, 6, 1, 1))
    np.testing.assert_allclose(correlate(x, w), np.einsum("kc,nchw->nkhw", w[:, :, 0, 0], x), rtol=1e-12)


def test_dilation_is_a_filter_with_zeros_between():
    rng = np.random.default_rng(6)
    x, w = rng.standard_normal((1, 2, 9, 9)), rng.standard_normal((3, 2, 3, 2))
    spread = np.zeros((3, 2, 5, 4))
    spread[:, :, ::2, ::3] = w
    np.testing.assert_allclose(correlate(x, w, dilation=(2, 3)), correlate(x, spread), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.longdouble, ">f4", ">i2", np.uint8, np.int64, bool])
def test_every_real_dtype_is_computed_in_float64(dtype):
    x = np.arange(18).reshape(1, 2, 3, 3).astype(dtype)
    y = correlate(x, np.ones((1, 2, 2, 2), np.float32))
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y, correlate(x.astype(np.float64), np.ones((1, 2, 2, 2))))


def test_ceil_hangs_over_the_end_with_zeros():
    x = np.ones((1, 1, 4, 4))
    y = correlate(x, np.ones((1, 1, 3, 3)), stride=2, rounding="ceil")[0, 0]
    np.testing.assert_array_equal(y, [[9, 6], [6, 4]])


def test_an_empty_batch_stays_empty():
    x, w = np.zeros((0, 2, 4, 4)), np.ones((3, 2, 3, 3))
    y = correlate(x, w)
    assert y.shape == (0, 3, 2, 2)
    dx, dw, db = correlate_grad(x, w, y)
    assert dx.shape == x.shape
    assert not dw.any()
    assert not db.any()


def test_arguments_are_not_changed_and_strided_views_are_read_right():
    rng = np.random.default_rng(8)
    big = rng.standard_normal((2, 8, 8, 3))
    view, w = big.transpose(0, 3, 1, 2)[:, :, ::-1, ::2], rng.standard_normal((2, 3, 3, 3))
    before = big.copy()
    np.testing.assert_allclose(correlate(view, w), correlate(np.ascontiguousarray(view), w), rtol=1e-14)
    np.testing.assert_array_equal(big, before)
