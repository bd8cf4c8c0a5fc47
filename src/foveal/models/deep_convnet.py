"""DeepConvNet, the second convolutional network of the notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from foveal.graph import Graph
from foveal.layers import Affine, Dropout, MaxPool, ReLU
from foveal.layers.base import Layer
from foveal.models._parts import convolved
from foveal.network import Network

# Filters and padding of the convolutions 3x3; a pooling stands behind each pair.
CONVOLUTIONS = ((16, 1), (16, 1), (32, 1), (32, 2), (64, 1), (64, 1))


class DeepConvNet(Network):
    """Three pairs of convolutions 3x3, each pair with a pooling 2x2, then two affine layers; softmax in the loss.

    =======  ============  ========  ==========
    layer    padding       y         parameters
    =======  ============  ========  ==========
    conv1    1             16x28x28         160
    conv2    1             16x28x28       2,320
    pool1                  16x14x14
    conv3    1             32x14x14       4,640
    conv4    2             32x16x16       9,248
    pool2                  32x8x8
    conv5    1             64x8x8        18,496
    conv6    1             64x8x8        36,928
    pool3                  64x4x4
    affine1                50            51,250
    affine2                10               510
    sum                                 123,552
    =======  ============  ========  ==========

    ReLU stands behind every layer but the last, dropout 0.5 behind both affine layers.

    Parameters
    ----------
    input_dim : tuple (C, H, W)
    hidden_size, output_size : int
        Units of the two affine layers.
    drop_scores : bool
        Whether scores are dropped too while the network learns, as in the notes.
    seed : int

    Attributes
    ----------
    recipes : dict
        How `foveal train` trains it on "any" data, and what differs on some, unless told otherwise.

    Source
    ------
    Saitoh, Deep Learning from Scratch, chapter 8: deep_convnet.py.

    Notes
    -----
    Differences from the notes: dropout scales while it learns, not afterwards. Weights are He's, as there.

    Examples
    --------
    >>> net = DeepConvNet()
    >>> net.parameter_count, [node.shape for node in net.graph.nodes if node.name.startswith("pool")]
    (123552, [(16, 14, 14), (32, 8, 8), (64, 4, 4)])
    """

    recipes: ClassVar[dict[str, dict[str, Any]]] = {
        "any": {"epochs": 11, "lr": 0.003, "schedule": "onecycle"},
        "mnist": {"augment": "shift=2"},
        "mnist-5k": {"augment": "shift=2", "epochs": 30},
    }

    def __init__(
        self,
        input_dim: Sequence[int] = (1, 28, 28),
        hidden_size: int = 50,
        output_size: int = 10,
        drop_scores: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(self.architecture(input_dim, hidden_size, output_size, drop_scores), seed=seed)

    @staticmethod
    def architecture(
        input_dim: Sequence[int] = (1, 28, 28), hidden_size: int = 50, output_size: int = 10, drop_scores: bool = True
    ) -> Graph:
        """Return the graph, for which no parameters are drawn.

        Raises
        ------
        ShapeError, GeometryError
            An input that does not fit.
        """
        layers: list[Layer] = []
        for i, (filters, padding) in enumerate(CONVOLUTIONS):
            layers += convolved(filters, 3, 1, padding) + [MaxPool(2)] * (i % 2)
        layers += [Affine(hidden_size), ReLU(), Dropout(0.5), Affine(output_size)]
        return Graph.sequence(layers + [Dropout(0.5)] * bool(drop_scores), input_dim)
