"""Graphs: names, shapes, order, branches, shared layers, outputs, the way through JSON, and the formula."""

import json

import numpy as np
import pytest

import foveal as fv
from foveal import reference
from foveal.graph import Graph, GraphBuilder, Node
from foveal.graph.fitting import nearest_fit
from foveal.layers import (
    Add,
    Affine,
    AvgPool,
    BatchNorm,
    Concat,
    Convolution,
    Dropout,
    Layer,
    MaxPool,
    Parallel,
    ReLU,
    Residual,
    Softmax,
)  # fmt: skip
from foveal.reference.random import derive
from tests.support.networks import Scale, random_graph
from tests.support.oracles import assert_gradient


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


# Branches


def names(graph):
    return [node.name for node in graph.nodes]


def test_parallel_and_residual_become_nodes_of_their_own():
    block = Parallel(Convolution(4, 1), [Convolution(4, 1), ReLU(), Convolution(6, 3, padding=1)], [], name="mixed")
    layers = [Convolution(8, 3), block, ReLU(), Residual(Convolution(18, 1)), Residual(ReLU(), [ReLU(), ReLU()])]
    graph = Graph.sequence(layers, (1, 9, 9))
    assert [(node.name, node.inputs, node.shape) for node in graph.nodes] == [
        ("conv1", ("input",), (8, 7, 7)),
        ("mixed/branch1/conv1", ("conv1",), (4, 7, 7)),
        ("mixed/branch2/conv1", ("conv1",), (4, 7, 7)),
        ("mixed/branch2/relu1", ("mixed/branch2/conv1",), (4, 7, 7)),
        ("mixed/branch2/conv2", ("mixed/branch2/relu1",), (6, 7, 7)),
        ("mixed/concat", ("mixed/branch1/conv1", "mixed/branch2/conv2", "conv1"), (18, 7, 7)),
        ("relu1", ("mixed/concat",), (18, 7, 7)),
        ("residual1/conv1", ("relu1",), (18, 7, 7)),
        ("residual1/add", ("residual1/conv1", "relu1"), (18, 7, 7)),
        ("residual2/relu1", ("residual1/add",), (18, 7, 7)),
        ("residual2/shortcut/relu1", ("residual1/add",), (18, 7, 7)),
        ("residual2/shortcut/relu2", ("residual2/shortcut/relu1",), (18, 7, 7)),
        ("residual2/add", ("residual2/relu1", "residual2/shortcut/relu2"), (18, 7, 7)),
    ]
    assert list(graph.parameters())[2:4] == ["mixed/branch1/conv1.weight", "mixed/branch1/conv1.bias"]
    assert repr(graph) == "Graph((1, 9, 9) -> 13 nodes -> (18, 7, 7))"


def test_nested_blocks_have_nested_names():
    inner = Residual([BatchNorm(), Convolution(2, 1)], name="inner")
    graph = Graph.sequence([Parallel([inner, ReLU()], Parallel([], [], join="add"))], (2, 4, 4))
    assert names(graph) == [
        "parallel1/branch1/inner/batchnorm1",
        "parallel1/branch1/inner/conv1",
        "parallel1/branch1/inner/add",
        "parallel1/branch1/relu1",
        "parallel1/branch2/parallel1/add",
        "parallel1/concat",
    ]
    assert graph["parallel1/branch2/parallel1/add"].inputs == ("input", "input")
    assert "parallel1/branch1/inner/batchnorm1.running_mean" in graph.buffers()


def test_a_block_used_twice_shares_its_layers():
    block = Residual(Convolution(3, 3, padding=1))
    graph = Graph.sequence([block, block], (3, 5, 5))
    assert names(graph) == ["residual1/conv1", "residual1/add", "residual2/conv1", "residual2/add"]
    assert list(graph.parameters()) == ["residual1/conv1.weight", "residual1/conv1.bias"]
    assert graph["residual1/conv1"].layer is graph["residual2/conv1"].layer
    assert graph["residual1/add"].layer is not graph["residual2/add"].layer


