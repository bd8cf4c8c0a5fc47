"""Receptive fields and coverage are those that are measured: by gradients, and by what a NaN reaches."""

import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal import layers as L
from foveal import reference
from foveal.accounting import account, coverage
from foveal.accounting.columns import by
from foveal.accounting.coverage import gather, scatter
from foveal.accounting.field import Field
from foveal.accounting.windows import Axis, axes
from foveal.geometry import Window, transposed
from foveal.graph import Graph, GraphBuilder
from tests.accounting.networks import COUNTED, autoencoder, googlenet, mlp
from tests.support.networks import Scale, random_layers

seeds = st.integers(0, 10_000)
SHAPES = [(2, 9, 7), (1, 17), (1, 4, 5, 4), (2, 12, 6)]


def drawn(seed):
    """A random chain of layers, or a graph whose branches have strides of their own; no layer of a user."""
    shape = SHAPES[seed % len(SHAPES)]
    if seed % 3 == 0:
        return mixed(seed)
    layers = [layer for layer in random_layers(seed, shape, every_kind=True) if not isinstance(layer, Scale)]
    try:
        return Graph.sequence(layers, shape)
    except Exception:  # without the user's layer it does not fit any more
        return drawn(seed + 1)


def mixed(seed):
    """Branches of one size: by padding, by other strides, up and down again."""
    rng, build = np.random.default_rng(seed), GraphBuilder((1, 9, 8))
    branches = [
        [L.Convolution(2, 3, padding=1)],
        [L.Convolution(2, 3, padding=2, dilation=2), L.Tanh()],
        [L.Convolution(2, (3, 2), 3), L.ConvTranspose(2, (3, 2), stride=3)],
        [L.MaxPool(3, 2, 1), L.ConvTranspose(2, (1, 2), stride=2)],
        [L.AvgPool(3, 1, 1), L.Convolution(2, 1)],
        [L.ConvTranspose(2, 3, padding=1)],
        [L.Convolution(2, 3, 2, 1), L.ConvTranspose(2, (3, 4), stride=2, padding=((1, 1), (1, 1)))],
        [],
    ]  # fmt: skip
    fitting = [b for b in branches if Graph.sequence([*b, L.ReLU()], (1, 9, 8)).output_shape[1:] == (9, 8)]
    ends = [build(fitting[i], build.input) for i in rng.permutation(len(fitting))[: rng.integers(1, 4)]]
    x = build.concat(ends)
    if rng.integers(2):  # windows with other strides whose results have one size
        first = build(L.Convolution(2, (3, 4), 3), x)
        second = build([L.Convolution(2, (7, 4), 1), L.MaxPool(1, (1, 3))], x)
        x = build.add([first, second])
    up = [L.ConvTranspose(1, 3, stride=2, dilation=2), L.ConvTranspose(1, 4, stride=3, padding=((1, 2), (0, 1)))]
    tail = [[L.Convolution(1, 2, 2)], up[:1], up[1:], up, [L.Affine(3)], [L.GlobalMaxPool()]]
    return build.graph(build(tail[rng.integers(len(tail))], x))


def parameters(graph, seed):
    rng = np.random.default_rng(seed)
    shapes = graph.parameters() | graph.buffers()
    return {name: rng.uniform(0.5, 1.5, shape) for name, shape in shapes.items()}


def reached(graph):
    """Return for each node a boolean array (cells of the input, positions): whether a NaN in the cell comes there."""
    spatial = graph.input_shape[1:]
    cells = math.prod(spatial)
    x = np.random.default_rng(0).uniform(0.5, 1.5, (cells, *graph.input_shape))
    for i, cell in enumerate(np.ndindex(*spatial)):
        x[i, :, *cell] = np.nan
    with np.errstate(invalid="ignore"):
        values = graph.run(reference, x, parameters(graph, 1)).values
    nan = {}
    for node in graph.nodes:
        y = np.isnan(values[node.name])
        nan[node.name] = (y.any(axis=1) if y.ndim > 2 else y.any(axis=1, keepdims=True)).reshape(cells, -1)
    return nan


