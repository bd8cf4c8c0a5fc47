"""The affine (fully connected) layer and its gradients: one matrix product each."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import ShapeError, explain
from foveal.reference import arguments

F64 = NDArray[np.float64]


def affine(x: ArrayLike, w: ArrayLike, bias: ArrayLike | None = None) -> F64:
    """Return ``y[n,k] = bias[k] + sum_i x[n,i] * w[i,k]``. Maps are flattened in (C, H, W) order first.

    Parameters
    ----------
    x : ndarray of shape (N, in) or (N, C, H, W)
        Examples of `in` numbers each, in = C*H*W.
    w : ndarray of shape (in, out)
        Weights: one column per unit.
    bias : ndarray of shape (out,), optional
        One number per unit.

    Returns
    -------
    y : ndarray of shape (N, out), float64

    Raises
    ------
    ShapeError
        `w` or `bias` do not match `x`.

    Examples
    --------
    >>> affine([[1.0, 2.0]], [[1.0, 0.0, 3.0], [0.0, 1.0, 4.0]], [10.0, 20.0, 30.0])
    array([[11., 22., 41.]])
    """
    rows, w = _checked(x, w, "affine")
    y: F64 = rows @ w
    if bias is not None:
        y += arguments.same_shape(bias, w.shape[1:], "affine", "bias", "it holds one number per unit")
    return y


def affine_grad(x: ArrayLike, w: ArrayLike, dy: ArrayLike) -> tuple[F64, F64, F64]:
    """Return the gradients (dx, dw, db) of `affine`: ``dx = dy w.T``, ``dw = x.T dy``, ``db = sum_n dy``.

    Parameters
    ----------
    x, w
        As in `affine`.
    dy : ndarray of shape (N, out)
        Gradient of y.

    Returns
    -------
    dx, dw, db : ndarrays of the shapes of x, w and (out,), float64

    Raises
    ------
    ShapeError
        `w` or `dy` do not match `x`.

    Examples
    --------
    >>> affine_grad([[1.0, 2.0]], [[3.0], [4.0]], [[10.0]])
    (array([[30., 40.]]), array([[10.],
           [20.]]), array([10.]))
    """
    rows, w = _checked(x, w, "affine_grad")
    dy = arguments.same_shape(dy, (len(rows), w.shape[1]), "affine_grad").astype(np.float64)
    return (dy @ w.T).reshape(np.shape(x)), rows.T @ dy, dy.sum(axis=0)


def _checked(x: ArrayLike, w: ArrayLike, where: str) -> tuple[F64, F64]:
    x, w = arguments.real(x, where), arguments.real(w, where, "w")
    if x.ndim < 2:
        fix = "One example becomes a batch of one with x[None]."
        raise ShapeError(explain(where, expected="x of shape (N, in) or (N, C, H, W)", got=str(x.shape), fix=fix))
    units = int(np.prod(x.shape[1:]))
    if w.ndim != 2 or w.shape[0] != units:
        why = f"x of shape {x.shape} has {units} numbers per example"
        raise ShapeError(explain(where, expected=f"w of shape ({units}, out)", got=str(w.shape), why=why))
    return x.reshape(len(x), units).astype(np.float64), w.astype(np.float64)
