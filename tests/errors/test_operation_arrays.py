"""Unusual arrays through every operation: none at all, NaN and inf, whole numbers, no numbers.

What is well defined works, and what is not is refused. Views, byte orders and half are in tests/ops/test_signatures.py.
"""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from foveal import ops, reference
from foveal.errors import DTypeError, FovealError, ShapeError
from tests.errors.test_operation_errors import CALLS, DTYPES, ELEMENTWISE, RANK, called
from tests.ops.test_signatures import X

# An empty batch: the shapes that come out, or the error where nothing is defined.
EMPTY = {
    "affine": ((0, 4),), "affine_grad": ((0, 6), (6, 4), (4,)), "avg_pool": ((0, 3, 4, 4),),
    "avg_pool_grad": ((0, 3, 9, 8),), "batch_norm": ShapeError, "batch_norm_grad": ShapeError,
    "batch_statistics": ShapeError, "col2im": ((0, 3, 9, 8),), "conv_transpose": ((0, 2, 11, 9),),
    "conv_transpose_grad": ((0, 3, 9, 8), (3, 2, 3, 2), (2,)), "convolve": ((0, 4, 7, 7),),
    "correlate": ((0, 4, 7, 7),), "correlate_grad": ((0, 3, 9, 8), (4, 3, 3, 2), (4,)), "cross_entropy": ShapeError,
    "cross_entropy_grad": ShapeError, "dropout": ((0, 3, 9, 8),), "dropout_grad": ((0, 3, 9, 8),),
    "dropout_mask": ((0, 3, 9, 8),), "global_avg_pool": ((0, 3, 1, 1),), "global_avg_pool_grad": ((0, 3, 9, 8),),
    "global_max_pool": ((0, 3, 1, 1),), "global_max_pool_grad": ((0, 3, 9, 8),), "im2col": ((0, 18),),
    "leaky_relu": ((0, 3, 9, 8),), "leaky_relu_grad": ((0, 3, 9, 8),), "local_response_norm": ((0, 3, 9, 8),),
    "local_response_norm_grad": ((0, 3, 9, 8),), "log_softmax": ((0, 4),), "log_softmax_grad": ((0, 4),),
    "max_pool": ((0, 3, 4, 4),), "max_pool_grad": ((0, 3, 9, 8),), "max_unpool": ((0, 3, 9, 8),),
    "max_unpool_grad": ((0, 3, 4, 4),), "relu": ((0, 3, 9, 8),), "relu_grad": ((0, 3, 9, 8),),
    "scaled_tanh": ((0, 3, 9, 8),), "scaled_tanh_grad": ((0, 3, 9, 8),), "sigmoid": ((0, 3, 9, 8),),
    "sigmoid_grad": ((0, 3, 9, 8),), "softmax": ((0, 4),), "softmax_grad": ((0, 4),), "subsample": ((0, 3, 4, 4),),
    "subsample_grad": ((0, 3, 9, 8), (3,), (3,)), "sum_of_squares": ShapeError, "sum_of_squares_grad": ShapeError,
    "tanh": ((0, 3, 9, 8),), "tanh_grad": ((0, 3, 9, 8),),
}  # fmt: skip
OF_MAPS = sorted(row[0] for row in RANK if CALLS[row[0]][0][0] is X)  # their first argument is a batch of maps
SHARED = ("w", "bias", "scale", "shift", "mean", "variance", "coefficient")  # these have no example per row


def emptied(name, dtype):
    """Return the call's arguments for a batch of 0 examples."""
    args, keywords = CALLS[name]
    bound = inspect.signature(getattr(reference, name)).bind(*args, **keywords).arguments
    for key, value in bound.items():
        if isinstance(value, np.ndarray):
            rows = value if key in SHARED else value[:0]
            bound[key] = rows.astype(dtype) if rows.dtype.kind == "f" else rows
        elif key in ("x_shape", "shape"):
            bound[key] = (0, *value[1:])
    return bound


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(set(ops.__all__) - {"fold_batch_norm"}))  # which takes no examples
def test_an_empty_batch(name, dtype):
    expected = EMPTY[name]
    if isinstance(expected, type):
        with pytest.raises(expected, match=rf"^{name}: expected .*at least one (example|row), got"):
            called(name, **emptied(name, dtype))
        return
    found = called(name, **emptied(name, dtype))
    found = found if isinstance(found, tuple) else (found,)
    assert tuple(a.shape for a in found) == expected
    for a in found:
        assert a.dtype in (dtype, bool)
        assert not a.any(), "sums over nothing are 0"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", range(1, 4))