def measured(hit, spatial, axis):
    """Return the first and the last cell on an axis of those that `hit` names, or None."""
    cells = np.argwhere(hit.reshape(spatial))[:, axis]
    return (int(cells.min()), int(cells.max())) if len(cells) else None


def claimed(first, last):
    """Return the same for each position, as the account says it."""
    return [(int(a), int(b)) if a <= b else None for a, b in zip(first, last, strict=True)]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(seeds)
def test_fields_are_what_a_nan_reaches(seed):
    graph = drawn(seed)
    spatial, nan = graph.input_shape[1:], reached(graph)
    for row in account(graph).rows:
        shape = row.shape[1:] or (1,) * len(spatial)
        hits = nan[row.name].reshape(-1, *shape)
        for axis in range(len(spatial)):
            across = tuple(i for i in range(1, hits.ndim) if i != axis + 1)
            lines = hits.any(axis=across).T  # (positions on the axis, cells)
            field, found = row.field[axis], [measured(hit, spatial, axis) for hit in lines]
            assert claimed(field.first, field.last) == found, (row.name, axis)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(seeds)
def test_fields_are_where_gradients_are_not_0(seed):
    graph = drawn(seed)
    if any(isinstance(n.layer, L.MaxPool | L.GlobalMaxPool) for n in graph.nodes):
        return  # a maximum has a gradient at one place only
    spatial, rng = graph.input_shape[1:], np.random.default_rng(seed)
    x = rng.uniform(0.01, 0.02, (1, *graph.input_shape))  # where no sigmoid is flat
    sizes = {"running_variance": 1.0, "running_mean": 0.0}  # so that no ReLU is dead
    p = {name: array * sizes.get(name.split(".")[1], 0.1) for name, array in parameters(graph, seed).items()}
    run, row = graph.run(reference, x, p), account(graph)[graph.output]
    for axis in range(len(spatial)):
        for i, hull in enumerate(claimed(row.field[axis].first, row.field[axis].last)):
            dy = np.zeros((1, *row.shape))
            line = dy[0] if not row.shape[1:] else np.moveaxis(dy[0], 1 + axis, 0)[i]
            line[...] = rng.uniform(0.5, 1.5, line.shape)
            dx = run.backward({graph.output: dy})[0][0]
            assert hull == measured((dx != 0).any(axis=0), spatial, axis), (axis, i)


