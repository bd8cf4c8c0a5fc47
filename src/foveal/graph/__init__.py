"""A network as a graph of layers: names, shapes, branches, shared layers. Says what is computed, not how."""

from foveal.graph.builder import GraphBuilder
from foveal.graph.checks import INPUT
from foveal.graph.fitting import hinted
from foveal.graph.formula import Run
from foveal.graph.graph import Graph, Node

__all__ = ["INPUT", "Graph", "GraphBuilder", "Node", "Run", "hinted"]
