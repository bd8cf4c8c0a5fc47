"""AlexNet: the network that won ImageNet in 2012."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foveal.graph import Graph
from foveal.layers import Affine, Convolution, Dropout, LocalResponseNorm, MaxPool, ReLU
from foveal.layers.base import Layer
from foveal.models._parts import check_choice
from foveal.network import Network

INPUTS = {"2012": (3, 227, 227), "one-tower": (3, 224, 224)}
BIAS_1 = ("conv2", "conv4", "conv5", "affine1", "affine2")  # section 5


class AlexNet(Network):
    """Five convolutions and three affine layers; in 2012 on two graphics cards, whose towers are groups here.

    =======  =======================  =============  ==========  =============
    layer    filters, kernel          y, 2012        parameters  parameters,
                                                     2012        one tower
    =======  =======================  =============  ==========  =============
    conv1    96 (64) 11x11, stride 4  96x55x55           34,944         23,296
    pool1    3x3, stride 2            96x27x27
    conv2    256 (192) 5x5            256x27x27         307,456        307,392
    pool2    3x3, stride 2            256x13x13
    conv3    384 3x3                  384x13x13         885,120        663,936
    conv4    384 (256) 3x3            384x13x13         663,936        884,992
    conv5    256 3x3                  256x13x13         442,624        590,080
    pool3    3x3, stride 2            256x6x6
    affine1  4096                     4096           37,752,832     37,752,832
    affine2  4096                     4096           16,781,312     16,781,312
    affine3  1000                     1000            4,097,000      4,097,000
    sum                                              60,965,224     61,100,840
    =======  =======================  =============  ==========  =============

    In brackets: one tower. In 2012 conv2, conv4 and conv5 have two groups, and LRN stands behind the first two ReLUs.

    Parameters
    ----------
    input_dim : tuple (C, H, W), optional
        Without it (3, 227, 227), and (3, 224, 224) for one tower, whose conv1 has a border of 2. At least 67x67,
        for one tower 63x63.
    output_size : int
        Number of classes.
    variant : {"2012", "one-tower"}
    seed : int

    Source
    ------
    "2012": Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, NIPS
    2012, sections 3 to 5. "one-tower": Krizhevsky, One weird trick for parallelizing convolutional neural networks,
    arXiv 1404.5997, with the widths and the border of its usual implementation.

    Notes
    -----
    Differences from common re-implementations, all true to the paper: the towers are groups; LRN stands before the
    pooling, with an alpha that is not divided by n; weights are N(0, 0.01^2), and biases 1 in conv2, conv4, conv5 and
    the hidden affine layers, where a well-known one found the loss flat and took 0.1; dropout stands behind the hidden
    affine layers, where another has it before them.

    Differences from the paper: the input is 227x227, since 224 does not give maps of 55x55; dropout scales while it
    learns, not afterwards; weights of "one-tower" are He's.

    Examples
    --------
    >>> graph = AlexNet.architecture()  # drawing 61 million parameters takes its time
    >>> sum(np.prod(shape) for shape in graph.parameters().values())
    np.int64(60965224)
    """

    def __init__(
        self,
        input_dim: Sequence[int] | None = None,
        output_size: int = 1000,
        variant: str = "2012",
        seed: int = 0,
    ) -> None:
        super().__init__(self.architecture(input_dim, output_size, variant), seed=seed)
        if variant == "2012":
            for name in BIAS_1:
                parameters = self.graph[name].layer.parameters
                parameters["bias"] = np.ones(parameters.shapes["bias"])

    @staticmethod
    def architecture(input_dim: Sequence[int] | None = None, output_size: int = 1000, variant: str = "2012") -> Graph:
        """Return the graph, for which no parameters are drawn.

        Raises
        ------
        ParameterError, ShapeError, GeometryError
            An unknown variant, or an input that does not fit.
        """
        check_choice(variant, INPUTS, "AlexNet: variant")
        two = variant == "2012"
        std = 0.01 if two else None
        norm: list[Layer] = [LocalResponseNorm()] if two else []

        def conv(filters: int, kernel: int, stride: int = 1, padding: int = 0, groups: int = 1) -> list[Layer]:
            groups = groups if two else 1
            return [Convolution(filters, kernel, stride, padding, groups=groups, weight_std=std), ReLU()]

        first = conv(96, 11, 4) if two else conv(64, 11, 4, 2)
        widths = (256, 384, 384, 256) if two else (192, 384, 256, 256)
        layers = [
            *first, *norm, MaxPool(3, 2),
            *conv(widths[0], 5, 1, 2, groups=2), *norm, MaxPool(3, 2),
            *conv(widths[1], 3, 1, 1),
            *conv(widths[2], 3, 1, 1, groups=2),
            *conv(widths[3], 3, 1, 1, groups=2), MaxPool(3, 2),
            Affine(4096, weight_std=std), ReLU(), Dropout(0.5),
            Affine(4096, weight_std=std), ReLU(), Dropout(0.5),
            Affine(output_size, weight_std=std),
        ]  # fmt: skip
        return Graph.sequence(layers, INPUTS[variant] if input_dim is None else input_dim)
