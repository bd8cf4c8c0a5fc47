"""Global pooling: each map of a channel becomes one number, its mean or its maximum."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.geometry import volume
from foveal.reference import arguments
from foveal.reference.pooling import max_pool, max_pool_grad

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def global_avg_pool(x: ArrayLike) -> F64:
    """Return the mean of every channel's map: ``y[n,c,0,0] = sum_hw x[n,c,h,w] / (H*W)``.

    Parameters
    ----------
    x : ndarray of shape (N, C, *spatial)
        A batch of feature maps: signals (L), images (H, W) or volumes (D, H, W).

    Returns
    -------
    y : ndarray of shape (N, C, 1, 1), with a 1 for each spatial axis, float64

    Raises
    ------
    ShapeError
        `x` is not a batch of maps.

    Source
    ------
    Lin, Chen and Yan, Network in network, arXiv 1312.4400, section 3.2.

    Examples
    --------
    >>> global_avg_pool(np.arange(8.0).reshape(1, 2, 2, 2)).shape, global_avg_pool([[[1.0, 2.0, 6.0]]])
    ((1, 2, 1, 1), array([[[3.]]]))
    """
    x = arguments.maps(x, "global_avg_pool").astype(np.float64)
    y: F64 = x.mean(axis=tuple(range(2, x.ndim)), keepdims=True)
    return y


def global_avg_pool_grad(dy: ArrayLike, x_shape: tuple[int, ...]) -> F64:
    """Return dx of `global_avg_pool`: each dy is spread evenly over its map, ``dx[n,c,h,w] = dy[n,c,0,0] / (H*W)``.

    Parameters
    ----------
    dy : ndarray of the shape of y
        Gradient of y.
    x_shape : (N, C, *spatial)
        Shape of the result.

    Returns
    -------
    dx : ndarray of shape `x_shape`, float64

    Raises
    ------
    ShapeError
        `dy` has not the shape of y.

    Examples
    --------
    >>> global_avg_pool_grad([[[6.0]]], (1, 1, 3))
    array([[[2., 2., 2.]]])
    """
    (n, c, *spatial), _ = arguments.map_shape(x_shape, "global_avg_pool_grad", None)
    dy = arguments.gradient(dy, (n, c, *(1,) * len(spatial)), "global_avg_pool_grad").astype(np.float64)
    return np.broadcast_to(dy / volume(spatial), (n, c, *spatial)).copy()


@overload
def global_max_pool(x: ArrayLike, *, return_indices: Literal[False] = False) -> F64: ...
@overload
def global_max_pool(x: ArrayLike, *, return_indices: Literal[True]) -> tuple[F64, I64]: ...
def global_max_pool(x: ArrayLike, *, return_indices: bool = False) -> F64 | tuple[F64, I64]:
    """Return the maximum of every channel's map: `max_pool` with a kernel as large as the map.

    Parameters
    ----------
    x : ndarray of shape (N, C, *spatial)
        A batch of feature maps: signals (L), images (H, W) or volumes (D, H, W).
    return_indices : bool
        Return also where each maximum was, which `global_max_pool_grad` needs.

    Returns
    -------
    y : ndarray of shape (N, C, 1, 1), with a 1 for each spatial axis, float64
    indices : ndarray of the shape of y, int64
        As `max_pool` returns them: of equal maxima the first.

    Raises
    ------
    ShapeError
        `x` is not a batch of maps.

    Examples
    --------
    >>> global_max_pool([[[1.0, 6.0, 2.0]]], return_indices=True)
    (array([[[6.]]]), array([[[1]]]))
    """
    x = arguments.maps(x, "global_max_pool")
    if return_indices:
        return max_pool(x, x.shape[2:], return_indices=True)
    return max_pool(x, x.shape[2:])


def global_max_pool_grad(dy: ArrayLike, indices: ArrayLike, x_shape: tuple[int, ...]) -> F64:
    """Return dx of `global_max_pool`: `max_pool_grad`, ``dx[n, c, indices] = dy``.

    Parameters
    ----------
    dy, indices : ndarrays of the shape of y
        The gradient of y, and the indices that `global_max_pool` returned.
    x_shape : (N, C, *spatial)
        Shape of the result.

    Returns
    -------
    dx : ndarray of shape `x_shape`, float64

    Raises
    ------
    ShapeError, DTypeError
        As `max_pool_grad`.

    Examples
    --------
    >>> global_max_pool_grad([[[5.0]]], [[[1]]], (1, 1, 3))
    array([[[0., 5., 0.]]])
    """
    return max_pool_grad(dy, indices, x_shape)