def test_the_builder_makes_any_graph():
    build = GraphBuilder((3, 8, 8))
    shared = Convolution(3, 3, padding=1)
    left, right = build(shared, build.input), build([ReLU(), shared], "input", name="right")
    y = build.concat([build.add([left, right, build.input], name="sum"), right])
    assert (left, right, y) == ("conv1", "right/conv1", "concat1")
    assert [build.shape(name) for name in ("input", left, y)] == [(3, 8, 8), (3, 8, 8), (6, 8, 8)]
    graph = build.graph(build([], y))
    assert names(graph) == ["conv1", "right/relu1", "right/conv1", "sum", "concat1"] == [n.name for n in build.nodes]
    assert graph["sum"].inputs == ("conv1", "right/conv1", "input")
    assert isinstance(graph["sum"].layer, Add)
    assert isinstance(graph["concat1"].layer, Concat)
    assert [node.name for node in graph.owners()] == ["conv1", "right/relu1", "sum", "concat1"]


def test_names_that_users_give_do_not_stop_the_counting():
    build = GraphBuilder((4,))
    a = build(ReLU(), build.input, name="relu2")
    assert [build(ReLU(), a) for _ in range(3)] == ["relu1", "relu3", "relu4"]


def test_a_refused_call_leaves_the_builder_as_it_was():
    build = GraphBuilder((4,))
    with pytest.raises(fv.FovealError):
        build([ReLU(), Convolution(3, 3)], build.input)
    with pytest.raises(fv.FovealError):
        build(Parallel(ReLU(), MaxPool(2)), build.input, name="fork")
    assert build.nodes == ()
    assert names(build.graph(build(Parallel(ReLU(), []), build.input, name="fork"))) == ["fork/branch1/relu1",
                                                                                        "fork/concat"]  # fmt: skip


def test_outputs_have_names():
    build = GraphBuilder((4,))
    a = build(Affine(3), build.input)
    b = build([ReLU(), Affine(2), Softmax()], a)
    one, two = build.graph([b, a]), build.graph({"scores": b, "aux": a})
    assert (one.outputs, two.outputs) == ({b: b, a: a}, {"scores": "softmax1", "aux": "affine1"})
    assert (two.output, two.output_shape) == ("softmax1", (2,))
    assert two.scores == {"scores": "affine2", "aux": "affine1"}
    assert repr(two).endswith("-> softmax1 -> (2,) and (3,))")
    assert names(two.only(["aux"])) == ["affine1"]
    assert two.only(["aux"])["affine1"].layer is two["affine1"].layer
    assert two.only(["scores", "aux"]).config() == two.config()
    again = Graph.from_config(json.loads(json.dumps(two.config())))
    assert (again.outputs, again.config()) == (two.outputs, two.config())


@pytest.mark.parametrize("seed", range(10))
def test_configuration_of_branches_survives_json(seed, monkeypatch):
    monkeypatch.setitem(Layer.types, "Scale", Scale)
    graph = random_graph(seed, (3, 13, 11), every_kind=True)
    again = Graph.from_config(json.loads(json.dumps(graph.config())))
    assert again.config() == graph.config()
    assert [(n.name, n.inputs, n.shape) for n in again.nodes] == [(n.name, n.inputs, n.shape) for n in graph.nodes]
    assert [n.name for n in again.owners()] == [n.name for n in graph.owners()]
    assert (again.outputs, again.parameters()) == (graph.outputs, graph.parameters())


# The formula


def arrays_of(graph, seed=1):
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(0.5, 1.5, shape) for name, shape in (graph.parameters() | graph.buffers()).items()}


