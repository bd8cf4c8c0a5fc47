"""Sparse convolution, radial basis functions and padded channels: by hand, and their refusals."""

import numpy as np
import pytest

from foveal import reference
from foveal.errors import DTypeError, FovealError, GeometryError, ParameterError, ShapeError
from foveal.layers import Convolution, PadChannels, RadialBasis, SparseConvolution
from foveal.layers.digit_codes import DIGITS
from foveal.models.lenet import C3_TABLE

rng = np.random.default_rng(0)


def test_table_one():
    """LeNet's C3: 60 links, every map read ten times, no two filters alike."""
    assert [len(row) for row in C3_TABLE] == [3] * 6 + [4] * 9 + [6]
    assert np.bincount(np.concatenate(C3_TABLE)).tolist() == [10] * 6
    assert len(set(C3_TABLE)) == 16
    assert C3_TABLE[4:6] + C3_TABLE[9:13] == (
        (0, 4, 5), (0, 1, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5), (0, 1, 3, 4)
    )  # fmt: skip


def test_a_sum_over_links_by_hand():
    layer = SparseConvolution([(2, 0), (1,)], 2)
    x = rng.standard_normal((1, 3, 3, 3))
    layer.initialise((3, 3, 3), np.random.default_rng(1))
    layer.bias = [0.5, -1.0]
    w = layer.weight.astype(np.float64)
    layer.training = False
    y = np.empty((1, 2, 2, 2))
    for p, q in np.ndindex(2, 2):
        window = x[0, :, p : p + 2, q : q + 2]
        y[0, :, p, q] = (window[2] * w[0]).sum() + (window[0] * w[1]).sum() + 0.5, (window[1] * w[2]).sum() - 1.0
    np.testing.assert_allclose(layer.run(reference, x, layer.parameters)[0], y, rtol=1e-12)


