"""The checks of images and labels: done once, at the public door, before any work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.errors import DataError, DTypeError, ParameterError, ShapeError, explain

_COLOURS = {1: "grey", 3: "RGB"}


def check_images(
    x: Any, input_shape: Sequence[int], *, where: str = "x", finite: bool = False, empty: bool = False
) -> NDArray[Any]:
    """Check that `x` is a batch of images (or signals, volumes) that the network was made for.

    Parameters
    ----------
    x : ndarray of shape (N, C, *spatial), uint8 or floating
        uint8 is scaled by 1/255 in the first kernel; floating point is taken as it is.
    input_shape : sequence of int
        (C, *spatial) of the network.
    where : str
        How the message names the array.
    finite : bool
        Also refuse NaN and infinity (training data).
    empty : bool
        Allow N = 0.

    Returns
    -------
    ndarray
        `x`, as an array; never a copy of an array.

    Raises
    ------
    ShapeError
        If the rank, the channels or the size differ.
    DTypeError
        If it is neither uint8 nor floating point.
    DataError
        If it is empty or, with `finite`, not finite.

    Examples
    --------
    >>> check_images(np.zeros((2, 3, 28, 28)), (1, 28, 28))
    Traceback (most recent call last):
    foveal.errors.ShapeError: x: expected shape (N, 1, 28, 28), got (2, 3, 28, 28): axis 1 has 3 channels (RGB) and the
    network was made for 1 (grey). Convert the images, or build the network with input_shape=(3, 28, 28).
    """
    array, shape = np.asarray(x), tuple(input_shape)
    _check_shape(array.shape, shape, where)
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        fix = "Use x.astype(np.uint8) for pixels 0-255, or x.astype(np.float32) for values already scaled."
        raise DTypeError(explain(where, expected="uint8 or floating point values", got=str(array.dtype), fix=fix))
    if not empty and array.shape[0] == 0:
        raise DataError(explain(where, expected="at least one image", got=f"shape {array.shape}"))
    if finite and array.dtype != np.uint8:
        _check_finite(array, where)
    return array


def _check_shape(got: tuple[int, ...], shape: tuple[int, ...], where: str) -> None:
    if got[1:] == shape:
        return
    if len(got) != len(shape) + 1:
        why = f"it has {len(got)} axes and a batch has {len(shape) + 1}"
        fix = "Add the batch axis: x[None]." if got == shape else ""
        if got != shape and got[1:] == shape[1:] and shape[0] == 1:
            why, fix = "the channel axis is missing", "Add it: x[:, None]."
    elif got[1] != shape[0]:
        colours = [f" ({_COLOURS[n]})" if n in _COLOURS else "" for n in (got[1], shape[0])]
        why = f"axis 1 has {got[1]} channels{colours[0]} and the network was made for {shape[0]}{colours[1]}"
        fix = f"Convert the images, or build the network with input_shape={got[1:]}."
        if got[1:] == (*shape[1:], shape[0]):
            fix = "The channels are on the last axis: use np.moveaxis(x, -1, 1)."
    else:
        why, fix = "the size differs", f"Resize the images, or build the network with input_shape={got[1:]}."
    expected = "shape (N, " + ", ".join(map(str, shape)) + ")"
    raise ShapeError(explain(where, expected=expected, got=str(got), why=why, fix=fix))


def _check_finite(array: NDArray[Any], where: str) -> None:
    # Row by row in blocks: a mask of the whole of a large data set would cost a quarter of its memory again.
    for start in range(0, len(array), 1024):
        bad = ~np.isfinite(array[start : start + 1024])
        if bad.any():
            row = start + int(np.argwhere(bad)[0, 0])
            first = array[row][~np.isfinite(array[row])][0]
            fix = "Remove or repair these images: np.isfinite(x) shows where."
            raise DataError(explain(where, expected="finite values", got=f"{first} in image {row}", fix=fix))


def check_labels(t: Any, classes: int, n: int, *, where: str = "t") -> NDArray[np.int64]:
    """Check labels, class indices or one-hot, and return them as class indices.

    Parameters
    ----------
    t : ndarray of shape (N,), integer, or (N, classes), one-hot
        The labels.
    classes : int
        Number of classes of the network.
    n : int
        Number of images.
    where : str
        How the message names the array.

    Returns
    -------
    ndarray of shape (N,), int64
        Class indices, 0 to classes-1.

    Raises
    ------
    ShapeError
        If the shape is neither (N,) nor (N, classes).
    DTypeError
        If (N,) labels are not integers.
    DataError
        If a label is out of range, or a row is not one-hot.

    Examples
    --------
    >>> check_labels([[0, 1, 0], [0, 0, 1]], classes=3, n=2)
    array([1, 2])
    >>> check_labels([0, 3], classes=3, n=2)
    Traceback (most recent call last):
    foveal.errors.DataError: t: expected labels from 0 to 2, got 3 at row 1. Number the 3 classes from 0, or ...
    """
    labels = np.asarray(t)
    if labels.shape not in ((n,), (n, classes)):
        why = f"there are {n} images" if labels.shape[:1] != (n,) else f"the network has {classes} classes"
        expected = f"shape ({n},) of class indices or ({n}, {classes}) one-hot"
        raise ShapeError(explain(where, expected=expected, got=str(labels.shape), why=why))
    if labels.ndim == 2:
        return _from_one_hot(labels, where)
    if not np.issubdtype(labels.dtype, np.integer):
        fix = "Use t.astype(np.int64) if they are whole numbers, or number the classes from 0."
        raise DTypeError(explain(where, expected="integer class indices", got=str(labels.dtype), fix=fix))
    bad = (labels < 0) | (labels >= classes)
    if bad.any():
        row = int(np.argmax(bad))
        fix = f"Number the {classes} classes from 0, or build the network with more outputs."
        raise DataError(
            explain(where, expected=f"labels from 0 to {classes - 1}", got=f"{labels[row]} at row {row}", fix=fix)
        )
    return labels.astype(np.int64)


def _from_one_hot(labels: NDArray[Any], where: str) -> NDArray[np.int64]:
    if not (np.issubdtype(labels.dtype, np.number) or labels.dtype == np.bool_):
        raise DTypeError(explain(where, expected="one-hot numbers", got=str(labels.dtype)))
    good = ((labels == 0) | (labels == 1)).all(axis=1) & ((labels == 1).sum(axis=1) == 1)
    if not good.all():
        row = int(np.argmin(good))
        raise DataError(explain(where, expected="one 1 in each row, else 0", got=f"{labels[row]} at row {row}"))
    indices: NDArray[np.int64] = np.argmax(labels, axis=1).astype(np.int64)
    return indices


def check_count(value: Any, name: str, *, minimum: int = 1) -> int:
    """Check that an argument is a whole number not below `minimum`.

    Raises
    ------
    ParameterError
        If it is smaller.
    DTypeError
        If it is not a whole number.

    Examples
    --------
    >>> check_count(0, "batch_size")
    Traceback (most recent call last):
    foveal.errors.ParameterError: batch_size: expected a whole number of at least 1, got 0.
    """
    expected = f"a whole number of at least {minimum}"
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise DTypeError(explain(name, expected=expected, got=repr(value)))
    if value < minimum:
        raise ParameterError(explain(name, expected=expected, got=str(value)))
    return int(value)