def walked(graph, axis):
    """Return a function (node, position) -> the cells that it depends on if maps had no ends, walking back."""

    @cache
    def cells(name, i):
        if name == "input":
            return frozenset([i])
        node, (given, *_) = graph[name], graph.input_shapes(name)
        return frozenset().union(*(cells(source, j) for source in node.inputs for j in taps(node, given, i)))

    def taps(node, given, i):
        layer = node.layer
        if len(given) == 1:
            return [0]
        if len(node.shape) == 1 or isinstance(layer, L.GlobalAvgPool | L.GlobalMaxPool):
            return range(given[1 + axis])
        if not hasattr(layer, "kernel"):
            return [i]
        where = layer.stride, getattr(layer, "padding", 0), getattr(layer, "dilation", 1)
        if isinstance(layer, L.ConvTranspose):
            window, _ = transposed(given[1:], layer.kernel, *where[:2], layer.output_padding, where[2])
        else:
            window = Window.resolve(given[1:], layer.kernel, *where)
        k, s, d, (before, _) = (each[axis] for each in (window.kernel, window.stride, window.dilation, window.padding))
        if isinstance(layer, L.ConvTranspose):
            reach = range((i + before - d * k) // s - 1, (i + before) // s + 2)
            return [j for j in reach if any(j * s - before + t * d == i for t in range(k))]
        return [i * s - before + t * d for t in range(k)]

    return cells


@settings(max_examples=120, deadline=None, derandomize=True)
@given(seeds)
def test_fields_without_ends_are_those_of_a_walk_back(seed):
    graph = drawn(seed)
    for axis in range(len(graph.input_shape) - 1):
        cells = walked(graph, axis)
        for row in account(graph).rows:
            field = row.field[axis]
            depends = [cells(row.name, i) for i in range(len(field.first))]
            hulls = [(min(each), max(each)) if each else None for each in depends]
            assert claimed(*field.hulls()) == hulls, (row.name, axis)
            assert field.size == max((last - first + 1 for first, last in filter(None, hulls)), default=0)
            assert field.start == (hulls[0] and hulls[0][0])


def test_the_random_graphs_mix_jumps():
    jumps = [account(mixed(seed))[mixed(seed).output].field[0].jump for seed in range(0, 90, 3)]
    assert None in jumps
    assert any(jump is not None and jump.denominator > 1 for jump in jumps)
    assert sum(any(len(n.inputs) > 1 for n in drawn(seed).nodes) for seed in range(60)) > 10


def test_published_fields():
    """Of AlexNet and VGG-16: Araujo, Norris and Sim, Computing receptive fields of convolutional neural networks."""
    pools = [2, 2, 3, 3, 3]
    vgg = [layer for n in pools for layer in ([L.Convolution(8, 3, padding=1)] * n + [L.MaxPool(2)])]
    last = account(Graph.sequence(vgg, (8, 224, 224))).rows[-1].field[0]
    assert (last.size, last.jump, last.start) == (212, 32, -90)
    alexnet = account(COUNTED["alexnet"]())["pool3"].field[0]
    assert (alexnet.size, alexnet.jump) == (195, 32)


def test_googlenet_has_one_field_a_block():
    rows = account(googlenet())
    names = ("inception3a/concat", "inception3b/concat", "inception4e/concat", "inception5b/concat", "pool5")
    assert [rows[name].field[0].size for name in names] == [59, 91, 427, 715, 907]
    assert all(len({(f.size, f.jump, f.start) for f in row.field}) == 1 for row in rows.rows)


def test_an_autoencoder_has_places_between_the_cells():
    rows = account(autoencoder()).rows
    assert [(f.size, str(f.jump)) for f in (row.field[0] for row in rows[::2])] == [
        (3, "2"), (7, "4"), (11, "2"), (15, "1")
    ]  # fmt: skip
    assert account(Graph.sequence([L.ConvTranspose(1, (4,), stride=3)], (1, 5))).rows[0].field[0].jump == Fraction(1, 3)


def test_an_output_that_reads_nothing():
    field = Field.of_input(4).through(Axis(4, 7, kernel=1, stride=2, spread=True))
    every = [(0, 0), None, (1, 1), None, (2, 2), None, (3, 3)]
    assert claimed(*field.hulls()) == claimed(field.first, field.last) == every
    assert (field.size, field.start) == (1, 0)


COVERED = [
    (L.Convolution(1, 3, 2), (1, 6, 7)),
    (L.Convolution(2, (2, 3), (3, 1), ((1, 0), (2, 1)), dilation=(2, 1)), (2, 8, 5)),
    (L.AvgPool(2), (3, 7)),
    (L.MaxPool(3, 2, 1, rounding="ceil"), (1, 6, 6)),
    (L.Subsampling(2), (2, 3, 5, 4)),
]


@pytest.mark.parametrize(("layer", "shape"), COVERED, ids=[f"{layer!r} {shape}" for layer, shape in COVERED])
def test_coverage_of_a_layer_is_col2im_of_im2col_of_ones(layer, shape):
    found = coverage(layer, shape)
    window = {"stride": layer.stride, "padding": getattr(layer, "padding", 0)}
    window["dilation"] = getattr(layer, "dilation", 1)
    ones, single = np.ones((1, 1, *shape[1:])), (1, 1, *shape[1:])
    if getattr(layer, "rounding", "floor") == "ceil":  # im2col has no window that hangs over the end
        window["padding"] = ((1, 2), (1, 2))
    kernel = layer.kernel if isinstance(layer.kernel, tuple) else (layer.kernel,) * (len(shape) - 1)
    cols = reference.im2col(ones, kernel, **window)
    np.testing.assert_array_equal(found.reads, reference.col2im(np.ones_like(cols), single, kernel, **window)[0, 0])
    np.testing.assert_array_equal(found.writes.ravel(), cols.sum(axis=1))
    assert found.reads.dtype == np.int64
    assert found.unread == (found.reads == 0).sum()


@settings(max_examples=80, deadline=None, derandomize=True)
@given(seeds)
def test_coverage_of_a_network_is_the_gradient_of_ones(seed):
    rng, build = np.random.default_rng(seed), GraphBuilder((1, 10, 9))

    def step(x):
        tall, wide = build.shape(x)[1:]
        kernel, stride, before = rng.integers(1, 4), int(rng.integers(1, 3)), int(rng.integers(0, 2))
        size = (min(int(kernel), tall), min(int(rng.integers(1, 4)), wide))
        spread = rng.integers(3) == 0
        make = L.ConvTranspose if spread else L.Convolution
        if spread and min(tall, wide) < 3:
            before = 0  # something must be left
        return build(make(1, size, stride=stride, padding=before, bias=False), x)

    x = step(build.input)
    same = [
        build(L.Convolution(1, 3, padding=1, dilation=1, bias=False), x),
        x,
        build(L.Convolution(1, 1, bias=False), x),
    ]
    x = build.add(same) if rng.integers(2) else build(L.Convolution(1, 1, bias=False), build.concat(same))
    x = step(x)
    graph = build.graph(build(L.Affine(1, bias=False), x) if rng.integers(2) else x)
    ones = {name: np.ones(shape) for name, shape in graph.parameters().items()}
    run = graph.run(reference, np.ones((1, *graph.input_shape)), ones)
    y = run.values[graph.output]
    dx, _ = run.backward({graph.output: np.ones_like(y)})
    found = coverage(graph)
    np.testing.assert_array_equal(found.reads, dx[0, 0])
    np.testing.assert_array_equal(found.writes.ravel(), y[0].ravel())
    assert found.reads.sum() == found.writes.sum()
    position = tuple(int(rng.integers(n)) for n in found.writes.shape)
    dy = np.zeros_like(y)
    dy.reshape(found.writes.shape)[position] = 1
    np.testing.assert_array_equal(coverage(graph, position=position).reads, run.backward({graph.output: dy})[0][0, 0])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seeds)
