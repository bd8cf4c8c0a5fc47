"""Augmentation: other views of the training images, drawn anew for every step, so that a network learns what stays.

Each augmentation is a move (`foveal.reference.augmentation`): ``y[i] = x[start + step i]`` along each axis, or a hole.
What is drawn depends on the seed and the number of the step only, so that it is the same on any number of threads, and
in a run that goes on from a checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foveal._checks import check_count
from foveal.errors import DTypeError, ParameterError, ShapeError, explain, nearest
from foveal.reference.augmentation import HOLE, READ, REFLECT, gather

Move = NDArray[np.int64]
MOST = 62  # a hole is a bit of an int64


@dataclass(frozen=True)
class Augmentation:
    """What `fit` takes as `augment`: Shift, Flip, Crop, Cutout."""

    name: ClassVar[str]
    lifelike: ClassVar[bool] = False  # whether what it makes could as well be a picture of the data, untouched

    def check(self, spatial: Sequence[int]) -> None:
        """Refuse images that it makes no sense for."""
        raise NotImplementedError

    def draw(self, rng: np.random.Generator, n: int, spatial: Sequence[int]) -> Move:
        """Return kind, start and step for each of n images and each axis: shape (n, axes, 3)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Crop(Augmentation):
    """Put a border around the image and take a part of the image's size somewhere in it.

    ``y[i, j] = x[i + a, j + b]`` with a and b drawn from -padding ... padding for each image, of uniform distribution.

    Parameters
    ----------
    padding : int
        Width of the border, less than the image's.
    mode : {"zero", "reflect"}
        What the border is made of: zeros, or the image mirrored at its outermost pixels.

    Source
    ------
    He, Zhang, Ren and Sun, Deep residual learning for image recognition, CVPR 2016, section 4.2.

    Examples
    --------
    >>> augmented(np.arange(1, 6).reshape(1, 1, 5), Crop(2, "reflect"), seed=1)
    array([[[3, 4, 5, 4, 3]]])
    """

    padding: int
    mode: str = "zero"
    name: ClassVar[str] = "crop"

    def __post_init__(self) -> None:
        check_count(self.padding, f"{type(self).__name__}")
        if self.mode not in ("zero", "reflect"):
            raise ParameterError(explain("Crop", expected="mode 'zero' or 'reflect'", got=repr(self.mode)))

    def check(self, spatial: Sequence[int]) -> None:
        _check_size(self, self.padding + 1, spatial)

    def draw(self, rng: np.random.Generator, n: int, spatial: Sequence[int]) -> Move:
        start = rng.integers(-self.padding, self.padding + 1, (n, len(spatial)))
        return _move(REFLECT if self.mode == "reflect" else READ, start, 1)


@dataclass(frozen=True)
class Shift(Augmentation):
    """Move the image along each axis, at random by up to so many pixels; what comes in is 0.

    The same as ``Crop(pixels)``: a part of an image with a border of zeros is the image, moved.

    Parameters
    ----------
    pixels : int
        Less than the image has.

    Examples
    --------
    >>> augmented(np.arange(1, 6).reshape(1, 1, 5), Shift(2), seed=1)
    array([[[3, 4, 5, 0, 0]]])
    """

    pixels: int
    name: ClassVar[str] = "shift"

    def __post_init__(self) -> None:
        check_count(self.pixels, "Shift")

    def check(self, spatial: Sequence[int]) -> None:
        _check_size(self, self.pixels + 1, spatial)

    def draw(self, rng: np.random.Generator, n: int, spatial: Sequence[int]) -> Move:
        return Crop(self.pixels).draw(rng, n, spatial)


