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
    return value.astype(kind, copy=False) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def _referred(function: F) -> F:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        given = [a for a in (*args, *kwargs.values()) if isinstance(a, np.ndarray)]
        return _in_type(function(*args, **kwargs), float_type(*given))

    return run  # type: ignore[return-value]


affine, affine_grad = _referred(reference.affine), _referred(reference.affine_grad)
im2col, col2im = _referred(reference.im2col), _referred(reference.col2im)
max_pool, max_pool_grad = _referred(reference.max_pool), _referred(reference.max_pool_grad)
avg_pool, avg_pool_grad = _referred(reference.avg_pool), _referred(reference.avg_pool_grad)
relu, relu_grad = _referred(reference.relu), _referred(reference.relu_grad)
sigmoid, sigmoid_grad = _referred(reference.sigmoid), _referred(reference.sigmoid_grad)
softmax = _referred(reference.softmax)
cross_entropy, cross_entropy_grad = reference.cross_entropy, _referred(reference.cross_entropy_grad)
