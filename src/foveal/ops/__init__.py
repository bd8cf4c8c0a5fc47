"""Arrays in, arrays out: the operations of `foveal.reference` with the same names, signatures and defaults, run fast.

The table is filled with the references first and overwritten where there is a kernel: the convolutions run on the
register tile for float32 arrays; float64 arrays keep their precision and go through the reference. A result has the
floating-point type of its arguments.
"""

from foveal.ops.activation import (
    leaky_relu,
    leaky_relu_grad,
    relu,
    relu_grad,
    scaled_tanh,
    scaled_tanh_grad,
    sigmoid,
    sigmoid_grad,
    tanh,
    tanh_grad,
)
from foveal.ops.convolution import conv_transpose, conv_transpose_grad, convolve, correlate, correlate_grad
from foveal.ops.dropout import dropout, dropout_grad
from foveal.ops.normalisation import (
    batch_norm,
    batch_norm_grad,
    batch_statistics,
    local_response_norm,
    local_response_norm_grad,
)
from foveal.ops.pooling import (
    avg_pool,
    avg_pool_grad,
    global_avg_pool,
    global_avg_pool_grad,
    global_max_pool,
    global_max_pool_grad,
    max_pool,
    max_pool_grad,
    max_unpool,
    max_unpool_grad,
    subsample,
    subsample_grad,
)
from foveal.ops.referred import (
    affine,
    affine_grad,
    col2im,
    cross_entropy,
    cross_entropy_grad,
    dropout_mask,
    fold_batch_norm,
    im2col,
    sum_of_squares,
    sum_of_squares_grad,
)
from foveal.ops.softmax import log_softmax, log_softmax_grad, softmax, softmax_grad

__all__ = [
    "affine",
    "affine_grad",
    "avg_pool",
    "avg_pool_grad",
    "batch_norm",
    "batch_norm_grad",
    "batch_statistics",
    "col2im",
    "conv_transpose",
    "conv_transpose_grad",
    "convolve",
    "correlate",
    "correlate_grad",
    "cross_entropy",
    "cross_entropy_grad",
    "dropout",
    "dropout_grad",
    "dropout_mask",
    "fold_batch_norm",
    "global_avg_pool",
    "global_avg_pool_grad",
    "global_max_pool",
    "global_max_pool_grad",
    "im2col",
    "leaky_relu",
    "leaky_relu_grad",
    "local_response_norm",
    "local_response_norm_grad",
    "log_softmax",
    "log_softmax_grad",
    "max_pool",
    "max_pool_grad",
    "max_unpool",
    "max_unpool_grad",
    "relu",
    "relu_grad",
    "scaled_tanh",
    "scaled_tanh_grad",
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
]
