"""A data set: training and test images, sounds or volumes with their labels, and the stratified split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal._checks import check_images, check_labels
from foveal.errors import DataError, ParameterError, explain

Labelled = tuple[NDArray[Any], NDArray[np.int64]]


@dataclass(frozen=True, repr=False)
class Dataset:
    """Training and test examples with their labels: images (N, C, H, W), sounds (N, C, L) or volumes (N, C, D, H, W).

    Parameters
    ----------
    train, test : tuple of ndarray of shape (N, C, *spatial), uint8 or floating, and ndarray of shape (N,), int64
        Examples and class indices.
    classes : tuple of str
        The name of each class; class index i is ``classes[i]``.
    name : str
        Where it comes from, for titles and reports.

    Raises
    ------
    ShapeError, DTypeError, DataError
        If images and labels do not belong together, or a label has no class.

    Examples
    --------
    >>> x, t = np.zeros((4, 1, 8, 8), np.uint8), np.array([0, 1, 0, 1])
    >>> Dataset((x, t), (x[:2], t[:2]), ("no", "yes"), "toy")
    Dataset 'toy': 4 training and 2 test images of shape (1, 8, 8), uint8, 2 classes: no, yes
    """

    train: Labelled
    test: Labelled
    classes: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            x, t = getattr(self, part)
            check_images(x, self.train[0].shape[1:], where=f"{part} {self.kind} of {self.name!r}")
            check_labels(t, len(self.classes), len(x), where=f"{part} labels of {self.name!r}")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(C, *spatial): what a network for these examples is built with."""
        return tuple(self.train[0].shape[1:])

    @property
    def kind(self) -> str:
        """What the examples are, by their number of axes: sounds, images or volumes."""
        return {3: "sounds", 4: "images", 5: "volumes"}.get(self.train[0].ndim, "examples")

    def __repr__(self) -> str:
        x, shown = self.train[0], ", ".join(self.classes[:10]) + (", ..." if len(self.classes) > 10 else "")
        sizes = f"{len(x):,} training and {len(self.test[0]):,} test {self.kind} of shape {self.input_shape}"
        return f"Dataset {self.name!r}: {sizes}, {x.dtype}, {len(self.classes)} classes: {shown}"


def split(t: NDArray[np.int64], fraction: float = 0.2, *, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose test rows at random, the same fraction of every class (a stratified split).

    Parameters
    ----------
    t : ndarray of shape (N,), int64
        Class indices.
    fraction : float
        Part of each class that becomes test data, between 0 and 1; rounded, but one image of each class stays for
        training, and of two or more at least one is tested.
    seed : int
        The same seed gives the same split.

    Returns
    -------
    train, test : ndarray of int64
        Row numbers in a shuffled order.

    Raises
    ------
    ParameterError
        If the fraction is not between 0 and 1.
    DataError
        If no class has two images, so that nothing can be tested.

    Examples
    --------
    >>> train, test = split(np.repeat([0, 1], 10), 0.2)
    >>> len(train), len(test), sorted(set((train // 10).tolist()))
    (16, 4, [0, 1])
    """
    if not 0 < fraction < 1:
        raise ParameterError(explain("test_fraction", expected="a number between 0 and 1", got=str(fraction)))
    rng = np.random.default_rng(seed)
    chosen = []
    for label in np.unique(t):
        rows = rng.permutation(np.flatnonzero(t == label))
        count = min(max(1, round(len(rows) * fraction)), len(rows) - 1)
        chosen.append(rows[:count])
    test = np.concatenate(chosen) if chosen else np.empty(0, np.int64)
    if len(test) == 0:
        raise DataError(
            explain("data", expected="a class with two images or more, to split off test data", got=f"{len(t)} in all")
        )
    return rng.permutation(np.setdiff1d(np.arange(len(t)), test)), rng.permutation(test)
