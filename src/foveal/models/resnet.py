"""ResNet: blocks that learn what to add to what they read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from foveal.errors import ParameterError, explain
from foveal.graph import Graph
from foveal.layers import Affine, BatchNorm, Convolution, GlobalAvgPool, MaxPool, PadChannels, ReLU, Residual
from foveal.layers.base import Layer
from foveal.models._parts import check_choice, convolved
from foveal.network import Network

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # table 1
BOTTLENECK = 50  # from this depth on, blocks are 1x1, 3x3, 1x1
WIDTHS, CIFAR_WIDTHS = (64, 128, 256, 512), (16, 32, 64)
STEMS, SHORTCUTS = ("7x7", "3x3"), ("A", "B")
IMAGENET = 1000, (3, 224, 224), "7x7", "B"  # classes, input, stem and shortcut
CIFAR = 10, (3, 32, 32), "3x3", "A"


class ResNet(Network):
    """A stem, stages of residual blocks, the mean of each map, and one affine layer.

    =====  ===========  ===========  ===========  ===========  ===========  ===========
    stage  y            ResNet(18)   ResNet(34)   ResNet(50)   ResNet(101)  ResNet(152)
    =====  ===========  ===========  ===========  ===========  ===========  ===========
    conv1  64x112x112   7x7, stride 2, then max pooling 3x3, stride 2
    conv2  64x56x56     2            3            3            3            3
    conv3  128x28x28    2            4            4            4            8
    conv4  256x14x14    2            6            6            23           36
    conv5  512x7x7      2            3            3            3            3
    sum                 11,689,512   21,797,672   25,557,032   44,549,160   60,192,808
    =====  ===========  ===========  ===========  ===========  ===========  ===========

    The columns count the blocks of a stage: two convolutions 3x3, or, from 50 layers on, 1x1, 3x3 and 1x1, the last
    with four times the channels of the table.

    The other depths 6n + 2 are the paper's networks for CIFAR-10: conv1 has 16 filters 3x3, then come n blocks each
    with 16, 32 and 64 channels, on maps of 32x32, 16x16 and 8x8.

    =============  ==========  ==========  ==========  ==========  ===========
    shortcut       ResNet(20)  ResNet(32)  ResNet(44)  ResNet(56)  ResNet(110)
    =============  ==========  ==========  ==========  ==========  ===========
    A, the paper's    269,722     464,154     658,586     853,018    1,727,962
    B                 272,474     466,906     661,338     855,770    1,730,714
    =============  ==========  ==========  ==========  ==========  ===========

    Parameters
    ----------
    depth : int
        Layers with weights, shortcuts aside: 18, 34, 50, 101, 152, or 6n + 2.
    input_dim : tuple (C, H, W), optional
        Without it (3, 224, 224), for depths 6n + 2 (3, 32, 32).
    output_size : int, optional
        Number of classes; without it 1000, for depths 6n + 2 10.
    stem : {"7x7", "3x3"}, optional
        "3x3": a convolution 3x3 with stride 1 and no pooling before the first block, for small images; ResNet(18) has
        11,173,962 parameters then, for 10 classes. Depths 6n + 2 have no other.
    shortcut : {"A", "B"}, optional
        Where a block changes the shape, its shortcut is every second position with new channels of 0 (A), or a
        convolution 1x1 with batch norm (B). Without it A for depths 6n + 2, else B.
    seed : int

    Attributes
    ----------
    recipes : dict
        How `foveal train` trains it on which data, unless told otherwise.

    Source
    ------
    He, Zhang, Ren and Sun, Deep residual learning for image recognition, CVPR 2016, arXiv 1512.03385, table 1 and
    sections 3.3 and 4.2.

    Notes
    -----
    Differences from common re-implementations: blocks of 1x1, 3x3 and 1x1 have their stride in the first 1x1, as in the
    paper, where a well-known one has it in the 3x3, with 4,089,184,256 MACs instead of 3,857,973,248 for 50 layers and
    as many parameters; depths 6n + 2 have shortcuts of kind A as in the paper.

    What the paper leaves open: the new channels of A stand behind the others.

    Examples
    --------
    >>> ResNet(20).parameter_count, ResNet(18, (3, 32, 32), 10, stem="3x3").parameter_count
    (269722, 11173962)
    >>> [node.name for node in ResNet.architecture(20).nodes if node.name.startswith("conv3_1/")]
    ['conv3_1/conv1', 'conv3_1/batchnorm1', 'conv3_1/relu1', 'conv3_1/conv2', 'conv3_1/batchnorm2',
     'conv3_1/shortcut/pool1', 'conv3_1/shortcut/pad1', 'conv3_1/add']
    """

    recipes: ClassVar[dict[str, dict[str, Any]]] = {
        "cifar10": {
            "epochs": 24, "batch_size": 128, "optimizer": "muon", "lr": 0.05, "schedule": "onecycle",
            "weight_decay": 0.02, "augment": "crop=2:reflect,flip", "plain_epochs": 4, "label_smoothing": 0.1,
        }
    }  # fmt: skip

    def __init__(
        self,
        depth: int = 18,
        input_dim: Sequence[int] | None = None,
        output_size: int | None = None,
        stem: str | None = None,
        shortcut: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(self.architecture(depth, input_dim, output_size, stem, shortcut), seed=seed)

    @staticmethod
    def architecture(
        depth: int = 18,
        input_dim: Sequence[int] | None = None,
        output_size: int | None = None,
        stem: str | None = None,
        shortcut: str | None = None,
    ) -> Graph:
        """Return the graph, for which no parameters are drawn.

        Raises
        ------
        ParameterError, ShapeError, GeometryError
            An unknown depth, stem or shortcut, or an input that does not fit.
        """
        _check_depth(depth)
        small = depth not in BLOCKS
        classes, shape, usual_stem, usual_shortcut = CIFAR if small else IMAGENET
        stem = usual_stem if stem is None else stem
        shortcut = usual_shortcut if shortcut is None else shortcut
        check_choice(stem, STEMS[1:] if small else STEMS, f"ResNet({depth}): stem")
        check_choice(shortcut, SHORTCUTS, f"ResNet({depth}): shortcut")
        widths = CIFAR_WIDTHS if small else WIDTHS
        counts = (depth // 6,) * 3 if small else BLOCKS[depth]
        bottleneck = depth in BLOCKS and depth >= BOTTLENECK

        if stem == "7x7":
            layers = [*convolved(widths[0], 7, 2, 3, batch_norm=True), MaxPool(3, 2, 1)]
        else:
            layers = convolved(widths[0], 3, 1, 1, batch_norm=True)
        channels = widths[0]
        for stage, (width, count) in enumerate(zip(widths, counts, strict=True), 2):
            for block in range(1, count + 1):
                stride = 2 if block == 1 and stage > 2 else 1
                made = 4 * width if bottleneck else width
                main = _bottleneck(width, stride) if bottleneck else _basic(width, stride)
                around = _shortcut(shortcut, channels, made, stride)
                layers += [Residual(main, around, name=f"conv{stage}_{block}"), ReLU()]
                channels = made
        layers += [GlobalAvgPool(), Affine(classes if output_size is None else output_size)]
        return Graph.sequence(layers, shape if input_dim is None else input_dim)


def _basic(width: int, stride: int) -> list[Layer]:
    return [
        *convolved(width, 3, stride, 1, batch_norm=True),
        *convolved(width, 3, 1, 1, batch_norm=True, relu=False),
    ]


def _bottleneck(width: int, stride: int) -> list[Layer]:
    return [
        *convolved(width, 1, stride, batch_norm=True),
        *convolved(width, 3, 1, 1, batch_norm=True),
        *convolved(4 * width, 1, batch_norm=True, relu=False),
    ]


def _shortcut(kind: str, channels: int, made: int, stride: int) -> list[Layer] | None:
    if channels == made and stride == 1:
        return None
    if kind == "A":
        return [*([MaxPool(1, stride)] if stride > 1 else []), PadChannels(made)]
    return [Convolution(made, 1, stride, bias=False), BatchNorm()]


def _check_depth(depth: int) -> None:
    if depth in BLOCKS or (isinstance(depth, int) and depth > 2 and depth % 6 == 2):
        return
    fix = "20, 32, 44, 56 and 110 are those of the paper for CIFAR-10."
    expected = f"{', '.join(map(str, BLOCKS))}, or 6n + 2 layers"
    raise ParameterError(explain("ResNet: depth", expected=expected, got=repr(depth), fix=fix))
