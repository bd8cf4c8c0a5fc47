"""Pooling of float32 arrays as they lie in memory: checked as the formulas check, and refused in their words.

float64 arrays, and whatever is refused, go to the formulas.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal import reference
from foveal.geometry import Padding, PerAxis, Window, kernel_axes
from foveal.ops.referred import float_type, referred
from foveal.reference import arguments

if TYPE_CHECKING:
    from foveal.kernels.pooling_array_steps import ArrayPooling
    from foveal.kernels.steps import Step

Array = NDArray[Any]
F = TypeVar("F", bound=Callable[..., Any])
LARGEST = 2**31  # positions of a map: places in it are counted in 32 bits


def _like(formula: F) -> Callable[[Callable[..., Any]], F]:
    """Give a function the name, the docstring and the type of its formula."""
    return functools.wraps(formula)  # type: ignore[return-value]


@functools.lru_cache(maxsize=64)
def _pooling(spatial: tuple[int, ...], window: Window, rounding: str, count_padding: bool = False) -> ArrayPooling:
    from foveal.kernels.pooling_array_steps import ArrayPooling
    from foveal.kernels.reach import Places

    return ArrayPooling(Places(spatial, window, rounding, count_padding))


def _run(steps: list[Step]) -> None:
    from foveal.kernels.steps import program

    program(steps).run()


def _fast(*arrays: Any) -> bool:
    """Whether these go through kernels: float32 or half, not empty, and no map too large."""
    return float_type(*arrays) == np.float32 and all(0 < np.size(a) < LARGEST for a in arrays)


def _float32(array: ArrayLike) -> Array:
    return np.ascontiguousarray(array, np.float32)


def _numbers(value: float, channels: int) -> Array:
    return np.full(channels, value, np.float32)


@_like(reference.max_pool)
def max_pool(
    x: ArrayLike,
    kernel: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    rounding: str = "floor",
    return_indices: bool = False,
) -> Any:
    options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "rounding": rounding}
    if not _fast(x):
        formula: Any = referred(reference.max_pool)
        return formula(np.asarray(x), kernel, **options, return_indices=return_indices)
    maps, single = arguments.batch(x, "max_pool", kernel_axes(kernel))
    pooling = _pooling(maps.shape[2:], arguments.pooling(maps.shape[2:], kernel, **options), rounding)
    shape = (*maps.shape[:2], *pooling.places.output)
    y, indices = np.empty(shape, np.float32), np.empty(shape, np.int64) if return_indices else None
    _run(pooling.maximum(_float32(maps), y, indices))
    if indices is None:
        return y[0] if single else y
    return (y[0], indices[0]) if single else (y, indices)


@_like(reference.max_pool_grad)
def max_pool_grad(dy: ArrayLike, indices: ArrayLike, x_shape: tuple[int, ...], *, axes: int | None = None) -> Array:
    return _spread("add_at", reference.max_pool_grad, dy, indices, x_shape, axes)


@_like(reference.max_unpool)
def max_unpool(y: ArrayLike, indices: ArrayLike, x_shape: tuple[int, ...], *, axes: int | None = None) -> Array:
    return _spread("put_at", reference.max_unpool, y, indices, x_shape, axes)


@_like(reference.max_unpool_grad)
def max_unpool_grad(dx: ArrayLike, indices: ArrayLike, *, axes: int | None = None) -> Array:
    formula = referred(reference.max_unpool_grad)
    places = np.asarray(indices)
    if not (_fast(dx) and _fit(places, places.shape, np.shape(dx), axes)):
        return formula(dx, indices, axes=axes)
    dy = np.empty(places.shape, np.float32)
    return dy if _placed("take_at", _float32(dx), dy, places, axes) else formula(dx, indices, axes=axes)


def _spread(
    kernel: str, formula: Callable[..., Any], values: ArrayLike, indices: ArrayLike, x_shape: tuple[int, ...],
    axes: int | None,
) -> Array:  # fmt: skip
    """Return x, to which a kernel brings `values` at `indices`; the formula's, or its error, where they do not fit."""
    places, shape = np.asarray(indices), tuple(x_shape)
    if _fast(values) and _fit(places, np.shape(values), shape, axes):
        x = np.zeros(shape, np.float32)
        if _placed(kernel, x, _float32(values), places, axes):
            return x
    result: Array = referred(formula)(np.asarray(values), indices, x_shape, axes=axes)
    return result


def _fit(places: Array, shape: tuple[int, ...], x_shape: tuple[int, ...], axes: int | None) -> bool:
    """Whether there is a whole number for each value, and as many maps with as many axes in both."""
    batch = len(x_shape) - 2 in (1, 2, 3) if axes is None else len(x_shape) - axes in (1, 2)
    maps = 2 if axes is None else len(x_shape) - axes
    whole = places.dtype.kind in "iu" and places.shape == shape and len(shape) == len(x_shape)
    return batch and whole and shape[:maps] == x_shape[:maps] and 0 < math.prod(x_shape) < LARGEST and places.size > 0


def _placed(kernel: str, x: Array, y: Array, places: Array, axes: int | None) -> bool:
    """Run a kernel of `pooling_arrays` that moves numbers between x and y; return whether all places lie in x."""
    from foveal.kernels import pooling_arrays
    from foveal.kernels.pooling_array_steps import placed

    bad = np.zeros(math.prod(x.shape[: 2 if axes is None else x.ndim - axes]), np.uint8)
    _run(placed(getattr(pooling_arrays, kernel), x, y, np.ascontiguousarray(places, np.int64), bad))
    return not bad.any()


