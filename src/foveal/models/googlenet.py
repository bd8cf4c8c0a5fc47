"""GoogLeNet: blocks whose branches look at several scales at once."""

from __future__ import annotations

from collections.abc import Sequence

from foveal.graph import Graph, GraphBuilder
from foveal.layers import Affine, AvgPool, Dropout, GlobalAvgPool, LocalResponseNorm, MaxPool, Parallel, ReLU, Softmax
from foveal.layers.base import Layer
from foveal.models._parts import convolved, fitted
from foveal.network import Network

# Table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
WIDTHS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
HEADS = {"4a": "aux1", "4d": "aux2"}
HEAD_WEIGHT = 0.3


class GoogLeNet(Network):
    """22 layers with parameters, nine Inception blocks, and no large affine layer.

    =============  ==========  ====  ====  ====  ====  ====  =====  =========  =============
    row            y           1x1   3x3r  3x3   5x5r  5x5   proj   weights    MACs
    =============  ==========  ====  ====  ====  ====  ====  =====  =========  =============
    conv 7x7/2     64x112x112                                           9,408    118,013,952
    pool 3x3/2     64x56x56
    conv 3x3       192x56x56         64    192                        114,688    359,661,568
    pool 3x3/2     192x28x28
    3a             256x28x28   64    96    128   16    32    32       163,328    128,049,152
    3b             480x28x28   128   128   192   32    96    64       388,096    304,267,264
    pool 3x3/2     480x14x14
    4a             512x14x14   192   96    208   16    48    64       375,552     73,608,192
    4b             512x14x14   160   112   224   24    64    64       448,512     87,908,352
    4c             512x14x14   128   128   256   24    64    64       509,440     99,850,240
    4d             528x14x14   112   144   288   32    64    64       604,672    118,515,712
    4e             832x14x14   256   160   320   32    128   128      867,328    169,996,288
    pool 3x3/2     832x7x7
    5a             832x7x7     256   160   320   32    128   128    1,042,432     51,079,168
    5b             1024x7x7    384   192   384   48    128   128    1,442,816     70,697,984
    pool, dropout  1024x1x1
    linear         1000                                             1,024,000      1,024,000
    sum                                                             6,990,272  1,582,671,872
    =============  ==========  ====  ====  ====  ====  ====  =====  =========  =============

    With biases 6,998,552 parameters, with both heads 13,378,280.

    Parameters
    ----------
    input_dim : tuple (C, H, W)
        At least 47x47; with heads 79x79.
    output_size : int
        Number of classes.
    heads : bool
        Whether classifiers on 4a and 4d help the lower layers to learn. They are the outputs "aux1" and "aux2", whose
        losses weigh 0.3; `predict` does not compute them.
    batch_norm : bool
        Whether batch norm stands behind each convolution, which then has no bias, in place of LRN: 7,005,832
        parameters, with heads 13,385,816.
    seed : int

    Source
    ------
    Szegedy et al., Going deeper with convolutions, CVPR 2015, arXiv 1409.4842, table 1 and section 5; batch norm: Ioffe
    and Szegedy, arXiv 1502.03167.

    Notes
    -----
    Differences from common re-implementations: the third branch is 5x5 as in the paper, where a well-known one has 3x3
    and 6,624,904 parameters; biases and LRN as in the paper, where that one has batch norm.

    Differences from the paper, or what it leaves open: the last pooling is the mean over the whole map, whatever its
    size is; LRN stands behind the first pooling and before the second, as in the paper's figure 3; pooling windows may
    overhang at the end (rounding "ceil"), which the sizes of table 1 need; weights are He's.

    Examples
    --------
    >>> graph = GoogLeNet.architecture()
    >>> [node.name for node in graph.nodes if node.name.startswith("inception3a/branch3")]
    ['inception3a/branch3/conv1', 'inception3a/branch3/relu1', 'inception3a/branch3/conv2', 'inception3a/branch3/relu2']
    >>> GoogLeNet.architecture(heads=True).outputs
    {'scores': 'softmax1', 'aux1': 'aux1/softmax1', 'aux2': 'aux2/softmax1'}
    """

    def __init__(
        self,
        input_dim: Sequence[int] = (3, 224, 224),
        output_size: int = 1000,
        heads: bool = False,
        batch_norm: bool = False,
        seed: int = 0,
    ) -> None:
        graph = self.architecture(input_dim, output_size, heads, batch_norm)
        weights = {name: HEAD_WEIGHT for name in graph.outputs if name in HEADS.values()}
        super().__init__(graph, seed=seed, output_weights=weights)

    @staticmethod
    def architecture(
        input_dim: Sequence[int] = (3, 224, 224),
        output_size: int = 1000,
        heads: bool = False,
        batch_norm: bool = False,
    ) -> Graph:
        """Return the graph, for which no parameters are drawn.

        Raises
        ------
        ShapeError, GeometryError
            An input that does not fit.
        """
        return fitted(lambda shape: _graph(shape, output_size, heads, batch_norm), input_dim)


