"""Data sets and readers: MNIST (IDX files), the 5,000 bundled digits, spoken digits, volumes, folders of images."""

from foveal.data.dataset import Dataset, split
from foveal.data.folder import load_folder
from foveal.data.idx import read_idx
from foveal.data.image import read_image
from foveal.data.load import DATASETS, load

__all__ = ["DATASETS", "Dataset", "load", "load_folder", "read_idx", "read_image", "split"]
