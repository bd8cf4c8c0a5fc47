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


leaky_relu, leaky_relu_grad = referred(reference.leaky_relu), referred(reference.leaky_relu_grad)
relu, relu_grad = referred(reference.relu), referred(reference.relu_grad)
scaled_tanh, scaled_tanh_grad = referred(reference.scaled_tanh), referred(reference.scaled_tanh_grad)
sigmoid, sigmoid_grad = referred(reference.sigmoid), referred(reference.sigmoid_grad)
tanh, tanh_grad = referred(reference.tanh), referred(reference.tanh_grad)
affine, affine_grad = referred(reference.affine), referred(reference.affine_grad)
dropout, dropout_grad = referred(reference.dropout), referred(reference.dropout_grad)
dropout_mask = reference.dropout_mask
global_avg_pool, global_avg_pool_grad = referred(reference.global_avg_pool), referred(reference.global_avg_pool_grad)
global_max_pool, global_max_pool_grad = referred(reference.global_max_pool), referred(reference.global_max_pool_grad)
col2im = referred(reference.col2im)
im2col = referred(reference.im2col)
cross_entropy, cross_entropy_grad = reference.cross_entropy, referred(reference.cross_entropy_grad)
sum_of_squares, sum_of_squares_grad = reference.sum_of_squares, referred(reference.sum_of_squares_grad)
batch_norm, batch_norm_grad = referred(reference.batch_norm), referred(reference.batch_norm_grad)
batch_statistics = referred(reference.batch_statistics)
fold_batch_norm = referred(reference.fold_batch_norm)
local_response_norm, local_response_norm_grad = (
    referred(reference.local_response_norm),
    referred(reference.local_response_norm_grad),
)
avg_pool, avg_pool_grad = referred(reference.avg_pool), referred(reference.avg_pool_grad)
max_pool, max_pool_grad = referred(reference.max_pool), referred(reference.max_pool_grad)
max_unpool, max_unpool_grad = referred(reference.max_unpool), referred(reference.max_unpool_grad)
log_softmax, log_softmax_grad = referred(reference.log_softmax), referred(reference.log_softmax_grad)
softmax, softmax_grad = referred(reference.softmax), referred(reference.softmax_grad)
subsample, subsample_grad = referred(reference.subsample), referred(reference.subsample_grad)
