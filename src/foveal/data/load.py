"""The table of named data sets, and `load`."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from foveal.data.cifar10 import load_cifar10
from foveal.data.dataset import Dataset
from foveal.data.digits import load_mnist_5k
from foveal.data.folder import load_folder
from foveal.data.imagenet_samples import load_imagenet_samples
from foveal.data.mnist import load_mnist
from foveal.data.spoken_digits import load_spoken_digits
from foveal.data.voxels import load_voxel_mnist
from foveal.errors import ParameterError, explain, nearest

DATASETS: dict[str, Callable[..., Dataset]] = {
    "cifar10": load_cifar10,
    "imagenet-samples": load_imagenet_samples,
    "imagenet-samples-64": partial(load_imagenet_samples, count=64),
    "mnist": load_mnist,
    "mnist-5k": load_mnist_5k,
    "spoken-digits": load_spoken_digits,
    "voxel-mnist": load_voxel_mnist,
}
OPTIONS = {"imagenet-samples": ("size", "count"), "imagenet-samples-64": ("size",)}  # of `load`, that a loader takes


def load(
    data: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | None = None,
    count: int | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Load a data set by its name, or a folder of images with one subfolder for each class.

    Parameters
    ----------
    data : str or path
        "mnist", "mnist-5k", "cifar10", "imagenet-samples", "imagenet-samples-64", "spoken-digits", "voxel-mnist", or a
        folder (a folder of such a name: "./mnist"); see `load_folder` for its layout.
    size : int or (int, int), pixels
        Folders: resize every image to (H, W). imagenet-samples: the middle (H, W) of every photograph.
    count : int
        imagenet-samples only: the first so many photographs.
    test_fraction : float
        Folders without train/ and test/: the part of each class that is split off for testing.
    seed : int
        Of that split. Named data sets have a fixed split.

    Returns
    -------
    Dataset
        ``train`` and ``test``, each (x, t): t int64 (N,), and x of images uint8 (N, C, H, W), of sounds float32
        (N, C, L), of volumes uint8 (N, C, D, H, W); ``classes``, ``name``.

    Raises
    ------
    ParameterError
        If the name is unknown, or an option does not apply.
    StorageError, FormatError, DataError, ShapeError, MissingDependencyError
        If the data cannot be had, or are not what they should be; see each loader.

    Examples
    --------
    >>> load("mnist-5k").train[0].shape
    (4000, 1, 28, 28)
    """
    if isinstance(data, str) and data in DATASETS:
        given = {name: value for name, value in (("size", size), ("count", count)) if value is not None}
        for name, value in given.items():
            if name not in OPTIONS.get(data, ()):
                raise _no_option(name, f"{value} with {data!r}")
        return DATASETS[data](**given)
    path = Path(data)
    if path.is_dir():
        if count is not None:
            raise _no_option("count", f"{count} with a folder")
        return load_folder(path, size=size, test_fraction=test_fraction, seed=seed)
    got = f"{str(data)!r}, a file" if path.exists() else repr(str(data))
    fix = nearest(str(data), DATASETS) if isinstance(data, str) else ""
    raise ParameterError(explain("data", expected="the name of a data set, or a folder of images", got=got, fix=fix))


def _no_option(name: str, got: str) -> ParameterError:
    takers = ["folders of images"] if name == "size" else []
    takers += [data for data, options in OPTIONS.items() if name in options]
    return ParameterError(explain(name, expected=f"none: it is for {', '.join(takers)}", got=got))