def test_groups_are_a_table():
    """A convolution in two groups is the sparse one whose filters read one half each."""
    grouped, sparse = Convolution(4, 3, 2, 1, groups=2), SparseConvolution([(0, 1), (0, 1), (2, 3), (2, 3)], 3, 2, 1)
    x = rng.standard_normal((2, 4, 7, 6))
    w, bias = rng.standard_normal((4, 2, 3, 3)), rng.standard_normal(4)
    y, backward = grouped.run(reference, x, {"weight": w, "bias": bias})
    z, sparse_backward = sparse.run(reference, x, {"weight": w.reshape(8, 3, 3), "bias": bias})
    np.testing.assert_allclose(z, y, rtol=1e-12, atol=1e-13)
    dy = rng.standard_normal(y.shape)
    (dx, gradients), (dz, others) = backward(dy), sparse_backward(dy)
    np.testing.assert_allclose(dz, dx, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(others["weight"].reshape(w.shape), gradients["weight"], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(others["bias"], gradients["bias"], rtol=1e-12)


def test_initial_weights_know_how_many_channels_their_filter_reads():
    layer = SparseConvolution([(0,)] * 50 + [tuple(range(50))], 5)
    layer.initialise((50, 5, 5), np.random.default_rng(2))
    narrow, wide = layer.weight[:50], layer.weight[50:]
    spread = 5 / np.sqrt(2 * narrow.size)  # five standard errors of a standard deviation
    assert narrow.std() == pytest.approx(np.sqrt(2 / 25), rel=spread)
    assert wide.std() == pytest.approx(np.sqrt(2 / 1250), rel=spread)


def test_the_nearest_code_wins():
    layer = RadialBasis("digits")
    assert DIGITS.shape == (10, 84)
    assert set(np.unique(DIGITS)) == {-1, 1}
    distances = ((DIGITS[:, None] - DIGITS) ** 2).sum(2)
    assert np.sort(distances + 1000 * np.eye(10))[:, 0].min() >= 4 * 6, "codes that differ in too few pixels"
    y = layer.forward(DIGITS + rng.uniform(-0.5, 0.5, DIGITS.shape))
    assert y.argmax(1).tolist() == list(range(10))
    np.testing.assert_array_equal(layer.forward(DIGITS), -distances)


def test_the_criterion_of_the_paper():
    """Softmax with cross-entropy of the scores is eq. 9 without j: D(right) + log sum exp(-D)."""
    x, t = rng.standard_normal((4, 3)), np.array([0, 1, 1, 0])
    codes = rng.standard_normal((2, 3))
    d = ((x[:, None] - codes) ** 2).sum(2)
    expected = np.mean(d[range(4), t] + np.log(np.exp(-d).sum(1)))
    assert float(reference.cross_entropy(RadialBasis(codes).forward(x), t)) == pytest.approx(expected, rel=1e-12)


def test_new_channels_are_zero():
    x = rng.standard_normal((2, 3, 4, 4))
    layer = PadChannels(5)
    y = layer.forward(x)
    np.testing.assert_array_equal(y[:, :3], x)
    assert not y[:, 3:].any()
    dy = rng.standard_normal(y.shape)
    np.testing.assert_array_equal(layer.backward(dy), dy[:, :3])
    np.testing.assert_array_equal(PadChannels(3).forward(x), x)


WRONG = [
    (
        lambda: SparseConvolution([], 3),
        GeometryError,
        r"^SparseConvolution: table: expected at least one filter, got none",
    ),
    (lambda: SparseConvolution([(0,), ()], 3), GeometryError, r"^SparseConvolution: table\[1\]: .* got \(\)"),
    (lambda: SparseConvolution([(0, 1, 0)], 3), GeometryError, r"table\[0\]: expected channels, each once"),
    (lambda: SparseConvolution([(0, -1)], 3), GeometryError, r"table\[0\]: .* at least 0, got -1"),
    (lambda: SparseConvolution([(0.5,)], 3), DTypeError, r"table\[0\]: .* got 0\.5"),
    (lambda: SparseConvolution(6, 3), DTypeError, r"^SparseConvolution: table: .* got 6\. \[\(0, 1\), \(1, 2\)\] has"),
    (lambda: SparseConvolution([(0,)], 0), GeometryError, r"^SparseConvolution: kernel"),
    (
        lambda: SparseConvolution([(0, 3)], 3).output_shape((3, 5, 5)),
        GeometryError,
        r"^SparseConvolution \(1 filters 3x3, 2 links\): expected at least 4 channels, got 3",
    ),
    (lambda: SparseConvolution([(0,)], 6).output_shape((1, 5, 5)), GeometryError, r"kernel: .* at most 5"),
    (lambda: RadialBasis("letters"), ParameterError, r"^RadialBasis, codes: .* got 'letters'.*Known: digits"),
    (
        lambda: RadialBasis([1, -1]),
        DTypeError,
        r"^RadialBasis, codes: expected a name or a matrix \(classes, features\)",
    ),
    (lambda: RadialBasis([[1, -1], [1]]), DTypeError, "matrix"),
    (lambda: RadialBasis([[]]), DTypeError, "matrix"),
    (lambda: RadialBasis([[1, np.nan]]), ParameterError, "finite numbers, got NaN"),
    (
        lambda: RadialBasis().output_shape((120,)),
        ShapeError,
        r"shape \(84,\), got \(120,\)\. Put Affine\(84\) before it",
    ),
    (lambda: PadChannels(0), GeometryError, r"^PadChannels: channels: expected a positive integer, got 0"),
    (
        lambda: PadChannels(4).output_shape((5, 2, 2)),
        GeometryError,
        r"^PadChannels \(to 4\): .* got 5.*Convolution\(4, 1\)",
    ),
]


@pytest.mark.parametrize(("make", "kind", "message"), WRONG)
def test_refusals(make, kind, message):
    with pytest.raises(FovealError, match=message) as error:
        make()
    assert type(error.value) is kind
