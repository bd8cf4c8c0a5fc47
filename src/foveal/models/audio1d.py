"""Audio1D: a convolutional network in one dimension, on raw speech."""

from __future__ import annotations

from typing import Any, ClassVar

from foveal.layers import Affine, BatchNorm, Convolution, GlobalAvgPool, MaxPool, ReLU
from foveal.layers.base import Layer
from foveal.network import Network


class Audio1D(Network):
    """Four times conv - batch norm - relu - pool, then the mean over time and an affine layer, softmax in the loss.

    The first layer's filters are 8 ms long, one period of a low voice (125 Hz). The mean over time leaves open when a
    sound was made.

    ====================  ========================  ===================
    layer                 filters, kernel, stride   y, for 4,096 samples
    ====================  ========================  ===================
    conv1, max pool 2     32, 64, 8                 (32, 256)
    conv2, max pool 4     64, 9, 1                  (64, 64)
    conv3, max pool 4     64, 9, 1                  (64, 16)
    conv4, mean           128, 5, 1                 (128, 1)
    affine1                                         (10,)
    ====================  ========================  ===================

    Parameters
    ----------
    input_dim : tuple (C, L)
        Channels and samples; the kernels are made for 8 kHz. At least 256 samples.
    output_size : int
        Number of classes.
    seed : int

    Attributes
    ----------
    recipes : dict
        How `foveal train` trains it on "any" data, and what differs on some, unless told otherwise.

    Source
    ------
    In the manner of M5 in W. Dai and others, "Very deep convolutional neural networks for raw waveforms",
    arXiv 1610.00087, with longer kernels and fewer filters.

    Examples
    --------
    >>> net = Audio1D()
    >>> net.parameter_count, net.graph.output_shape
    (100170, (10,))
    """

    recipes: ClassVar[dict[str, dict[str, Any]]] = {
        "any": {"epochs": 8, "batch_size": 50, "lr": 0.003, "schedule": "onecycle"}
    }

    def __init__(self, input_dim: tuple[int, int] = (1, 4096), output_size: int = 10, seed: int = 0) -> None:
        layers: list[Layer] = [
            *_block(32, 64, stride=8),
            MaxPool((2,)),
            *_block(64, 9),
            MaxPool((4,)),
            *_block(64, 9),
            MaxPool((4,)),
            *_block(128, 5),
            GlobalAvgPool(),
            Affine(output_size),
        ]
        super().__init__(layers, input_dim, seed=seed)


def _block(filters: int, kernel: int, stride: int = 1) -> list[Layer]:
    """A convolution without a bias, since batch norm's shift does its work."""
    padding = (kernel - stride) // 2
    return [Convolution(filters, (kernel,), stride=stride, padding=padding, bias=False), BatchNorm(), ReLU()]
