"""Every refusal of geometry and of the operations on it: the call, the class, and what the message must say."""

import numpy as np
import pytest

from foveal import reference as ref
from foveal.errors import DataError, DTypeError, FovealError, GeometryError, ParameterError, ShapeError
from foveal.geometry import Window, check_rounding, check_window, output_size, pads, per_axis


def zeros(*shape):
    return np.zeros(shape)


X, W = zeros(2, 3, 8, 8), zeros(4, 3, 3, 3)
INDICES = np.zeros((1, 1, 2, 2), np.int64)

GEOMETRY = [
    (
        lambda: output_size(28, 3, stride=2),
        GeometryError,
        r"^output_size: .* divisible by the stride, got \(28 \+ 0 \+ 0 - 1\*\(3 - 1\) - 1\) / 2 = 25 / 2: 1 of axis 0 "
        r"left over\. Use size 27 or 29, or padding \(0, 1\), or rounding='floor' \(13\) or 'ceil' \(14\)\.$",
    ),
    (
        lambda: output_size(2, 1, stride=3),
        GeometryError,
        r"1 of axis 0 left over\. Use size 1 or 4, or padding \(0, 2\)",
    ),
    (
        lambda: output_size(4, 5),
        GeometryError,
        r"^kernel: expected a window that spans at most 4 positions, got 5: axis 0 has 4 positions, with padding 0 "
        r"\+ 0 that is 4\. Use kernel=4 or less, or add 1 more to the padding or the map\.$",
    ),
    (
        lambda: output_size(4, 3, dilation=3, padding=(1, 0)),
        GeometryError,
        r"got 3 \(spanning 7\): .* dilation 3 spreads 3 taps over 7\. Use kernel=2 or less, or add 2 more",
    ),
    (
        lambda: output_size(28, 3, stride=0),
        GeometryError,
        r"^stride: expected a positive integer, got 0\. Use stride=1",
    ),
    (lambda: output_size(28, 0), GeometryError, r"^kernel: expected a positive integer, got 0\. Use kernel=1"),
    (lambda: output_size(0, 1), GeometryError, r"^size: expected a positive integer, got 0\.$"),
    (lambda: output_size(28, 3, dilation=-1), GeometryError, r"^dilation: .* got -1\. Use dilation=1"),
    (
        lambda: output_size(28, 3, padding=-1),
        GeometryError,
        r"^padding: expected an integer of at least 0, got -1\. Use",
    ),
    (lambda: output_size(28, 3, True), DTypeError, r"^stride: .* got True: it is a bool"),
    (lambda: output_size(28, 3.0), DTypeError, r"^kernel: .* got 3\.0: it is a float"),
    (lambda: output_size(28, "3"), DTypeError, r"^kernel: .* got '3': it is a str"),
    (lambda: output_size(28, None), DTypeError, r"^kernel: .* got None: it is a NoneType"),
    (lambda: output_size(28, np.True_), DTypeError, r"^kernel: .* it is a bool"),
    (lambda: output_size(28, 3, rounding="celi"), ParameterError, r"^rounding: .*'celi'\. Did you mean 'ceil'\? Known"),
    (lambda: check_rounding(None), ParameterError, r"^rounding: .* got None"),
    (
        lambda: output_size(28, 3, padding="sane"),
        ParameterError,
        r"^padding: .*'sane'\. Did you mean 'same'\? Known: same",
    ),
    (
        lambda: per_axis((1, 2, 3), 2, "kernel"),
        GeometryError,
        r"^kernel: .* each of the 2 axes, got \(1, 2, 3\): it has 3",
    ),
    (lambda: per_axis((1, 0), 2, "stride"), GeometryError, r"^stride\[1\]: .* got 0\. Use stride=1"),
    (lambda: per_axis((1, 2), 1, "stride"), GeometryError, r"^stride: expected one integer, got \(1, 2\)"),
    (lambda: pads((1, 2, 3), (8, 8), (3, 3), (1, 1), (1, 1)), GeometryError, r"^padding: .* it has 3 entries"),
    (
        lambda: pads(((1, 2), (1,)), (8, 8), (3, 3), (1, 1), (1, 1)),
        GeometryError,
        r"^padding\[1\]: .*\(before, after\)",
    ),
    (
        lambda: pads((0, "same"), (8, 8), (3, 3), (1, 1), (1, 1)),
        DTypeError,
        r"^padding\[1\]: .* got 'same': it is a str",
    ),
    (lambda: pads(((0, -1), 0), (8, 8), (3, 3), (1, 1), (1, 1)), GeometryError, r"^padding\[0\]: .* got -1"),
    (lambda: check_window(3, padding=1.5), DTypeError, r"^padding: .* got 1\.5: it is a float"),
    (lambda: check_window((3, 3), (1, 1, 1)), GeometryError, r"^stride: .* 2 axes, got \(1, 1, 1\)"),
    (
        lambda: Window.resolve((4, 4), 2, padding=2).check_sighted((4, 4)),
        GeometryError,
        r"^padding: expected every window to see the map, got \(2, 2\) on axis 0, where window 0 sees padding only: .*"
        r"Use a padding smaller than the kernel, 2\.$",
    ),
]

