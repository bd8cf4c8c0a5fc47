"""SqueezeNet: AlexNet's accuracy with a fiftieth of its parameters."""

from __future__ import annotations

from collections.abc import Sequence

from foveal.graph import Graph, GraphBuilder
from foveal.layers import Dropout, Flatten, GlobalAvgPool, MaxPool, Parallel
from foveal.layers.base import Layer
from foveal.models._parts import check_choice, convolved, fitted
from foveal.network import Network

INPUTS = {"1.0": (3, 227, 227), "1.1": (3, 224, 224)}
# Table 1: squeeze 1x1, expand 1x1, expand 3x3
FIRES = {
    "fire2": (16, 64, 64),
    "fire3": (16, 64, 64),
    "fire4": (32, 128, 128),
    "fire5": (32, 128, 128),
    "fire6": (48, 192, 192),
    "fire7": (48, 192, 192),
    "fire8": (64, 256, 256),
    "fire9": (64, 256, 256),
}
POOLED = {"1.0": ("fire4", "fire8"), "1.1": ("fire3", "fire5")}  # the fires behind which maps become smaller


class SqueezeNet(Network):
    """Fire modules: few filters 1x1 squeeze the channels, then 1x1 and 3x3 expand them, side by side.

    ======  =========  =======  ==========  ==========  ==========
    layer   y          squeeze  expand 1x1  expand 3x3  parameters
    ======  =========  =======  ==========  ==========  ==========
    conv1   96x111x111                                      14,208
    pool1   96x55x55
    fire2   128x55x55  16       64          64              11,920
    fire3   128x55x55  16       64          64              12,432
    fire4   256x55x55  32       128         128             45,344
    pool2   256x27x27
    fire5   256x27x27  32       128         128             49,440
    fire6   384x27x27  48       192         192            104,880
    fire7   384x27x27  48       192         192            111,024
    fire8   512x27x27  64       256         256            188,992
    pool3   512x13x13
    fire9   512x13x13  64       256         256            197,184
    conv2   1000x13x13                                     513,000
    sum                                                  1,248,424
    ======  =========  =======  ==========  ==========  ==========

    conv1 is 7x7, stride 2; poolings are 3x3, stride 2; conv2, the paper's conv10, is 1x1, with dropout before it, and
    the mean of each of its maps is a score.

    Parameters
    ----------
    input_dim : tuple (C, H, W), optional
        Without it (3, 227, 227), for version 1.1 (3, 224, 224). At least 29x29 and 25x25.
    output_size : int
        Number of classes.
    version : {"1.0", "1.1"}
        "1.1": the authors' later one, with 64 filters 3x3 in conv1 and the poolings behind conv1, fire3 and fire5:
        1,235,496 parameters, and less than half of the multiply-adds.
    seed : int

    Source
    ------
    Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters, arXiv 1602.07360, table 1.

    Notes
    -----
    Differences from common re-implementations: none in layers and parameters.

    Differences from the paper: the input is 227x227, since 224 does not give maps of 111x111; weights are He's.

    Examples
    --------
    >>> SqueezeNet().parameter_count, SqueezeNet(version="1.1").parameter_count
    (1248424, 1235496)
    >>> [node.name for node in SqueezeNet.architecture().nodes if node.name.startswith("fire2")]
    ['fire2/conv1', 'fire2/relu1', 'fire2/expand/branch1/conv1', 'fire2/expand/branch1/relu1',
     'fire2/expand/branch2/conv1', 'fire2/expand/branch2/relu1', 'fire2/expand/concat']
    """

    def __init__(
        self,
        input_dim: Sequence[int] | None = None,
        output_size: int = 1000,
        version: str = "1.0",
        seed: int = 0,
    ) -> None:
        super().__init__(self.architecture(input_dim, output_size, version), seed=seed)

    @staticmethod
    def architecture(input_dim: Sequence[int] | None = None, output_size: int = 1000, version: str = "1.0") -> Graph:
        """Return the graph, for which no parameters are drawn.

        Raises
        ------
        ParameterError, ShapeError, GeometryError
            An unknown version, or an input that does not fit.
        """
        check_choice(version, INPUTS, "SqueezeNet: version")
        return fitted(
            lambda shape: _graph(shape, output_size, version), INPUTS[version] if input_dim is None else input_dim
        )


def _graph(input_dim: Sequence[int], output_size: int, version: str) -> Graph:
    build = GraphBuilder(input_dim)
    first = convolved(96, 7, 2) if version == "1.0" else convolved(64, 3, 2)
    x = build([*first, MaxPool(3, 2, rounding="ceil")], build.input)
    for name, widths in FIRES.items():
        x = build(fire(*widths), x, name=name)
        if name in POOLED[version]:
            x = build(MaxPool(3, 2, rounding="ceil"), x)
    return build.graph(build([Dropout(0.5), *convolved(output_size, 1), GlobalAvgPool(), Flatten()], x))


def fire(squeeze: int, one: int, three: int) -> list[Layer]:
    """Return a fire module: the layers from the squeezing to the concatenation.

    Examples
    --------
    >>> from foveal.layers import Residual
    >>> Residual(fire(16, 64, 64)).output_shape((128, 55, 55))
    (128, 55, 55)
    """
    return [*convolved(squeeze, 1), Parallel(convolved(one, 1), convolved(three, 3, 1, 1), name="expand")]
