"""Graphs: names, shapes, order, shared layers, and the way through JSON."""

import json

import numpy as np
import pytest

from foveal.graph import Graph, Node
from foveal.layers import Affine, Convolution, MaxPool, ReLU


@pytest.fixture
def simple():
    """SimpleConvNet of the notes."""
    layers = [Convolution(30, 5), ReLU(), MaxPool(2), Affine(100), ReLU(), Affine(10)]
    return Graph.sequence(layers, (1, 28, 28))


def test_a_sequence_gets_names_and_shapes(simple):
    assert [(node.name, node.inputs, node.shape) for node in simple.nodes] == [
        ("conv1", ("input",), (30, 24, 24)),
        ("relu1", ("conv1",), (30, 24, 24)),
        ("pool1", ("relu1",), (30, 12, 12)),
        ("affine1", ("pool1",), (100,)),
        ("relu2", ("affine1",), (100,)),
        ("affine2", ("relu2",), (10,)),
    ]
    assert (simple.input_shape, simple.output, simple.output_shape) == ((1, 28, 28), "affine2", (10,))
    assert simple["pool1"].layer.kernel == 2
    assert simple.input_shapes("affine1") == ((30, 12, 12),)


def test_parameters_are_those_of_the_notes(simple):
    assert simple.parameters() == {
        "conv1.weight": (30, 1, 5, 5),
        "conv1.bias": (30,),
        "affine1.weight": (4320, 100),
        "affine1.bias": (100,),
        "affine2.weight": (100, 10),
        "affine2.bias": (10,),
    }


def test_a_shared_layer_counts_once():
    shared, relu = Convolution(3, 3, padding=1), ReLU()
    graph = Graph.sequence([shared, relu, shared, relu, Affine(2)], (3, 6, 6))
    assert [node.name for node in graph.nodes] == ["conv1", "relu1", "conv2", "relu2", "affine1"]
    assert list(graph.parameters()) == ["conv1.weight", "conv1.bias", "affine1.weight", "affine1.bias"]
    assert graph.layers == (shared, relu, graph["affine1"].layer)
    assert [node.name for node in graph.owners()] == ["conv1", "relu1", "affine1"]
    again = Graph.from_config(json.loads(json.dumps(graph.config())))
    assert again["conv1"].layer is again["conv2"].layer
    assert again["conv1"].layer is not shared


def test_a_shared_convolution_may_read_maps_of_another_size():
    shared = Convolution(3, 3)
    graph = Graph.sequence([shared, shared], (3, 6, 6))
    assert graph.output_shape == (3, 2, 2)


def test_configuration_survives_json(simple):
    again = Graph.from_config(json.loads(json.dumps(simple.config())))
    assert again.config() == simple.config()
    assert repr(again) == repr(simple)
    assert [node.shape for node in again.nodes] == [node.shape for node in simple.nodes]


def test_consumers(simple):
    assert [node.name for node in simple.consumers("input")] == ["conv1"]
    assert [node.name for node in simple.consumers("relu1")] == ["pool1"]
    assert simple.consumers("affine2") == ()


def test_nodes_may_come_in_any_order_and_one_result_may_be_read_twice():
    relu = [
        Node(name, ReLU(), (source,), (4,)) for name, source in [("c", "b"), ("b", "a"), ("d", "a"), ("a", "input")]
    ]
    graph = Graph((4,), relu, ["c", "d"])
    assert [node.name for node in graph.nodes] == ["a", "b", "c", "d"]
    assert (graph.output, graph.outputs) == ("c", {"c": "c", "d": "d"})
    assert {node.name for node in graph.consumers("a")} == {"b", "d"}


def test_integers_of_numpy_become_pythons():
    graph = Graph.sequence([Affine(np.int64(3))], np.array([2, 2]))
    assert json.dumps(graph.config())
    assert graph.input_shape == (2, 2)