OPERATIONS = [
    (lambda: ref.correlate(zeros(2, 3, 8, 8, 8), W), ShapeError, r"got .*8, 8, 8\): it has 5 axes and the kernel 2"),
    (lambda: ref.correlate(zeros(8, 8), W), ShapeError, r"it has 2 axes and .* One grey image .* x\[None, None\]"),
    (lambda: ref.correlate([[1], [1, 2]], W), ShapeError, r"^correlate: .* rows of different lengths"),
    (lambda: ref.correlate(X * 1j, W), DTypeError, r"^correlate: expected x of real numbers, got dtype complex128"),
    (lambda: ref.correlate(X.astype(str), W), DTypeError, r"got dtype <U"),
    (
        lambda: ref.correlate(X, zeros(4, 3)),
        ShapeError,
        r"^correlate: expected w of shape \(K, C/groups, R\), \(K, C/groups, R, S\) or \(K, C/groups, T, R, S\), got",
    ),
    (
        lambda: ref.correlate(X, zeros(4, 1, 3, 3)),
        ShapeError,
        r"^correlate: expected w of shape \(K, 3, R, S\), got \(4, 1, 3, 3\): x has 3 channels in 1 groups and each "
        r"filter reads 1\. Give x 1 channels, or filters of 3\.$",
    ),
    (lambda: ref.correlate(X, W, zeros(3)), ShapeError, r"expected bias of shape \(4,\), got \(3,\)"),
    (
        lambda: ref.correlate(zeros(1, 6, 8, 8), W, groups=4),
        GeometryError,
        r"divide 6 channels .* got 4\. Possible: 1, 2\.",
    ),
    (lambda: ref.correlate(X, W, groups=0), GeometryError, r"^groups: expected a positive integer, got 0"),
    (lambda: ref.correlate(X, zeros(4, 3, 9, 9)), GeometryError, r"^kernel: expected a window that spans at most 8"),
    (lambda: ref.correlate(X, W, stride=2, rounding="error"), GeometryError, r"divisible by the stride"),
    (lambda: ref.correlate(X, W, rounding="up"), ParameterError, r"^rounding: .* got 'up'"),
    (lambda: ref.convolve(X, zeros(4, 1, 3, 3)), ShapeError, r"^convolve: expected w of shape \(K, 3, R, S\)"),
    (lambda: ref.convolve(zeros(8, 8), W), ShapeError, r"^convolve: expected x of shape \(N, C, H, W\) or \(C, H, W\)"),
    (
        lambda: ref.correlate_grad(X, W, zeros(2, 4, 8, 8)),
        ShapeError,
        r"expected dy of shape \(2, 4, 6, 6\), got .*8, 8\)",
    ),
    (lambda: ref.correlate_grad(X, zeros(4, 3, 3), X), ShapeError, r"^correlate_grad: expected x of shape \(N, C, L\)"),
    (lambda: ref.im2col(zeros(8, 8), 3), ShapeError, r"^im2col: expected x of shape \(N, C, L\), .*, got \(8, 8\)"),
    (lambda: ref.im2col(X, 9), GeometryError, r"^kernel: "),
    (
        lambda: ref.col2im(zeros(4, 4), (3, 3), 2),
        ShapeError,
        r"^col2im: expected x_shape \(N, C, L\), .*, got \(3, 3\)",
    ),
    (
        lambda: ref.col2im(zeros(5, 4), (1, 1, 3, 3), 2),
        ShapeError,
        r"^col2im: expected cols of shape \(4, 4\), got \(5, 4\)",
    ),
    (
        lambda: ref.max_pool(zeros(8, 8), 2),
        ShapeError,
        r"^max_pool: expected x of shape \(N, C, L\), \(N, C, H, W\) or",
    ),
    (lambda: ref.max_pool(X, 9), GeometryError, r"^kernel: expected a window that spans at most 8"),
    (lambda: ref.max_pool(X, 2, padding=2), GeometryError, r"^padding: expected every window to see the map"),
    (lambda: ref.max_pool(X, 2, stride=0), GeometryError, r"^stride: expected a positive integer, got 0"),
    (
        lambda: ref.max_pool_grad(zeros(1, 1, 2, 2), INDICES[0], X.shape),
        ShapeError,
        r"expected indices of shape \(1, 1, 2",
    ),
    (
        lambda: ref.max_pool_grad(zeros(1, 1, 2, 2), INDICES * 0.5, X.shape),
        DTypeError,
        r"integer indices, got dtype float",
    ),
    (
        lambda: ref.max_pool_grad(zeros(1, 1, 2, 2), INDICES, (4, 4)),
        ShapeError,
        r"x_shape \(1, 1, H, W\), got \(4, 4\)",
    ),
    (
        lambda: ref.max_pool_grad(zeros(1, 1, 2, 2), INDICES + 16, (1, 1, 4, 4)),
        ShapeError,
        r"^max_pool_grad: expected indices from 0 to 15, got 16 \.\. 16: the map has 4 x 4 positions",
    ),
    (
        lambda: ref.avg_pool(zeros(8, 8), 2),
        ShapeError,
        r"^avg_pool: expected x of shape \(N, C, L\), \(N, C, H, W\) or",
    ),
    (lambda: ref.avg_pool(X, 2, padding=2), GeometryError, r"^padding: expected every window to see the map"),
    (lambda: ref.avg_pool_grad(zeros(2, 3, 3, 4), X.shape, 2), ShapeError, r"expected dy of shape \(2, 3, 4, 4\), got"),
    (
        lambda: ref.avg_pool_grad(zeros(2, 3, 4, 4), (2, 1, 8, 8), 2),
        ShapeError,
        r"expected dy of shape \(2, 1, 4, 4\), got",
    ),
    (
        lambda: ref.affine(zeros(4), zeros(4, 2)),
        ShapeError,
        r"^affine: expected x of shape .* got \(4,\)\. One example",
    ),
    (
        lambda: ref.affine(X, zeros(8, 2)),
        ShapeError,
        r"^affine: expected w of shape \(192, out\), got \(8, 2\): x of shape",
    ),
    (lambda: ref.affine(zeros(2, 4), zeros(4)), ShapeError, r"^affine: expected w of shape \(4, out\), got \(4,\)"),
    (lambda: ref.affine(zeros(2, 4), zeros(4, 3), zeros(1)), ShapeError, r"expected bias of shape \(3,\), got \(1,\)"),
    (
        lambda: ref.affine_grad(zeros(2, 4), zeros(4, 3), zeros(3)),
        ShapeError,
        r"^affine_grad: expected dy of shape \(2, 3\)",
    ),
    (lambda: ref.relu(X * 1j), DTypeError, r"^relu: expected x of real numbers"),
    (lambda: ref.relu_grad(X, W), ShapeError, r"^relu_grad: expected dy of shape \(2, 3, 8, 8\), got \(4, 3, 3, 3\)"),
    (lambda: ref.sigmoid(["a"]), DTypeError, r"^sigmoid: expected x of real numbers"),
    (lambda: ref.sigmoid_grad(X, W), ShapeError, r"^sigmoid_grad: expected dy of shape"),
    (lambda: ref.softmax(np.float64(1)), ShapeError, r"^softmax: expected scores of shape \(N, classes\) .*, got \(\)"),
    (lambda: ref.softmax(zeros(2, 0)), ShapeError, r"^softmax: .* got \(2, 0\)"),
    (lambda: ref.cross_entropy(zeros(0, 3), []), ShapeError, r"^cross_entropy: expected scores .* at least one row"),
    (
        lambda: ref.cross_entropy(zeros(2, 3), [0, 3]),
        DataError,
        r"class indices from 0 to 2, got 0 \.\. 3\. Number the",
    ),
    (lambda: ref.cross_entropy(zeros(2, 3), [-1, 2]), DataError, r"got -1 \.\. 2"),
    (
        lambda: ref.cross_entropy(zeros(2, 3), [0.0, 1.0]),
        DTypeError,
        r"integer class indices t, got dtype float64\. Conv",
    ),
    (lambda: ref.cross_entropy(zeros(2, 3), [[0], [1]]), ShapeError, r"or \(2, 3\) one-hot, got \(2, 1\)\. Flatten it"),
    (lambda: ref.cross_entropy(zeros(2, 3), [0, 1, 2]), ShapeError, r"expected t of shape \(2,\) with class indices"),
    (lambda: ref.cross_entropy(zeros(2, 3), zeros(2, 3)), DataError, r"one-hot rows: .* got rows that sum to 0 \.\. 0"),
    (lambda: ref.cross_entropy(zeros(1, 2), [[2.0, -1.0]]), DataError, r"one-hot rows: non-negative, sum 1"),
    (lambda: ref.cross_entropy_grad(zeros(2, 3), [0, 3]), DataError, r"^cross_entropy_grad: expected class indices"),
]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    GEOMETRY + OPERATIONS,
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
    assert isinstance(caught.value, FovealError)
    assert isinstance(caught.value, ValueError)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None, "a user would see two tracebacks"
