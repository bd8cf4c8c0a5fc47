"""MNIST: 60,000 training and 10,000 test digits, from a folder, the cache, or two mirrors."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal._files import atomic_write, cache_folder, output_folder
from foveal.data.dataset import Dataset
from foveal.data.digits import DIGITS
from foveal.data.idx import parse_idx, read_bytes, unzip
from foveal.errors import DataError, FormatError, explain

# md5 of the uncompressed files: the same original bytes are distributed in several compressions.
CHECKSUMS = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def load_mnist() -> Dataset:
    """Load MNIST: from ``$FOVEAL_DATA/mnist`` or ``$FOVEAL_DATA``, else the cache, else downloaded into the cache.

    Returns
    -------
    Dataset
        60,000 training and 10,000 test images of shape (N, 1, 28, 28), uint8, ink is 255 on 0.

    Raises
    ------
    FormatError
        If a file is damaged: the md5 checksum of its uncompressed bytes is always compared.
    DataError
        If the files are nowhere and no mirror can be reached.
    StorageError
        If a file cannot be read, or the cache cannot be written.

    Source
    ------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
    Proceedings of the IEEE 86(11), 1998.
    """
    images, labels, test_images, test_labels = (_load_file(name) for name in CHECKSUMS)
    train = images[:, None], labels.astype(np.int64)
    return Dataset(train, (test_images[:, None], test_labels.astype(np.int64)), DIGITS, "mnist")


def search_folders() -> list[Path]:
    """The folders that are looked in before anything is downloaded, first one first."""
    chosen = os.environ.get("FOVEAL_DATA")
    own = [Path(chosen).expanduser() / "mnist", Path(chosen).expanduser()] if chosen else []
    return [*own, cache_folder("data", "mnist")]


def _load_file(name: str) -> NDArray[Any]:
    candidates = [folder / file for folder in search_folders() for file in (f"{name}.gz", name)]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        return parse_idx(_download(name), name)
    data = read_bytes(path)
    _verify(data, name, str(path), fix="It is damaged or another file: delete it, or get it again.")
    return parse_idx(data, str(path))


def _verify(data: bytes, name: str, where: str, fix: str) -> None:
    # usedforsecurity: the checksum finds damage; machines in FIPS mode refuse md5 otherwise.
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != CHECKSUMS[name]:
        raise FormatError(explain(where, expected=f"md5 {CHECKSUMS[name]}", got=f"md5 {found}", fix=fix))


def _download(name: str) -> bytes:
    """Get one file from the first mirror that has it intact, and keep it in the cache."""
    folder = output_folder(cache_folder("data", "mnist"))
    failures: list[str] = []
    damaged: FormatError | None = None
    for mirror in MIRRORS:
        url = f"{mirror}{name}.gz"
        try:
            packed = _fetch(url)
            data = unzip(packed, url)
            _verify(data, name, url, fix="The download is damaged; nothing was kept. Try again later.")
        except FormatError as error:
            damaged = error
        except OSError as error:  # requests' exceptions are OSErrors
            failures.append(f"{url} ({type(error).__name__})")
        else:
            with atomic_write(folder / f"{name}.gz") as file:
                file.write(packed)
            return data
    if damaged:
        raise damaged
    fix = f"Set FOVEAL_DATA to a folder that has {name}.gz, or use the bundled digits: mnist-5k."
    raise DataError(explain("mnist", expected="to download it", got="no answer from " + ", ".join(failures), fix=fix))


def _fetch(url: str) -> bytes:
    from pooch import HTTPDownloader

    buffer = io.BytesIO()
    HTTPDownloader(chunk_size=1 << 16, timeout=20)(url, buffer, None)
    return buffer.getvalue()
