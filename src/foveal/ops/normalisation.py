"""Normalisation of float32 arrays, in their own memory order: nothing is transposed."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal import reference
from foveal.ops.arrays import contiguous
from foveal.ops.referred import float_type, referred
from foveal.reference import arguments
from foveal.reference.normalisation import check_response

Array = NDArray[Any]
_batch_norm, _batch_norm_grad = referred(reference.batch_norm), referred(reference.batch_norm_grad)


@functools.wraps(reference.local_response_norm)
def local_response_norm(x: ArrayLike, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> Array:
    x, numbers = arguments.maps(x, "local_response_norm"), check_response(size, alpha, beta, k, "local_response_norm")
    if float_type(x) != np.float32:
        return reference.local_response_norm(x, *numbers)
    from foveal.kernels.local_response_steps import LocalResponse
    from foveal.kernels.steps import program
    from foveal.kernels.threads import pool

    y = np.empty(x.shape, np.float32)
    program(LocalResponse(*numbers).array_forward("lrn", contiguous(x), y, pool().size)).run()
    return y


@functools.wraps(reference.local_response_norm_grad)
def local_response_norm_grad(
    x: ArrayLike, dy: ArrayLike, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> Array:
    where = "local_response_norm_grad"
    x, numbers = arguments.maps(x, where), check_response(size, alpha, beta, k, where)
    dy = arguments.gradient(dy, x.shape, where)
    if float_type(x, dy) != np.float32:
        return reference.local_response_norm_grad(x, dy, *numbers)
    from foveal.kernels.local_response_steps import LocalResponse
    from foveal.kernels.steps import program
    from foveal.kernels.threads import pool

    dx = np.empty(x.shape, np.float32)
    program(LocalResponse(*numbers).array_backward("lrn", contiguous(x), contiguous(dy), dx, pool().size)).run()
    return dx


def _usual(x: Array, epsilon: Any, channels: tuple[Any, ...], statistics: tuple[Any, Any]) -> bool:
    """Whether the kernels can do it. All else, and with it all that is wrong, is left to the reference."""
    try:
        given = [np.asarray(s) for s in statistics if s is not None]
        arrays = [*map(np.asarray, channels), *given]
    except ValueError:  # rows of different lengths
        return False
    return (
        float_type(x, *arrays) == np.float32
        and x.ndim > 1
        and x.size > 0
        and isinstance(epsilon, float)
        and 0 < epsilon < math.inf
        and len(given) != 1
        and all(a.shape == x.shape[1:2] and a.dtype.kind in "fiub" for a in arrays)
        and (not given or bool(((given[1] >= 0) & (given[1] < math.inf)).all()))
    )


class _Channels:
    """One call on an array (N, C, *spatial): what its kernels are told, and what they tell, in float64.

    Features (N, C) change places first: then the numbers of a channel are neighbours.
    """

    def __init__(self, x: Array, statistics: tuple[ArrayLike | None, ArrayLike | None] = (None, None)) -> None:
        self.flat, self.channels = x.ndim == 2, x.shape[1]
        self.x = self.placed(x)
        self.given = statistics[0] is not None
        self.mean, self.variance = (
            np.zeros(self.channels) if s is None else np.array(s, np.float64) for s in statistics
        )  # fmt: skip

    def placed(self, x: Array) -> NDArray[np.float32]:
        """Return an array of the shape of x as the kernels read it."""
        return contiguous(x.T)[None] if self.flat else contiguous(x)

    def back(self, y: Array) -> Array:
        """Return a result in the shape of x."""
        return np.ascontiguousarray(y[0].T) if self.flat else y

    def run(self, kernel: Any, **values: Any) -> None:
        """Run one of the kernels for arrays."""
        from foveal.kernels.intrinsics import STACK
        from foveal.kernels.large import goes_past
        from foveal.kernels.steps import program, step

        wide = {k: v.astype(np.float64) if k in ("scale", "shift") else v for k, v in values.items()}
        known: dict[str, Any] = {"given": self.given, "past": goes_past(self.x.size, STACK)}
        known = {k: v for k, v in known.items() if k in kernel.fields.names}
        program([
            step(kernel.name, kernel, x=self.x, n=len(self.x), channels=self.channels, mean=self.mean,
                 variance=self.variance, size=math.prod(self.x.shape[2:]), **known, **wide)
        ]).run()  # fmt: skip


@functools.wraps(reference.batch_statistics)
def batch_statistics(x: ArrayLike) -> tuple[Array, Array]:
    x = arguments.channels(x, "batch_statistics")
    if float_type(x) != np.float32 or x.size == 0:
        return referred(reference.batch_statistics)(x)
    from foveal.kernels.batch_norm import array_statistics

    call = _Channels(x)
    call.run(array_statistics)
    return call.mean.astype(np.float32), call.variance.astype(np.float32)


@functools.wraps(reference.batch_norm)
def batch_norm(
    x: ArrayLike,
    scale: ArrayLike,
    shift: ArrayLike,
    mean: ArrayLike | None = None,
    variance: ArrayLike | None = None,
    *,
    epsilon: float = 1e-5,
) -> Array:
    x = arguments.real(x, "batch_norm")
    if not _usual(x, epsilon, (scale, shift), (mean, variance)):
        return _batch_norm(x, scale, shift, mean, variance, epsilon=epsilon)
    from foveal.kernels.batch_norm import array_forward

    call = _Channels(x, (mean, variance))
    y = np.empty_like(call.x)
    call.run(array_forward, y=y, scale=np.asarray(scale), shift=np.asarray(shift), epsilon=epsilon)
    return call.back(y)


@functools.wraps(reference.batch_norm_grad)
def batch_norm_grad(
    x: ArrayLike,
    scale: ArrayLike,
    dy: ArrayLike,
    mean: ArrayLike | None = None,
    variance: ArrayLike | None = None,
    *,
    epsilon: float = 1e-5,
) -> tuple[Array, Array, Array]:
    x, dy = arguments.real(x, "batch_norm_grad"), arguments.real(dy, "batch_norm_grad", "dy")
    if x.shape != dy.shape or not _usual(x, epsilon, (scale,), (mean, variance)) or float_type(x, dy) != np.float32:
        return _batch_norm_grad(x, scale, dy, mean, variance, epsilon=epsilon)
    from foveal.kernels.batch_norm import array_backward

    call = _Channels(x, (mean, variance))
    dx, dscale, dshift = np.empty_like(call.x), np.empty(call.channels), np.empty(call.channels)
    call.run(array_backward, dy=call.placed(dy), dx=dx, scale=np.asarray(scale), dscale=dscale, dshift=dshift,
             epsilon=epsilon)  # fmt: skip
    return call.back(dx), dscale.astype(np.float32), dshift.astype(np.float32)
