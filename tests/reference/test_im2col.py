"""im2col against PyTorch's unfold, and against what it is for."""

import numpy as np
import pytest
from hypothesis import assume, given, settings

from foveal.geometry import im2col_blowup
from foveal.reference import col2im, correlate, im2col
from tests.reference.geometries import cases
from tests.support.oracles import assert_adjoint, require

random_cases = settings(derandomize=True, deadline=None, max_examples=60)


def window_of(case):
    return case.w_shape[2:], {name: case.options[name] for name in ("stride", "padding", "dilation")}


@random_cases
@given(cases(symmetric=True))
def test_agrees_with_pytorch_unfold_and_fold(case):
    assume(len(case.x_shape) == 4)  # PyTorch unfolds images only
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


@pytest.mark.parametrize(("axes", "kernel"), [(1, (5,)), (2, (3, 2)), (3, (2, 3, 2))])
def test_a_matrix_product_is_the_convolution_on_any_number_of_axes(axes, kernel):
    rng = np.random.default_rng(axes)
    x, w = rng.standard_normal((2, 3, *[8, 7, 6][:axes])), rng.standard_normal((4, 3, *kernel))
    y = correlate(x, w, stride=2, padding=1)
    rows = im2col(x, kernel, stride=2, padding=1) @ w.reshape(4, -1).T
    np.testing.assert_allclose(np.moveaxis(rows.reshape(2, *y.shape[2:], 4), -1, 1), y, rtol=1e-12, atol=1e-13)


def test_every_row_is_a_window_and_every_column_a_tap():
    x = np.random.default_rng(2).standard_normal((2, 3, 5, 4, 6))
    cols = im2col(x, (2, 3, 2), stride=(1, 1, 2), dilation=(2, 1, 3))
    rows, columns = np.ndindex(2, 3, 2, 2), list(np.ndindex(3, 2, 3, 2))
    for row, (n, o, p, q) in zip(cols, rows, strict=True):
        np.testing.assert_array_equal(row, [x[n, c, o + 2 * t, p + r, 2 * q + 3 * s] for c, t, r, s in columns])


@random_cases
@given(cases())
def test_a_single_map_is_a_batch_of_one(case):
    (x, _, _), (kernel, options) = case.arrays(), window_of(case)
    cols = im2col(x[:1], kernel, **options)
    np.testing.assert_array_equal(im2col(x[0], kernel, **options), cols)
    back = col2im(cols, x[0].shape, kernel, **options)
    np.testing.assert_array_equal(back, col2im(cols, x[:1].shape, kernel, **options)[0])


@random_cases
@given(cases())
def test_the_blow_up_is_what_the_matrix_needs(case):
    (x, _, _), (kernel, options) = case.arrays(np.float32), window_of(case)
    cols, size = im2col(x, kernel, **options).astype(np.float32), im2col_blowup(x.shape, kernel, **options)
    assert (size.rows, size.columns) == cols.shape
    assert (size.nbytes, size.x_nbytes) == (cols.nbytes, x.nbytes)
    assert size.factor == pytest.approx(cols.nbytes / x.nbytes, rel=1e-15)


def test_the_blow_up_in_words():
    words = "im2col: 10 rows x 1 columns = 40 bytes, 1 times the 40 bytes of x (float32)"
    assert str(im2col_blowup((1, 1, 10), 1)) == str(im2col_blowup((1, 10), (1,))) == words
    first = im2col_blowup((1, 3, 224, 224), 11, stride=4, padding=2)
    assert str(first) == "im2col: 3,025 rows x 363 columns = 4.4 MB, 7.29 times the 602.1 kB of x (float32)"
    assert im2col_blowup((0, 3, 224, 224), 11, stride=4, padding=2).factor == first.factor


def test_shapes_of_the_notes():
    assert im2col(np.zeros((1, 3, 7, 7)), 5).shape == (9, 75)
    assert im2col(np.zeros((10, 3, 7, 7)), 5).shape == (90, 75)
