"""The exception tree, and how a message is built.

Every error of Foveal is a `FovealError` and also the built-in exception that a Python programmer would
catch. A message says where, what was expected, what came, why, and what to do; `explain` builds it, so that all
messages read alike:

    Convolution 'conv1' (30 filters 5x5): expected x of shape (N, 1, 28, 28), got (100, 3, 28, 28): axis 1 has 3
    channels and the filters were made for 1. Convert the images to grey, or build the network with
    input_shape=(3, 28, 28).
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable


class FovealError(Exception):
    """Anything that Foveal refuses; catch this to catch all of it."""


class ShapeError(FovealError, ValueError):
    """An array has the wrong rank, size or number of channels."""


class GeometryError(FovealError, ValueError):
    """A kernel, stride, padding or dilation does not fit the map it is applied to."""


class ParameterError(FovealError, ValueError):
    """An argument has an impossible value: an unknown name, a batch size of 0, a negative rate."""


class DTypeError(ParameterError, TypeError):
    """An array or argument has a type that the operation cannot take."""


class DataError(FovealError, ValueError):
    """The data cannot be learned from: empty, not finite, labels out of range."""


class FormatError(FovealError, OSError):
    """A file is truncated, of another format, or from another network."""


class StorageError(FovealError, OSError):
    """A file or folder cannot be read or written."""


class MissingDependencyError(FovealError, ImportError):
    """An optional package is needed; the message names the pip command that brings it."""


def explain(where: str, *, expected: str, got: str, why: str = "", fix: str = "") -> str:
    """Build a message: where, what was expected, what came, why, what to do.

    Examples
    --------
    >>> explain("stride", expected="a positive integer", got="0", fix="Use stride=1 to visit every position.")
    'stride: expected a positive integer, got 0. Use stride=1 to visit every position.'
    """
    message = f"{where}: expected {expected}, got {got}"
    if why:
        message += f": {why}"
    message = message.rstrip(".") + "."
    return f"{message} {fix}" if fix else message


def nearest(name: str, known: Iterable[str]) -> str:
    """Say what is known, the nearest name first: ``Did you mean 'adam'? Known: adam, sgd.``

    Of names that are as near, it is the one with more letters in common, then the one with the longest part.
    """
    known, wanted = sorted(known), name.lower()

    def likeness(k: str) -> tuple[float, int, int]:
        found = difflib.SequenceMatcher(None, k.lower(), wanted)
        letters = (Counter(k.lower()) & Counter(wanted)).total()
        return found.ratio(), letters, max(block.size for block in found.get_matching_blocks())

    best = max(known, key=likeness, default="")
    hint = f"Did you mean {best!r}? " if likeness(best)[0] >= 0.5 else ""
    return f"{hint}Known: {', '.join(known)}."
