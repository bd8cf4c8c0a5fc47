"""Blocks: which layers run as one, and that they are what the formulas give, also while the network learns."""

from __future__ import annotations

import numpy as np
import pytest

import foveal as fv
from foveal import reference
from foveal.engine import blocks, single, training
from foveal.engine.fallback import Call
from foveal.graph import GraphBuilder
from foveal.kernels import isa
from foveal.layers import (
    Affine,
    BatchNorm,
    Convolution,
    Flatten,
    MaxPool,
    PadChannels,
    RadialBasis,
    ReLU,
    Residual,
    ScaledTanh,
    Sigmoid,
    SparseConvolution,
)
from foveal.models import LeNet5
from foveal.training.optimizers import SGD, AdamW
from tests.engine.test_plan import SHAPE, check_gradients, images, labels, net_of, randomised
from tests.support.machine import RUNNABLE

TABLE = [(0, 2), (1,), (0, 1, 2), (2, 1), (0,)]
CODES = np.random.default_rng(0).choice([-1.0, 1.0], (4, 30))


def matches(net, x):
    """Hold scores and gradients against the formulas; errors are relative to the largest score."""
    exact = net.reference_scores(x)
    np.testing.assert_allclose(net.predict(x), exact, rtol=1e-4, atol=1e-5 * float(np.abs(exact).max()))
    check_gradients(net, x)


def learns(net, x):
    """Hold a step of SGD, from a batch that is smaller than the plan's, against the formulas in float64."""
    t = labels(net, len(x))
    state = {k: v.astype(np.float64) for k, v in net.arrays().items()}
    run = net.graph.run(reference, x[:-1].astype(np.float64), state, seed=0)
    scores = run.values[net.graph.output]
    _, gradients = run.backward({net.graph.output: reference.cross_entropy_grad(scores, t[:-1])})
    with training(net, x, t, batch_size=len(x), optimizer=SGD(1.0)) as steps:
        loss, _ = steps.step(np.arange(len(x) - 1))
    assert loss == pytest.approx(reference.cross_entropy(scores, t[:-1]), rel=1e-4)
    found, largest = net.arrays(), max(float(np.abs(g).max()) for g in gradients.values())
    for name, buffer in run.buffers.items():
        np.testing.assert_allclose(found[name], buffer, rtol=1e-4, atol=1e-5, err_msg=name)
    for name, gradient in gradients.items():
        step = state[name] - found[name]
        np.testing.assert_allclose(step, gradient, rtol=2e-4, atol=2e-5 * largest, err_msg=name)


def kinds(net):
    return [type(block) for block in net.engine._cut(net.graph).blocks]


SPARSE = {
    "plain": (SHAPE, lambda: [SparseConvolution(TABLE, 3), Affine(4)]),
    "relu, pool": (SHAPE, lambda: [SparseConvolution(TABLE, 3), ReLU(), MaxPool(2), Affine(4)]),
    "dx needed": (SHAPE, lambda: [Convolution(3, 3, 1, 1), SparseConvolution(TABLE, 3, 2, 1), Sigmoid(), Affine(4)]),
    "dilation": (SHAPE, lambda: [ScaledTanh(), SparseConvolution(TABLE, 2, dilation=2, bias=False), Affine(4)]),
    "many filters": (SHAPE, lambda: [SparseConvolution([(k % 3,) for k in range(37)], 3), Affine(4)]),
    "a channel without links": ((5, 6, 6), lambda: [Convolution(5, 1), SparseConvolution([(1,), (3,)], 3), Affine(4)]),
    "1D": ((3, 20), lambda: [SparseConvolution(TABLE, 5, 2, 2), ReLU(), Affine(4)]),
    "3D": ((3, 5, 6, 7), lambda: [SparseConvolution(TABLE, (2, 3, 3)), ReLU(), Affine(4)]),
}  # fmt: skip


@pytest.mark.parametrize("case", SPARSE)
def test_a_sparse_convolution_is_the_formula(case):
    shape, layers = SPARSE[case]
    net = net_of(layers(), shape)
    assert blocks.SparseConvolutionBlock in kinds(net)
    matches(net, images(4, shape))


def test_a_shared_sparse_convolution():
    build = GraphBuilder((3, 9, 9))
    layer = SparseConvolution([(0, 1), (2,), (1, 2)], 3, padding=1)
    first = build(layer, build.input)
    net = fv.Network(build.graph(build([ReLU(), Affine(4)], build.add([build(layer, first), first]))))
    matches(net, images(3, (3, 9, 9)))