@dataclass(frozen=True)
class Flip(Augmentation):
    """Mirror every second image, at random: ``y[i, j] = x[i, W - 1 - j]``.

    Parameters
    ----------
    axis : int
        Of x (N, C, *spatial): -1, the last one, swaps left and right; -2 of images swaps top and bottom.

    Examples
    --------
    >>> augmented(np.arange(4).reshape(1, 1, 4), Flip(), seed=1)
    array([[[3, 2, 1, 0]]])
    """

    axis: int = -1
    name: ClassVar[str] = "flip"
    lifelike: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_count(self.axis, "Flip", minimum=-3)

    def check(self, spatial: Sequence[int]) -> None:
        last = len(spatial) + 1
        if not (2 <= self.axis <= last or -len(spatial) <= self.axis <= -1):
            fix = "Axes 0 and 1 are the images and their channels."
            expected, got = f"a spatial axis, 2 to {last} or {-len(spatial)} to -1", f"axis={self.axis}"
            raise ParameterError(explain("Flip", expected=expected, got=got, fix=fix))

    def draw(self, rng: np.random.Generator, n: int, spatial: Sequence[int]) -> Move:
        axis = self.axis - 2 if self.axis >= 0 else self.axis
        flipped = np.zeros((n, len(spatial)), np.int64)
        flipped[:, axis] = rng.integers(0, 2, n)
        return _move(READ, flipped * (spatial[axis] - 1), 1 - 2 * flipped)


