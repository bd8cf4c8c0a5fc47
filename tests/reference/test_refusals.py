"""Every refusal of the operations and of ranks, sizes and seeds: the call, the class, and what the message must say."""

import numpy as np
import pytest

from foveal import reference as ref
from foveal.errors import DataError, DTypeError, FovealError, GeometryError, ParameterError, ShapeError
from foveal.geometry import check_volume, im2col_blowup, transposed_size
from foveal.reference import arguments


def zeros(*shape):
    return np.zeros(shape)


X, W, C = zeros(2, 3, 8, 8), zeros(4, 3, 3, 3), zeros(3)
EVERY = r"\(N, C, L\), \(N, C, H, W\) or \(N, C, D, H, W\)"
IMAGE = r"\(N, C, H, W\) or \(C, H, W\)"

RANKS = [
    (
        lambda: ref.correlate(zeros(8, 8), W),
        ShapeError,
        rf"^correlate: expected x of shape {IMAGE}, got \(8, 8\): it has",
    ),
    (
        lambda: ref.correlate(zeros(8, 8), W),
        ShapeError,
        r"2 axes and the kernel 2\. One grey image .* x\[None, None\]\.$",
    ),
    (lambda: ref.correlate(zeros(2, 3, 8, 8, 8), W), ShapeError, r"it has 5 axes and the kernel 2\.$"),
    (
        lambda: ref.correlate(X, zeros(4, 3, 3)),
        ShapeError,
        r"^correlate: expected x of shape \(N, C, L\) or .*, got \(2, 3, 8, 8\): it has 4 axes and the kernel 1\.$",
    ),
    (
        lambda: ref.correlate(X, zeros(3, 3)),
        ShapeError,
        r"^correlate: expected w of shape \(K, C/groups, R\), \(K, C/groups, R, S\) or \(K, C/groups, T, R, S\), got",
    ),
    (
        lambda: ref.convolve(zeros(9), zeros(1, 1, 3)),
        ShapeError,
        r"^convolve: .* \(C, L\), got \(9,\): it has 1 axes and",
    ),
    (lambda: ref.correlate_grad(X, zeros(4, 3, 3), X), ShapeError, r"^correlate_grad: expected x of shape \(N, C, L\)"),
    (
        lambda: ref.correlate_grad(X[0], W, zeros(2, 4, 6, 6)),
        ShapeError,
        r"^correlate_grad: expected dy of shape \(4, 6, 6\), got \(2, 4, 6, 6\): dy has the shape of y\.$",
    ),
    (
        lambda: ref.im2col(zeros(8, 8), 3),
        ShapeError,
        rf"^im2col: expected x of shape {EVERY}, got \(8, 8\): it has 2 axes",
    ),
    (lambda: ref.im2col(zeros(8, 8), (3, 3)), ShapeError, rf"^im2col: expected x of shape {IMAGE}, got \(8, 8\)"),
    (lambda: ref.im2col(X, (1, 1, 1, 1)), ShapeError, rf"shape {EVERY}, got .*: it has 4 axes and the kernel 4\.$"),
    (
        lambda: ref.col2im(zeros(4, 4), (3, 3), 2),
        ShapeError,
        rf"^col2im: expected x_shape {EVERY}, got \(3, 3\)",
    ),
    (
        lambda: ref.col2im(zeros(4, 4), (1, 1, 0, 3), 2),
        ShapeError,
        r"at least one channel and position, got \(1, 1, 0, 3\)",
    ),
    (lambda: ref.max_pool(zeros(8, 8), 2), ShapeError, rf"^max_pool: expected x of shape {EVERY}, got \(8, 8\)"),
    (
        lambda: ref.avg_pool(zeros(8), (2,)),
        ShapeError,
        r"^avg_pool: expected x of shape \(N, C, L\) or \(C, L\), got \(8,\)",
    ),
    (lambda: ref.global_avg_pool(zeros(3, 4)), ShapeError, rf"^global_avg_pool: expected x of shape {EVERY}"),
    (lambda: ref.global_max_pool(zeros(3, 4)), ShapeError, rf"^global_max_pool: expected x of shape {EVERY}"),
    (lambda: ref.local_response_norm(zeros(3, 4)), ShapeError, rf"^local_response_norm: expected x of shape {EVERY}"),
    (
        lambda: ref.batch_norm(C, C, C),
        ShapeError,
        r"^batch_norm: expected x of shape \(N, C\) or \(N, C, \*spatial\), got",
    ),
    (lambda: ref.subsample(zeros(8, 8), C, C), ShapeError, rf"^subsample: expected x of shape {EVERY}"),
    (
        lambda: ref.conv_transpose(X, zeros(3, 4)),
        ShapeError,
        r"^conv_transpose: expected w of shape \(C, K/groups, R\), ",
    ),
    (lambda: ref.conv_transpose(X, zeros(3, 4, 2)), ShapeError, r"^conv_transpose: expected x of shape \(N, C, L\) or"),
]

