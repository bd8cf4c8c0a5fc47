"""Data sets and readers: digits (MNIST), CIFAR-10, photographs, spoken digits, volumes, folders of images.

`load` takes a data set's name, or a folder; the names are in `DATASETS`.
"""

from foveal.data.dataset import Dataset, split
from foveal.data.folder import load_folder
from foveal.data.idx import read_idx
from foveal.data.image import read_image
from foveal.data.load import DATASETS, load

__all__ = ["DATASETS", "Dataset", "load", "load_folder", "read_idx", "read_image", "split"]
