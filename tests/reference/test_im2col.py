"""im2col against PyTorch's unfold, and against what it is for."""

import numpy as np
from hypothesis import given, settings

from foveal.reference import col2im, correlate, im2col
from tests.support.geometries import cases
from tests.support.oracles import assert_adjoint, require

random_cases = settings(derandomize=True, deadline=None, max_examples=60)


def window_of(case):
    return case.w_shape[2:], {name: case.options[name] for name in ("stride", "padding", "dilation")}


@random_cases
@given(cases(symmetric=True))
def test_agrees_with_pytorch_unfold_and_fold(case):
    functional = require("torch").nn.functional
    torch = require("torch")
    (x, _, _), (kernel, options) = case.arrays(), window_of(case)
    padding = [before for before, _ in case.padding]
    theirs = functional.unfold(torch.tensor(x), kernel, case.dilation, padding, case.stride).numpy()
    cols = im2col(x, kernel, **options)
    np.testing.assert_array_equal(cols, theirs.transpose(0, 2, 1).reshape(cols.shape))
    folded = functional.fold(torch.tensor(theirs), x.shape[2:], kernel, case.dilation, padding, case.stride)
    np.testing.assert_allclose(col2im(cols, x.shape, kernel, **options), folded.numpy(), rtol=1e-12, atol=1e-13)


@random_cases
@given(cases())
def test_col2im_is_the_adjoint_of_im2col(case):
    (x, _, _), (kernel, options) = case.arrays(), window_of(case)
    cols = np.random.default_rng(case.seed).standard_normal(im2col(x, kernel, **options).shape)
    assert_adjoint(lambda v: im2col(v, kernel, **options), lambda c: col2im(c, x.shape, kernel, **options), x, cols)


@random_cases
@given(cases())
def test_there_and_back_counts_how_often_each_position_is_read(case):
    (x, _, _), (kernel, options) = case.arrays(), window_of(case)
    reads = col2im(np.ones(im2col(x, kernel, **options).shape), x.shape, kernel, **options)
    back = col2im(im2col(x, kernel, **options), x.shape, kernel, **options)
    np.testing.assert_allclose(back, reads * x, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(reads, np.broadcast_to(reads[:1, :1], x.shape))
    np.testing.assert_array_equal(reads, np.round(reads))


def test_a_matrix_product_with_im2col_is_the_convolution_of_the_notes():
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((2, 3, 7, 7)), rng.standard_normal((4, 3, 5, 5))
    rows = im2col(x, 5, stride=2, padding=1) @ w.reshape(4, -1).T
    y = rows.reshape(2, 3, 3, 4).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(y, correlate(x, w, stride=2, padding=1), rtol=1e-12)


def test_shapes_of_the_notes():
    assert im2col(np.zeros((1, 3, 7, 7)), 5).shape == (9, 75)
    assert im2col(np.zeros((10, 3, 7, 7)), 5).shape == (90, 75)
