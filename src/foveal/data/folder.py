"""A folder of images, one subfolder for each class."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foveal._files import storage_error
from foveal.data.dataset import Dataset, Labelled, split
from foveal.data.image import Pixels, check_size, read_image, resize, to_rgb
from foveal.errors import DataError, ShapeError, explain

_CLUTTER = {"thumbs.db", "desktop.ini"}  # what file managers leave behind; hidden files are skipped as well

Files = list[tuple[Path, int]]


def load_folder(
    path: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Load images from subfolders named after their class: ``CLASS/*.png``, or ``train/CLASS/*`` and ``test/CLASS/*``.

    Classes are numbered in alphabetical order. Grey images stay grey if all are grey, else all become RGB.

    Parameters
    ----------
    path : path
        The folder.
    size : int or (int, int), pixels
        Resize every image to (H, W), stretching it if the aspect differs. None: all must have the same size.
    test_fraction : float
        Without train/ and test/: the part of each class that is split off for testing.
    seed : int
        Of that split.

    Returns
    -------
    Dataset
        Images of shape (N, C, H, W), uint8, C = 1 or 3.

    Raises
    ------
    StorageError
        If the folder or a file cannot be read.
    FormatError
        If a file is truncated or no image.
    DataError
        If there is no class, a class without images, or train/ and test/ have different classes.
    ShapeError
        If sizes differ and no `size` is given.
    ParameterError
        If `size` or `test_fraction` make no sense.
    """
    root, wanted = Path(path), None if size is None else check_size(size)
    folders = {part: root / part for part in ("train", "test") if (root / part).is_dir()}
    if len(folders) < 2:
        # A lone train/ with classes inside is a data set without its test part.
        lone = folders.get("train")
        source = lone if lone and _entries(root) == [lone] and any(p.is_dir() for p in _entries(lone)) else root
        files, classes = _list(source)
        x, t = _read(files, wanted)
        train, test = split(t, test_fraction, seed=seed)
        return Dataset((x[train], t[train]), (x[test], t[test]), classes, root.name)
    (train_files, classes), (test_files, test_classes) = _list(folders["train"]), _list(folders["test"])
    if classes != test_classes:
        only = sorted(set(classes) ^ set(test_classes))
        raise DataError(explain(str(root), expected="the same classes in train/ and test/", got=f"{only} in one only"))
    x, t = _read(train_files + test_files, wanted)
    n = len(train_files)
    return Dataset((x[:n], t[:n]), (x[n:], t[n:]), classes, root.name)


def _entries(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise storage_error(folder, "read", error) from error
    return [p for p in entries if not p.name.startswith(".") and p.name.lower() not in _CLUTTER]


def _list(root: Path) -> tuple[Files, tuple[str, ...]]:
    """The files of each class, in alphabetical order, and the names of the classes."""
    folders = [p for p in _entries(root) if p.is_dir()]
    if not folders:
        fix = "Put the images of each class into a subfolder named after it."
        raise DataError(explain(str(root), expected="one subfolder for each class", got="none", fix=fix))
    files: Files = []
    for label, folder in enumerate(folders):
        inside = _entries(folder)
        nested = next((p for p in inside if p.is_dir()), None)
        if nested or not inside:
            got = f"the folder {nested.name!r} in it" if nested else "none"
            fix = "Give the folder that holds the class folders." if nested else "Add images, or remove the folder."
            raise DataError(explain(str(folder), expected="images of one class", got=got, fix=fix))
        files += [(p, label) for p in inside]
    return files, tuple(p.name for p in folders)


def _read(files: Files, size: tuple[int, int] | None) -> Labelled:
    images = [read_image(path) for path, _ in files]
    if size is None:
        first = images[0].shape[:2]
        other = next((i for i, image in enumerate(images) if image.shape[:2] != first), None)
        if other is not None:
            sizes = [f"{files[i][0]} is {_size(images[i])}" for i in (0, other)]
            fix = "Resize them, or load with a size: data.load(folder, size=(H, W)); on the command line, --size."
            raise ShapeError(explain("images", expected="one size", got=" and ".join(sizes), fix=fix))
    else:
        images = [resize(image, *size) for image in images]
    return _stack(images), np.array([label for _, label in files], np.int64)


def _size(image: Pixels) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _stack(images: list[Pixels]) -> NDArray[np.uint8]:
    if all(image.ndim == 2 for image in images):
        return np.stack(images)[:, None]
    return np.ascontiguousarray(np.stack([to_rgb(image) for image in images]).transpose(0, 3, 1, 2))
