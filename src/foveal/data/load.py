"""The table of named data sets, and `load`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from foveal.data.dataset import Dataset
from foveal.data.digits import load_mnist_5k
from foveal.data.folder import load_folder
from foveal.data.mnist import load_mnist
from foveal.data.spoken_digits import load_spoken_digits
from foveal.data.voxels import load_voxel_mnist
from foveal.errors import ParameterError, explain, nearest

DATASETS: dict[str, Callable[[], Dataset]] = {
    "mnist": load_mnist,
    "mnist-5k": load_mnist_5k,
    "spoken-digits": load_spoken_digits,
    "voxel-mnist": load_voxel_mnist,
}


def load(
    data: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Load a data set by its name, or a folder of images with one subfolder for each class.

    Parameters
    ----------
    data : str or path
        "mnist", "mnist-5k", "spoken-digits", "voxel-mnist", or a folder (a folder of such a name: "./mnist"); see
        `load_folder` for its layout.
    size : int or (int, int), pixels
        Folders only: resize every image to (H, W).
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
        if size is not None:
            raise ParameterError(
                explain("size", expected="none: it is for folders of images", got=f"{size} with {data!r}")
            )
        return DATASETS[data]()
    path = Path(data)
    if path.is_dir():
        return load_folder(path, size=size, test_fraction=test_fraction, seed=seed)
    got = f"{str(data)!r}, a file" if path.exists() else repr(str(data))
    fix = nearest(str(data), DATASETS) if isinstance(data, str) else ""
    raise ParameterError(explain("data", expected="the name of a data set, or a folder of images", got=got, fix=fix))
