"""Softmax, its logarithm and their gradients for float32 arrays, along the last axis in memory."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal import reference
from foveal.ops.arrays import contiguous, over_arrays
from foveal.ops.referred import float_type
from foveal.reference import arguments

Array = NDArray[Any]


def _run(kernel: str, axis: int, result: str, **arrays: Array) -> Array:
    """Run a kernel of `foveal.kernels.softmax` along `axis`, which comes last meanwhile."""
    from foveal.kernels import softmax

    rows = {name: contiguous(np.moveaxis(array, axis, -1)) for name, array in arrays.items()}
    some = next(iter(rows.values()))
    out, classes = np.empty(some.shape, np.float32), some.shape[-1]
    over_arrays(getattr(softmax, kernel), {**rows, result: out}, whole=classes, classes=classes)
    return np.ascontiguousarray(np.moveaxis(out, -1, axis))


def _fast(axis: Any, where: str, *arrays: Array) -> bool:
    """Whether the kernels can do it; what has no classes is left to the reference, which says so."""
    some, narrow = arrays[0], float_type(*arrays) == np.float32
    return some.ndim > 0 and some.shape[arguments.axis(axis, some.ndim, where)] > 0 and narrow


def _scores(formula: Callable[..., Array], scores: ArrayLike, axis: int) -> Array:
    name = formula.__name__
    x = arguments.real(scores, name, "scores")
    return _run(f"{name}_forward", axis, "y", x=x) if _fast(axis, name, x) else formula(x, axis=axis)


def _gradient(formula: Callable[..., Array], y: ArrayLike, dy: ArrayLike, axis: int) -> Array:
    where = formula.__name__
    y = arguments.real(y, where, "y")
    if not _fast(axis, where, y, np.asarray(dy)):
        return formula(y, dy, axis=axis)
    kernel = f"{where.removesuffix('_grad')}_backward"
    return _run(kernel, axis, "dx", y=y, dy=arguments.same_shape(dy, y.shape, where))


@functools.wraps(reference.softmax)
def softmax(scores: ArrayLike, *, axis: int = -1) -> Array:
    return _scores(reference.softmax, scores, axis)


@functools.wraps(reference.softmax_grad)
def softmax_grad(y: ArrayLike, dy: ArrayLike, *, axis: int = -1) -> Array:
    return _gradient(reference.softmax_grad, y, dy, axis)


@functools.wraps(reference.log_softmax)
def log_softmax(scores: ArrayLike, *, axis: int = -1) -> Array:
    return _scores(reference.log_softmax, scores, axis)


@functools.wraps(reference.log_softmax_grad)
def log_softmax_grad(y: ArrayLike, dy: ArrayLike, *, axis: int = -1) -> Array:
    return _gradient(reference.log_softmax_grad, y, dy, axis)