EMPTY = [
    (
        lambda: ref.correlate(X[:, :0], W),
        ShapeError,
        r"^correlate: expected x with at least one channel .*: only N may be 0",
    ),
    (lambda: ref.correlate(X[:, :, :0], W), ShapeError, r"got \(2, 3, 0, 8\): only N may be 0\.$"),
    (lambda: ref.correlate(X, W[:0]), ShapeError, r"^correlate: expected w with at least one filter and channel, got"),
    (lambda: ref.correlate(X, W[:, :, :0]), ShapeError, r"got \(4, 3, 0, 3\)"),
    (lambda: ref.conv_transpose(X, zeros(3, 0, 3, 3)), ShapeError, r"at least one filter and channel"),
    (lambda: ref.max_pool(X[:, :, :0], 2), ShapeError, r"^max_pool: expected x with at least one channel and position"),
    (
        lambda: ref.batch_norm(X[:0], C, C),
        ShapeError,
        r"^batch_norm: expected at least one example, got \(0, 3, 8, 8",
    ),
    (lambda: ref.batch_statistics(X[:0]), ShapeError, r"^batch_statistics: expected at least one example"),
    (
        lambda: ref.sum_of_squares(zeros(0, 3), zeros(0, 3)),
        ShapeError,
        r"^sum_of_squares: .* at least one example, got",
    ),
    (
        lambda: ref.softmax(zeros(2, 0)),
        ShapeError,
        r"^softmax: expected scores of shape .* at least one class, got \(2, 0\)",
    ),
]

HUGE = 2**40
SIZES = [
    (
        lambda: check_volume((2**30, 2**30), "here"),
        GeometryError,
        r"^here: expected a result of less than 2\^60 numbers, got",
    ),
    (
        lambda: ref.correlate(X, W, padding=HUGE),
        GeometryError,
        r"^correlate: .* less than 2\^60 numbers, got shape \(2, 4, 2",
    ),
    (
        lambda: ref.correlate(X, W, padding=HUGE, stride=HUGE),
        GeometryError,
        r"^padding: expected a padded map of less than",
    ),
    (
        lambda: ref.im2col(X, 3, padding=HUGE),
        GeometryError,
        r"numbers, got shape .* 64 bits can address\. Use less padding",
    ),
    (
        lambda: ref.im2col(X, 3, padding=2**27),
        GeometryError,
        r"^im2col: expected a matrix of all windows of less than 2\^60",
    ),
    (lambda: ref.col2im(X, (1, 1, HUGE, HUGE), 2), GeometryError, r"^col2im: expected x of less than 2\^60 numbers"),
    (
        lambda: ref.max_pool(X, 2, padding=1, dilation=HUGE),
        GeometryError,
        r"^kernel: expected a window that spans at most 10",
    ),
    (
        lambda: ref.max_pool_grad(X, X.astype(int), (2, 3, HUGE, HUGE)),
        GeometryError,
        r"^max_pool_grad: expected x of less than 2\^60",
    ),
    (
        lambda: ref.conv_transpose(X, zeros(3, 4, 2, 2), stride=HUGE),
        GeometryError,
        r"^conv_transpose: expected a result of",
    ),
    (
        lambda: ref.dropout_mask((HUGE, HUGE), 0.5, seed=0),
        GeometryError,
        r"^dropout: expected a mask of less than 2\^60",
    ),
]

