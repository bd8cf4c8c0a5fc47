"""voxel-mnist: small volumes made from MNIST's digits, extruded, turned and noised."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from foveal._checks import check_count
from foveal.data.dataset import Dataset, Labelled
from foveal.data.digits import load_mnist_5k
from foveal.data.mnist import CHECKSUMS, load_mnist, search_folders
from foveal.errors import DataError, explain

SIDE = 16  # voxels
_CHUNK = 256  # volumes that are made at once: their coordinates fit the caches' last level

Volumes = NDArray[np.uint8]


def load_voxel_mnist(*, train: int = 10_000, test: int = 2_000, seed: int = 0) -> Dataset:
    """Make volumes of 16x16x16 voxels from MNIST's digits, or from those of mnist-5k if MNIST is not on this machine.

    The training volumes are made from training digits, the test volumes from test digits, each chosen at random and
    placed by `extrude`; if there are more volumes than digits, a digit occurs again in another pose. Nothing is
    downloaded. ``name`` says where the digits are from: voxel-mnist or voxel-mnist-5k.

    Parameters
    ----------
    train, test : int
        How many volumes.
    seed : int
        Of digits, poses and noise. The test volumes are the same whatever `train` is.

    Returns
    -------
    Dataset
        Volumes of shape (N, 1, 16, 16, 16), axes (depth, down, right), uint8.

    Raises
    ------
    DataError
        If there are no digits; and see the loaders of MNIST and mnist-5k.

    Examples
    --------
    >>> load_voxel_mnist(train=50, test=10).test[0].shape
    (10, 1, 16, 16, 16)
    """
    check_count(train, "train")
    check_count(test, "test")
    there = all(
        any((folder / file).is_file() for folder in search_folders() for file in (f"{name}.gz", name))
        for name in CHECKSUMS
    )
    digits = load_mnist() if there else load_mnist_5k()
    parts = (_part(digits.train, train, (seed, 0)), _part(digits.test, test, (seed, 1)))
    return Dataset(*parts, digits.classes, f"voxel-{digits.name}")


def _part(digits: Labelled, count: int, seed: tuple[int, int]) -> Labelled:
    x, t = digits
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(x)) for _ in range(math.ceil(count / len(x)))])[:count]
    return extrude(x[order, 0], rng), t[order]


def extrude(images: NDArray[np.uint8], rng: np.random.Generator) -> Volumes:
    """Make a solid of each digit, turn it, and add noise.

    1. Pairs of pixels are averaged in both directions: 14x14 numbers, one for each voxel.
    2. The digit becomes a solid of 4 to 7 voxels, with soft edges.
    3. It is turned about the line of sight by up to 15 degrees and about the vertical and the horizontal axis by up to
       40 degrees, in this order, all uniform, and scaled by 1 to 1.3. Each voxel takes its value from the place that
       it came from: bilinear between pixels, and ``clip(h + 1/2 - |z|, 0, 1)`` across the depth, h half the thickness.
    4. Normal noise with a standard deviation of 20 of 255 is added, and the sum clipped to 0 to 255.

    Parameters
    ----------
    images : ndarray of shape (N, 28, 28), uint8
        The digits.
    rng : numpy Generator
        Where poses and noise come from.

    Returns
    -------
    ndarray of shape (N, 1, 16, 16, 16), uint8

    Raises
    ------
    DataError
        If there is no digit.

    Examples
    --------
    >>> extrude(np.zeros((3, 28, 28), np.uint8), np.random.default_rng(0)).shape
    (3, 1, 16, 16, 16)
    """
    if len(images) == 0:
        raise DataError(explain("voxel-mnist", expected="at least one digit", got="none"))
    n = len(images)
    flat = images.reshape(n, 14, 2, 14, 2).mean(axis=(2, 4), dtype=np.float32)
    angles = np.deg2rad(rng.uniform(-1, 1, (n, 3)) * (15, 40, 40))
    back = turns(angles) / rng.uniform(1.0, 1.3, (n, 1, 1))
    half = rng.uniform(2, 3.5, n).astype(np.float32)
    volumes = np.empty((n, 1, SIDE, SIDE, SIDE), np.uint8)
    for first in range(0, n, _CHUNK):
        part = slice(first, first + _CHUNK)
        solid = _sample(flat[part], back[part].astype(np.float32), half[part])
        solid += 20 * rng.standard_normal(solid.shape, np.float32)
        volumes[part, 0] = np.clip(np.rint(solid), 0, 255).reshape(-1, SIDE, SIDE, SIDE)
    return volumes


def turns(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotations (N, 3, 3) of coordinates (z, y, x) about z, then y, then x, by angles (N, 3) in radians.

    Examples
    --------
    >>> turns(np.array([[np.pi / 2, 0, 0]])).round(3)[0] @ [0, 1, 0]
    array([0., 0., 1.])
    """
    c, s, o, e = np.cos(angles), np.sin(angles), np.zeros(len(angles)), np.ones(len(angles))
    about_z = [e, o, o, o, c[:, 0], -s[:, 0], o, s[:, 0], c[:, 0]]
    about_y = [c[:, 1], o, -s[:, 1], o, e, o, s[:, 1], o, c[:, 1]]
    about_x = [c[:, 2], -s[:, 2], o, s[:, 2], c[:, 2], o, o, o, e]
    z, y, x = (np.stack(entries, axis=1).reshape(-1, 3, 3) for entries in (about_z, about_y, about_x))
    product: NDArray[np.float64] = x @ y @ z
    return product


def _sample(flat: NDArray[np.float32], back: NDArray[np.float32], half: NDArray[np.float32]) -> NDArray[np.float32]:
    """The value (N, 4096) of every voxel: where it came from in the digit, and how deep in the solid."""
    middle = (SIDE - 1) / 2
    voxels = np.stack(np.meshgrid(*[np.arange(SIDE) - middle] * 3, indexing="ij")).reshape(3, -1).astype(np.float32)
    z, y, x = np.moveaxis(back @ voxels, 1, 0)
    padded = np.pad(flat, ((0, 0), (1, 1), (1, 1)))  # zeros around the digit: 16x16
    y, x = (np.clip(axis + np.float32(middle), 0, SIDE - 1.001) for axis in (y, x))
    top, left = y.astype(np.intp), x.astype(np.intp)
    down, right = y - top, x - left
    at = top * SIDE + left + np.arange(len(flat))[:, None] * SIDE**2
    values = padded.reshape(-1)
    above = values[at] * (1 - right) + values[at + 1] * right
    below = values[at + SIDE] * (1 - right) + values[at + SIDE + 1] * right
    inside = np.clip(half[:, None] + np.float32(0.5) - np.abs(z), 0, 1)
    solid: NDArray[np.float32] = (above * (1 - down) + below * down) * inside
    return solid
