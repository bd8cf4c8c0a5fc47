"""foveal.ops is foveal.reference, faster: the same names, signatures and results, whatever arrays come in."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings

from foveal import ops, reference
from tests.support.doors import assert_same_error
from tests.support.geometries import Case, cases
from tests.support.oracles import assert_adjoint, assert_close_to_reference, gamma, require

random_cases = settings(derandomize=True, deadline=None, max_examples=25)
METHOD = ("method", inspect.Parameter.KEYWORD_ONLY, "auto")
KEPT = ("stride", "padding", "dilation", "groups", "rounding")


def parameters(function):
    """Return name, kind and default of what a function itself takes: not what `functools.wraps` says that it wraps."""
    signature = inspect.signature(function, follow_wrapped=False)
    return [(p.name, p.kind, p.default) for p in signature.parameters.values()]


def test_the_same_names():
    assert ops.__all__ == reference.__all__


@pytest.mark.parametrize("name", reference.__all__)
def test_the_same_signature(name):
    fast, formula = getattr(ops, name), getattr(reference, name)
    own = parameters(fast)
    if own[-1] == METHOD:  # only what is fast has a choice of algorithms
        assert own[:-1] == parameters(formula)
        assert set(inspect.getdoc(formula).splitlines()) <= set(inspect.getdoc(fast).splitlines())
        return
    assert inspect.signature(fast) == inspect.signature(formula)
    if [kind for _, kind, _ in own] != [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD]:
        assert own == parameters(formula)  # written by hand: a wrapper that passes all on cannot differ
    assert inspect.getdoc(fast) == inspect.getdoc(formula)


def dy_for(case, y):
    return np.random.default_rng(case.seed + 1).standard_normal(y.shape)


@random_cases
@given(cases())
def test_float32_equals_the_reference(case: Case):
    x, w, b = case.arrays(np.float32)
    for name in ("correlate", "convolve"):
        fast, formula = getattr(ops, name), getattr(reference, name)
        y = fast(x, w, b, **case.options)
        assert y.dtype == np.float32
        size = formula(abs(x), abs(w), abs(b), **case.options)
        assert_close_to_reference(y, formula(x, w, b, **case.options), size, w[0].size + 2)
    dy = dy_for(case, y).astype(np.float32)
    found = ops.correlate_grad(x, w, dy, **case.options)
    expected = reference.correlate_grad(x, w, dy, **case.options)
    sizes = reference.correlate_grad(abs(x), abs(w), abs(dy), **case.options)
    terms = w.size // case.groups, dy.size // len(w), dy.size // len(w)
    for ours, theirs, size, n in zip(found, expected, sizes, terms, strict=True):
        assert ours.dtype == np.float32
        assert_close_to_reference(ours, theirs, size, n + 2)


@settings(random_cases, max_examples=10)
@given(cases())
def test_float64_is_the_reference(case: Case):
    x, w, b = case.arrays()
    y = ops.correlate(x, w, b, **case.options)
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y, reference.correlate(x, w, b, **case.options))
    dy = dy_for(case, y)
    for ours, theirs in zip(
        ops.correlate_grad(x, w, dy, **case.options), reference.correlate_grad(x, w, dy, **case.options), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(
        ops.convolve(x.astype(np.float32), w, b, **case.options),
        reference.convolve(x.astype(np.float32), w, b, **case.options),
        "one float64 argument is enough",
    )


@random_cases
@given(cases())
def test_adjoint(case: Case):
    """<conv(x, w), dy> = <x, dx> = <w, dw>, up to the roundings of float32 sums."""
    x, w, _ = case.arrays(np.float32)
    y = ops.correlate(x, w, **case.options)
    dy = dy_for(case, y).astype(np.float32)
    dx, dw, _ = ops.correlate_grad(x, w, dy, **case.options)
    size = float(np.vdot(reference.correlate(abs(x), abs(w), **case.options), abs(dy)))
    scale = float(np.linalg.norm(y.astype(float)) * np.linalg.norm(dy.astype(float)))
    tolerance = 2 * gamma(max(w.size, dy.size) + 2) * size / max(scale, 1e-30)
    wide = x.astype(float), w.astype(float), dy.astype(float)
    assert_adjoint(lambda _: y, lambda _: dx, wide[0], wide[2], tolerance=tolerance)
    assert_adjoint(lambda _: y, lambda _: dw, wide[1], wide[2], tolerance=tolerance)


@settings(random_cases, max_examples=15)
@given(cases(symmetric=True))
def test_pytorch(case: Case):
    torch = require("torch")
    x, w, b = case.arrays(np.float32)
    y = ops.correlate(x, w, b, **case.options)
    dy = dy_for(case, y).astype(np.float32)
    tx, tw, tb = (torch.tensor(a.astype(np.float64), requires_grad=True) for a in (x, w, b))
    before = [first for first, _ in case.padding]
    ty = torch.nn.functional.conv2d(tx, tw, tb, case.stride, before, case.dilation, case.groups)
    ty.backward(torch.tensor(dy.astype(np.float64)))
    size = reference.correlate(abs(x), abs(w), abs(b), **case.options)
    assert_close_to_reference(y, ty.detach().numpy(), size, w[0].size + 2)
    sizes = reference.correlate_grad(abs(x), abs(w), abs(dy), **case.options)
    terms = w.size // case.groups, dy.size // len(w), dy.size // len(w)
    found = ops.correlate_grad(x, w, dy, **case.options)
    for ours, theirs, bound, n in zip(found, (tx, tw, tb), sizes, terms, strict=True):
        assert_close_to_reference(ours, theirs.grad.numpy(), bound, n + 2)


RNG = np.random.default_rng(4)
X, W, B = (RNG.standard_normal(s).astype(np.float32) for s in ((2, 3, 9, 8), (4, 3, 3, 2), (4,)))


def frozen(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def strided(a):
    wide = np.full([2 * n for n in a.shape], np.nan, a.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    return view


VIEWS = {
    "Fortran order": np.asfortranarray,
    "strided": strided,
    "reversed": lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1],
    "read-only": frozen,
    "big-endian": lambda a: a.astype(">f4"),
    "half": lambda a: a.astype(np.float16),
    "channels-last": lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1) if a.ndim == 4 else a,
    "lists": lambda a: a.tolist(),
}


@pytest.mark.parametrize("kind", VIEWS)
def test_arrays_of_every_kind(kind):
    view = VIEWS[kind]
    x, w, b = view(X), view(W), view(B)
    dy = np.random.default_rng(5).standard_normal((2, 4, 7, 7)).astype(np.float32)
    exact = [np.asarray(a, np.float64) for a in (x, w, b)]
    size = reference.correlate(*map(abs, exact))
    y = ops.correlate(x, w, b)
    assert_close_to_reference(y, reference.correlate(*exact), size, W[0].size + 2)
    assert y.dtype == (np.float64 if kind == "lists" else np.float32)
    sizes = reference.correlate_grad(*map(abs, exact[:2]), abs(dy))
    found = ops.correlate_grad(x, w, view(dy))
    expected = reference.correlate_grad(*exact[:2], np.asarray(view(dy), np.float64))
    for ours, theirs, bound in zip(found, expected, sizes, strict=True):
        assert_close_to_reference(ours, theirs, 1.01 * bound, dy.size)
    assert ops.relu(x).dtype == (np.float64 if kind == "lists" else np.float32)
    np.testing.assert_allclose(ops.max_pool(x, 2), reference.max_pool(x, 2), rtol=1e-6)


def test_arguments_are_not_changed():
    x, w, b, dy = X.copy(), W.copy(), B.copy(), np.ones((2, 4, 7, 7), np.float32)
    ops.correlate(x, w, b, padding=0)
    ops.correlate_grad(x, w, dy)
    for now, before in ((x, X), (w, W), (b, B), (dy, 1)):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_whole_numbers_are_computed_in_float64_among_themselves(dtype):
    x = (np.arange(72).reshape(1, 2, 6, 6) % 2).astype(dtype)
    w = np.ones((1, 2, 3, 3), dtype)
    y = ops.correlate(x, w)
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y, reference.correlate(x, w))


def test_pixels_and_float32_filters_give_float32():
    x, w = np.arange(72, dtype=np.uint8).reshape(1, 2, 6, 6), np.ones((3, 2, 3, 3), np.float32)
    y = ops.correlate(x, w)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, reference.correlate(x, w))


def test_an_empty_batch_stays_empty():
    x, y = np.zeros((0, 3, 9, 8), np.float32), np.zeros((0, 4, 7, 7), np.float32)
    assert ops.correlate(x, W, B).shape == y.shape
    dx, dw, db = ops.correlate_grad(x, W, y)
    assert dx.shape == x.shape
    assert not dw.any()
    assert not db.any()


def test_the_result_has_memory_of_its_own():
    first = ops.correlate(X, W, B)
    kept = first.copy()
    ops.correlate(-X, W, B)
    np.testing.assert_array_equal(first, kept)
    assert first.flags.c_contiguous
    assert first.flags.owndata or first.base is not None


BAD = [
    ("correlate", (X, W[:, :2]), {}),
    ("correlate", (X, W, B[:3]), {}),
    ("correlate", (X[0, 0], W), {}),
    ("correlate", (X[None], W), {}),
    ("correlate", (X[:, :0], W), {}),
    ("correlate", (X, W[:0]), {}),
    ("correlate", (X, W), {"padding": 2**40}),
    ("correlate", (X, np.zeros((4, 3, 20, 20), np.float32)), {}),
    ("correlate", (X, W), {"stride": 0}),
    ("correlate", (X, W), {"groups": 2}),
    ("correlate", (X, W), {"padding": "smae"}),
    ("correlate", (X, W), {"rounding": "flor"}),
    ("correlate", (X, W), {"stride": 5, "rounding": "error"}),
    ("correlate", (X.astype(complex), W), {}),
    ("convolve", (X, W[:, :2]), {}),
    ("convolve", (X, W[0]), {}),
    ("correlate_grad", (X, W, np.zeros((2, 4, 7, 6), np.float32)), {}),
    ("correlate_grad", (X, W[:, :2], np.zeros((2, 4, 7, 7), np.float32)), {}),
    ("max_pool", (X, 20), {}),
    ("avg_pool", (X[0, 0], 2), {}),
    ("avg_pool", (X[0, 0], (2, 2, 2)), {}),
]


@pytest.mark.parametrize(("name", "args", "options"), BAD, ids=[f"{n}-{i}" for i, (n, *_) in enumerate(BAD)])
def test_the_same_errors(name, args, options):
    assert_same_error(name, *args, **options)


@pytest.mark.parametrize("rounding", ["floor", "ceil"])
def test_rounding(rounding):
    options = {"stride": 2, "padding": ((0, 1), (2, 0)), "rounding": rounding}
    y = ops.correlate(X, W, B, **options)
    size = reference.correlate(abs(X), abs(W), abs(B), **options)
    assert_close_to_reference(y, reference.correlate(X, W, B, **options), size, W[0].size + 2)


def calls():
    """Return arguments for every operation, float32: the name, positional ones, keywords."""
    rng = np.random.default_rng(6)
    scores, t = rng.standard_normal((5, 4)).astype(np.float32), np.array([0, 3, 1, 1, 2])
    x, w, b, c, one = (rng.standard_normal(s).astype(np.float32) for s in ((5, 6), (6, 4), (4,), (3,), (2, 3, 1, 1)))
    variance = np.abs(c) + 1
    _, indices = reference.max_pool(X, 2, return_indices=True)
    _, whole = reference.global_max_pool(X, return_indices=True)
    pooled, wide = (rng.standard_normal(s).astype(np.float32) for s in (indices.shape, (2, 2, 11, 9)))
    filters = W[:3].reshape(3, 3, 3, 2)
    table = {  # a dy that is x has nearly no gradient behind batch norm
        "affine": (x, w, b), "affine_grad": (x, w, scores), "avg_pool": (X, 2), "avg_pool_grad": (pooled, X.shape, 2),
        "batch_norm": (X, c, c), "batch_norm_grad": (X, c, X * X), "batch_statistics": (X,),
        "col2im": (reference.im2col(X, 3).astype(np.float32), X.shape, 3), "conv_transpose": (X, filters[:, :2]),
        "conv_transpose_grad": (X, filters[:, :2], wide), "cross_entropy": (scores, t),
        "cross_entropy_grad": (scores, t), "dropout": (X,), "dropout_grad": (X,), "dropout_mask": (X.shape, 0.5),
        "fold_batch_norm": (filters, c, c, c, c, variance), "global_avg_pool": (X,),
        "global_avg_pool_grad": (one, X.shape), "global_max_pool": (X,), "global_max_pool_grad": (one, whole, X.shape),
        "im2col": (X, (3, 2)), "leaky_relu": (X,), "leaky_relu_grad": (X, X), "local_response_norm": (X,),
        "local_response_norm_grad": (X, X), "log_softmax": (scores,), "log_softmax_grad": (scores, scores),
        "max_pool": (X, 2), "max_pool_grad": (pooled, indices, X.shape), "max_unpool": (pooled, indices, X.shape),
        "max_unpool_grad": (X, indices), "relu": (X,), "relu_grad": (X, X), "scaled_tanh": (X,),
        "scaled_tanh_grad": (X, X), "sigmoid": (X,), "sigmoid_grad": (X, X), "softmax": (scores,),
        "softmax_grad": (scores, scores), "subsample": (X, c, c), "subsample_grad": (X, c, pooled),
        "sum_of_squares": (scores, scores + 1), "sum_of_squares_grad": (scores, scores + 1), "tanh": (X,),
        "tanh_grad": (X, X),
    }  # fmt: skip
    keywords = {"dropout": {"seed": 3}, "dropout_grad": {"seed": 3}, "dropout_mask": {"seed": 3}}
    return {name: (args, keywords.get(name, {})) for name, args in table.items()}


CALLS = calls()


def test_every_operation_is_called_here():
    assert set(CALLS) | {"correlate", "convolve", "correlate_grad"} == set(ops.__all__)


@pytest.mark.parametrize("name", CALLS)
def test_the_other_operations_keep_the_type_and_are_near_the_reference(name):
    """float32 in, float32 out. What has a kernel has a test of its own, with a bound that its roundings give."""
    args, keywords = CALLS[name]
    found, expected = getattr(ops, name)(*args, **keywords), getattr(reference, name)(*args, **keywords)
    if not isinstance(expected, tuple):
        found, expected = (found,), (expected,)
    for ours, theirs in zip(found, expected, strict=True):
        if isinstance(theirs, float):
            assert ours == pytest.approx(theirs, rel=1e-5)
            continue
        assert ours.dtype == (np.float32 if theirs.dtype == np.float64 else theirs.dtype)
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


def viewed(array, kind):
    if not isinstance(array, np.ndarray):
        return array
    if kind == "lists" or array.dtype.kind == "f":
        return VIEWS[kind](array)
    return array.astype(">i8") if kind == "big-endian" else array


@pytest.mark.parametrize("kind", VIEWS)
@pytest.mark.parametrize("name", CALLS)
def test_every_operation_takes_arrays_of_every_kind(name, kind):
    args, keywords = CALLS[name]
    given = [viewed(a, kind) for a in args]
    before = [np.copy(a) for a in given]
    found, expected = getattr(ops, name)(*given, **keywords), getattr(reference, name)(*given, **keywords)
    if not isinstance(expected, tuple):
        found, expected = (found,), (expected,)
    for ours, theirs in zip(found, expected, strict=True):
        if isinstance(theirs, np.ndarray) and theirs.dtype.kind == "f":
            assert ours.dtype == (np.float64 if kind == "lists" else np.float32)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())
    for now, then in zip(given, before, strict=True):
        np.testing.assert_array_equal(now, then, "arguments are not changed")


def test_indices_keep_their_type():
    y, found = ops.max_pool(X, 2, return_indices=True)
    expected, indices = reference.max_pool(X, 2, return_indices=True)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(found, indices)
    assert found.dtype == np.int64
