"""Foveal: convolutional networks in sharp focus, as readable as the formula, as fast as the hardware.

Arrays in, arrays out. Functions (`correlate`, `max_pool`...), layers (`foveal.layers`), networks (`Network`,
`foveal.models`), training (`fit`, `foveal.optimizers`), data (`foveal.data`) and pictures (`foveal.show`).
"""

from foveal import data, layers, models, show
from foveal._version import __version__
from foveal.errors import (
    DataError,
    DTypeError,
    FormatError,
    FovealError,
    GeometryError,
    MissingDependencyError,
    ParameterError,
    ShapeError,
    StorageError,
)
from foveal.geometry import output_size
from foveal.network import Network, load
from foveal.ops import avg_pool, col2im, convolve, correlate, correlate_grad, im2col, max_pool
from foveal.training import History, fit, optimizers, schedules

__all__ = [
    "DTypeError",
    "DataError",
    "FormatError",
    "FovealError",
    "GeometryError",
    "History",
    "MissingDependencyError",
    "Network",
    "ParameterError",
    "ShapeError",
    "StorageError",
    "__version__",
    "avg_pool",
    "col2im",
    "convolve",
    "correlate",
    "correlate_grad",
    "data",
    "fit",
    "im2col",
    "layers",
    "load",
    "max_pool",
    "models",
    "optimizers",
    "output_size",
    "schedules",
    "show",
]
