"""Transposed convolution against PyTorch, ONNX Runtime, SciPy, and the convolution whose adjoint it is."""

import numpy as np
import pytest
from hypothesis import given, settings

from foveal.geometry import transposed_size
from foveal.reference import conv_transpose, conv_transpose_grad, convolve, correlate, correlate_grad
from tests.reference.geometries import output_padding, transposed_cases
from tests.support.oracles import assert_adjoint, assert_close_to_reference, assert_gradient, require
from tests.support.runtime import onnx_node, onnx_window

random_cases = settings(derandomize=True, deadline=None, max_examples=60)


def arrays(case):
    """Return x, w, a bias for each channel of y, and all options."""
    x, w, _ = case.arrays()
    b = np.random.default_rng(case.seed + 2).standard_normal(w.shape[1] * case.groups)
    return x, w, b, case.options | {"output_padding": output_padding(case)}


def test_by_hand():
    x, w = [[[1.0, 10.0]]], [[[1.0, 2.0, 3.0]]]
    np.testing.assert_array_equal(conv_transpose(x, w), [[[1, 12, 23, 30]]])
    np.testing.assert_array_equal(conv_transpose(x, w, [0.5], stride=2), [[[1.5, 2.5, 13.5, 20.5, 30.5]]])
    np.testing.assert_array_equal(conv_transpose(x, w, stride=2, padding=((1, 2),)), [[[2, 13]]])
    np.testing.assert_array_equal(conv_transpose(x, w, stride=2, output_padding=1), [[[1, 2, 13, 20, 30, 0]]])
    np.testing.assert_array_equal(conv_transpose(x, w, dilation=2), [[[1, 10, 2, 20, 3, 30]]])
    np.testing.assert_array_equal(conv_transpose(x, w, stride=2, padding="same"), [[[1, 2, 13, 20]]])


@random_cases
@given(transposed_cases(symmetric=True))
def test_values_and_gradients_agree_with_pytorch(case):
    torch = require("torch")
    x, w, b, options = arrays(case)
    tx, tw, tb = (torch.tensor(a, requires_grad=True) for a in (x, w, b))
    theirs = options | {"padding": [before for before, _ in case.padding]}
    ty = getattr(torch.nn.functional, f"conv_transpose{x.ndim - 2}d")(tx, tw, tb, **theirs)
    y = conv_transpose(x, w, b, **options)
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-12, atol=1e-12)
    dy = np.random.default_rng(case.seed + 1).standard_normal(y.shape)
    ty.backward(torch.tensor(dy))
    for ours, t in zip(conv_transpose_grad(x, w, dy, **options), (tx, tw, tb), strict=True):
        np.testing.assert_allclose(ours, t.grad.numpy(), rtol=1e-11, atol=1e-11)


@settings(random_cases, max_examples=20)
@given(transposed_cases())
def test_values_agree_with_onnxruntime(case):
    x, w, b, options = arrays(case)
    x, w, b = (a.astype(np.float32) for a in (x, w, b))
    extra = [n if n < s else 0 for n, s in zip(options["output_padding"], case.stride, strict=True)]  # it allows these
    options["output_padding"] = extra
    attributes = onnx_window(case) | {"output_padding": extra}
    y = onnx_node("ConvTranspose", {"x": x, "w": w, "b": b}, group=case.groups, **attributes)
    magnitude = conv_transpose(abs(x), abs(w), abs(b), **options)
    n = w[:, 0].size // case.groups + 1
    assert_close_to_reference(y, conv_transpose(x, w, b, **options), magnitude, n)


@random_cases
@given(transposed_cases())
def test_it_is_the_adjoint_of_correlate(case):
    x, w, _, _ = arrays(case)
    y = conv_transpose(x, w, **case.options)
    dy = np.random.default_rng(case.seed).standard_normal(y.shape)
    assert_adjoint(lambda v: correlate(v, w, **case.options), lambda v: conv_transpose(v, w, **case.options), dy, x)
    np.testing.assert_allclose(correlate_grad(dy, w, x, **case.options)[0], y, rtol=1e-12, atol=1e-12)
    sizes = zip(x.shape[2:], w.shape[2:], case.stride, case.padding, case.dilation, strict=True)
    assert y.shape[2:] == tuple(transposed_size(n, r, s, p, 0, d) for n, r, s, p, d in sizes)


@random_cases
@given(transposed_cases())
def test_gradients_are_adjoints_and_agree_with_differences(case):
    x, w, b, options = arrays(case)
    y = conv_transpose(x, w, b, **options)
    dy = np.random.default_rng(case.seed + 1).standard_normal(y.shape)
    dx, dw, db = conv_transpose_grad(x, w, dy, **options)
    assert_adjoint(lambda v: conv_transpose(v, w, **options), lambda _: dx, x, dy)
    assert_adjoint(lambda v: conv_transpose(x, v, **options), lambda _: dw, w, dy)
    if dy.size > 1:
        assert_gradient(
            lambda *a: conv_transpose(*a, **options), (x, w, b), (dx, dw, db), dy, seed=case.seed,
            magnitude=lambda *a: conv_transpose(*map(abs, a), **options), n=w[:, 0].size + 2,
        )  # fmt: skip


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_alone_it_is_the_full_convolution_of_scipy(axes):
    signal = require("scipy.signal")
    rng = np.random.default_rng(axes)
    x, w = rng.standard_normal((1, 1, *[5] * axes)), rng.standard_normal((1, 1, *[3] * axes))
    y = conv_transpose(x, w)
    np.testing.assert_allclose(y[0, 0], signal.convolve(x[0, 0], w[0, 0], mode="full"), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(y, convolve(x, w, padding=2), rtol=1e-12, atol=1e-12)


@settings(random_cases, max_examples=20)
@given(transposed_cases())
def test_same_multiplies_the_size_by_the_stride(case):
    x, w, _ = case.arrays()
    options = case.options | {"padding": "same"}
    y = conv_transpose(x, w, **options)
    assert y.shape[2:] == tuple(n * s for n, s in zip(x.shape[2:], case.stride, strict=True))
    dy = np.random.default_rng(case.seed).standard_normal(y.shape)
    assert_adjoint(lambda v: correlate(v, w, **options), lambda v: conv_transpose(v, w, **options), dy, x)


@random_cases
@given(transposed_cases())
def test_a_single_map_comes_back_without_n(case):
    x, w, b, options = arrays(case)
    y = conv_transpose(x[:1], w, b, **options)
    np.testing.assert_array_equal(conv_transpose(x[0], w, b, **options), y[0])
    dx, dw, db = conv_transpose_grad(x[:1], w, y, **options)
    for ours, batch in zip(conv_transpose_grad(x[0], w, y[0], **options), (dx[0], dw, db), strict=True):
        np.testing.assert_array_equal(ours, batch)


def test_an_empty_batch_stays_empty():
    x, w = np.zeros((0, 2, 4, 4)), np.ones((2, 3, 3, 3))
    y = conv_transpose(x, w)
    assert y.shape == (0, 3, 6, 6)
    dx, dw, db = conv_transpose_grad(x, w, y)
    assert dx.shape == x.shape
    assert not dw.any()
    assert not db.any()