@_like(reference.avg_pool)
def avg_pool(
    x: ArrayLike,
    kernel: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    rounding: str = "floor",
    count_padding: bool = False,
) -> Array:
    options: dict[str, Any] = {"stride": stride, "padding": padding, "rounding": rounding}
    if not _fast(x):
        return referred(reference.avg_pool)(np.asarray(x), kernel, **options, count_padding=count_padding)
    maps, single = arguments.batch(x, "avg_pool", kernel_axes(kernel))
    window = arguments.pooling(maps.shape[2:], kernel, **options)
    pooling, c = _pooling(maps.shape[2:], window, rounding, count_padding), maps.shape[1]
    y = np.empty((*maps.shape[:2], *pooling.places.output), np.float32)
    _run(pooling.mean(_float32(maps), _numbers(1, c), _numbers(0, c), pooling.places.shares, y))
    return y[0] if single else y


@_like(reference.avg_pool_grad)
def avg_pool_grad(
    dy: ArrayLike,
    x_shape: tuple[int, ...],
    kernel: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    rounding: str = "floor",
    count_padding: bool = False,
) -> Array:
    options: dict[str, Any] = {"stride": stride, "padding": padding, "rounding": rounding}
    if not _fast(dy):
        return referred(reference.avg_pool_grad)(
            np.asarray(dy), x_shape, kernel, **options, count_padding=count_padding
        )
    shape, single = arguments.map_shape(x_shape, "avg_pool_grad", kernel_axes(kernel))
    pooling = _pooling(shape[2:], arguments.pooling(shape[2:], kernel, **options), rounding, count_padding)
    dy = arguments.gradient(dy, (*shape[:2], *pooling.places.output), "avg_pool_grad", single)
    dx = np.empty(shape, np.float32)
    _run(pooling.mean_grad(_float32(dy), _numbers(1, shape[1]), pooling.places.shares, dx))
    return dx[0] if single else dx


@_like(reference.global_avg_pool)
def global_avg_pool(x: ArrayLike) -> Array:
    return avg_pool(x, arguments.maps(x, "global_avg_pool").shape[2:])


@_like(reference.global_avg_pool_grad)
def global_avg_pool_grad(dy: ArrayLike, x_shape: tuple[int, ...]) -> Array:
    shape, _ = arguments.map_shape(x_shape, "global_avg_pool_grad", None)
    dy = arguments.gradient(dy, (*shape[:2], *(1,) * len(shape[2:])), "global_avg_pool_grad")
    return avg_pool_grad(dy, shape, shape[2:])


@_like(reference.global_max_pool)
def global_max_pool(x: ArrayLike, *, return_indices: bool = False) -> Any:
    pool: Any = max_pool
    return pool(x, arguments.maps(x, "global_max_pool").shape[2:], return_indices=return_indices)


@_like(reference.global_max_pool_grad)
def global_max_pool_grad(dy: ArrayLike, indices: ArrayLike, x_shape: tuple[int, ...]) -> Array:
    return max_pool_grad(dy, indices, x_shape)


@_like(reference.subsample)
def subsample(
    x: ArrayLike, coefficient: ArrayLike, bias: ArrayLike, kernel: PerAxis = 2, *, stride: PerAxis | None = None
) -> Array:
    if not _fast(x, coefficient, bias):
        return referred(reference.subsample)(
            np.asarray(x), np.asarray(coefficient), np.asarray(bias), kernel, stride=stride
        )
    maps, pooling, single = _subsampling("subsample", x, coefficient, kernel, stride)
    arguments.same_shape(bias, maps.shape[1:2], "subsample", "bias", "it holds one number per channel")
    y = np.empty((*maps.shape[:2], *pooling.places.output), np.float32)
    _run(pooling.mean(maps, _float32(coefficient), _float32(bias), pooling.places.ones, y))
    return y[0] if single else y


@_like(reference.subsample_grad)
def subsample_grad(
    x: ArrayLike, coefficient: ArrayLike, dy: ArrayLike, kernel: PerAxis = 2, *, stride: PerAxis | None = None
) -> tuple[Array, Array, Array]:
    if not _fast(x, coefficient, dy):
        return referred(reference.subsample_grad)(
            np.asarray(x), np.asarray(coefficient), np.asarray(dy), kernel, stride=stride
        )
    maps, pooling, single = _subsampling("subsample_grad", x, coefficient, kernel, stride)
    shape, c = (*maps.shape[:2], *pooling.places.output), maps.shape[1]
    gradient = _float32(arguments.gradient(dy, shape, "subsample_grad", single))
    sums, dx, ones = np.empty(shape, np.float32), np.empty(maps.shape, np.float32), pooling.places.ones
    _run([
        *pooling.mean(maps, _numbers(1, c), _numbers(0, c), ones, sums),
        *pooling.mean_grad(gradient, _float32(coefficient), ones, dx),
    ])  # fmt: skip
    rows = gradient.reshape(*shape[:2], -1)
    dcoefficient = np.einsum("ncp,ncp->c", rows, sums.reshape(rows.shape), dtype=np.float64)
    dbias = rows.sum(axis=(0, 2), dtype=np.float64)
    return dx[0] if single else dx, dcoefficient.astype(np.float32), dbias.astype(np.float32)


def _subsampling(
    where: str, x: ArrayLike, coefficient: ArrayLike, kernel: PerAxis, stride: PerAxis | None
) -> tuple[Array, ArrayPooling, bool]:
    maps, single = arguments.batch(x, where, kernel_axes(kernel))
    window = arguments.pooling(maps.shape[2:], kernel, stride=stride, padding=0)
    arguments.same_shape(coefficient, maps.shape[1:2], where, "coefficient", "it holds one number per channel")
    return _float32(maps), _pooling(maps.shape[2:], window, "floor"), single