@pytest.mark.parametrize("name", OF_MAPS)
def test_no_channels_or_no_positions(name, axis, dtype):
    """Only N may be 0."""
    first = next(iter(inspect.signature(getattr(ops, name)).parameters))
    with pytest.raises(ShapeError, match=rf"^{name}: expected .*, got .*(only N may be 0|has shape)"):
        called(name, **{first: np.take(X, [], axis).astype(dtype)})


@pytest.mark.parametrize("name", sorted(ELEMENTWISE) + ["softmax", "softmax_grad", "log_softmax", "log_softmax_grad"])
def test_any_empty_array_where_numbers_stand_alone(name):
    shape = (2, 0, 3)
    given = {key: np.zeros(shape, np.float32) if isinstance(value, np.ndarray) else shape
             for key, value in emptied(name, np.float32).items()
             if isinstance(value, np.ndarray) or key == "shape"}  # fmt: skip
    assert called(name, **given).shape == shape


# The operations that begin with an array of real numbers: all but dropout_mask.
OF_NUMBERS = sorted(set(CALLS) - {"dropout_mask"})


def both(name, given):
    """Return the results of ops and of reference, as pairs; none where both refuse, with the same words."""
    found, keywords = [], CALLS[name][1]
    for module in (ops, reference):
        try:
            result = getattr(module, name)(*given, **keywords)
        except FovealError as error:
            result = str(error)
        found.append(result if isinstance(result, tuple) else (result,))
    if isinstance(found[1][0], str):
        assert found[0] == found[1]
        return []
    return list(zip(*found, strict=True))


# What is learned is multiplied by the zeros beside a map as well, and 0 * inf is NaN: it may reach the map's border.
SPREAD = [("correlate_grad", 1), ("conv_transpose", 1), ("subsample_grad", 1)]
NO_LOGARITHM = ("log_softmax_grad", 0, np.inf)  # a probability is 1 at most, and its kernel's exp ends there


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", OF_NUMBERS)
def test_what_is_not_finite_comes_out_where_the_formula_has_it(name, value):
    """Kernels neither lose NaN and inf, which would hide an error, nor spread them to other numbers."""
    known = np.isnan if np.isnan(value) else lambda y: ~np.isfinite(y)  # inf - inf depends on the order of operations
    args, _ = CALLS[name]
    for i, argument in enumerate(args):
        if not isinstance(argument, np.ndarray) or argument.dtype.kind != "f" or (name, i, value) == NO_LOGARITHM:
            continue
        spoiled = argument.copy()
        spoiled.flat[argument.size // 2] = value
        with np.errstate(all="ignore"):
            pairs = both(name, (*args[:i], spoiled, *args[i + 1 :]))
        for ours, theirs in pairs:
            assert known(ours)[known(theirs)].all(), f"argument {i}: lost"
            if (name, i) not in SPREAD:
                np.testing.assert_array_equal(known(ours), known(theirs), f"argument {i}")


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, ">i8", bool])
@pytest.mark.parametrize("name", OF_NUMBERS)
def test_whole_numbers_are_computed_in_float64(name, dtype):
    """The docstring of foveal.ops says it: a result has the floating-point type of its arguments; here is none."""
    args, _ = CALLS[name]
    whole = [abs(a).round().astype(dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]
    for ours, theirs in both(name, whole):
        np.testing.assert_array_equal(ours, theirs)
        assert np.asarray(ours).dtype in (np.float64, np.int64)


NO_NUMBERS = {"complex": lambda a: a * 1j, "text": lambda a: a.astype(str), "objects": lambda a: a.astype(object)}


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("name", sorted(CALLS))
def test_what_holds_no_real_numbers_is_refused(name, kind):
    args, keywords = CALLS[name]
    for i, argument in enumerate(args):
        if isinstance(argument, np.ndarray):
            given = *args[:i], NO_NUMBERS[kind](argument), *args[i + 1 :]
            with pytest.raises(DTypeError, match=r": expected .* of real numbers, got dtype"):
                getattr(ops, name)(*given, **keywords)
