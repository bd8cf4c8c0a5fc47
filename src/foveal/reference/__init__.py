"""The formula: every operation and its gradients in NumPy and float64, as the course notes write them.

This is the executable specification and the oracle of every test. `foveal.ops` has the same names, signatures and
defaults, and runs them fast.
"""

from foveal.reference.activation import relu, relu_grad, sigmoid, sigmoid_grad
from foveal.reference.affine import affine, affine_grad
from foveal.reference.convolution import convolve, correlate, correlate_grad
from foveal.reference.im2col import col2im, im2col
from foveal.reference.loss import cross_entropy, cross_entropy_grad, softmax
from foveal.reference.pooling import avg_pool, avg_pool_grad, max_pool, max_pool_grad

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
