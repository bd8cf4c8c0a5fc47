"""Inception (small): the blocks of GoogLeNet with two branches, for pictures of 32x32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from foveal.graph import Graph, GraphBuilder
from foveal.layers import Affine, GlobalAvgPool, MaxPool, Parallel
from foveal.models._parts import convolved
from foveal.network import Network

STEM = 96
# Figure 3: filters 1x1 and 3x3 of an Inception block, or filters 3x3 of a downsampling block
BLOCKS: dict[str, tuple[int, ...]] = {
    "inception1a": (32, 32),
    "inception1b": (32, 48),
    "down1": (80,),
    "inception2a": (112, 48),
    "inception2b": (96, 64),
    "inception2c": (80, 80),
    "inception2d": (48, 96),
    "down2": (96,),
    "inception3a": (176, 160),
    "inception3b": (176, 160),
}


class InceptionSmall(Network):
    """A convolution, eight Inception blocks of two branches, two blocks that halve the map, and the mean of each map.

    ==========  =========  ====  ====  =========  ===========
    row         y          1x1   3x3   weights    MACs
    ==========  =========  ====  ====  =========  ===========
    conv        96x32x32         96        2,592    2,654,208
    1a          64x32x32   32    32       30,720   31,457,280
    1b          80x32x32   32    48       29,696   30,408,704
    down1       160x16x16        80       57,600   14,745,600
    2a          160x16x16  112   48       87,040   22,282,240
    2b          160x16x16  96    64      107,520   27,525,120
    2c          160x16x16  80    80      128,000   32,768,000
    2d          144x16x16  48    96      145,920   37,355,520
    down2       240x8x8          96      124,416    7,962,624
    3a          336x8x8    176   160     387,840   24,821,760
    3b          336x8x8    176   160     542,976   34,750,464
    mean        336x1x1
    linear      10                         3,360        3,360
    sum                                1,647,680  266,734,880
    ==========  =========  ====  ====  =========  ===========

    An Inception block are filters 1x1 beside filters 3x3, a downsampling block filters 3x3 beside a max pooling 3x3,
    both with stride 2. Behind each of the 1,712 filters stand batch norm, which has a scale and a shift, and ReLU:
    1,651,114 parameters with the 10 biases of the last layer.

    Parameters
    ----------
    input_dim : tuple (C, H, W)
        Any size.
    output_size : int
        Number of classes.
    batch_norm : bool
        Without it each filter has a bias, 1,649,402 parameters.
    seed : int

    Attributes
    ----------
    recipes : dict
        How `foveal train` trains it on "any" data, and what differs on some, unless told otherwise.

    Source
    ------
    C. Zhang, S. Bengio, M. Hardt, B. Recht and O. Vinyals, Understanding deep learning requires rethinking
    generalization, ICLR 2017, arXiv 1611.03530, figure 3 and table 1.

    Notes
    -----
    Table 1 of the paper has 1,649,402 parameters with batch norm too: its batch norm has no scale, which a ReLU and the
    next convolution make up for.

    Differences from the paper: pictures are 32x32, not their centre of 28x28, so the mean is over 8x8 instead of 7x7;
    they are scaled to 0 .. 1 and not whitened; weights are He's.

    Examples
    --------
    >>> graph = InceptionSmall.architecture()
    >>> [node.name for node in graph.nodes if node.name.startswith("down1")]
    ['down1/branch1/pool1', 'down1/branch2/conv1', 'down1/branch2/batchnorm1', 'down1/branch2/relu1', 'down1/concat']
    >>> InceptionSmall().parameter_count, InceptionSmall(batch_norm=False).parameter_count
    (1651114, 1649402)
    """

    recipes: ClassVar[dict[str, dict[str, Any]]] = {
        "any": {
            "epochs": 6, "batch_size": 128, "optimizer": "nesterov", "lr": 0.1, "schedule": "onecycle",
            "weight_decay": 5e-4,
        },
        "cifar10": {
            "epochs": 3, "optimizer": "muon", "lr": 0.05, "weight_decay": 0.02, "augment": "crop=4:reflect,flip",
            "plain_epochs": 1, "label_smoothing": 0.1,
        },
        "mnist": {"augment": "shift=2"},
        "mnist-5k": {"augment": "shift=2"},
    }  # fmt: skip

    def __init__(
        self,
        input_dim: Sequence[int] = (3, 32, 32),
        output_size: int = 10,
        batch_norm: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(self.architecture(input_dim, output_size, batch_norm), seed=seed)

    @staticmethod
    def architecture(input_dim: Sequence[int] = (3, 32, 32), output_size: int = 10, batch_norm: bool = True) -> Graph:
        """Return the graph, for which no parameters are drawn.

        Raises
        ------
        ShapeError, GeometryError
            An input that does not fit.
        """
        build = GraphBuilder(input_dim)
        x = build(convolved(STEM, 3, 1, 1, batch_norm=batch_norm), build.input)
        for name, (*one, three) in BLOCKS.items():
            beside = convolved(one[0], 1, batch_norm=batch_norm) if one else [MaxPool(3, 2, 1)]
            filters = convolved(three, 3, 1 if one else 2, 1, batch_norm=batch_norm)
            x = build(Parallel(beside, filters, name=name), x)
        return build.graph(build([GlobalAvgPool(), Affine(output_size)], x))
