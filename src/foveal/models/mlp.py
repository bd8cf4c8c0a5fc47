"""MLP: a network without convolutions, to compare with."""

from __future__ import annotations

from collections.abc import Sequence

from foveal.errors import DTypeError, explain
from foveal.graph import Graph
from foveal.layers import Affine, ReLU
from foveal.layers.base import Layer
from foveal.network import Network


class MLP(Network):
    """Affine layers with ReLU between them, on all numbers of an image at once.

    An affine layer in place of SimpleConvNet's first convolution, from 1x28x28 to as many numbers as 30x24x24, would
    have ``784 * 17,280 + 17,280 = 13,564,800`` parameters; the convolution has ``5*5*1*30 + 30 = 780``.

    =======  =====  ==========
    layer    y      parameters
    =======  =====  ==========
    affine1  100        78,500
    affine2  10          1,010
    sum                 79,510
    =======  =====  ==========

    Parameters
    ----------
    input_dim : tuple of int
        Of an image (C, H, W), or of anything else: it is flattened.
    hidden_sizes : sequence of int
        Units of the hidden layers; none leaves a linear classifier.
    output_size : int
        Number of classes.
    seed : int

    Source
    ------
    Saitoh, Deep Learning from Scratch, multi_layer_net.py: weights are He's, biases 0.

    Examples
    --------
    >>> MLP().parameter_count, MLP(hidden_sizes=(500, 100)).parameter_count
    (79510, 443610)
    """

    def __init__(
        self,
        input_dim: Sequence[int] = (1, 28, 28),
        hidden_sizes: Sequence[int] = (100,),
        output_size: int = 10,
        seed: int = 0,
    ) -> None:
        super().__init__(self.architecture(input_dim, hidden_sizes, output_size), seed=seed)

    @staticmethod
    def architecture(
        input_dim: Sequence[int] = (1, 28, 28), hidden_sizes: Sequence[int] = (100,), output_size: int = 10
    ) -> Graph:
        """Return the graph, for which no parameters are drawn.

        Raises
        ------
        DTypeError, ShapeError, GeometryError
            Sizes that are no positive numbers.
        """
        if not isinstance(hidden_sizes, Sequence) or isinstance(hidden_sizes, str):
            expected, fix = "one size per hidden layer", "One layer of 100 is (100,)."
            raise DTypeError(explain("MLP: hidden_sizes", expected=expected, got=repr(hidden_sizes), fix=fix))
        layers: list[Layer] = []
        for units in hidden_sizes:
            layers += [Affine(units), ReLU()]
        return Graph.sequence([*layers, Affine(output_size)], input_dim)