@dataclass(frozen=True)
class Cutout(Augmentation):
    """Put zeros in a square of the image; its centre is drawn from all pixels, so part of it may lie outside.

    Parameters
    ----------
    size : int
        Side of the square, or of the cube in volumes, in pixels; at most the image's.

    Source
    ------
    DeVries and Taylor, Improved regularization of convolutional neural networks with cutout, arXiv 1708.04552.

    Examples
    --------
    >>> augmented(np.ones((1, 1, 4, 5), int), Cutout(2), seed=4)
    array([[[[1, 1, 1, 1, 1],
             [1, 1, 0, 0, 1],
             [1, 1, 0, 0, 1],
             [1, 1, 1, 1, 1]]]])
    """

    size: int
    name: ClassVar[str] = "cutout"

    def __post_init__(self) -> None:
        check_count(self.size, "Cutout")

    def check(self, spatial: Sequence[int]) -> None:
        _check_size(self, self.size, spatial)

    def draw(self, rng: np.random.Generator, n: int, spatial: Sequence[int]) -> Move:
        centre = np.stack([rng.integers(0, size, n) for size in spatial], axis=1)
        return _move(HOLE, centre - self.size // 2, self.size)


AUGMENTATIONS: dict[str, type[Augmentation]] = {cls.name: cls for cls in (Shift, Flip, Crop, Cutout)}


class Draws:
    """What is drawn for each step of a run, for some steps at once: NumPy takes as long for one as for several.

    Parameters
    ----------
    augment : sequence of Augmentation
        At least one.
    spatial : sequence of int
        Sizes of an image.
    batch : int
        Most images in a step.
    seed : int
    last : int, optional
        The last step in which images are moved, cropped or cut out; afterwards they are only mirrored.

    Examples
    --------
    >>> Draws([Shift(2), Flip()], (28, 28), batch=100, seed=0)(step=1, n=60).shape
    (2, 60, 2, 3)
    """

    steps = 16  # drawn at once

    def __init__(
        self, augment: Sequence[Augmentation], spatial: Sequence[int], batch: int, seed: int, last: int | None = None
    ) -> None:
        self._augment, self._spatial, self._batch, self._seed, self._last = augment, spatial, batch, seed, last
        self._passing = [i for i, a in enumerate(augment) if not a.lifelike]
        self._block = -1

    def __call__(self, step: int, n: int) -> Move:
        """Return the moves of the n images of a step, counted from 1: shape (augmentations, n, axes, 3)."""
        block, place = divmod(step - 1, self.steps)
        if block != self._block:
            rng = np.random.default_rng((self._seed, block, 1))  # (seed, epoch) is the order of the images
            several = self.steps * self._batch
            self._block, self._moves = block, np.stack([a.draw(rng, several, self._spatial) for a in self._augment])
        moves = self._moves[:, place * self._batch : place * self._batch + n]
        if self._last is not None and step > self._last:
            moves = moves.copy()
            moves[self._passing] = READ, 0, 1  # y[i] = x[i]
        return moves


def augmented(x: NDArray[Any], augment: Any, *, seed: int = 0, step: int = 1) -> NDArray[Any]:
    """Return the images as `fit` shows them to the network if they are the batch of a step.

    Parameters
    ----------
    x : ndarray of shape (N, C, *spatial)
        The batch.
    augment : Augmentation, sequence of them, or str
        As in `fit`.
    seed, step : int
        Of the run, and of the step, counted from 1.

    Examples
    --------
    >>> augmented(np.arange(1, 6).reshape(1, 1, 5), "shift=2,flip", step=3)
    array([[[3, 2, 1, 0, 0]]])
    """
    x = np.asarray(x)
    settled = settle(augment, x.shape[1:])
    return gather(x, Draws(settled, x.shape[2:], len(x), seed)(step, len(x))) if settled else x


def settle(augment: Any, input_shape: Sequence[int]) -> tuple[Augmentation, ...]:
    """Return what `augment` says, one or several, as objects or in words, checked against images (C, *spatial).

    Raises
    ------
    ParameterError, DTypeError
        An unknown name, an impossible number, something that is no augmentation.
    ShapeError
        Images that have no places, or too few.
    """
    if isinstance(augment, str):
        given: Sequence[Any] = parse(augment)
    else:
        given = () if augment is None else augment if isinstance(augment, list | tuple) else (augment,)
    if len(given) > MOST:
        raise ParameterError(explain("augment", expected=f"at most {MOST} of them", got=str(len(given))))
    for item in given:
        if not isinstance(item, Augmentation):
            expected = "augmentations such as Shift(2), or words such as 'shift=2,flip'"
            raise DTypeError(explain("augment", expected=expected, got=repr(item)))
        if len(input_shape) < 2:
            fix = "What has no neighbours cannot be moved: leave augment out."
            got = f"examples of shape {tuple(input_shape)}"
            raise ShapeError(explain(f"augment, {item}", expected="images (C, *spatial)", got=got, fix=fix))
        item.check(input_shape[1:])
    return tuple(given)


def parse(text: str) -> tuple[Augmentation, ...]:
    """Read words such as "shift=2,flip,crop=4:reflect,cutout=8"; "none" is none.

    Raises
    ------
    ParameterError
        An unknown name, or no such numbers.

    Examples
    --------
    >>> parse("crop=4:reflect,flip")
    (Crop(padding=4, mode='reflect'), Flip(axis=-1))
    """
    if text.strip() in ("none", ""):
        return ()
    return tuple(_parse_one(word.strip()) for word in text.split(","))


def _parse_one(word: str) -> Augmentation:
    name, _, rest = word.partition("=")
    if name not in AUGMENTATIONS:
        raise ParameterError(
            explain("augment", expected="a known name", got=repr(name), fix=nearest(name, AUGMENTATIONS))
        )
    parts = rest.split(":") if rest else []
    try:
        return AUGMENTATIONS[name](*(int(part) if part.lstrip("-").isdecimal() else part for part in parts))
    except (TypeError, ParameterError) as error:
        fix = "Write shift=2, flip, crop=4, crop=4:reflect or cutout=8."
        raise ParameterError(explain("augment", expected=f"numbers for {name}", got=repr(word), fix=fix)) from error


def _move(kind: int, start: NDArray[np.int64], step: NDArray[np.int64] | int) -> Move:
    move = np.empty((*start.shape, 3), np.int64)
    move[..., 0], move[..., 1], move[..., 2] = kind, start, step
    return move


def _check_size(augmentation: Augmentation, least: int, spatial: Sequence[int]) -> None:
    if min(spatial) < least:
        expected, got = f"at least {least} pixels on each axis", "x".join(map(str, spatial))
        raise ShapeError(explain(str(augmentation), expected=expected, got=got, fix="Take a smaller number."))