def _graph(input_dim: Sequence[int], output_size: int, heads: bool, batch_norm: bool) -> Graph:
    build = GraphBuilder(input_dim)
    norm: list[Layer] = [] if batch_norm else [LocalResponseNorm()]
    stem = [
        *convolved(64, 7, 2, 3, batch_norm=batch_norm), MaxPool(3, 2, rounding="ceil"), *norm,
        *convolved(64, 1, batch_norm=batch_norm),
        *convolved(192, 3, 1, 1, batch_norm=batch_norm), *norm, MaxPool(3, 2, rounding="ceil"),
    ]  # fmt: skip
    x = build(stem, build.input)
    outputs: dict[str, str] = {}
    for name, widths in WIDTHS.items():
        if name in ("4a", "5a"):
            x = build(MaxPool(3, 2, rounding="ceil"), x)
        x = build(inception(*widths, batch_norm=batch_norm, name=f"inception{name}"), x)
        if heads and name in HEADS:
            outputs[HEADS[name]] = build(_head(output_size, batch_norm), x, name=HEADS[name])
    x = build([GlobalAvgPool(), Dropout(0.4), Affine(output_size), Softmax()], x)
    return build.graph({"scores": x} | outputs)


def inception(
    one: int,
    three_reduce: int,
    three: int,
    five_reduce: int,
    five: int,
    projection: int,
    *,
    batch_norm: bool = False,
    name: str | None = None,
) -> Parallel:
    """Return an Inception block with dimension reduction: figure 2(b) of the paper.

    Parameters
    ----------
    one, three, five, projection : int
        Filters 1x1, 3x3, 5x5, and 1x1 behind a 3x3 max pooling: their sum are the channels of y.
    three_reduce, five_reduce : int
        Filters 1x1 before those of 3x3 and 5x5; 0 leaves them out, as in figure 2(a).
    batch_norm : bool
        Whether batch norm stands behind each convolution.
    name : str, optional
        What the nodes are called after.

    Examples
    --------
    >>> inception(64, 96, 128, 16, 32, 32).output_shape((192, 28, 28))
    (256, 28, 28)
    >>> inception(64, 96, 128, 16, 32, 32).macs((192, 28, 28)), inception(64, 0, 128, 0, 32, 32).macs((192, 28, 28))
    (128049152, 308281344)
    """

    def reduced(filters: int) -> list[Layer]:
        return convolved(filters, 1, batch_norm=batch_norm) if filters else []

    return Parallel(
        convolved(one, 1, batch_norm=batch_norm),
        reduced(three_reduce) + convolved(three, 3, 1, 1, batch_norm=batch_norm),
        reduced(five_reduce) + convolved(five, 5, 1, 2, batch_norm=batch_norm),
        [MaxPool(3, 1, 1), *convolved(projection, 1, batch_norm=batch_norm)],
        name=name,
    )


def _head(output_size: int, batch_norm: bool) -> list[Layer]:
    """An auxiliary classifier, as section 5 lists it."""
    return [
        AvgPool(5, 3),
        *convolved(128, 1, batch_norm=batch_norm),
        Affine(1024),
        ReLU(),
        Dropout(0.7),
        Affine(output_size),
        Softmax(),
    ]