def test_gradients_through_branches_agree_with_differences():
    """Of x, and of all parameters: two outputs, results that several read, a layer at two places."""
    build, shared = GraphBuilder((2, 5, 4)), Convolution(2, 3, padding=1)
    a = build(shared, build.input)
    b = build.concat([build([shared, AvgPool(2, 1, 1)], a), build(AvgPool(2, 1, 1), build.input)])
    c = build(Parallel(AvgPool(2), [AvgPool(2), Convolution(4, 1)], join="add"), b)
    aux, out = build(Affine(3), a), build([Residual(BatchNorm()), Affine(4)], c)
    graph = build.graph({"scores": out, "aux": aux})
    p = arrays_of(graph)
    learned = list(graph.parameters())
    x, rng = np.random.default_rng(2).standard_normal((3, 2, 5, 4)), np.random.default_rng(3)
    dys = {out: rng.standard_normal((3, 4)), aux: rng.standard_normal((3, 3))}

    def f(x, *values):
        run = graph.run(reference, x, p | dict(zip(learned, values, strict=True)))
        return np.concatenate([run.values[at] for at in dys], axis=1)

    dx, gradients = graph.run(reference, x, p).backward(dys)
    assert list(gradients) == learned
    dy = np.concatenate(list(dys.values()), axis=1)
    assert_gradient(f, [x, *(p[k] for k in learned)], [dx, *gradients.values()], dy, step=1e-5, tolerance=1e-6, n=200)


def test_what_no_output_asks_for_has_no_gradient():
    graph = Graph.sequence([Affine(3), ReLU(), Affine(2)], (4,))
    run = graph.run(reference, np.ones((1, 4)), arrays_of(graph))
    _, gradients = run.backward({"affine1": np.ones((1, 3))})
    assert not gradients["affine2.weight"].any()
    assert gradients["affine1.weight"].all()


def test_each_node_has_a_seed_of_its_own_and_buffers_are_returned():
    dropout = Dropout(0.5)
    graph = Graph.sequence([Parallel(dropout, dropout), BatchNorm()], (50,))
    p = arrays_of(graph)
    run = graph.run(reference, np.ones((2, 50)), p, seed=5)
    left, right = (run.values[f"parallel1/branch{i}/dropout1"] for i in (1, 2))
    np.testing.assert_array_equal(left, reference.dropout(np.ones((2, 50)), 0.5, seed=derive(5, 0)))
    assert (left != right).any()
    assert set(run.buffers) == set(graph.buffers())
    assert graph.run(reference, np.ones((2, 50)), p).buffers == {}


def test_a_shared_batch_norm_follows_all_its_uses():
    norm = BatchNorm(momentum=0.5)
    graph = Graph.sequence([norm, norm], (3,))
    p = {k: np.zeros(s) for k, s in graph.buffers().items()} | {k: np.ones(s) for k, s in graph.parameters().items()}
    x = np.random.default_rng(0).standard_normal((4, 3)) + 8
    run = graph.run(reference, x, p, seed=0)
    once = p["batchnorm1.running_mean"] * 0.5 + 0.5 * x.mean(0)
    twice = once * 0.5 + 0.5 * run.values["batchnorm1"].mean(0)
    np.testing.assert_allclose(run.buffers["batchnorm1.running_mean"], twice, rtol=1e-12)


# The smallest input that fits


def test_the_nearest_input_that_fits():
    layers = [Convolution(4, 7, 2), MaxPool(3, 2), Residual(Convolution(4, 3, padding=1)), AvgPool((7, 5))]

    def build(shape):
        return Graph.sequence(layers, shape)

    fit = nearest_fit(build, (3, 20, 40))
    assert fit == (3, min(n for n in range(20, 100) if works(build, (3, n, 99))), 40)
    assert not works(build, (3, fit[1] - 1, 40))
    assert nearest_fit(build, (3, 64, 64)) == (3, 64, 64)
    assert nearest_fit(build, (9,)) is None
    assert nearest_fit(lambda shape: Graph.sequence([Convolution(3, 3, groups=3)], shape), (2, 1, 1)) is None


def works(build, shape):
    try:
        build(shape)
    except fv.FovealError:
        return False
    return True


def test_a_large_input_is_found_too():
    fit = nearest_fit(lambda shape: Graph.sequence([AvgPool(100, 10), AvgPool(30)], shape), (1, 5))
    assert fit == (1, 100 + 29 * 10)