TRANSPOSED = [
    (
        lambda: ref.conv_transpose(X, zeros(4, 3, 2, 2)),
        ShapeError,
        r"expected w of shape \(3, K/groups, R, S\), got \(4, 3",
    ),
    (
        lambda: ref.conv_transpose(X, zeros(3, 4, 2, 2), zeros(3)),
        ShapeError,
        r"expected bias of shape \(4,\), got \(3,\)",
    ),
    (
        lambda: ref.conv_transpose(X, zeros(3, 4, 2, 2), groups=2),
        GeometryError,
        r"groups that divide 3 channels and 8 filters",
    ),
    (
        lambda: ref.conv_transpose(X, zeros(3, 4, 2, 2), stride=2, output_padding=(0, 2)),
        GeometryError,
        r"^output_padding\[1\]: expected less than the stride \(2\) or the dilation \(1\), got 2\.$",
    ),
    (
        lambda: ref.conv_transpose(X, zeros(3, 4, 2, 2), output_padding=-1),
        GeometryError,
        r"^output_padding: expected an integer of at least 0, got -1\. Use output_padding=0 for none\.$",
    ),
    (
        lambda: ref.conv_transpose(zeros(1, 3, 1, 1), zeros(3, 4, 2, 2), padding=1),
        GeometryError,
        r"^padding: expected a result .*, got 0 on axis 0: padding \(1, 1\) cuts off all there is\.$",
    ),
    (
        lambda: ref.conv_transpose_grad(X, zeros(3, 4, 2, 2), X),
        ShapeError,
        r"^conv_transpose_grad: expected dy of shape \(2, 4, 9, 9\), got \(2, 3, 8, 8\)",
    ),
    (lambda: transposed_size(0, 3), GeometryError, r"^size: expected a positive integer, got 0"),
    (
        lambda: transposed_size(3, 3, padding=3),
        GeometryError,
        r"^padding: expected a result of 1 position or more, got -1 on",
    ),
    (
        lambda: im2col_blowup((8, 8), 3),
        ShapeError,
        r"^im2col_blowup: expected x_shape \(N, C, \*spatial\), got \(8, 8\)",
    ),
    (
        lambda: im2col_blowup((8,), (3, 3)),
        ShapeError,
        r"expected x_shape \(N, C, \*spatial\) with 2 spatial axes, got \(8,\)",
    ),
    (lambda: im2col_blowup((1, 0, 8), 3), GeometryError, r"^x_shape\[1\]: expected a positive integer, got 0"),
    (lambda: im2col_blowup((1, 1, 8), 9), GeometryError, r"^kernel: expected a window that spans at most 8"),
]

