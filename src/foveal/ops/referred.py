"""Operations that have no kernel of their own yet: the reference's result in the type of the arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from foveal import reference

F = TypeVar("F", bound=Callable[..., Any])


def float_type(*arrays: Any) -> np.dtype[Any]:
    """Return the type of a result: float32 if all floating-point arguments are float32 or half, else float64."""
    types = {np.asarray(a).dtype for a in arrays if a is not None}
    floating = {t for t in types if t.kind == "f"}
    narrow = bool(floating) and all(t.itemsize <= 4 for t in floating)
    return np.dtype(np.float32) if narrow else np.dtype(np.float64)


def _in_type(value: Any, kind: np.dtype[Any]) -> Any:
    if isinstance(value, tuple):
        return tuple(_in_type(v, kind) for v in value)
    numbers = isinstance(value, np.ndarray | np.floating)  # NumPy makes scalars of arrays without axes
    return value.astype(kind, copy=False) if numbers and value.dtype.kind == "f" else value


def referred(function: F) -> F:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        given = [a for a in (*args, *kwargs.values()) if isinstance(a, np.ndarray)]
        return _in_type(function(*args, **kwargs), float_type(*given))

    return run  # type: ignore[return-value]


affine, affine_grad = referred(reference.affine), referred(reference.affine_grad)
dropout_mask = reference.dropout_mask
col2im = referred(reference.col2im)
im2col = referred(reference.im2col)
cross_entropy, cross_entropy_grad = reference.cross_entropy, referred(reference.cross_entropy_grad)
sum_of_squares, sum_of_squares_grad = reference.sum_of_squares, referred(reference.sum_of_squares_grad)
fold_batch_norm = referred(reference.fold_batch_norm)