def test_unread_cells_reach_nothing(seed):
    graph = drawn(seed)
    nan, found = reached(graph), account(graph)
    ends = [nan[name].any(axis=1) for name in graph.outputs.values()]
    lost = ~np.any(ends, axis=0)
    np.testing.assert_array_equal(coverage(graph).reads.ravel() == 0, lost)
    assert found.totals.unread == lost.sum()


def test_unread_cells_of_each_row():
    rows = account(Graph.sequence([L.Convolution(1, 3, 2), L.MaxPool(2), L.Flatten(), L.Affine(2)], (1, 12, 8))).rows
    assert [row.unread for row in rows] == [12 * 8 - 11 * 7, 5 * 3 - 4 * 2, 0, 0]
    assert coverage(Graph.sequence([L.MaxPool(2)], (1, 5, 5))).unread == 9


def test_windows_agree_with_the_layers():
    for make in COUNTED.values():
        graph = make()
        for node in graph.nodes:
            read = axes(node.layer, graph.input_shapes(node.name)[0], node.shape)
            assert by([axis.out for axis in read]) == by(node.shape[1:] or (1,) * len(read)), node.name
            ones = np.ones([axis.size for axis in read])
            assert scatter(gather(ones, read), read).shape == ones.shape


def test_a_network_without_cells():
    assert account(mlp()).totals.unread is None
    assert all(row.field == () for row in account(mlp()).rows)
