"""The formula: every operation and its gradients in NumPy and float64, as the course notes write them.

This is the executable specification and the oracle of every test. `foveal.ops` has the same names, signatures and
defaults, and runs them fast.
"""

from foveal.reference.activation import (
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
from foveal.reference.affine import affine, affine_grad
from foveal.reference.convolution import convolve, correlate, correlate_grad
from foveal.reference.dropout import dropout, dropout_grad, dropout_mask
from foveal.reference.global_pooling import global_avg_pool, global_avg_pool_grad, global_max_pool, global_max_pool_grad
from foveal.reference.im2col import col2im, im2col
from foveal.reference.loss import cross_entropy, cross_entropy_grad, sum_of_squares, sum_of_squares_grad
from foveal.reference.normalisation import (
    batch_norm,
    batch_norm_grad,
    batch_statistics,
    fold_batch_norm,
    local_response_norm,
    local_response_norm_grad,
)
from foveal.reference.pooling import avg_pool, avg_pool_grad, max_pool, max_pool_grad, max_unpool, max_unpool_grad
from foveal.reference.softmax import log_softmax, log_softmax_grad, softmax, softmax_grad
from foveal.reference.subsampling import subsample, subsample_grad
from foveal.reference.transposed import conv_transpose, conv_transpose_grad

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
