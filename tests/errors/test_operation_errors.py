"""What the operations of `foveal.ops` refuse: a row for each operation, in float32 and float64."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import numpy as np
import pytest

from foveal import ops, reference
from foveal.errors import DTypeError, FovealError, GeometryError, ShapeError
from tests.ops.test_signatures import CALLS as MOST_CALLS
from tests.ops.test_signatures import B, W, X

DTYPES = [np.float32, np.float64]
HUGE = 2**40
# Arguments that are right, for every operation: (positional ones, keywords).
CALLS = MOST_CALLS | {
    "correlate": ((X, W, B), {}),
    "convolve": ((X, W, B), {}),
    "correlate_grad": ((X, W, np.ones((2, 4, 7, 7), np.float32)), {}),
}
ELEMENTWISE = {
    name + suffix for name in ("relu", "leaky_relu", "sigmoid", "tanh", "scaled_tanh") for suffix in ("", "_grad")
} | {"dropout", "dropout_grad", "dropout_mask"}


def arrays(dtype):
    """Arrays of the usual shapes: maps x, filters w and v (transposed), a number per channel or filter, scores."""

    def zeros(*shape):
        return np.zeros(shape, dtype)

    return SimpleNamespace(
        zeros=zeros, x=zeros(2, 3, 8, 8), w=zeros(4, 3, 3, 3), v=zeros(3, 4, 2, 2), c=zeros(3), k=zeros(4),
        y=zeros(2, 4, 6, 6), half=zeros(2, 3, 4, 4), one=zeros(2, 3, 1, 1), rows=zeros(5, 6), weight=zeros(6, 4),
        scores=zeros(5, 4), t=np.zeros(5, np.int64), places=np.zeros((2, 3, 4, 4), np.int64),
        first=np.zeros((2, 3, 1, 1), np.int64), cols=zeros(128, 27),
    )  # fmt: skip


# Each of these messages begins with the name of the operation and "expected".
MAPS, IMAGES = r"x of shape \(N, C, L\), \(N, C, H, W\) or", r"x of shape \(N, C, H, W\) or \(C, H, W\), got \(8, 8\)"
FILTERS, X_SHAPE = r"w of shape \(K, C/groups, R\), ", r"x_shape \(2, 3, H, W\), got \((3, )?8, 8\)"
RANK = [
    ("affine", lambda f, a: f.affine(a.c, a.weight), r"x of shape \(N, in\) or \(N, C, H, W\), got \(3,\)"),
    (
        "affine_grad",
        lambda f, a: f.affine_grad(a.c, a.weight, a.scores),
        r"x of shape \(N, in\) or \(N, C, H, W\), got",
    ),
    ("avg_pool", lambda f, a: f.avg_pool(a.x[0, 0], 2), MAPS + r".*One grey image \(H, W\) .* with x\[None, None\]"),
    ("avg_pool_grad", lambda f, a: f.avg_pool_grad(a.half, (8, 8), 2), r"x_shape \(N, C, L\), .* got \(8, 8\): it has"),
    ("batch_norm", lambda f, a: f.batch_norm(a.c, a.c, a.c), r"x of shape \(N, C\) or \(N, C, \*spatial\), got \(3,\)"),
    ("batch_norm_grad", lambda f, a: f.batch_norm_grad(a.c, a.c, a.c), r"x of shape \(N, C\) or \(N, C, \*spatial\)"),
    ("batch_statistics", lambda f, a: f.batch_statistics(a.c), r"x of shape \(N, C\) or \(N, C, \*spatial\), got"),
    ("col2im", lambda f, a: f.col2im(a.cols, (8, 8), 3), r"x_shape \(N, C, L\), .* got \(8, 8\): it has 2 axes"),
    ("conv_transpose", lambda f, a: f.conv_transpose(a.x, a.rows), r"w of shape \(C, K/groups, R\), "),
    ("conv_transpose_grad", lambda f, a: f.conv_transpose_grad(a.x[0, 0], a.v, a.y), IMAGES),
    ("convolve", lambda f, a: f.convolve(a.x, a.w[0, 0]), FILTERS),
    ("correlate", lambda f, a: f.correlate(a.x[None], a.w), r"x of shape .*, got .*: it has 5 axes and the kernel 2"),
    ("correlate_grad", lambda f, a: f.correlate_grad(a.x[0, 0], a.w, a.y), IMAGES),
    ("cross_entropy", lambda f, a: f.cross_entropy(a.c, a.t), r"scores of shape \(N, classes\) .*, got \(3,\)"),
    ("cross_entropy_grad", lambda f, a: f.cross_entropy_grad(a.x, a.t), r"scores of shape \(N, classes\) .*8, 8\)"),
    ("fold_batch_norm", lambda f, a: f.fold_batch_norm(a.rows, None, a.c, a.c, a.c, a.c), FILTERS),
    ("global_avg_pool", lambda f, a: f.global_avg_pool(a.rows), MAPS),
    ("global_avg_pool_grad", lambda f, a: f.global_avg_pool_grad(a.one, (2, 3)), r".*, got \(2, 3\)"),
    ("global_max_pool", lambda f, a: f.global_max_pool(a.rows), MAPS),
    ("global_max_pool_grad", lambda f, a: f.global_max_pool_grad(a.one, a.first, (8, 8)), X_SHAPE),
    ("im2col", lambda f, a: f.im2col(a.x[0, 0], (3, 3)), IMAGES),
    ("local_response_norm", lambda f, a: f.local_response_norm(a.rows), MAPS),
    ("local_response_norm_grad", lambda f, a: f.local_response_norm_grad(a.rows, a.rows), MAPS),
    ("log_softmax", lambda f, a: f.log_softmax(a.c[0]), r"scores of shape \(N, classes\) .*, got \(\)"),
    ("log_softmax_grad", lambda f, a: f.log_softmax_grad(a.c[0], a.c[0]), r"y of shape \(N, classes\) .*, got \(\)"),
    ("max_pool", lambda f, a: f.max_pool(a.x, (2, 2, 2, 2)), MAPS + r".*: it has 4 axes and the kernel 4"),
    ("max_pool_grad", lambda f, a: f.max_pool_grad(a.half, a.places, (8, 8)), X_SHAPE),
    ("max_unpool", lambda f, a: f.max_unpool(a.half, a.places, (3, 8, 8)), X_SHAPE),
    ("max_unpool_grad", lambda f, a: f.max_unpool_grad(a.rows, a.places), r".*, got \(5, 6\)"),
    ("softmax", lambda f, a: f.softmax(a.c[0]), r"scores of shape \(N, classes\) .*, got \(\)"),
    ("softmax_grad", lambda f, a: f.softmax_grad(a.rows, a.rows, axis=2), r"an axis from -2 to 1, got 2"),
    ("subsample", lambda f, a: f.subsample(a.x[0, 0], a.c, a.c), MAPS),
    ("subsample_grad", lambda f, a: f.subsample_grad(a.x[0, 0], a.c, a.half), MAPS),
    ("sum_of_squares", lambda f, a: f.sum_of_squares(a.c[0], a.c[0]), r"y of shape \(N, ...\) .*, got \(\)"),
    ("sum_of_squares_grad", lambda f, a: f.sum_of_squares_grad(a.c[0], a.c[0]), r"y of shape \(N, ...\) .*, got \(\)"),
]

DY = r"dy of shape \(2, 3, 8, 8\), got \(2, 4, 6, 6\)"
MISMATCH = [
    ("affine", lambda f, a: f.affine(a.rows, a.scores), r"w of shape \(6, out\), got \(5, 4\)"),
    ("affine_grad", lambda f, a: f.affine_grad(a.rows, a.weight, a.rows), r"dy of shape \(5, 4\), got \(5, 6\)"),
    ("avg_pool_grad", lambda f, a: f.avg_pool_grad(a.x, a.x.shape, 2), r"dy of shape \(2, 3, 4, 4\), got \(2, 3, 8"),
    ("batch_norm", lambda f, a: f.batch_norm(a.x, a.k, a.c), r"scale of shape \(3,\), got \(4,\): it holds one number"),
    ("batch_norm_grad", lambda f, a: f.batch_norm_grad(a.x, a.c, a.y), DY),
    ("col2im", lambda f, a: f.col2im(a.cols, a.x.shape, 3), r"cols of shape \(72, 27\), got \(128, 27\): one row per"),
    ("conv_transpose", lambda f, a: f.conv_transpose(a.x, a.w), r"w of shape \(3, K/groups, R, S\), got \(4, 3, 3, 3"),
    ("conv_transpose_grad", lambda f, a: f.conv_transpose_grad(a.x, a.v, a.x), r"dy of shape \(2, 4, 9, 9\), got"),
    ("convolve", lambda f, a: f.convolve(a.x, a.w[:, :2]), r"w of shape \(K, 3, R, S\), got \(4, 2, 3, 3\): x has 3"),
    (
        "correlate",
        lambda f, a: f.correlate(a.x, a.w, a.c),
        r"bias of shape \(4,\), got \(3,\): it holds one number per",
    ),
    ("correlate_grad", lambda f, a: f.correlate_grad(a.x, a.w, a.x), r"dy of shape \(2, 4, 6, 6\), got \(2, 3, 8, 8\)"),
    ("cross_entropy", lambda f, a: f.cross_entropy(a.scores, a.t[:4]), r"t of shape \(5,\) with .*, got \(4,\)"),
    (
        "cross_entropy_grad",
        lambda f, a: f.cross_entropy_grad(a.scores, a.t[:4]),
        r"t of shape \(5,\) with .*, got \(4,",
    ),
    (
        "fold_batch_norm",
        lambda f, a: f.fold_batch_norm(a.w, None, a.k, a.k, a.c, a.k),
        r"mean of shape \(4,\), got \(3",
    ),
    ("global_avg_pool_grad", lambda f, a: f.global_avg_pool_grad(a.x, a.x.shape), r"dy of shape \(2, 3, 1, 1\), got"),
    (
        "global_max_pool_grad",
        lambda f, a: f.global_max_pool_grad(a.one, a.places, a.x.shape),
        r"indices of shape \(2, 3",
    ),
    ("leaky_relu_grad", lambda f, a: f.leaky_relu_grad(a.x, a.y), DY),
    ("local_response_norm_grad", lambda f, a: f.local_response_norm_grad(a.x, a.y), DY),
    ("log_softmax_grad", lambda f, a: f.log_softmax_grad(a.rows, a.scores), r"dy of shape \(5, 6\), got \(5, 4\)"),
    (
        "max_pool_grad",
        lambda f, a: f.max_pool_grad(a.half, a.first, a.x.shape),
        r"indices of shape \(2, 3, 4, 4\), got",
    ),
    ("max_unpool", lambda f, a: f.max_unpool(a.half, a.places, (2, 4, 8, 8)), r"x_shape \(2, 3, H, W\), got \(2, 4, 8"),
    ("max_unpool_grad", lambda f, a: f.max_unpool_grad(a.y, a.places), r"x_shape \(2, 3, H, W\), got \(2, 4, 6, 6\)"),
    ("relu_grad", lambda f, a: f.relu_grad(a.x, a.y), DY),
    ("scaled_tanh_grad", lambda f, a: f.scaled_tanh_grad(a.x, a.y), DY),
    ("sigmoid_grad", lambda f, a: f.sigmoid_grad(a.x, a.y), DY),
    ("softmax_grad", lambda f, a: f.softmax_grad(a.rows, a.scores), r"dy of shape \(5, 6\), got \(5, 4\)"),
    ("subsample", lambda f, a: f.subsample(a.x, a.k, a.c), r"coefficient of shape \(3,\), got \(4,\): it holds one"),
    ("subsample_grad", lambda f, a: f.subsample_grad(a.x, a.c, a.x), r"dy of shape \(2, 3, 4, 4\), got \(2, 3, 8, 8\)"),
    (
        "sum_of_squares",
        lambda f, a: f.sum_of_squares(a.rows, a.t),
        r"t of shape \(5, 6\), got \(5,\): there is one target",
    ),
    ("sum_of_squares_grad", lambda f, a: f.sum_of_squares_grad(a.rows, a.t), r"t of shape \(5, 6\), got \(5,\)"),
    ("tanh_grad", lambda f, a: f.tanh_grad(a.x, a.y), DY),
]

LARGEST = r"^kernel: expected a window that spans at most 8 positions, got 9: axis 0 has 8 positions, with padding 0"
NOTHING = r"^padding: expected a result of 1 position or more, got 0 on axis 0: padding \(5, 5\) cuts off all there is"
TOO_LARGE = [
    ("avg_pool", lambda f, a: f.avg_pool(a.x, 9), LARGEST),
    ("avg_pool_grad", lambda f, a: f.avg_pool_grad(a.half, a.x.shape, 9), LARGEST),
    ("col2im", lambda f, a: f.col2im(a.cols, a.x.shape, 9), LARGEST),
    ("conv_transpose", lambda f, a: f.conv_transpose(a.x, a.v[..., :1], padding=5), NOTHING.replace("got 0", "got -1")),
    (
        "conv_transpose_grad",
        lambda f, a: f.conv_transpose_grad(a.x, a.v, a.x, padding=5),
        NOTHING.replace("0 on", "-1 on"),
    ),
    ("convolve", lambda f, a: f.convolve(a.x, a.zeros(4, 3, 9, 9)), LARGEST),
    ("correlate", lambda f, a: f.correlate(a.x, a.zeros(4, 3, 9, 9)), LARGEST),
    ("correlate_grad", lambda f, a: f.correlate_grad(a.x, a.zeros(4, 3, 9, 9), a.y), LARGEST),
    ("im2col", lambda f, a: f.im2col(a.x, 9), LARGEST),
    ("max_pool", lambda f, a: f.max_pool(a.x, 9), LARGEST),
    ("subsample", lambda f, a: f.subsample(a.x, a.c, a.c, 9), LARGEST),
    ("subsample_grad", lambda f, a: f.subsample_grad(a.x, a.c, a.half, 9), LARGEST),
]

NUMBERS = r"of less than 2\^60 numbers, got shape .*: in float64 that is all that 64 bits can address"
WIDE = {"padding": HUGE, "stride": HUGE}  # the result is small, and what it is made of is not
OVERFLOW = [
    ("avg_pool", lambda f, a: f.avg_pool(a.x, HUGE, padding=HUGE - 1), NUMBERS),
    ("avg_pool_grad", lambda f, a: f.avg_pool_grad(a.half, (2, 3, HUGE, HUGE), 2), NUMBERS),
    ("col2im", lambda f, a: f.col2im(a.cols, (1, 1, HUGE, HUGE), 2), NUMBERS),
    ("conv_transpose", lambda f, a: f.conv_transpose(a.x, a.v, stride=HUGE), NUMBERS),
    ("conv_transpose", lambda f, a: f.conv_transpose(a.x[..., :2, :2], a.v, **WIDE | {"padding": HUGE // 2}), NUMBERS),
    ("conv_transpose_grad", lambda f, a: f.conv_transpose_grad(a.x, a.v, a.y, stride=HUGE), NUMBERS),
    ("convolve", lambda f, a: f.convolve(a.x, a.w, padding=HUGE), NUMBERS),
    ("correlate", lambda f, a: f.correlate(a.x, a.w, padding=HUGE), NUMBERS),
    ("correlate", lambda f, a: f.correlate(a.x, a.w, **WIDE), NUMBERS),
    ("correlate_grad", lambda f, a: f.correlate_grad(a.x, a.w, a.y, padding=HUGE), NUMBERS),
    ("correlate_grad", lambda f, a: f.correlate_grad(a.x, a.w, a.zeros(2, 4, 3, 3), **WIDE), NUMBERS),
    ("dropout_mask", lambda f, a: f.dropout_mask((HUGE, HUGE), 0.5, seed=0), NUMBERS),
    ("global_avg_pool_grad", lambda f, a: f.global_avg_pool_grad(a.one, (2, 3, HUGE, HUGE)), NUMBERS),
    ("global_max_pool_grad", lambda f, a: f.global_max_pool_grad(a.one, a.first, (2, 3, HUGE, HUGE)), NUMBERS),
    ("im2col", lambda f, a: f.im2col(a.x, 3, padding=HUGE), NUMBERS),
    ("max_pool", lambda f, a: f.max_pool(a.x, HUGE, padding=HUGE - 1), NUMBERS),
    ("max_pool_grad", lambda f, a: f.max_pool_grad(a.half, a.places, (2, 3, HUGE, HUGE)), NUMBERS),
    ("max_unpool", lambda f, a: f.max_unpool(a.half, a.places, (2, 3, HUGE, HUGE)), NUMBERS),
]

NAN, INF, VARIANCES = np.nan, np.inf, r"_norm(_grad)?: expected finite variances, got inf: every number of the channel"
ONE_HOT, DTYPE = r": expected one-hot rows: non-negative, sum 1, got", r": expected integer indices, got dtype float"
NOT_FINITE = [
    (
        "batch_norm",
        lambda f, a: f.batch_norm(a.x, a.c, a.c, epsilon=NAN),
        r"^batch_norm: expected a finite epsilon, got",
    ),
    ("batch_norm", lambda f, a: f.batch_norm(a.x, a.c, a.c, a.c, a.c + INF), VARIANCES),
    ("batch_norm_grad", lambda f, a: f.batch_norm_grad(a.x, a.c, a.x, a.c, a.c + INF), VARIANCES),
    ("cross_entropy", lambda f, a: f.cross_entropy(a.scores, a.scores + NAN), ONE_HOT),
    (
        "cross_entropy",
        lambda f, a: f.cross_entropy(a.scores, a.t, label_smoothing=NAN),
        r"a finite label_smoothing, got",
    ),
    ("cross_entropy_grad", lambda f, a: f.cross_entropy_grad(a.scores, a.scores + NAN), ONE_HOT),
    ("dropout", lambda f, a: f.dropout(a.x, NAN), r"^dropout: expected a finite rate, got nan"),
    ("dropout_grad", lambda f, a: f.dropout_grad(a.x, INF), r"^dropout(_grad)?: expected a finite rate, got inf"),
    ("dropout_mask", lambda f, a: f.dropout_mask((2, 3), NAN, seed=0), r"^dropout: expected a finite rate, got nan"),
    ("fold_batch_norm", lambda f, a: f.fold_batch_norm(a.w, None, a.k, a.k, a.k, a.k + INF), VARIANCES),
    ("leaky_relu", lambda f, a: f.leaky_relu(a.x, NAN), r"^leaky_relu: expected a finite slope, got nan"),
    (
        "leaky_relu_grad",
        lambda f, a: f.leaky_relu_grad(a.x, a.x, INF),
        r"^leaky_relu_grad: expected a finite slope, got",
    ),
    ("local_response_norm", lambda f, a: f.local_response_norm(a.x, alpha=NAN), r"_norm: expected a finite alpha, got"),
    (
        "local_response_norm_grad",
        lambda f, a: f.local_response_norm_grad(a.x, a.x, k=INF),
        r"expected a finite k, got inf",
    ),
    ("max_pool_grad", lambda f, a: f.max_pool_grad(a.half, a.half + NAN, a.x.shape), DTYPE),
    ("max_unpool", lambda f, a: f.max_unpool(a.half, a.half + NAN, a.x.shape), DTYPE),
    ("max_unpool_grad", lambda f, a: f.max_unpool_grad(a.x, a.half + NAN), DTYPE),
]

GROUPS, BLIND = (
    r"groups that divide 3 channels and 4 filters, got",
    r"^padding: expected every window to see the map, got",
)
IMPOSSIBLE = [
    ("avg_pool", lambda f, a: f.avg_pool(a.x, 2, padding=2), BLIND),
    ("batch_norm", lambda f, a: f.batch_norm(a.x, a.c, a.c, a.c), r"expected mean and variance, or neither"),
    (
        "batch_norm",
        lambda f, a: f.batch_norm(a.x, a.c, a.c, a.c, a.c - 1),
        r"expected variance \+ epsilon of more than 0",
    ),
    (
        "batch_norm_grad",
        lambda f, a: f.batch_norm_grad(a.x, a.c, a.x, a.c, a.c, epsilon=0.0),
        r"variance \+ epsilon of",
    ),
    (
        "conv_transpose",
        lambda f, a: f.conv_transpose(a.x, a.v, groups=2),
        r"groups that divide 3 channels and 8 filters",
    ),
    ("convolve", lambda f, a: f.convolve(a.x, a.w, groups=3), GROUPS),
    ("correlate", lambda f, a: f.correlate(a.x, a.w, groups=2), GROUPS + r" 2\. Possible: 1\."),
    (
        "correlate",
        lambda f, a: f.correlate(a.x, a.w, padding="sane"),
        r"^padding: .*got 'sane'\. Did you mean 'same'\?",
    ),
    ("correlate", lambda f, a: f.correlate(a.x, a.w, rounding="up"), r"^rounding: expected 'error' or .*, got 'up'"),
    ("correlate_grad", lambda f, a: f.correlate_grad(a.x, a.w, a.y, groups=2), GROUPS),
    (
        "cross_entropy",
        lambda f, a: f.cross_entropy(a.scores, a.t + 4),
        r"expected class indices from 0 to 3, got 4 \.\. 4",
    ),
    (
        "cross_entropy",
        lambda f, a: f.cross_entropy(a.scores, a.c[a.t]),
        r"expected integer class indices t, got dtype fl",
    ),
    ("cross_entropy", lambda f, a: f.cross_entropy(a.scores, a.scores + 1), ONE_HOT),
    (
        "cross_entropy",
        lambda f, a: f.cross_entropy(a.scores, a.t, label_smoothing=2),
        r"label_smoothing from 0 to 1, got 2",
    ),
    ("dropout", lambda f, a: f.dropout(a.x, 1.0), r"^dropout: expected a rate from 0 to less than 1, got 1\.0"),
    ("dropout", lambda f, a: f.dropout(a.x, seed=-1), r"^dropout: expected a seed from 0 to 2\^64 - 1, got -1"),
    ("leaky_relu", lambda f, a: f.leaky_relu(a.x, -1), r"^leaky_relu: expected a slope of at least 0, got -1"),
    (
        "local_response_norm",
        lambda f, a: f.local_response_norm(a.x, k=-1.0),
        r"k of more than 0, got alpha=.*, k=-1\.0",
    ),
    ("max_pool", lambda f, a: f.max_pool(a.x, 2, padding=2), BLIND),
    ("max_pool_grad", lambda f, a: f.max_pool_grad(a.half, a.places + 64, a.x.shape), r"from 0 to 63, got 64 \.\. 64"),
    ("max_pool_grad", lambda f, a: f.max_pool_grad(a.half, a.places - 1, a.x.shape), r"from 0 to 63, got -1 \.\. -1"),
    ("max_unpool", lambda f, a: f.max_unpool(a.half, a.places + 64, a.x.shape), r"from 0 to 63, got 64 \.\. 64"),
    ("max_unpool_grad", lambda f, a: f.max_unpool_grad(a.x, a.places - 1), r"indices from 0 to 63, got -1 \.\. -1"),
    ("softmax", lambda f, a: f.softmax(a.rows, axis=2), r"^softmax: expected an axis from -2 to 1, got 2"),
]

TABLES = {
    "rank": (RANK, ShapeError), "mismatch": (MISMATCH, ShapeError), "too large": (TOO_LARGE, GeometryError),
    "overflow": (OVERFLOW, GeometryError), "not finite": (NOT_FINITE, FovealError),
    "impossible": (IMPOSSIBLE, FovealError),
}  # fmt: skip
REFUSED = [pytest.param(kind, *row, id=f"{kind}-{row[0]}") for kind, (rows, _) in TABLES.items() for row in rows]


def takes(*options):
    """Return the operations that have one of these arguments."""
    return {name for name in ops.__all__ if set(options) & set(inspect.signature(getattr(ops, name)).parameters)}


def test_every_operation_has_its_rows():
    every, names = set(ops.__all__), {kind: {row[0] for row in rows} for kind, (rows, _) in TABLES.items()}
    several = {name for name, (args, _) in CALLS.items() if sum(isinstance(a, np.ndarray) for a in args) > 1}
    assert set(CALLS) == every
    assert names["rank"] == every - ELEMENTWISE
    assert names["mismatch"] == several | (takes("x_shape") & takes("dy", "cols"))
    assert names["too large"] == takes("kernel", "stride")
    assert names["overflow"] == takes("padding", "x_shape", "shape")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kind", "name", "call", "message"), REFUSED)
def test_refused(kind, name, call, message, dtype):
    """One error, of the right class, that says what was expected and what came; the formula has the same words."""
    if kind in ("rank", "mismatch"):
        message = f"^(global_)?{name.removeprefix('global_')}: expected {message}"
    with pytest.raises(TABLES[kind][1], match=message) as caught:
        call(ops, arrays(dtype))
    assert isinstance(caught.value, ValueError | TypeError)
    assert ": expected " in str(caught.value)
    assert ", got " in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None, "a user would see two tracebacks"
    with pytest.raises(type(caught.value)) as formula:
        call(reference, arrays(dtype))
    assert str(formula.value) == str(caught.value)


INTEGERS = ("kernel", "stride", "dilation", "groups", "size", "padding", "output_padding", "seed", "axis")
OPTIONS = [
    (name, option)
    for name in ops.__all__
    for option in inspect.signature(getattr(ops, name)).parameters
    if option in INTEGERS
]


def called(name, module=ops, **changed):
    """Call an operation with right arguments, some of them changed."""
    args, keywords = CALLS[name]
    bound = inspect.signature(getattr(reference, name)).bind(*args, **keywords)
    bound.arguments.update(changed)
    return getattr(module, name)(*bound.args, **bound.kwargs)


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_sizes_that_are_not_positive_or_no_integers(name, option):
    if option not in ("seed", "axis"):
        least = 0 if "padding" in option else 1
        for value in (-1,) if least == 0 else (0, -1):
            with pytest.raises(GeometryError, match=rf"^{option}(\[0\])?: expected .*, got {value}\b"):
                called(name, **{option: value})
    for value, kind in ((1.5, "float"), (True, "bool"), (np.nan, "float")):
        with pytest.raises(DTypeError, match=rf"^{option}.*: expected .*, got {value}: it is a {kind}"):
            called(name, **{option: value})


@pytest.mark.parametrize(
    ("name", "option"), [row for row in OPTIONS if row[1] in ("kernel", "stride", "dilation", "padding")]
)
def test_another_number_of_axes(name, option):
    with pytest.raises((GeometryError, ShapeError), match=r"expected .*, got"):
        called(name, **{option: (1, 1, 1, 1)})
