"""Which nodes run as one: what follows a convolution or an affine layer is taken into its block while it can be."""

from __future__ import annotations

import math

from foveal import layers as L
from foveal.engine.block import Block, Shape
from foveal.engine.blocks import (
    ActivationBlock,
    AffineBlock,
    ConvolutionBlock,
    FlattenBlock,
    PoolingBlock,
    pool_window,
)
from foveal.engine.fallback import FallbackBlock
from foveal.graph import Graph, Node
from foveal.kernels.isa import ISA


def find_blocks(graph: Graph, isa: ISA, threads: int) -> list[Block]:
    """Cut a graph into blocks, in the order in which they run; a Softmax at the end is left to the loss."""
    nodes = [n for n in graph.nodes if not (isinstance(n.layer, L.Softmax) and n.name == graph.output)]
    blocks: list[Block] = []
    shape: tuple[int, ...] = graph.input_shape
    while nodes:
        taken = _take(nodes, shape, graph.input_shapes(nodes[0].name)[0], isa, threads)
        blocks.append(taken)
        nodes = nodes[len(taken.nodes) :]
        shape = taken.shape  # of the map in memory, which flattening leaves as it is
    if math.prod(shape[1:]) > 1:  # a map at the end: the loss counts classes in (C, *spatial) order
        order = Node("scores", L.Flatten(), (graph.output,), (math.prod(shape),))
        blocks.append(FallbackBlock([order], shape, shape, isa, threads))
    return blocks


def _take(nodes: list[Node], shape: Shape, given: Shape, isa: ISA, threads: int) -> Block:
    first, where = nodes[0].layer, (shape, given, isa, threads)
    if isinstance(first, L.Flatten):
        return FlattenBlock(nodes[:1], *where)
    if isinstance(first, L.Affine):
        return AffineBlock(nodes[: 1 + _is_activation(nodes[1:2])], *where)
    if isinstance(first, L.ReLU | L.Sigmoid):
        return ActivationBlock(nodes[:1], *where)
    if isinstance(first, L.MaxPool | L.AvgPool) and len(shape) == 3:
        return PoolingBlock(nodes[:1], *where)
    if not isinstance(first, L.Convolution):
        return FallbackBlock(nodes[:1], *where)
    block = ConvolutionBlock(nodes[:1], *where)
    rest = nodes[1:]
    for _ in range(2):
        acts = any(isinstance(n.layer, L.ReLU | L.Sigmoid) for n in block.nodes)
        if (not acts and _is_activation(rest[:1])) or (block.pool is None and rest and _fusable(rest[0], block)):
            block.nodes = [*block.nodes, rest.pop(0)]
    return block


def _is_activation(nodes: list[Node]) -> bool:
    return bool(nodes) and isinstance(nodes[0].layer, L.ReLU | L.Sigmoid)


def _fusable(node: Node, block: ConvolutionBlock) -> bool:
    if not isinstance(node.layer, L.MaxPool) or len(node.shape) != 3:
        return False
    window = pool_window(node.layer, block.geometry.output)
    return window.output(block.geometry.output) == node.shape[1:] and block.geometry.can_fuse(window)
