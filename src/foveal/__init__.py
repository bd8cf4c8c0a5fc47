"""Foveal: convolutional networks in sharp focus, as readable as the formula, as fast as the hardware.

Arrays in, arrays out. Functions (`correlate`, `max_pool`...), layers (`foveal.layers`), networks (`Network`,
`foveal.models`), what they cost (`foveal.accounting`), training (`fit`, `foveal.optimizers`), data (`foveal.data`),
image kernels (`foveal.images`) and pictures (`foveal.show`).
"""

import importlib as _importlib
import typing as _typing

from foveal import layers, models
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
from foveal.geometry import im2col_blowup, output_size, transposed_size
from foveal.network import Network, load
from foveal.ops import (
    affine,
    affine_grad,
    avg_pool,
    avg_pool_grad,
    batch_norm,
    batch_norm_grad,
    batch_statistics,
    col2im,
    conv_transpose,
    conv_transpose_grad,
    convolve,
    correlate,
    correlate_grad,
    cross_entropy,
    cross_entropy_grad,
    dropout,
    dropout_grad,
    dropout_mask,
    fold_batch_norm,
    global_avg_pool,
    global_avg_pool_grad,
    global_max_pool,
    global_max_pool_grad,
    im2col,
    leaky_relu,
    leaky_relu_grad,
    local_response_norm,
    local_response_norm_grad,
    log_softmax,
    log_softmax_grad,
    max_pool,
    max_pool_grad,
    max_unpool,
    max_unpool_grad,
    relu,
    relu_grad,
    scaled_tanh,
    scaled_tanh_grad,
    sigmoid,
    sigmoid_grad,
    softmax,
    softmax_grad,
    subsample,
    subsample_grad,
    sum_of_squares,
    sum_of_squares_grad,
    tanh,
    tanh_grad,
)
from foveal.ops.method import choose_method

if _typing.TYPE_CHECKING:
    from foveal import accounting, data, images, show
    from foveal.training import History, optimizers, schedules
    from foveal.training.fit import fit
else:

    def __getattr__(name):
        """Import a room when it, or a name of it, is first asked for; `import foveal` is done without these."""
        if name in ("accounting", "data", "images", "show", "training"):
            return _importlib.import_module(f"foveal.{name}")
        if name in ("History", "fit", "optimizers", "schedules"):
            return getattr(_importlib.import_module("foveal.training"), name)
        raise AttributeError(f"module 'foveal' has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})


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
    "accounting",
    "affine",
    "affine_grad",
    "avg_pool",
    "avg_pool_grad",
    "batch_norm",
    "batch_norm_grad",
    "batch_statistics",
    "choose_method",
    "col2im",
    "conv_transpose",
    "conv_transpose_grad",
    "convolve",
    "correlate",
    "correlate_grad",
    "cross_entropy",
    "cross_entropy_grad",
    "data",
    "dropout",
    "dropout_grad",
    "dropout_mask",
    "fit",
    "fold_batch_norm",
    "global_avg_pool",
    "global_avg_pool_grad",
    "global_max_pool",
    "global_max_pool_grad",
    "im2col",
    "im2col_blowup",
    "images",
    "layers",
    "leaky_relu",
    "leaky_relu_grad",
    "load",
    "local_response_norm",
    "local_response_norm_grad",
    "log_softmax",
    "log_softmax_grad",
    "max_pool",
    "max_pool_grad",
    "max_unpool",
    "max_unpool_grad",
    "models",
    "optimizers",
    "output_size",
    "relu",
    "relu_grad",
    "scaled_tanh",
    "scaled_tanh_grad",
    "schedules",
    "show",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "softmax_grad",
    "subsample",
    "subsample_grad",
    "sum_of_squares",
    "sum_of_squares_grad",
    "tanh",
    "tanh_grad",
    "transposed_size",
]