def test_what_is_no_link_is_never_learned():
    """Packed memory has room for all filters and channels: what the table leaves out is 0 before and after."""
    net = net_of([SparseConvolution(TABLE, 3), ReLU(), Affine(4)])
    x = images(16)
    engine = net.engine
    slot = next(s for s in engine.weights.slots if s.name.endswith("sparseconv1.weight"))
    assert (slot.index < 0).sum() > slot.index.size // 3
    with training(net, x, labels(net, 16), batch_size=8, optimizer=AdamW(0.1)) as run:
        for start in (0, 8, 0):
            run.step(np.arange(start, start + 8))
    packed = engine.weights.data[slot.start : slot.stop]
    assert np.all(packed[slot.index < 0] == 0)
    assert np.all(packed[slot.index >= 0] != 0)
    matches(net, x)


@pytest.mark.parametrize("shape", [(3, 5, 4), (6, 7), (2, 3, 4, 2), (5, 1, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_window_that_is_the_whole_map_runs_as_an_affine_layer(shape, bias):
    layers = [Convolution(shape[0], 1), ReLU(), Convolution(21, shape[1:], bias=bias), Sigmoid(), Affine(4)]
    net = net_of(layers, shape)
    assert blocks.WholeMapBlock in kinds(net)
    matches(net, images(5, shape))


@pytest.mark.parametrize(
    "layer", [Convolution(4, 3, padding=1), Convolution(4, 3, groups=2), Convolution(4, (3, 2))], ids=repr
)
def test_a_window_that_is_less_or_more_than_the_map_does_not(layer):
    net = net_of([layer, Affine(4)], (2, 3, 3))
    assert blocks.WholeMapBlock not in kinds(net)
    matches(net, images(5, (2, 3, 3)))


def test_a_shared_convolution_keeps_the_packing_of_all_its_uses():
    """On the first map the window is all there is, on the second it is not."""
    build = GraphBuilder((2, 3, 3))
    layer = Convolution(2, 3)
    wide = build(Convolution(2, 1, padding=1), build.input)
    ends = [build([layer, Affine(4)], build.input), build([layer, Affine(4)], wide)]
    net = fv.Network(build.graph(build.add(ends)))
    assert blocks.WholeMapBlock not in kinds(net)
    matches(net, images(3, (2, 3, 3)))


@pytest.mark.parametrize("map_before", [False, True], ids=["row", "map"])
def test_distances_from_codes(map_before):
    """Behind a Flatten the features lie in another order than the codes count them."""
    head = [Convolution(5, (12, 9)), ScaledTanh(), Flatten()] if map_before else [Affine(30)]
    net = net_of([*head, RadialBasis(CODES)])
    assert single.RadialBasisBlock in kinds(net)
    matches(net, images(11))


PADDED = {
    "map": (SHAPE, lambda: [Convolution(4, 3), PadChannels(7), ReLU(), Convolution(5, 3, padding=1), Affine(4)]),
    "as many": (SHAPE, lambda: [Convolution(4, 3), PadChannels(4), Affine(4)]),
    "signal": ((3, 9), lambda: [PadChannels(5), Convolution(4, 3), PadChannels(20), Affine(4)]),
    "volume": ((2, 4, 5, 3), lambda: [Convolution(3, 2), PadChannels(4), Affine(4)]),
    "row": ((6,), lambda: [Affine(5), PadChannels(9), Affine(4)]),
    "a map that is called a row": (SHAPE, lambda: [Convolution(2, 3, 3), Flatten(), PadChannels(40), Affine(4)]),
}


@pytest.mark.parametrize("case", PADDED)
def test_padded_channels(case):
    shape, layers = PADDED[case]
    net = net_of(layers(), shape)
    assert (single.PadChannelsBlock in kinds(net)) is (case != "a map that is called a row")
    matches(net, images(5, shape))


@pytest.mark.parametrize("name", RUNNABLE)
def test_lenet_on_every_instruction_set(name):
    with isa.using(name):
        matches(LeNet5((1, 28, 28)), images(3, (1, 28, 28)))


def test_no_step_of_lenet_leaves_machine_code():
    net = LeNet5((1, 28, 28))
    assert not [s.name for s in net.plan(batch=4, training=True).steps if isinstance(s, Call)]


def test_a_step_of_lenet_is_the_step_of_the_formulas():
    """One step of SGD with a batch that is smaller than the plan's."""
    net, twin = LeNet5((1, 28, 28)), LeNet5((1, 28, 28))
    x, t = images(8, (1, 28, 28)), labels(net, 8)
    gradients = net.gradient(x[:3], t[:3])
    with training(net, x, t, batch_size=8, optimizer=SGD(0.01)) as run:
        run.step(np.arange(3))
    for name, before in twin.arrays().items():
        np.testing.assert_allclose(net.arrays()[name], before - 0.01 * gradients[name], rtol=1e-5, atol=1e-7)


def residual(end, *, shortcut=(), start=()):
    """Return layers with a residual block whose path ends with batch norm, and `end` behind the sum."""
    path = [Convolution(3, 3, padding=1), BatchNorm(), ReLU(), Convolution(3, 3, padding=1), BatchNorm()]
    return [*start, Residual(path, list(shortcut) or None), *end, Convolution(4, 3), Affine(4)]


NORMS = {
    "relu": lambda: [Convolution(5, 3), BatchNorm(), ReLU(), Affine(4)],
    "sigmoid": lambda: [Convolution(5, 3), BatchNorm(), Sigmoid(), Convolution(4, 3), Affine(4)],
    "nothing": lambda: [BatchNorm(), Convolution(5, 3), Affine(4)],
    "relu, pool": lambda: [Convolution(5, 3), BatchNorm(), ReLU(), MaxPool(2), Convolution(4, 3, padding=1), Affine(4)],
    "features": lambda: [Affine(9), BatchNorm(), ReLU(), Affine(4)],
    "a map that is called a row": lambda: [Convolution(2, 3, 3), Flatten(), BatchNorm(), ReLU(), Affine(4)],
    "sum, relu": lambda: residual([ReLU()], start=[Convolution(3, 1)]),
    "sum with the input": lambda: residual([ReLU()]),
    "sum": lambda: residual([], start=[Convolution(3, 1)]),
    "sum, sigmoid": lambda: residual([Sigmoid()], start=[Convolution(3, 1)]),
    "two norms": lambda: residual([ReLU()], shortcut=[Convolution(3, 1), BatchNorm()], start=[Convolution(3, 1)]),
    "padded shortcut": lambda: residual([ReLU()], shortcut=[MaxPool(1, 1), PadChannels(3)], start=[Convolution(2, 1)]),
}  # fmt: skip


@pytest.mark.parametrize("case", NORMS)
def test_batch_norm_with_what_stands_behind_it(case):
    net = net_of(NORMS[case]())
    found = kinds(net)
    assert (single.BatchNormAddBlock in found) is ("sum" in case or "norms" in case or "shortcut" in case)
    assert not {blocks.ActivationBlock, single.OnMap} & set(found) or "called a row" in case
    matches(net, images(4))
    learns(net, images(7))


def test_a_norm_that_others_read_is_not_taken_into_a_sum():
    build = GraphBuilder(SHAPE)
    norm = build([Convolution(3, 3, padding=1), BatchNorm()], build.input)
    total = build(ReLU(), build.add([norm, build(Convolution(3, 1), norm)]))
    net = net_of_graph(build.graph(build(Affine(4), total)))
    assert single.BatchNormAddBlock not in kinds(net)
    twice = GraphBuilder(SHAPE)
    norm = twice([Convolution(3, 3, padding=1), BatchNorm()], twice.input)
    other = net_of_graph(twice.graph(twice(Affine(4), twice.add([norm, norm]))))
    assert single.BatchNormAddBlock not in kinds(other)
    for one in (net, other):
        matches(one, images(4))
        learns(one, images(7))


def test_a_shared_norm_in_two_sums():
    """Each use has its own statistics of the batch; the running ones follow the last."""
    build, layer = GraphBuilder((3, 6, 6)), BatchNorm()
    x = build.input
    for _ in range(2):
        x = build(ReLU(), build.add([x, build([Convolution(3, 3, padding=1), layer], x)]))
    net = net_of_graph(build.graph(build(Affine(4), x)))
    assert kinds(net).count(single.BatchNormAddBlock) == 2
    matches(net, images(4, (3, 6, 6)))


def test_the_two_terms_of_a_residual_gradient_are_added_where_they_are_read():
    """Of three blocks the last one's gradient has one term, those of the others two: no pass adds them up."""
    block = [Convolution(3, 3, padding=1), BatchNorm()]
    net = net_of([*[layer for _ in range(3) for layer in (Residual(list(block)), ReLU())], Affine(4)], (3, 6, 6))
    names = [s.kernel.name for s in net.plan(batch=4, training=True).steps]
    assert (names.count("map_products_of_two"), names.count("map_products_of_sum")) == (2, 1)
    assert "add" not in names
    matches(net, images(4, (3, 6, 6)))


def net_of_graph(graph):
    return randomised(fv.Network(graph))
