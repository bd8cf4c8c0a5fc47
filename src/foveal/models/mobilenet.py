"""MobileNet: convolutions cut in two, one over positions and one over channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

from foveal.errors import ParameterError, explain
from foveal.graph import Graph
from foveal.layers import Affine, GlobalAvgPool
from foveal.models._parts import convolved
from foveal.network import Network

# Table 1: filters and stride of each pair
PAIRS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)


class MobileNetV1(Network):
    """A convolution, then pairs of them: 3x3 on each channel by itself, and 1x1 over all channels.

    Batch norm and ReLU stand behind each. A pair costs ``1/K + 1/9`` of a convolution 3x3 with K filters.

    ================================  ===========  ======
    row                               y            stride
    ================================  ===========  ======
    conv 3x3, 32                      32x112x112   2
    depthwise 3x3, pointwise 64       64x112x112   1
    depthwise 3x3, pointwise 128      128x56x56    2
    depthwise 3x3, pointwise 128      128x56x56    1
    depthwise 3x3, pointwise 256      256x28x28    2
    depthwise 3x3, pointwise 256      256x28x28    1
    depthwise 3x3, pointwise 512      512x14x14    2
    5 x depthwise 3x3, pointwise 512  512x14x14    1
    depthwise 3x3, pointwise 1024     1024x7x7     2
    depthwise 3x3, pointwise 1024     1024x7x7     1
    mean                              1024x1x1
    affine                            1000
    ================================  ===========  ======

    4,231,976 parameters and 568,740,352 MACs; the paper says 4.2 and 569 million.

    Parameters
    ----------
    input_dim : tuple (C, H, W)
    output_size : int
        Number of classes.
    width : float
        The paper's multiplier alpha: all widths are multiplied by it, and cut off to whole numbers of at least 1.
    seed : int

    Source
    ------
    Howard et al., MobileNets: efficient convolutional neural networks for mobile vision applications, arXiv 1704.04861,
    table 1.

    Notes
    -----
    Differences from common re-implementations: none in layers and parameters; other ones cut ReLU off at 6, and round
    widths to multiples of 8.

    Differences from the paper: the last pair has stride 1. Table 1 prints 2, which does not fit its sizes. Weights are
    He's.

    Examples
    --------
    >>> MobileNetV1().parameter_count, MobileNetV1(width=0.5).parameter_count
    (4231976, 1331592)
    """

    def __init__(
        self,
        input_dim: Sequence[int] = (3, 224, 224),
        output_size: int = 1000,
        width: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__(self.architecture(input_dim, output_size, width), seed=seed)

    @staticmethod
    def architecture(input_dim: Sequence[int] = (3, 224, 224), output_size: int = 1000, width: float = 1.0) -> Graph:
        """Return the graph, for which no parameters are drawn.

        Raises
        ------
        ParameterError, ShapeError, GeometryError
            An impossible width, or an input that does not fit.
        """
        if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width < math.inf:
            raise ParameterError(explain("MobileNetV1: width", expected="a number above 0", got=repr(width)))
        channels = max(1, int(32 * width))
        layers = convolved(channels, 3, 2, 1, batch_norm=True)
        for filters, stride in PAIRS:
            layers += convolved(channels, 3, stride, 1, groups=channels, batch_norm=True)
            channels = max(1, int(filters * width))
            layers += convolved(channels, 1, batch_norm=True)
        return Graph.sequence([*layers, GlobalAvgPool(), Affine(output_size)], input_dim)
