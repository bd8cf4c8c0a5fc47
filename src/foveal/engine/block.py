"""What runs as one: some nodes of the graph, their maps and their steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foveal.graph import Node
from foveal.kernels.buffers import Border, Map, Scratch
from foveal.kernels.isa import ISA
from foveal.kernels.steps import Step

Array = NDArray[Any]
Shape = tuple[int, ...]


@dataclass
class Block:
    """Nodes that run as one. Subclasses make the steps; `None` for dx means that nobody reads it.

    Attributes
    ----------
    nodes : list of Node
    input_shape : tuple of int
        Of the map it reads, which flattening leaves as it is.
    graph_input : tuple of int
        The shape that the graph gives its input.
    sources : tuple of str
        Names of the values it reads: what other blocks end with, or "input".
    """

    nodes: list[Node]
    input_shape: tuple[int, ...]
    graph_input: tuple[int, ...]
    isa: ISA
    scratch: Scratch
    sources: tuple[str, ...] = field(init=False, default=())
    x: Map = field(init=False, repr=False)
    y: Map = field(init=False, repr=False)
    learning: bool = field(init=False, default=False)  # run as while learning: dropout drops, batch norm sees the batch
    seed: int = field(init=False, default=0)
    more: Map | None = field(init=False, repr=False, default=None)  # the other term of dy, if it adds the two itself
    gradient_steps: list[Step] = field(init=False, repr=False, default_factory=list)  # what `learn` replaces
    flat: ClassVar[bool] = False  # whether x and dx have no borders: the block knows rows of features, not pixels
    spends_x: ClassVar[bool] = False  # whether backward has read x before it writes dx, so that dx may lie there

    @property
    def threads(self) -> int:
        """Most threads that will run its steps."""
        return self.scratch.threads

    @property
    def name(self) -> str:
        """The names of the nodes: "conv1 + relu1 + pool1"."""
        return " + ".join(node.name for node in self.nodes)

    @property
    def result(self) -> str:
        """The name of the value it makes: that of its last node."""
        return self.nodes[-1].name

    @property
    def layer(self) -> Any:
        """The first node's layer."""
        return self.nodes[0].layer

    @property
    def shape(self) -> Shape:
        """Shape of y, without N."""
        return self.nodes[-1].shape

    @property
    def covered(self) -> bool:
        """Whether the kernels can do what the layer asks for; else it runs through the formula."""
        return True

    @property
    def reads_y(self) -> bool:
        """Whether backward reads y."""
        return True

    @property
    def adds(self) -> bool:
        """Whether backward adds up a gradient of two terms, `dy` and `more`, as it reads them."""
        return False

    def packing(self) -> dict[str, NDArray[np.int64]]:
        """Return how the first layer's parameters and buffers are packed."""
        return {}

    def reseed(self, seed: int) -> None:
        """Take the seed of the next step's random numbers."""
        self.seed = seed

    def x_border(self) -> Border:
        """Return the zeros that x must carry."""
        return Border()

    def dy_border(self, needs_dx: bool) -> Border:
        """Return the zeros that dy must carry."""
        return Border()

    def forward(self, x: Map, y: Map, p: dict[str, Array], training: bool) -> list[Step]:
        """Return the steps of y."""
        raise NotImplementedError

    def backward(self, dy: Map, dx: Map | None, p: dict[str, Array], g: dict[str, Array]) -> list[Step]:
        """Return the steps of dx and of the gradients `g`; dy may be overwritten."""
        raise NotImplementedError

    def learn(self, optimizer: str, learned: Mapping[str, Sequence[Array]], decay_biases: bool) -> Step:
        """Return the step that takes the place of `gradient_steps` and also updates the layer's parameters.

        learned : each parameter, with what the optimizer remembers of it
        """
        raise NotImplementedError

    def forward_all(self, xs: Sequence[Map], y: Map, p: dict[str, Array], training: bool) -> list[Any]:
        """Return the steps of y for the maps of all `sources`; blocks with several write this instead of `forward`."""
        (x,) = xs
        return self.forward(x, y, p, training)

    def backward_all(self, dy: Map, dxs: Sequence[Map | None], p: dict[str, Array], g: dict[str, Array]) -> list[Any]:
        """Return the steps of the gradients of all `sources`; blocks with several write this instead of `backward`."""
        (dx,) = dxs
        return self.backward(dy, dx, p, g)

    def make_y(self, n: int, border: Border) -> Map:
        """Return the map for y."""
        return Map(n, self.shape, border)

    def find(self, kind: type) -> Any:
        """Return the layer of this type in the block, or None."""
        return next((node.layer for node in self.nodes[1:] if isinstance(node.layer, kind)), None)
