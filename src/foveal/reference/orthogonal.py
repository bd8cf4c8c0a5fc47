"""A gradient made orthogonal: all directions of a weight matrix change by about the same amount.

Sources: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
https://kellerjordan.github.io/posts/muon/, for the polynomial; Z. Kovarik, "Some iterative methods for improving
orthonormality", 1970, and A. Bjorck, C. Bowie, 1971, for the Newton-Schulz iteration.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = (3.4445, -4.7750, 2.0315)  # s -> a s + b s^3 + c s^5, which brings every s of 0.003 ... 1 near 1
ITERATIONS = 5
SMALLEST = 1e-7  # norm of a matrix that is not nearly zero


def as_matrix(weight: NDArray[Any]) -> NDArray[Any]:
    """Return a view (out, in) of a layer's weight: (in, out) of an affine layer, (K, C, ...) of a convolution.

    Examples
    --------
    >>> as_matrix(np.zeros((16, 3, 5, 5))).shape, as_matrix(np.zeros((4320, 100))).shape
    ((16, 75), (100, 4320))
    """
    return weight.T if weight.ndim == 2 else weight.reshape(len(weight), -1)


def steepness(matrix: NDArray[Any]) -> float:
    """Return what a step of a matrix (out, in) is multiplied by, sqrt(max(1, out / in)).

    An orthogonal matrix with more rows than columns has rows shorter than 1.
    """
    rows, columns = matrix.shape
    return float(np.sqrt(max(1.0, rows / columns)))


def orthogonal(matrix: NDArray[Any]) -> NDArray[Any]:
    """Return nearly U V^T where `matrix` is U S V^T: the same directions, with singular values of 0.68 to 1.21.

    Those below 0.003 of the norm become smaller than that.

    Formula
    -------
    X = M / |M|, then five times X = a X + (b A + c A A) X with A = X X^T; this applies POLYNOMIAL to each singular
    value.

    Examples
    --------
    >>> m = np.random.default_rng(0).standard_normal((4, 9)) * [[100], [1], [1], [1]]
    >>> np.linalg.svd(m)[1].round(1)
    array([199.1,   3.6,   1.3,   0.8])
    >>> np.linalg.svd(orthogonal(m))[1].round(1)
    array([1.2, 0.9, 0.7, 0.7])
    """
    if len(matrix) > matrix.shape[1]:
        return orthogonal(matrix.T).T
    a, b, c = POLYNOMIAL
    x = matrix / max(float(np.linalg.norm(matrix)), SMALLEST)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x
