"""Arrays in, arrays out: the operations of `foveal.reference` with the same names, signatures and defaults, run fast.

The table is filled with the references first and overwritten where there is a kernel: the convolutions run on the
register tile for float32 arrays; float64 arrays keep their precision and go through the reference. A result has the
floating-point type of its arguments.
"""

from foveal.ops.convolution import convolve, correlate, correlate_grad
from foveal.ops.referred import (
    affine,
    affine_grad,
    avg_pool,
    avg_pool_grad,
    col2im,
    cross_entropy,
    cross_entropy_grad,
    im2col,
    max_pool,
    max_pool_grad,
    relu,
    relu_grad,
    sigmoid,
    sigmoid_grad,
    softmax,
)

__all__ = [
    "affine",
    "affine_grad",
    "avg_pool",
    "avg_pool_grad",
    "col2im",
    "convolve",
    "correlate",
    "correlate_grad",
    "cross_entropy",
    "cross_entropy_grad",
    "im2col",
    "max_pool",
    "max_pool_grad",
    "relu",
    "relu_grad",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
]
