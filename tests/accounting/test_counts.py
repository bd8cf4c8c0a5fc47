"""Counts equal those of loops that count while they compute; formulas say what they give."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal import layers as L
from foveal import reference
from foveal.accounting import account
from foveal.accounting.operations import Passes, Work, work
from foveal.graph import Graph, GraphBuilder
from foveal.layers.base import Layer
from tests.accounting import counting
from tests.support.networks import Scale, random_layers

LAYERS = [
    (lambda: L.Convolution(4, 3, stride=2, padding=1), (3, 5, 6)),
    (lambda: L.Convolution(4, (3, 2), padding="same", dilation=2, groups=2), (6, 5, 4)),
    (lambda: L.Convolution(2, 2, bias=False), (3, 7)),
    (lambda: L.Convolution(2, (2, 1, 3), 1, "same"), (1, 4, 3, 3)),
    (lambda: L.ConvTranspose(4, 4, stride=2, padding=1), (3, 3, 4)),
    (lambda: L.ConvTranspose(4, (3, 2), dilation=2, groups=2, bias=False), (4, 3, 3)),
    (lambda: L.ConvTranspose(2, 3, stride=3, padding="same"), (4, 5)),
    (lambda: L.ConvTranspose(2, 2, stride=2, output_padding=1), (2, 3, 3)),
    (lambda: L.Affine(5), (3, 2, 2)),
    (lambda: L.Affine(3, bias=False), (7,)),
    (L.Subsampling, (3, 4, 5)),
    (lambda: L.Subsampling(3, 2), (2, 7)),
    (lambda: L.MaxPool(3, 2, padding=1, rounding="ceil"), (2, 6, 6)),
    (lambda: L.MaxPool(2, 1, dilation=2), (2, 5, 4)),
    (lambda: L.AvgPool(3, 2, padding=1, rounding="ceil"), (2, 6, 6)),
    (lambda: L.AvgPool(3, 2, padding=1, rounding="ceil", count_padding=True), (2, 6, 6)),
    (lambda: L.AvgPool(2), (2, 7)),
    (L.GlobalAvgPool, (3, 4, 3)),
    (L.GlobalMaxPool, (3, 4, 3)),
    (L.BatchNorm, (3, 2, 4)),
    (L.BatchNorm, (5,)),
    (lambda: L.LocalResponseNorm(5, 0.1), (7, 2, 3)),
    (lambda: L.LocalResponseNorm(4, 0.2, 0.6, 1.0), (3, 2)),
    (L.Softmax, (6,)),
    (L.ReLU, (2, 3, 4)),
    (lambda: L.LeakyReLU(0.2), (7,)),
    (L.Sigmoid, (2, 3)),
    (L.Tanh, (2, 3)),
    (L.ScaledTanh, (2, 3, 2)),
    (lambda: L.Dropout(0.25), (2, 3, 2)),
    (L.Flatten, (2, 3, 2)),
    (L.Add, (2, 3, 2)),
    (L.Concat, (2, 3, 2)),
    (lambda: L.PadChannels(5), (2, 3, 2)),
    (lambda: L.RadialBasis(np.random.default_rng(3).standard_normal((4, 6))), (6,)),
    (lambda: L.SparseConvolution([(0, 1), (1, 2), (0, 1, 2)], (3, 2), 2, 1), (3, 5, 4)),
    (lambda: L.SparseConvolution([(0,), (1, 0)], 2, bias=False), (2, 5)),
]
every_layer = pytest.mark.parametrize(("make", "shape"), LAYERS, ids=[f"{m()!r} {s}" for m, s in LAYERS])


def state(layer, shape, seed):
    layer.initialise(shape, np.random.default_rng(seed))
    rng = np.random.default_rng(seed + 1)
    return {name: np.float64(a) + rng.uniform(0.1, 1, a.shape) for name, a in layer.state.items()}


def test_all_layers_are_counted():
    composites = {"Parallel", "Residual"}  # in a graph they are their parts
    counted = {type(make()).__name__ for make, _ in LAYERS}
    assert counted >= {name for name, kind in Layer.types.items() if kind.__module__.startswith("foveal.")} - composites


@every_layer
def test_a_layer_costs_what_its_loops_count(make, shape):
    layer, rng = make(), np.random.default_rng(7)
    inputs = 3 if isinstance(layer, L.Add | L.Concat) else 1
    shapes = (shape,) * inputs
    made = layer.joined_shape(shapes) if inputs > 1 else layer.output_shape(shape)
    p, xs, dy = state(layer, shape, 1), [rng.standard_normal(shape) for _ in shapes], rng.standard_normal(made)
    y, dx, gradients, tally = counting.passes(layer, xs, p, made, dy)

    cost = work(layer, shapes, made)
    assert [
        (cost.macs.forward, cost.other.forward),
        (cost.macs.dx, cost.other.dx),
        (cost.macs.dw, cost.other.dw),
    ] == list(tally)
    assert cost.flops.training == sum(2 * macs + other for macs, other in tally)

    expected, backward = run(layer, xs, p)
    np.testing.assert_allclose(counting.values(y), expected, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(dx, backward(dy)[0], strict=True):
        np.testing.assert_allclose(counting.values(ours), theirs, rtol=1e-10, atol=1e-12)
    for name, gradient in backward(dy)[1].items():
        np.testing.assert_allclose(counting.values(gradients[name]), gradient, rtol=1e-10, atol=1e-12)


def run(layer, xs, p):
    """The reference: y as it is predicted, gradients as they are learned from."""
    batch = [x[None] for x in xs]
    if len(xs) > 1:
        y, back = layer.run_joined(reference, batch, p)
        return y[0], lambda dy: ([d[0] for d in back(dy[None])[0]], {})
    y, back = layer.run(reference, batch[0], p)
    if isinstance(layer, L.BatchNorm):
        back = layer.run_training(reference, batch[0], p, 0)[1]
    if isinstance(layer, L.Dropout):  # the loop keeps every number
        return y[0], lambda dy: ([dy / (1 - layer.rate)], {})
    return y[0], lambda dy: ([back(dy[None])[0][0]], back(dy[None])[1])


def branched(seed, shape):
    """A random graph: a stem, two branches of any layers that keep the size, a join, and a head that may share."""
    rng, build = np.random.default_rng(seed), GraphBuilder(shape)
    shared = L.Convolution(shape[0], 3, padding=1)

    def branch(x):
        for _ in range(rng.integers(0, 3)):
            kept = [L.ReLU(), L.Tanh(), L.BatchNorm(), L.MaxPool(3, 1, 1), shared, L.Convolution(shape[0], 1)]
            x = build(kept[rng.integers(len(kept))], x)
        return x

    stem = build(L.Convolution(shape[0], 3, padding=1, bias=False), build.input) if rng.integers(2) else build.input
    ends = [branch(stem) for _ in range(3)]
    joined = build.add(ends) if rng.integers(2) else build.concat(ends)
    return build.graph(build([L.AvgPool(2), L.Affine(3)], joined))


def random_graph(seed):
    shape = [(2, 6, 5), (3, 8), (1, 4, 3, 4), (6,)][seed % 4]
    if seed % 3 == 0 and len(shape) == 3:
        return branched(seed, shape)
    return Graph.sequence(random_layers(seed, shape, every_kind=True), shape)


seeds = st.integers(0, 10_000)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seeds)
def test_a_network_costs_what_its_loops_count(seed):
    graph = random_graph(seed)
    if any(isinstance(node.layer, Scale) for node in graph.nodes):
        return  # a user's layer: it has the multiply-adds that it says
    rng, found = np.random.default_rng(seed), account(graph)
    p = {id(n.layer): state(n.layer, graph.input_shapes(n.name)[0], 3) for n in graph.owners()}
    x = {"input": rng.standard_normal(graph.input_shape)}
    learns = {"input": False}
    for node in graph.nodes:
        learns[node.name] = bool(node.layer.parameters) or any(learns[name] for name in node.inputs)
        given, dy = [x[name] for name in node.inputs], rng.standard_normal(node.shape)
        before = any(learns[name] for name in node.inputs)
        y, _, _, tally = counting.passes(node.layer, given, p[id(node.layer)], node.shape, dy, needs_dx=before)
        x[node.name] = counting.values(y)
        forward, dx, dw = tally
        readers = sum(other.inputs.count(node.name) for other in graph.nodes)
        if learns[node.name] and readers > 1:
            gradients = [counting.numbers(rng.standard_normal(node.shape)) for _ in range(readers)]
            for each in zip(*(g.reshape(-1) for g in gradients), strict=True):
                counting.added(each)
            dx = (dx[0], dx[1] + counting.TALLY.taken()[1])
        cost = found[node.name].work
        assert (cost.macs.forward, cost.other.forward) == forward, node.name
        assert (cost.macs.dx, cost.other.dx) == dx, node.name
        assert (cost.macs.dw, cost.other.dw) == dw, node.name
    expected = graph.run(reference, x["input"][None], flat(graph, p)).values[graph.output]
    np.testing.assert_allclose(x[graph.output], expected[0], rtol=1e-9, atol=1e-12)
    total = found.totals.work
    assert total.macs.training == sum(row.work.macs.training for row in found.rows)
    assert total.flops.training == 2 * total.macs.training + total.other.training


def flat(graph, p):
    return {f"{n.name}.{name}": a for n in graph.owners() for name, a in p[id(n.layer)].items()}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seeds)
def test_parameters_are_those_of_the_graph_and_formulas_are_true(seed):
    graph = random_graph(seed)
    found = account(graph)
    shapes = graph.parameters()
    counted = {f"{row.name}.{k}": int(v) for row in found.rows if not row.shares for k, v in row.parameters.items()}
    assert counted == {name: math.prod(shape) for name, shape in shapes.items()}
    assert found.totals.parameters == sum(math.prod(shape) for shape in shapes.values())
    for row in found.rows:
        for count in row.parameters.values():
            assert eval(count.formula) == count
        forward = row.work.macs.forward
        assert forward == row.layer.macs(row.given[0])
        if forward:
            assert eval(forward.formula) == forward


def test_formulas_show_groups():
    conv, transposed = L.Convolution(256, 5, padding=2, groups=2), L.ConvTranspose(6, (3, 2), groups=3)
    one, two = (account(Graph.sequence([layer], (96, 27, 27))).rows[0] for layer in (conv, transposed))
    assert one.weights.explained == "5*5*96/2*256 = 307,200"
    assert one.work.macs.forward.explained == "5*5*96/2*256*27*27 = 223,948,800"
    assert two.weights.explained == "3*2*96*6/3 = 1,152"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(seeds)
def test_size_formulas_give_the_size(seed):
    for row in account(random_graph(seed)).rows:
        check_size(row)


SIZES = [
    (L.Convolution(1, 7, 2, 3), (1, 224, 224), "(224 + 2*3 - 7)/2 + 1 = 112.5 -> 112"),
    (L.Convolution(1, 5), (1, 28, 28), "28 - 5 + 1 = 24"),
    (L.Convolution(1, 1), (1, 28, 28), ""),
    (L.Convolution(1, 1, 2), (1, 28, 28), "(28 - 1)/2 + 1 = 14.5 -> 14"),
    (L.Convolution(1, 3, padding=2, dilation=2), (1, 28), "28 + 2*2 - 2*(3 - 1) - 1 + 1 = 28"),
    (L.Convolution(1, 2, padding="same"), (1, 28), "28 + 1 - 2 + 1 = 28"),
    (L.Convolution(1, (3, 3), 1, ((1, 2), (0, 1))), (1, 8, 9), "8 + 1 + 2 - 3 + 1 = 9; 9 + 1 - 3 + 1 = 8"),
    (L.MaxPool(3, 2, rounding="ceil"), (64, 112, 112), "(112 - 3)/2 + 1 = 55.5 -> 56"),
    (L.MaxPool(2, 3, 1, rounding="ceil"), (1, 6), "(6 + 2*1 - 2)/3 + 1 = 3"),
    (L.MaxPool(3, 7), (1, 8), "(8 - 3)/7 + 1 = 1.71 -> 1"),
    (L.GlobalAvgPool(), (64, 7, 7), "all 7 -> 1"),
    (L.GlobalAvgPool(), (64, 7, 5), "all 7 -> 1; all 5 -> 1"),
    (L.Flatten(), (30, 12, 12), "30*12*12 = 4,320"),
    (L.Flatten(), (30,), ""),
    (L.ConvTranspose(1, 4, stride=2, padding=1), (1, 14, 14), "(14 - 1)*2 - 2*1 + 4 = 28"),
    (L.ConvTranspose(1, 3), (1, 14), "14 - 1 + 3 = 16"),
    (L.ConvTranspose(1, 3, stride=2, output_padding=1), (1, 14), "(14 - 1)*2 + 3 + 1 = 30"),
    (L.ConvTranspose(1, 3, stride=2, dilation=2), (1, 14), "(14 - 1)*2 + 2*(3 - 1) + 1 = 31"),
    (L.ConvTranspose(1, 3, stride=2, padding="same"), (1, 14), "14*2 = 28"),
    (L.Affine(10), (30, 12, 12), ""),
    (L.ReLU(), (3, 4, 5), ""),
]


@pytest.mark.parametrize(("layer", "shape", "formula"), SIZES, ids=[f"{layer!r} {shape}" for layer, shape, _ in SIZES])
def test_size_formulas_as_people_write_them(layer, shape, formula):
    (row,) = account(Graph.sequence([layer], shape)).rows
    assert row.size == formula
    check_size(row)


def check_size(row):
    """Read the formula as Python does, and see that it gives what it says, and the shape."""
    if isinstance(row.layer, L.Flatten | L.Concat):
        left, _, right = row.size.partition(" = ")
        assert not row.size or eval(left) == int(right.replace(",", "")) == row.shape[0]
        return
    if not row.size:
        assert len(row.shape) == 1 or row.shape[1:] == row.given[0][1:]
        return
    formulas = row.size.split("; ")
    formulas = formulas * (len(row.shape) - 1) if len(formulas) == 1 else formulas
    for formula, size in zip(formulas, row.shape[1:], strict=True):
        if formula.startswith("all"):
            assert size == 1
            continue
        left, right = formula.split(" = ")
        said, _, rounded = right.partition(" -> ")
        assert f"{eval(left):.2f}".rstrip("0").rstrip(".") == said
        assert int(rounded or said) == size
        rounding = {"floor": math.floor, "ceil": math.ceil}[getattr(row.layer, "rounding", "floor")]
        hangs_in_padding = rounding is math.ceil and size == math.floor(eval(left))  # PyTorch drops such a window
        assert size == rounding(eval(left)) or hangs_in_padding


def test_a_shared_layer_counts_once_and_computes_each_time():
    conv = L.Convolution(3, 3, padding=1)
    once = account(Graph.sequence([conv, L.Affine(2)], (3, 8, 8)))
    build = GraphBuilder((3, 8, 8))
    twice = account(build.graph(build([conv, L.ReLU(), conv, L.Affine(2)], build.input)))
    assert twice.totals.parameters == once.totals.parameters
    assert twice["conv1"].shares == ""
    assert twice["conv2"].shares == "conv1"
    assert twice["conv2"].weights == twice["conv2"].biases == 0
    assert twice["conv2"].work.macs.forward == twice["conv1"].work.macs.forward == 3 * 3 * 3 * 3 * 64


def test_gradients_are_needed_only_behind_what_learns():
    rows = account(Graph.sequence([L.ReLU(), L.AvgPool(2), L.Convolution(4, 3), L.Tanh(), L.Affine(2)], (1, 8, 8))).rows
    assert [row.work.macs.dx for row in rows] == [0, 0, 0, 0, 4 * 2 * 2 * 2]
    assert [row.work.other.dx for row in rows] == [0, 0, 0, 3 * 16, 0]
    assert [row.training_bytes // row.inference_bytes for row in rows] == [1, 1, 2, 2, 2]


def test_a_layer_of_a_user():
    found = account(Graph.sequence([L.Affine(4), Scale()], (3,)))
    assert found["scale1"].parameters == {"weight": 4, "bias": 4}
    assert found["scale1"].work == Work(Passes(), Passes(4, 0, 4))
    assert account(Graph.sequence([Scale(), L.Affine(2)], (3, 5))).rows[1].field is None  # nobody knows what it reads


def test_seeds_reach_branches_and_every_kind():
    kinds = {type(n.layer) for seed in range(150) for n in random_graph(seed).nodes}
    assert kinds >= set(counting.LOOPS) - {L.RadialBasis, L.SparseConvolution, L.PadChannels}  # these stand above
    assert list(itertools.islice((s for s in range(150) if any(len(n.inputs) > 1 for n in random_graph(s).nodes)), 5))
