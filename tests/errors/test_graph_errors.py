"""Every refusal of graphs with branches: the call, the class, and what the message must say."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import foveal as fv
from foveal.errors import DTypeError, FormatError, FovealError, GeometryError, ParameterError, ShapeError
from foveal.graph import Graph, GraphBuilder, Node, hinted
from foveal.layers import (
    Add,
    Affine,
    AvgPool,
    Concat,
    Convolution,
    GlobalAvgPool,
    MaxPool,
    Parallel,
    ReLU,
    Residual,
)  # fmt: skip


def node(name, *inputs, layer=None, shape=(4,)):
    return Node(name, layer or ReLU(), inputs, shape)


def builder(shape=(3, 8, 8)):
    return GraphBuilder(shape)


def joined(make, *shapes):
    """Join maps of these shapes, which 1x1 windows make of an input of (3, 28, 28)."""
    build = builder((3, 28, 28))
    ends = [build(Convolution(c, 1, stride), build.input, name=f"path{i}") for i, (c, stride) in enumerate(shapes, 1)]
    return make(build, ends)


def heads(*layers, **options):
    build = builder()
    first = build([GlobalAvgPool(), Affine(3)], build.input)
    graph = build.graph({"scores": first, "aux": build(list(layers) or [Affine(3)], build.input)})
    return fv.Network(graph, **options)


def heads_of_two_sizes(shape):
    build = GraphBuilder(shape)
    x = build(Residual(MaxPool(1, 3), MaxPool(3)), build.input)
    return build.graph([build(AvgPool(4), x), build(AvgPool(8), x)])


def waiting(first, second):
    """Return the config of two nodes that read these."""
    nodes = [{"name": f"relu{i}", "layer": i - 1, "inputs": [name]} for i, name in ((1, first), (2, second))]
    return {"input_shape": [4], "layers": [ReLU().config()] * 2, "nodes": nodes, "output": "relu2"}


GRAPHS = [
    # cycles, dangling inputs, duplicate names, nodes that lead nowhere
    (
        lambda: Graph((4,), [node("a", "input", "c", layer=Add()), node("b", "a"), node("c", "b")], "c"),
        ParameterError,
        r"^network: expected a graph without cycles, got a <- input \+ c, b <- a, c <- b: these nodes wait for each",
    ),
    (
        lambda: Graph((4,), [node("relu1", "input"), node("sum", "relu1", "relu", layer=Add())], "sum"),
        ParameterError,
        r"^Add 'sum': expected inputs that are nodes, got 'relu'\. Did you mean 'relu1'\?",
    ),
    (
        lambda: Graph((4,), [node("a", "input"), node("a", "input")], "a"),
        ParameterError,
        r"^network: expected each node name once, got 'a' twice",
    ),
    (
        lambda: Graph((4,), [node("a", "input"), node("b", "input"), node("c", "b")], "a"),
        ParameterError,
        r"nodes that lead to an output, got 'c', whose result nobody reads\. Join it .* name it among the outputs",
    ),
    (
        lambda: Graph((4,), [node("a", layer=Add())], "a"),
        ShapeError,
        r"^Add 'a': expected at least one input, got none",
    ),
    (
        lambda: Graph((4,), [node("a", "input", "input")], "a"),
        ParameterError,
        r"^ReLU 'a': expected one input, got 2\. Join them first: builder\.concat\(\[\.\.\.\]\) or builder\.add",
    ),
    (
        lambda: Graph((4,), [Node("a", ReLU(), "input", (4,))], "a"),
        DTypeError,
        r"^node 'a': expected inputs in a tuple, got 'input'\. Write \('input',\)\.$",
    ),
    (
        lambda: Graph((4,), [node("a", "input", layer=Residual(ReLU()))], "a"),
        ParameterError,
        r"^node 'a': expected one layer, got Residual\(ReLU\(\)\)\. Graph\.sequence and GraphBuilder make nodes",
    ),
    (
        lambda: Graph((4,), [node("a", "input", "input", layer=Concat())], "a"),
        ShapeError,
        r"^Concat 'a': expected a result of shape \(8,\), got \(4,\)",
    ),
    # outputs
    (lambda: Graph((4,), [node("a", "input")], []), ParameterError, r"^network outputs: expected at least one .* none"),
    (lambda: Graph((4,), [node("a", "input")], {}), ParameterError, r"^network outputs: expected at least one .* none"),
    (lambda: Graph((4,), [node("a", "input")], ["a", "a"]), ParameterError, r"each output once, got \['a', 'a'\]"),
    (
        lambda: Graph((4,), [node("a", "input")], 5),
        DTypeError,
        r"the name of a node, several, or \{name: node\}, got 5",
    ),
    (lambda: Graph((4,), [node("a", "input")], {"": "a"}), ParameterError, r"^network output: expected a name, got ''"),
    (
        lambda: Graph((4,), [node("softmax", "input")], {"scores": "sotfmax"}),
        ParameterError,
        r"^network output: .* got 'sotfmax'\. Did you mean 'softmax'\?",
    ),
    (
        lambda: Graph.from_config(waiting("relu2", "relu1")),
        ParameterError,
        r"without cycles, got relu1 <- relu2, relu2 <- relu1",
    ),
    (lambda: Graph.from_config(waiting("input", "rel1")), ParameterError, r"^ReLU 'relu2': .* Did you mean 'relu1'\?"),
    (lambda: Graph.from_config({"input_shape": [4], "layers": [], "nodes": [], "output": 3}), FovealError, r"outputs"),
    # the builder
    (lambda: builder()(ReLU()), ParameterError, r"^ReLU 'relu1': expected one input, got 0"),
    (lambda: builder()(ReLU(), "inptu"), ParameterError, r"^builder: .* got 'inptu'\. Did you mean 'input'\?"),
    (lambda: builder()(ReLU, "input"), DTypeError, r"^builder: expected a layer or a list of layers, got <class"),
    (lambda: builder()([ReLU(), 5], "input", name="tail"), DTypeError, r"^builder, 'tail': .* got 5"),
    (lambda: builder()(ReLU(), "input", name="a.b"), ParameterError, r"^builder: expected a name without '\.', got 'a"),
    (lambda: builder()(ReLU(), "input", name=3), ParameterError, r"^builder: expected a name without '\.', got 3"),
    (lambda: builder()(ReLU(), "input", name="input"), ParameterError, r"each node name once, got 'input' twice"),
    (
        lambda: (b := builder())([ReLU()], b(ReLU(), "input", name="head"), name="head"),
        ParameterError,
        r"each node name once, got 'head' twice\. Give one of them another name",
    ),
    (
        lambda: Graph.sequence([Residual(ReLU(), name="a"), Residual(ReLU(), name="a")], (4,)),
        ParameterError,
        r"each node name once, got 'a' twice\. Give one",
    ),
    (lambda: builder()(Parallel(ReLU()), "input", "input"), ParameterError, r"^builder: expected one input, got 2"),
    (lambda: builder().graph("relu1"), ParameterError, r"^network output: .* There are no nodes"),
    (
        lambda: builder().shape("relu1"),
        ParameterError,
        r"^builder: expected the name of a node or 'input', got 'relu1'",
    ),
    (lambda: GraphBuilder((0, 3)), ShapeError, r"^network input: expected an input shape of positive integers"),
    # shapes that do not fit a join
    (
        lambda: joined(GraphBuilder.add, (8, 1), (16, 1)),
        ShapeError,
        r"^Add 'add1': expected inputs of one shape, got 'path1' \(8, 28, 28\) and 'path2' \(16, 28, 28\)\. "
        r"A Convolution\(8, 1\) makes 'path2' \(8, 28, 28\)\.$",
    ),
    (
        lambda: joined(GraphBuilder.add, (8, 2), (8, 1)),
        ShapeError,
        r"^Add 'add1': .* A Convolution\(8, 1, stride=2\) makes 'path2' \(8, 14, 14\)\.$",
    ),
    (
        lambda: joined(GraphBuilder.concat, (8, 1), (8, 1), (4, 4)),
        ShapeError,
        r"^Concat 'concat1': expected inputs of one size, got .* 'path3' \(4, 7, 7\)\. A MaxPool\(1, 4\) makes 'path1'",
    ),
    (
        lambda: Graph.sequence([Parallel(Convolution(4, 3), Convolution(4, 1), name="mixed")], (3, 9, 9)),
        ShapeError,
        r"^Concat 'mixed/concat': .* 'mixed/branch1/conv1' \(4, 7, 7\) .* \(padding=\"same\"\)",
    ),
    (
        lambda: Graph.sequence([Residual(Affine(27))], (3, 3, 3)),
        ShapeError,
        r"^Add 'residual1/add': .* 'residual1/affine1' \(27,\) and 'input' \(3, 3, 3\)\. Put a Flatten\(\)",
    ),
    (
        lambda: Graph.sequence([Parallel(layer := Affine(3), [Affine(5), layer])], (4,)),
        ShapeError,
        r"^Affine 'parallel1/branch2/affine2' \(3 units\): expected the parameters of 'parallel1/branch1/affine1'",
    ),
    # an input that is too small
    (
        lambda: Graph.sequence([Convolution(4, 5), MaxPool(2), Convolution(4, 5), AvgPool(4)], (1, 12, 15)),
        GeometryError,
        r"^Convolution 'conv2' .* on input \(4, 4, 5\): .*smallest larger input that fits the network is \(1, 20, 20\)",
    ),
    (
        lambda: Graph.sequence([Residual([MaxPool(2), AvgPool(9)], GlobalAvgPool())], (3, 12, 16)),
        GeometryError,
        r"^AvgPool 'residual1/pool2' .* fits the network is \(3, 18, 18\)\.$",
    ),
    (
        lambda: (b := builder((3, 9, 9)))(MaxPool(5), b(Convolution(4, 7), "input")),
        GeometryError,
        r"^MaxPool 'pool1' .* fits what is built so far is \(3, 11, 11\)\.$",
    ),
    (
        lambda: Graph.sequence([MaxPool(3, 2), Convolution(4, 9)], (1, 16)),
        GeometryError,
        r"fits the network is \(1, 19\)\.$",
    ),
    (
        lambda: hinted(heads_of_two_sizes, (3, 9, 9)),
        GeometryError,
        r"^AvgPool 'pool1' \(4x4\) on input \(3, 3, 3\): .* to the padding or the map\. The smallest larger input that "
        r"fits the network is \(3, 24, 24\)\.$",
    ),
    # weights of outputs
    (lambda: heads(output_weights={"aux2": 1}), ParameterError, r"^output_weights: .* Did you mean 'aux'\?"),
    (lambda: heads(output_weights={"aux": -1}), ParameterError, r"^output_weights\['aux'\]: .* at least 0, got -1"),
    (lambda: heads(output_weights={"aux": np.nan}), ParameterError, r"^output_weights\['aux'\]: .* got nan"),
    (lambda: heads(output_weights={"aux": "1"}), ParameterError, r"^output_weights\['aux'\]: .* got '1'"),
    (
        lambda: heads(output_weights={"scores": 0}),
        ParameterError,
        r"a first output that is learned, got output_weights",
    ),
    (
        lambda: heads(Affine(5)),
        ShapeError,
        r"^output 'aux': expected 3 classes.* got 5\. output_weights=\{'aux': 0\} leaves it out",
    ),
    (lambda: heads().outputs(np.zeros((2, 1, 8, 8))), ShapeError, r"^x: expected shape \(N, 3, 8, 8\)"),
    (lambda: heads().outputs(np.zeros((2, 3, 8, 8)), batch_size=0), ParameterError, r"^batch_size"),
    (lambda: heads().reference_outputs(np.zeros((2, 1, 8, 8))), ShapeError, r"^x: expected shape \(N, 3, 8, 8\)"),
]


@pytest.mark.parametrize(("call", "kind", "message"), GRAPHS)
def test_refused(call, kind, message):
    with pytest.raises(FovealError, match=message) as caught:
        call()
    assert isinstance(caught.value, kind)
    assert kind is FovealError or type(caught.value) is kind
    assert caught.value.__suppress_context__ or caught.value.__context__ is None, "a user would see two tracebacks"


SMALL = [
    [Convolution(4, 7, 2, 3), MaxPool(3, 2), Residual(Convolution(4, 3, padding=1)), AvgPool((5, 3))],
    [Convolution(4, 3), MaxPool(2), Convolution(4, 3), MaxPool(2), Convolution(4, 3), MaxPool(2), Affine(3)],
    [Parallel(Convolution(2, 3), MaxPool(3, 1)), Convolution(2, 4, dilation=3)],
]


@pytest.mark.parametrize("layers", SMALL)
def test_the_size_that_a_message_names_is_the_smallest_that_works(layers):
    with pytest.raises(GeometryError) as error:
        fv.Network(layers, (1, 3, 3))
    size = re.search(r"that fits the network is (\(.*\))\.$", str(error.value))
    fit = tuple(int(n) for n in re.findall(r"\d+", size[1]))
    fv.Network(layers, fit)
    for axis in (1, 2):
        smaller = tuple(n - (i == axis) for i, n in enumerate(fit))
        with pytest.raises(GeometryError):
            fv.Network(layers, smaller)


# The weights of another network


def resnet(width=4, blocks=2, classes=3):
    body = [layer for _ in range(blocks) for layer in (Residual(Convolution(width, 3, padding=1)), ReLU())]
    return fv.Network([Convolution(width, 3), *body, GlobalAvgPool(), Affine(classes)], (1, 9, 9))


def test_weights_of_another_network_are_told_apart():
    """Missing, extra and of another shape, each with its names."""
    with pytest.raises(ShapeError) as error:
        resnet(blocks=3, classes=5).load_parameters(resnet().arrays() | {"conv7.weight": np.zeros(3)})
    for told in (
        "residual3/conv1.weight is missing",
        "conv7.weight is unknown",
        "affine1.bias has shape (3,), not (5,)",
        "These are parameters of another network.",
    ):
        assert told in str(error.value), told


def test_no_list_hides_another():
    """However many are missing, what is unknown is told as well."""
    with pytest.raises(ShapeError) as error:
        resnet(blocks=9).load_parameters(resnet(blocks=0, classes=4).arrays() | {f"x{i}": 0 for i in range(8)})
    for told in ("and 12 more missing", "x5 is unknown; and 2 more unknown", "affine1.weight has shape (4, 4), not"):
        assert told in str(error.value), told


def test_a_file_whose_description_is_of_another_graph(tmp_path):
    path = tmp_path / "net.safetensors"
    resnet().save(path)
    content = path.read_bytes()
    assert content.count(b"residual2/add") > 0
    path.write_bytes(content.replace(b"residual2/add", b"residual3/add", 1))
    with pytest.raises(FormatError, match=r"net\.safetensors: expected a network"):
        fv.load(path)


@pytest.mark.parametrize("weights", ["aux", ["aux"], {"aux": "much"}, {"other": 1}, {"scores": 0}])
def test_a_file_with_impossible_output_weights(tmp_path, weights):
    path = tmp_path / "net.safetensors"
    heads(output_weights={"aux": 0.5}).save(path)
    with safe_open(path, "np") as file:
        description = file.metadata()
    config = json.loads(description["network"]) | {"output_weights": weights}
    save_file(load_file(path), path, description | {"network": json.dumps(config)})
    with pytest.raises(FormatError, match=r"net\.safetensors: expected a network, got a description that does not fit"):
        fv.load(path)
