"""Which nodes run as one: what follows a convolution, an affine layer or a sum is taken into its block while it can be.

A node is taken in only if nobody else reads the one before it.
"""

from __future__ import annotations

import math
from collections.abc import Set
from typing import Any

from foveal import layers as L
from foveal.engine.block import Block, Shape
from foveal.engine.blocks import (
    ACTIVATIONS,
    Activated,
    ActivationBlock,
    AffineBlock,
    ConvolutionBlock,
    PoolingBlock,
    SparseConvolutionBlock,
    WholeMapBlock,
    pool_window,
    reads_whole_map,
)
from foveal.engine.fallback import FallbackBlock
from foveal.engine.joins import AddBlock, ConcatBlock, JoinFallbackBlock
from foveal.engine.single import SINGLE, BatchNormAddBlock, BatchNormBlock
from foveal.graph import INPUT, Graph, Node
from foveal.kernels.buffers import Scratch
from foveal.kernels.isa import ISA


class Cut:
    """A graph in blocks.

    A *value* is what a block makes; it is called as the block's last node. A Flatten makes none: its readers read the
    map as it lies, unless they need the features in (C, *spatial) order, which then is a block of its own.

    Parameters
    ----------
    graph : Graph
    isa : ISA
    threads : int
    shared : set of int
        Ids of the layers that are used several times, in this graph or in a larger one with the same parameters.

    Attributes
    ----------
    blocks : list of Block
        In an order in which they can run.
    scores : dict of str
        For each output the value that holds its scores, a row of features. A Softmax at the end is left to the loss.
    """

    def __init__(self, graph: Graph, isa: ISA, threads: int, shared: Set[int] = frozenset()) -> None:
        self.graph, self.isa, self.scratch, self.shared = graph, isa, Scratch(threads), shared
        self.blocks: list[Block] = []
        self._ends = set(graph.scores.values())
        self._readers: dict[str, list[Node]] = {name: [] for name in (INPUT, *(n.name for n in graph.nodes))}
        for node in graph.nodes:
            for name in node.inputs:
                self._readers[name].append(node)
        self._values = {INPUT: INPUT}  # by node
        self._shapes: dict[str, Shape] = {INPUT: graph.input_shape}  # of the values, as they lie in memory
        for node in graph.nodes:
            if node.name not in self._values and not self._left_to_the_loss(node):
                self._cut(node)
        self.scores = {name: self._in_order(self._values[at]) for name, at in graph.scores.items()}

    def _left_to_the_loss(self, node: Node) -> bool:
        return isinstance(node.layer, L.Softmax) and not self._readers[node.name]

    def _cut(self, first: Node) -> None:
        """Make the block that begins with this node."""
        sources = [self._values[name] for name in first.inputs]
        if isinstance(first.layer, L.Flatten):
            self._values[first.name] = sources[0]
            return
        if isinstance(first.layer, L.Affine) and id(first.layer) in self.shared:  # one packing for all uses
            sources = [self._in_order(value) for value in sources]
        if isinstance(first.layer, L.Join) and len(first.shape) == 1:
            sources = [self._in_order(value) for value in sources]
        norm = self._norm_before(first)
        if norm is None:
            self._append(self._taken(first, self._shapes[sources[0]]), *sources)
            return
        self.blocks = [block for block in self.blocks if block is not norm]
        nodes = [*norm.nodes, first, *self._activation_behind(first)]
        (other,) = (source for source in sources if source != norm.result)
        block = BatchNormAddBlock(nodes, norm.input_shape, norm.graph_input, self.isa, self.scratch)
        self._append(block, norm.sources[0], other)

    def _norm_before(self, node: Node) -> Block | None:
        """Return the block of a batch norm that nobody reads but this node, if that is a sum of two maps."""
        if not isinstance(node.layer, L.Add) or len(node.inputs) != 2 or len(node.shape) == 1:
            return None
        alone = [b for b in self.blocks if type(b) is BatchNormBlock and b.result in node.inputs and len(b.nodes) == 1]
        return next((block for block in alone if self._behind(block.nodes[0]) == [node]), None)

    def _append(self, block: Block, *sources: str) -> str:
        block.sources = sources
        self.blocks.append(block)
        self._values |= {node.name: block.result for node in block.nodes}
        self._shapes[block.result] = block.shape
        return block.result

    def _in_order(self, value: str) -> str:
        """Return the value whose numbers are those of `value` in a row, in (C, *spatial) order."""
        shape, name = self._shapes[value], f"{value} in order"
        if math.prod(shape[1:]) == 1:
            return value
        if name in self._shapes:
            return name
        order = Node(name, L.Flatten(), (value,), (math.prod(shape),))
        return self._append(FallbackBlock([order], shape, shape, self.isa, self.scratch), value)

    def _taken(self, first: Node, shape: Shape) -> Block:
        """Return the block of a node that reads a map of `shape`, with the nodes behind it that it can take in."""
        layer, where = first.layer, (shape, self.graph.input_shapes(first.name)[0], self.isa, self.scratch)
        if isinstance(layer, L.Join):
            return self._join([first], *where)
        if isinstance(layer, L.Affine):
            return AffineBlock([first, *self._activation_behind(first)], *where)
        if type(layer) in ACTIVATIONS:
            return ActivationBlock([first], *where)
        if type(layer) in SINGLE:
            single: Block = SINGLE[type(layer)]([first], *where)
            if isinstance(single, Activated):
                single.nodes = [first, *self._activation_behind(first)]
            return single if single.covered else FallbackBlock([first], *where)
        if isinstance(layer, L.MaxPool | L.AvgPool | L.GlobalMaxPool | L.GlobalAvgPool):
            return PoolingBlock([first], *where)
        if not isinstance(layer, L.Convolution | L.SparseConvolution):
            return FallbackBlock([first], *where)
        if isinstance(layer, L.Convolution) and id(layer) not in self.shared and reads_whole_map(layer, shape):
            return WholeMapBlock([first, *self._activation_behind(first)], *where)
        kind = ConvolutionBlock if isinstance(layer, L.Convolution) else SparseConvolutionBlock
        return self._convolution(kind([first], *where))

    def _convolution(self, block: ConvolutionBlock) -> Block:
        """Return the block of a convolution with the activation and the pooling behind it, in any order."""
        for _ in range(2):
            end = block.nodes[-1]
            acts = any(isinstance(n.layer, L.ReLU | L.Sigmoid) for n in block.nodes)
            more = [] if acts else self._activation_behind(end)
            block.nodes = [*block.nodes, *(more or self._pooling_behind(end, block))]
        return block

    def _join(self, nodes: list[Node], *where: Any) -> Block:
        if isinstance(nodes[0].layer, L.Add):
            several = len(nodes[0].inputs) > 1
            return AddBlock([*nodes, *(self._activation_behind(nodes[0]) if several else [])], *where)
        kind = ConcatBlock if isinstance(nodes[0].layer, L.Concat) else JoinFallbackBlock
        return kind(nodes, *where)

    def _behind(self, node: Node) -> list[Node]:
        """Return the node that reads this one, if it is the only one and the result is no output."""
        readers = self._readers[node.name]
        return readers if len(readers) == 1 and node.name not in self._ends else []

    def _activation_behind(self, node: Node) -> list[Node]:
        return [n for n in self._behind(node) if isinstance(n.layer, L.ReLU | L.Sigmoid)]

    def _pooling_behind(self, node: Node, block: ConvolutionBlock) -> list[Node]:
        if block.pool is not None:
            return []
        pools = [n for n in self._behind(node) if isinstance(n.layer, L.MaxPool) and len(n.shape) == 3]
        windows = [pool_window(n.layer, block.geometry.output) for n in pools]
        return [
            n for n, w in zip(pools, windows, strict=True)
            if w.output(block.geometry.output) == n.shape[1:] and block.geometry.can_fuse(w)
        ]  # fmt: skip


def shared_layers(graph: Graph) -> set[int]:
    """Return the ids of the layers that stand at several nodes."""
    owners = {id(node.layer): node.name for node in graph.owners()}
    return {id(node.layer) for node in graph.nodes if owners[id(node.layer)] != node.name}