PLACES = np.zeros((2, 3, 4, 4), np.int64)
OPERATIONS = [
    (
        lambda: ref.max_unpool(zeros(2, 3, 4, 4), PLACES + 64, X.shape),
        ShapeError,
        r"^max_unpool: expected indices from 0 to 63, got 64 \.\. 64: the map has 8 x 8 positions\.$",
    ),
    (
        lambda: ref.max_unpool(zeros(2, 3, 4, 4), PLACES[0], X.shape),
        ShapeError,
        r"indices of shape \(2, 3, 4, 4\), got",
    ),
    (
        lambda: ref.max_unpool(zeros(2, 3, 4, 4), PLACES * 1.0, X.shape),
        DTypeError,
        r"integer indices, got dtype float64",
    ),
    (
        lambda: ref.max_unpool(zeros(2, 3, 4), PLACES[..., 0], X.shape),
        ShapeError,
        r"^max_unpool: expected x_shape \(2, 3, L\), got \(2, 3, 8, 8\): y has shape \(2, 3, 4\)\.$",
    ),
    (
        lambda: ref.max_unpool_grad(X, PLACES[:1]),
        ShapeError,
        r"^max_unpool_grad: expected x_shape \(1, 3, H, W\), got \(2",
    ),
    (
        lambda: ref.max_pool_grad(zeros(3, 4, 4), PLACES[0], X[0].shape),
        ShapeError,
        r"expected x_shape \(3, 4, L\), got \(3, 8, 8\)",
    ),
    (
        lambda: ref.global_avg_pool_grad(X, X.shape),
        ShapeError,
        r"^global_avg_pool_grad: expected dy of shape \(2, 3, 1, 1\)",
    ),
    (
        lambda: ref.subsample(X, zeros(2), C),
        ShapeError,
        r"^subsample: expected coefficient of shape \(3,\), got \(2,\): it",
    ),
    (
        lambda: ref.subsample(X, C, zeros(2)),
        ShapeError,
        r"^subsample: expected bias of shape \(3,\), got \(2,\): it holds",
    ),
    (lambda: ref.subsample(X, C, C, 9), GeometryError, r"^kernel: expected a window that spans at most 8"),
    (lambda: ref.subsample_grad(X, C, X), ShapeError, r"^subsample_grad: expected dy of shape \(2, 3, 4, 4\), got"),
    (lambda: ref.local_response_norm(X, 0), GeometryError, r"^size: expected a positive integer, got 0"),
    (lambda: ref.local_response_norm(X, 2.5), DTypeError, r"^size: .* got 2\.5: it is a float"),
    (
        lambda: ref.local_response_norm(X, k=0),
        ParameterError,
        r"^local_response_norm: expected alpha of .* got alpha=0.0001, k=0",
    ),
    (
        lambda: ref.local_response_norm(X, alpha=-1.0),
        ParameterError,
        r"alpha of at least 0 and k of more than 0, got alpha=-1",
    ),
    (
        lambda: ref.local_response_norm(X, beta=np.nan),
        ParameterError,
        r"^local_response_norm: expected a finite beta, got nan",
    ),
    (
        lambda: ref.local_response_norm(X, alpha="1"),
        DTypeError,
        r"^local_response_norm: expected alpha to be a number, got '1'",
    ),
    (
        lambda: ref.local_response_norm_grad(X, W),
        ShapeError,
        r"^local_response_norm_grad: expected dy of shape \(2, 3, 8, 8",
    ),
    (
        lambda: ref.batch_norm(X, zeros(4), C),
        ShapeError,
        r"^batch_norm: expected scale of shape \(3,\), got \(4,\): it holds",
    ),
    (
        lambda: ref.batch_norm(X, C, C, C),
        ParameterError,
        r"^batch_norm: expected mean and variance, or neither .* only one",
    ),
    (
        lambda: ref.batch_norm(X, C, C, C, C - 1),
        ParameterError,
        r"variance \+ epsilon of more than 0, .* variances from -1 and",
    ),
    (lambda: ref.batch_norm(X, C, C, C, C, epsilon=0), ParameterError, r"got variances from 0 and epsilon 0"),
    (lambda: ref.batch_norm(X, C, C, epsilon=-1), ParameterError, r"and epsilon -1"),
    (
        lambda: ref.batch_norm(X, C, C, C, zeros(2)),
        ShapeError,
        r"^batch_norm: expected variance of shape \(3,\), got \(2,\)",
    ),
    (lambda: ref.batch_norm_grad(X, C, W), ShapeError, r"^batch_norm_grad: expected dy of shape \(2, 3, 8, 8\)"),
    (
        lambda: ref.fold_batch_norm(W, None, C, C, C, C),
        ShapeError,
        r"^fold_batch_norm: expected scale of shape \(4,\), got \(3",
    ),
    (
        lambda: ref.dropout(X, 1.0),
        ParameterError,
        r"^dropout: expected a rate from 0 to less than 1, got 1\.0\. 0\.5 sets",
    ),
    (lambda: ref.dropout(X, -0.1), ParameterError, r"^dropout: expected a rate from 0"),
    (lambda: ref.dropout(X, np.nan), ParameterError, r"^dropout: expected a finite rate, got nan"),
    (lambda: ref.dropout(X, True), DTypeError, r"^dropout: expected rate to be a number, got True"),
    (lambda: ref.dropout(X, seed=-1), ParameterError, r"^dropout: expected a seed from 0 to 2\^64 - 1, got -1"),
    (lambda: ref.dropout(X, seed=2**64), ParameterError, r"got 18446744073709551616"),
    (lambda: ref.dropout(X, seed=0.5), DTypeError, r"^seed: .* got 0\.5: it is a float"),
    (lambda: ref.dropout_mask((-1,), 0.5, seed=0), GeometryError, r"^shape: expected an integer of at least 0, got -1"),
    (lambda: ref.leaky_relu(X, -0.1), ParameterError, r"^leaky_relu: expected a slope of at least 0, got -0\.1"),
    (lambda: ref.leaky_relu(X, np.inf), ParameterError, r"^leaky_relu: expected a finite slope, got inf"),
    (lambda: ref.leaky_relu_grad(X, W), ShapeError, r"^leaky_relu_grad: expected dy of shape"),
    (lambda: ref.tanh("x"), DTypeError, r"^tanh: expected x of real numbers"),
    (lambda: ref.tanh_grad(X, W), ShapeError, r"^tanh_grad: expected dy of shape"),
    (lambda: ref.scaled_tanh(X * 1j), DTypeError, r"^scaled_tanh: expected x of real numbers"),
    (lambda: ref.scaled_tanh_grad(X, W), ShapeError, r"^scaled_tanh_grad: expected dy of shape"),
    (lambda: ref.softmax(np.float64(3)), ShapeError, r"^softmax: expected scores of shape .*, got \(\)"),
    (lambda: ref.softmax(X, axis=4), ShapeError, r"^softmax: expected an axis from -4 to 3, got 4"),
    (lambda: ref.log_softmax(X, axis=-5), ShapeError, r"^log_softmax: expected an axis from -4 to 3, got -5"),
    (lambda: ref.log_softmax(X, axis=1.0), DTypeError, r"^axis: .* got 1\.0: it is a float"),
    (lambda: ref.softmax_grad(X, W), ShapeError, r"^softmax_grad: expected dy of shape"),
    (lambda: ref.log_softmax_grad(X, W), ShapeError, r"^log_softmax_grad: expected dy of shape"),
    (
        lambda: ref.cross_entropy(zeros(2, 3), [0, 1], label_smoothing=1.5),
        ParameterError,
        r"label_smoothing from 0 to 1, got 1\.5",
    ),
    (lambda: ref.cross_entropy_grad(zeros(2, 3), [0, 3], label_smoothing=0.1), DataError, r"class indices from 0 to 2"),
    (
        lambda: ref.sum_of_squares(zeros(2, 3), [0, 1]),
        ShapeError,
        r"^sum_of_squares: expected t of shape \(2, 3\), got \(2,\)",
    ),
    (lambda: arguments.number(None, "here", "x"), DTypeError, r"^here: expected x to be a number, got None"),
]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    RANKS + EMPTY + SIZES + TRANSPOSED + OPERATIONS,
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
    assert isinstance(caught.value, FovealError)
    assert isinstance(caught.value, ValueError)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None, "a user would see two tracebacks"
