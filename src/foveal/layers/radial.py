"""Radial basis functions: how near features come to fixed codes, one for each class. Nothing is learned."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from foveal._formula import product
from foveal.errors import DTypeError, ParameterError, ShapeError, explain, nearest
from foveal.layers.base import Array, Backward, Gradients, Layer
from foveal.layers.digit_codes import DIGITS
from foveal.layers.shapes import Shape, plain, positive_shape

CODES = {"digits": DIGITS}


class RadialBasis(Layer):
    """``y[n,k] = -sum_j (x[n,j] - codes[k,j])^2``: the highest score is that of the nearest code.

    The paper's units give the distance itself, a penalty. With its sign turned it is a score, and softmax with
    cross-entropy is the paper's criterion (eq. 9) without its constant j: the distance of the right code, plus the
    logarithm of ``sum_k exp(-distance[k])``.

    Parameters
    ----------
    codes : "digits", or array of shape (K, F)
        One code for each class. "digits": 10 codes of 84 numbers, the pictures of 0 to 9 with 12 rows of 7 pixels, ink
        1 and paper -1.

    Raises
    ------
    ParameterError, DTypeError
        An unknown name, or no matrix of finite numbers.

    Source
    ------
    LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998, eq. 7 and figure 3.

    Examples
    --------
    >>> layer = RadialBasis([[1, 1], [1, -1]])
    >>> layer.forward(np.array([[1.0, 0.5]]))
    array([[-0.25, -2.25]])
    >>> RadialBasis("digits").output_shape((84,))
    (10,)
    """

    kind = "rbf"

    def __init__(self, codes: str | ArrayLike = "digits") -> None:
        super().__init__()
        if isinstance(codes, str):
            if codes not in CODES:
                fix = nearest(codes, CODES)
                raise ParameterError(explain("RadialBasis, codes", expected="a known name", got=repr(codes), fix=fix))
            self.codes: Any = codes
            matrix = CODES[codes]
        else:
            matrix = _check_matrix(codes)
            self.codes = plain(matrix)
        self.matrix = matrix

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        difference = x[:, None, :] - self.matrix.astype(x.dtype)
        y = -(difference**2).sum(2)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return -2 * np.einsum("nk,nkj->nj", dy, difference), {}

        return y, backward

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (K,)."""
        classes, features = self.matrix.shape
        if positive_shape(input_shape, self.title()) != (features,):
            fix = f"Put Affine({features}) before it."
            expected = f"an input of shape ({features},)"
            raise ShapeError(explain(self.title(), expected=expected, got=str(tuple(input_shape)), fix=fix))
        return (classes,)

    def macs(self, input_shape: Shape) -> int:
        """Return F * K: each difference is squared and added."""
        return product(*input_shape, *self.output_shape(input_shape))

    def details(self) -> str:
        """Return ``10 codes of 84``."""
        return f"{len(self.matrix)} codes of {self.matrix.shape[1]}"


def _check_matrix(codes: Any) -> Array:
    try:
        matrix = np.array(codes, np.float64)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.ndim != 2 or not matrix.size:
        expected, fix = "a name or a matrix (classes, features)", "[[1, -1], [-1, 1]] has two codes of two numbers."
        raise DTypeError(explain("RadialBasis, codes", expected=expected, got=repr(codes), fix=fix))
    if not np.isfinite(matrix).all():
        raise ParameterError(explain("RadialBasis, codes", expected="finite numbers", got="NaN or infinity"))
    return matrix
