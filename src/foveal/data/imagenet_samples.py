"""imagenet-samples: 300 photographs of 300 classes, from their archive or their folder."""

from __future__ import annotations

import numpy as np

from foveal._checks import check_count
from foveal.data.archive import Entry, Source
from foveal.data.dataset import Dataset
from foveal.data.image import Pixels, check_size, crop, parse_image, to_rgb
from foveal.errors import DataError, FormatError, ParameterError, explain

PHOTOGRAPHS = 300
SHORT_SIDE = 256  # pixels
SOURCE = Source(
    title="imagenet-samples",
    archive="imagenet-samples-256.tar",
    folders=("imagenet-samples",),
    glob="*/*.jpg",
    name=r"(n[0-9]{8})_([^/]+)/\1\.jpg",  # WNID_NAME/WNID.jpg; a WNID is a noun of WordNet
    largest=2**20,  # the longest has 56,000 bytes
    fix="Set FOVEAL_DATA to the folder in which it lies, or load a folder of images of your own.",
)


def load_imagenet_samples(*, size: int | tuple[int, int] = 224, count: int | None = None) -> Dataset:
    """Load photographs of ImageNet, one of each class, from ``$FOVEAL_DATA`` or the cache; nothing is downloaded.

    Looked for in each: the archive ``imagenet-samples-256.tar``, which is read where it is, or the folder
    ``imagenet-samples/`` with ``WNID_NAME/WNID.jpg``. Photographs are sorted by WNID, so classes are as well.

    One photograph of a class cannot be split: **the test photographs are the training photographs.** They serve to look
    at filters and feature maps, to measure throughput, and to see that a network can learn some of them by heart, which
    proves its gradients. An accuracy on them says nothing about other photographs.

    Parameters
    ----------
    size : int or (int, int), pixels
        The middle (H, W) of each photograph, whose short side has 256. Nothing is scaled.
    count : int, optional
        Only the first so many, with their classes. None: all 300.

    Returns
    -------
    Dataset
        Images of shape (count, 3, H, W), uint8, RGB. Image i has class i.

    Raises
    ------
    ParameterError
        If `size` or `count` is larger than what is there.
    DataError
        If the photographs are nowhere, or not 300 of 300 classes.
    FormatError
        If the archive or a photograph is damaged, or its short side has not 256 pixels.
    StorageError
        If a file cannot be read.

    Source
    ------
    O. Russakovsky and others, "ImageNet Large Scale Visual Recognition Challenge", IJCV 115, 2015. The photographs
    belong to their photographers; they are for research and teaching only.
    """
    height, width = check_size(size)
    if max(height, width) > SHORT_SIDE:
        fix = "Nothing is scaled: choose a smaller size."
        raise ParameterError(
            explain("size", expected=f"at most {SHORT_SIDE}, the short side", got=f"{height}x{width}", fix=fix)
        )
    n = PHOTOGRAPHS if count is None else check_count(count, "count")
    if n > PHOTOGRAPHS:
        raise ParameterError(explain("count", expected=f"at most {PHOTOGRAPHS} photographs", got=str(n)))
    entries = _entries()
    x = np.stack([crop(_photograph(entry), height, width) for entry in entries[:n]]).transpose(0, 3, 1, 2)
    part = np.ascontiguousarray(x), np.arange(n)
    return Dataset(part, part, tuple(entry.parts[1] for entry in entries[:n]), "imagenet-samples (test = train)")


def _entries() -> list[Entry]:
    """All photographs, sorted by WNID."""
    place = SOURCE.find()
    entries = sorted(SOURCE.read(place))
    classes = len({entry.parts for entry in entries})
    if (len(entries), classes) != (PHOTOGRAPHS, PHOTOGRAPHS):
        expected = f"{PHOTOGRAPHS} photographs of as many classes, WNID_NAME/WNID.jpg"
        fix = "It is truncated or another collection: get it again."
        raise DataError(explain(str(place), expected=expected, got=f"{len(entries)} of {classes}", fix=fix))
    return entries


def _photograph(entry: Entry) -> Pixels:
    pixels = parse_image(entry.data, entry.where)
    height, width = pixels.shape[:2]
    if min(height, width) != SHORT_SIDE:
        expected = f"a photograph whose short side has {SHORT_SIDE} pixels"
        raise FormatError(explain(entry.where, expected=expected, got=f"{width}x{height}"))
    return to_rgb(pixels)
