"""VGG: nothing but 3x3, deeper and deeper."""

from __future__ import annotations

from collections.abc import Sequence

from foveal.graph import Graph
from foveal.layers import Affine, Dropout, MaxPool, ReLU
from foveal.layers.base import Layer
from foveal.models._parts import check_choice, convolved
from foveal.network import Network

STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)


class VGG(Network):
    """Five stages of convolutions 3x3, each with a max pooling 2x2 at its end, then three affine layers.

    =========  =============  ===============  ==============  ==============  ==============
    stage      y                      VGG(11)         VGG(13)         VGG(16)         VGG(19)
    =========  =============  ===============  ==============  ==============  ==============
    1          64x112x112                   1               2               2               2
    2          128x56x56                    1               2               2               2
    3          256x28x28                    2               2               3               4
    4          512x14x14                    2               2               3               4
    5          512x7x7                      2               2               3               4
    affine     4096, 4096, 1000
    params                        132,863,336     133,047,848     138,357,544     143,667,240
    with BN                       132,868,840     133,053,736     138,365,992     143,678,248
    MACs                        7,609,090,048  11,308,466,176  15,470,264,320  19,632,062,464
    =========  =============  ===============  ==============  ==============  ==============

    The columns count the convolutions of a stage: they are the paper's configurations A, B, D and E.

    Parameters
    ----------
    depth : {11, 13, 16, 19}
        Layers with weights.
    input_dim : tuple (C, H, W)
        At least 32x32.
    output_size : int
        Number of classes.
    batch_norm : bool
        Whether batch norm stands behind each convolution.
    seed : int

    Source
    ------
    Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, ICLR 2015, arXiv
    1409.1556, table 1.

    Notes
    -----
    Differences from common re-implementations: none in layers and parameters; dropout stands behind the ReLU of both
    hidden affine layers. Where a usual one pools to 7x7 whatever the input is, the first affine layer here reads what
    is there: for 32x32 it has 512 inputs.

    Differences from the paper: batch norm, if wished, is younger, and convolutions keep their bias before it, as in its
    usual implementation; weights are He's, so that the deep networks need not grow from the small one.

    Examples
    --------
    >>> graph = VGG.architecture(16)  # drawing 138 million parameters takes its time
    >>> [node.shape for node in graph.nodes if node.name.startswith("pool")]
    [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]
    >>> VGG(11, (3, 32, 32), 10).parameter_count
    28144010
    """

    def __init__(
        self,
        depth: int = 16,
        input_dim: Sequence[int] = (3, 224, 224),
        output_size: int = 1000,
        batch_norm: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(self.architecture(depth, input_dim, output_size, batch_norm), seed=seed)

    @staticmethod
    def architecture(
        depth: int = 16,
        input_dim: Sequence[int] = (3, 224, 224),
        output_size: int = 1000,
        batch_norm: bool = False,
    ) -> Graph:
        """Return the graph, for which no parameters are drawn.

        Raises
        ------
        ParameterError, ShapeError, GeometryError
            An unknown depth, or an input that does not fit.
        """
        check_choice(depth, STAGES, "VGG: depth")
        layers: list[Layer] = []
        for filters, convolutions in zip(WIDTHS, STAGES[depth], strict=True):
            for _ in range(convolutions):
                layers += convolved(filters, 3, 1, 1, batch_norm=batch_norm, bias=True)
            layers.append(MaxPool(2))
        for _ in range(2):
            layers += [Affine(4096), ReLU(), Dropout(0.5)]
        return Graph.sequence([*layers, Affine(output_size)], input_dim)
