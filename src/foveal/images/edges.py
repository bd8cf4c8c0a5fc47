"""What stands around an image: for each place outside, which pixel of the image is seen there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foveal.errors import ParameterError, explain, nearest

# Name -> mode of numpy.pad. OpenCV: BORDER_REFLECT_101, BORDER_REPLICATE, BORDER_WRAP, BORDER_CONSTANT with 0.
# SciPy (scipy.ndimage): mirror, nearest, grid-wrap, constant with 0.
EDGES = {"reflect": "reflect", "replicate": "edge", "wrap": "wrap", "zero": "constant"}


def check_edge(edge: str, where: str = "edge") -> str:
    """Return `edge` if it is a known mode.

    Raises
    ------
    ParameterError
        If it is not.
    """
    if edge not in EDGES:
        expected = "zero, reflect, replicate or wrap"
        raise ParameterError(explain(where, expected=expected, got=repr(edge), fix=nearest(str(edge), EDGES)))
    return edge


def edge_index(size: int, before: int, after: int, edge: str) -> NDArray[np.int64]:
    """Return which pixel of a row of `size` is seen at the places -before, ..., size + after - 1.

    Parameters
    ----------
    size : int
        Pixels of the row, at least 1.
    before, after : int
        Places on either side, any number.
    edge : str
        "reflect" mirrors without repeating the last pixel, d c b | a b c d | c b a: OpenCV's BORDER_REFLECT_101 (its
        BORDER_DEFAULT) and NumPy's "reflect"; SciPy calls it "mirror", and its own "reflect" is another one.
        "replicate" repeats the last pixel, "wrap" goes on at the other side, "zero" is black.

    Returns
    -------
    ndarray of shape (before + size + after,), int64
        -1 where zeros stand.

    Examples
    --------
    >>> for edge in EDGES:
    ...     print(f"{edge:9}", edge_index(4, 3, 3, edge))
    reflect   [3 2 1 0 1 2 3 2 1 0]
    replicate [0 0 0 0 1 2 3 3 3 3]
    wrap      [1 2 3 0 1 2 3 0 1 2]
    zero      [-1 -1 -1  0  1  2  3 -1 -1 -1]
    """
    places = np.arange(-before, size + after)
    if edge == "zero":
        return np.where((places < 0) | (places >= size), -1, places)
    if edge == "replicate":
        return np.clip(places, 0, size - 1)
    if edge == "wrap":
        return places % size
    period = max(1, 2 * (size - 1))
    folded = places % period
    return np.minimum(folded, period - folded) if size > 1 else np.zeros_like(places)
