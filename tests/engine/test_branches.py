"""Branches in the engine: what the plan of a graph computes is what the formulas give, for graphs of any form."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import foveal as fv
from foveal import reference
from foveal.engine import training
from foveal.graph import GraphBuilder
from foveal.kernels import isa
from foveal.kernels.threads import set_threads
from foveal.layers import (
    Affine,
    AvgPool,
    BatchNorm,
    Convolution,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Join,
    Layer,
    MaxPool,
    Parallel,
    ReLU,
    Residual,
    Sigmoid,
    Softmax,
)  # fmt: skip
from foveal.reference.random import derive
from foveal.training.optimizers import SGD, Adam
from tests.engine.test_plan import SHAPE, check, check_gradients, images, labels, net_of, randomised
from tests.engine.test_training_run import assert_same
from tests.support.machine import RUNNABLE, bits
from tests.support.networks import Scale, magnitudes, random_graph
from tests.support.oracles import assert_close_to_reference

SEEDS = range(30)
SHAPES = pytest.mark.parametrize("shape", [SHAPE, (3, 40), (2, 7, 6, 5), (12,)], ids=["2D", "1D", "3D", "rows"])


@pytest.fixture(autouse=True)
def usual_threads():
    yield
    set_threads(None)


def net_with(graph, weight=0.3):
    """Return a network in which every output but the first weighs `weight`, its parameters moved."""
    _, *others = graph.outputs
    return randomised(fv.Network(graph, output_weights=dict.fromkeys(others, weight)))


def test_a_map_with_two_readers_is_not_written_over():
    pooled = [Convolution(3, 3), ReLU(), MaxPool(2)]
    net = randomised(net_of([*pooled, Parallel([Affine(5)], [Affine(5)], join="add")]))
    check_gradients(net, images(7))
    plan = net.engine.plan(8, True)
    written = [m for s in plan.steps if s.kernel.name == "affine_input_gradient" for m in s.keep]
    assert len(written) > 0
    assert not any(m is value for m in written for value in plan.maps)


@SHAPES
@pytest.mark.parametrize("seed", SEEDS)
def test_random_graphs(seed, shape):
    net = net_with(random_graph(seed, shape))
    x = images(5, shape, seed)
    check(net, x)
    exact = net.reference_outputs(x)
    found = net.outputs(x)
    assert list(found) == list(exact) == list(net.graph.outputs)
    np.testing.assert_array_equal(bits(next(iter(found.values()))), bits(net.predict(x)))
    for name, scores in found.items():
        np.testing.assert_allclose(scores, exact[name], rtol=1e-4, atol=1e-5 * np.abs(exact[name]).max(), err_msg=name)


@SHAPES
@pytest.mark.parametrize("seed", SEEDS)
def test_random_graphs_of_every_kind_of_layer(seed, shape):
    net = net_with(random_graph(100 + seed, shape, every_kind=True))
    x = images(5, shape, seed)
    exact = net.reference_outputs(x)
    for name, scores in net.outputs(x).items():
        np.testing.assert_allclose(scores, exact[name], rtol=1e-4, atol=1e-5 * np.abs(exact[name]).max(), err_msg=name)
    check_gradients(net, x)


def stem(build):
    return build(Convolution(6, 3), build.input)


def ends(build, *results):
    return build.graph(build([Flatten(), Affine(4)], build.concat([build(GlobalAvgPool(), r) for r in results])))


class Product(Join):
    """A user's join that no kernel was written for."""

    kind = "product"

    def joined_shape(self, shapes, names=()):
        return tuple(shapes[0])

    def run_joined(self, ops, xs, p):
        return xs[0] * xs[1], lambda dy: ([dy * xs[1], dy * xs[0]], {})


del Layer.types["Product"]  # the tables of known layers are tested elsewhere


def inception(build):
    x = stem(build)
    branches = Parallel(
        [Convolution(4, 1), ReLU()],
        [Convolution(3, 1), ReLU(), Convolution(5, 3, padding=1), ReLU()],
        [Convolution(2, 1), ReLU(), Convolution(3, 5, padding=2), ReLU()],
        [MaxPool(3, 1, 1), Convolution(4, 1), ReLU()],
    )
    return ends(build, build([branches, MaxPool(3, 2), branches_of_rows()], x))


def branches_of_rows():
    return Parallel([Convolution(3, 1), Sigmoid()], AvgPool(1))


def borders_of_several_readers(build):
    """One map is read with paddings 0, 1 and 2, by an affine layer, and as it is."""
    x = stem(build)
    convs = [build(Convolution(3, 2 * p + 1, padding=p), x) for p in (0, 1, 2)]
    rows = build(Affine(5), x)
    maps = build.concat([*convs, x])
    return build.graph(build(Affine(4), build.concat([rows, build([GlobalAvgPool(), Flatten()], maps)])))


def fusion_must_stop(build):
    """Others read what a block would have swallowed: before the ReLU, before the pooling, behind it."""
    conv = stem(build)
    relu = build(ReLU(), conv)
    pool = build(MaxPool(2, 1), relu)
    return ends(build, conv, relu, pool, build(ReLU(), pool))


def rows_in_the_order_of_the_notes(build):
    """A flattened map meets a row of features: its numbers are in (C, H, W) order, not as they lie in memory."""
    x = stem(build)
    flat = build(Flatten(), x)
    row = build(Affine(6 * 11 * 9), x)
    joined = build.concat([build.add([flat, row]), build(ReLU(), flat), build([ReLU(), Affine(3)], row)])
    return build.graph(build(Affine(4), joined))


def a_result_twice(build):
    x = stem(build)
    return ends(build, build.add([x, x, x]), build.concat([x, x]))


def joins_of_one(build):
    x = stem(build)
    return ends(build, build([Parallel(ReLU()), Parallel(ReLU(), join="add"), ReLU()], build.add([x])))


def activations_behind_sums(build):
    x, y = stem(build), build(Convolution(6, 3), build.input)
    relu, sigmoid = (build(kind(), build.add([x, y, x])) for kind in (ReLU, Sigmoid))
    return ends(build, relu, sigmoid, build(Residual(BatchNorm()), relu))


def a_users_join(build):
    x, y = stem(build), build([Convolution(6, 3), Sigmoid()], build.input)
    rows = build(Product(), build(Flatten(), x), build(Flatten(), y))
    return build.graph(build(Affine(4), build.concat([rows, build(Flatten(), build(Product(), x, y))])))


def the_input_has_several_readers(build):
    x = build.concat([build.input, build(Convolution(3, 3, padding=1), build.input), build.add([build.input] * 2)])
    return ends(build, x, build.input)


def a_padded_convolution_behind_a_sum_of_gradients(build):
    x = build(Convolution(6, 3, padding=1), build.input)
    y = build(Residual([Convolution(6, 3, 2, 1), ReLU()], [MaxPool(1, 2)]), x)
    return ends(build, x, y, build(Convolution(3, 3, padding=1), y))


def nothing_learned_on_one_way(build):
    return ends(build, build(MaxPool(2), build.input), build([Convolution(3, 3), MaxPool(2)], build.input))


def a_stride_2_shortcut(build):
    x = stem(build)
    block = Residual([Convolution(8, 3, 2, 1), ReLU(), Convolution(8, 3, padding=1)], Convolution(8, 1, 2))
    return ends(build, build([block, ReLU(), Residual(Convolution(8, 3, padding=1)), ReLU()], x))


GRAPHS = [
    inception, borders_of_several_readers, fusion_must_stop, rows_in_the_order_of_the_notes, a_result_twice,
    joins_of_one, activations_behind_sums, a_users_join, the_input_has_several_readers,
    a_padded_convolution_behind_a_sum_of_gradients, nothing_learned_on_one_way, a_stride_2_shortcut,
]  # fmt: skip


def made(make, **options):
    return randomised(fv.Network(make(GraphBuilder(SHAPE)), **options))


@pytest.mark.parametrize("make", GRAPHS)
def test_graphs(make):
    net, x = made(make), images(5)
    exact = net.reference_scores(x)
    np.testing.assert_allclose(net.predict(x), exact, rtol=1e-4, atol=1e-5 * np.abs(exact).max())
    check_gradients(net, x)


@pytest.mark.parametrize("name", RUNNABLE)
def test_every_instruction_set(name):
    with isa.using(name):
        for make in (inception, borders_of_several_readers, a_stride_2_shortcut):
            check_gradients(made(make), images(3))


# What runs as one


def block_names(net):
    return [block.name for block in net.plan(4).blocks]


def test_branches_are_fused_within():
    layers = [Parallel([Convolution(3, 3), ReLU(), MaxPool(2)], [Convolution(3, 3), MaxPool(2), ReLU()]), ReLU()]
    names = block_names(fv.Network(layers, SHAPE))
    one, two = "parallel1/branch1", "parallel1/branch2"
    assert names[:4] == [
        f"{one}/conv1 + {one}/relu1 + {one}/pool1",
        f"{two}/conv1 + {two}/pool1 + {two}/relu1",
        "parallel1/concat",
        "relu1",
    ]


def test_a_sum_takes_in_the_relu_behind_it():
    assert "residual1/add + relu1" in block_names(net_of([Residual(Convolution(3, 1)), ReLU(), Affine(2)]))


def test_nothing_is_fused_across_what_others_read():
    names = block_names(made(fusion_must_stop))
    assert names[:4] == ["conv1", "relu1", "pool1", "relu2"]


def test_nothing_is_fused_across_an_output():
    build = GraphBuilder((6,))
    a = build(Affine(4), build.input)
    net = fv.Network(build.graph({"scores": build(ReLU(), a), "before": a}))
    assert block_names(net) == ["affine1", "relu1"]
    assert [block.name for block in net.plan(4, training=False).blocks] == ["affine1 + relu1"]
    x = images(3, (6,))
    np.testing.assert_array_equal(net.outputs(x)["scores"], np.maximum(net.outputs(x)["before"], 0))
    np.testing.assert_array_equal(bits(net.predict(x)), bits(net.outputs(x)["scores"]))


def test_gradients_that_nobody_reads_are_not_computed():
    """No weight stands before the pooling, nor before the first convolution."""
    plan = made(nothing_learned_on_one_way).plan(4)
    backward = [step.name for step in plan.backward_steps]
    assert [name for name in backward if name.startswith("pool1")] == []
    assert not any(name.startswith("input") for name in backward)
    gradients = [step.kernel.name for step in plan.backward_steps if step.name.startswith("conv1")]
    assert "convolution_forward" not in gradients, "dx of the first layer is its forward on dy"


# Shared layers


def siamese(build):
    """Two branches with the same layers, on two different maps."""
    conv, norm, affine = Convolution(5, 3, padding=1), BatchNorm(), Affine(6)
    sides = [build(kind(2, 2), build.input) for kind in (MaxPool, AvgPool)]
    left, right = (build([conv, norm, ReLU(), affine], side) for side in sides)
    return build.graph(build(Affine(4), build.concat([left, right])))


def one_convolution_at_three_sizes(build):
    conv = Convolution(3, 3, padding=1)
    x = build([conv, ReLU(), MaxPool(2), conv, MaxPool(2), conv], build.input)
    return ends(build, x, build(conv, build.input))


def one_affine_on_a_map_and_on_rows(build):
    """The same weight meets features that lie in another order in memory."""
    affine = Affine(3 * 4 * 3)
    pooled = build(MaxPool(3), build.input)
    return build.graph(build([affine, ReLU(), affine, Affine(4)], pooled))


def one_scale_by_the_formula(build):
    scale = Scale()
    x = build(scale, build.input)
    return ends(build, x, build([Residual(scale), ReLU()], x))


SHARED = [siamese, one_convolution_at_three_sizes, one_affine_on_a_map_and_on_rows, one_scale_by_the_formula]


@pytest.mark.parametrize("make", SHARED)
def test_shared_layers(make, tmp_path):
    net, x = made(make), images(20)
    exact = net.reference_scores(x)
    np.testing.assert_allclose(net.predict(x), exact, rtol=1e-4, atol=1e-5 * np.abs(exact).max())
    check_gradients(net, x)
    assert net.parameter_count == sum(a.size for k, a in net.arrays().items() if "running" not in k)
    t = labels(net, 20)
    before = net.loss(x, t)
    fv.fit(net, x, t, epochs=4, batch_size=10, optimizer=Adam(0.01), progress=False)
    assert net.loss(x, t) < before


def test_a_layer_is_packed_for_all_outputs_even_if_one_is_computed():
    """The scores alone use it once, and another way than the output before does."""
    affine, conv = Affine(36), Convolution(3, 3, padding=1)
    build = GraphBuilder((3, 4, 3))
    first = build([conv, affine], build.input)
    again = build([affine, Affine(4)], first)
    small = build([MaxPool(2), conv, GlobalAvgPool(), Affine(4)], build.input)
    net = randomised(fv.Network(build.graph({"scores": small, "aux": again})))
    x = images(5, (3, 4, 3))
    for _ in range(2):
        np.testing.assert_allclose(net.predict(x), net.reference_scores(x), rtol=1e-4, atol=1e-5)
        for name, scores in net.outputs(x).items():
            np.testing.assert_allclose(scores, net.reference_outputs(x)[name], rtol=1e-4, atol=1e-5)
    check_gradients(net, x)


@pytest.mark.parametrize("name", RUNNABLE)
def test_a_shared_convolution_is_packed_once_for_maps_of_every_width(name):
    """On rows of another length its own choice would be a tile of another width, for the output alone as well."""
    build, conv = GraphBuilder((30, 13, 13)), Convolution(30, 3, padding=1)
    wide = build([conv, GlobalAvgPool(), Affine(4)], build.input)
    narrow = build([MaxPool(6), conv, GlobalAvgPool(), Affine(4)], build.input)
    net = randomised(fv.Network(build.graph({"scores": narrow, "aux": wide})))
    x = images(4, (30, 13, 13))
    with isa.using(name):
        np.testing.assert_allclose(net.predict(x), net.reference_scores(x), rtol=1e-4, atol=1e-5)
        check_gradients(net, x)


# Several outputs


def two_heads(**options):
    build = GraphBuilder(SHAPE)
    x = stem(build)
    aux = build([AvgPool(3), Dropout(0.5), Affine(5), Softmax()], x)
    y = build([ReLU(), MaxPool(2), Convolution(4, 3), BatchNorm(), ReLU(), GlobalAvgPool(), Affine(5)], x)
    return randomised(fv.Network(build.graph({"scores": y, "aux": aux}), **options))


def test_the_loss_is_the_weighted_sum_of_all_outputs():
    x, t = images(9), np.arange(9) % 5
    parts = {name: reference.cross_entropy(y, t) for name, y in two_heads().reference_outputs(x).items()}
    for weights in ({}, {"aux": 0.3}, {"aux": 0}, {"scores": 0.5, "aux": 2}):
        net = two_heads(output_weights=weights)
        expected = sum(weights.get(name, 1) * part for name, part in parts.items())
        assert net.loss(x, t) == pytest.approx(expected, rel=1e-5)
        assert net.engine.gradient(x, t)[0] == pytest.approx(expected, rel=1e-5)
        check_gradients(net, x)
        assert net.accuracy(x, t) == (net.predict(x).argmax(1) == t).mean()


def test_gradient_equals_numerical_gradient():
    build = GraphBuilder((2, 5, 4))
    a = build([Convolution(2, 2), ReLU()], build.input)
    graph = build.graph({"scores": build(Affine(3), build.add([a, a])), "aux": build([MaxPool(2), Affine(3)], a)})
    net = net_with(graph)
    x, t = images(4, (2, 5, 4)), np.array([0, 1, 2, 1])
    exact, numeric = net.gradient(x, t), net.numerical_gradient(x, t)
    assert list(exact) == list(numeric) == list(net.parameters)
    for name, gradient in exact.items():
        np.testing.assert_allclose(gradient, numeric[name], rtol=2e-3, atol=1e-6, err_msg=name)


def test_an_output_without_weight_learns_nothing_and_costs_nothing():
    net = two_heads(output_weights={"aux": 0})
    gradient = net.gradient(images(4), np.arange(4))
    assert not gradient["affine1.weight"].any()
    assert gradient["conv1.weight"].any()
    assert "affine1" not in " ".join(block_names(net))
    assert "affine1" not in str(net.plan(4, training=False)), "the scores do not need it"
    assert set(net.outputs(images(4))) == {"scores", "aux"}


def test_outputs_of_other_shapes_and_maps():
    """What is not trained may have any shape."""
    build = GraphBuilder(SHAPE)
    x = stem(build)
    net = fv.Network(build.graph({"scores": build(Affine(4), x), "features": x}), output_weights={"features": 0})
    x = images(5)
    found, exact = net.outputs(x), net.reference_outputs(x)
    assert {k: v.shape for k, v in found.items()} == {"scores": (5, 4), "features": (5, 6, 11, 9)}
    np.testing.assert_allclose(found["features"], exact["features"], rtol=1e-5, atol=1e-5)
    assert {k: v.shape for k, v in net.outputs(x[:0]).items()} == {"scores": (0, 4), "features": (0, 6, 11, 9)}
    np.testing.assert_array_equal(bits(net.outputs(x, batch_size=2)["features"]), bits(found["features"]))
    check_gradients(net, x)


def test_two_outputs_may_be_one_result():
    build = GraphBuilder((6,))
    a = build(Affine(4), build.input)
    net = fv.Network(build.graph({"scores": a, "again": a, "softmax": build(Softmax(), a)}))
    x, t = images(5, (6,)), np.arange(5) % 4
    for scores in net.outputs(x).values():
        np.testing.assert_array_equal(scores, net.predict(x))
    single = fv.Network([net.layers[0]], (6,))
    assert net.loss(x, t) == pytest.approx(3 * single.loss(x, t))
    check_gradients(net, x)


# Learning


def learned(net, steps=2, seed=7):
    x, t = images(24), labels(net, 24)
    with training(net, x, t, batch_size=16, optimizer=SGD(0.05), seed=seed) as run:
        return [run.step(rows) for _ in range(steps) for rows in (np.arange(16), np.arange(16, 24))]


def test_a_step_is_the_formulas_step():
    """With dropout and batch norm in branches, and two weighted outputs."""
    net = two_heads(output_weights={"aux": 0.3})
    state = {k: v.astype(np.float64) for k, v in net.arrays().items()}
    x, t = images(24), labels(net, 24)
    for number, (loss, _) in enumerate(learned(net), 1):
        rows = np.arange(16) if number % 2 else np.arange(16, 24)
        run = net.graph.run(reference, x[rows].astype(np.float64), state, derive(7, number))
        state |= run.buffers
        dys, expected = {}, 0.0
        for name, at in net.graph.scores.items():
            expected += net.output_weights[name] * reference.cross_entropy(run.values[at], t[rows])
            dys[at] = net.output_weights[name] * reference.cross_entropy_grad(run.values[at], t[rows])
        assert loss == pytest.approx(expected, rel=1e-4)
        for name, gradient in run.backward(dys)[1].items():
            state[name] = state[name] - 0.05 * gradient
    for name, array in net.arrays().items():
        np.testing.assert_allclose(array, state[name], rtol=2e-3, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("make", [two_heads, lambda: made(inception), lambda: made(siamese)])
def test_the_same_bits_on_any_number_of_threads(make):
    found = []
    for threads in (1, 2, 3):
        set_threads(threads)
        net = make()
        found.append((net, learned(net), net.predict(images(5)), net.gradient(images(5), labels(net, 5))))
    for net, losses, scores, gradient in found[1:]:
        assert losses == found[0][1]
        assert_same(net.arrays(), found[0][0].arrays())
        np.testing.assert_array_equal(bits(scores), bits(found[0][2]))
        assert_same(gradient, found[0][3])


@pytest.mark.parametrize("make", [inception, borders_of_several_readers, one_affine_on_a_map_and_on_rows])
def test_a_smaller_batch_sees_nothing_of_the_larger_one(make):
    x, t = images(40), np.arange(40) % 4
    used, fresh = made(make), made(make)
    used.engine.plan(40, True).backward(1e3 * x, t, np.arange(40))
    for net in (used, fresh):
        net.engine.weights.pull()
        net.engine.plan(40, True).backward(x, t, np.arange(9))
    found, expected = used.engine.plan(40, True).gradients, fresh.engine.plan(40, True).gradients
    np.testing.assert_array_equal(bits(found), bits(expected))
    whole = used.predict(x)
    for size in (1, 7, 32):
        np.testing.assert_array_equal(bits(used.predict(x, batch_size=size)), bits(whole), f"batch_size={size}")


def test_threads_of_python_may_share_a_network():
    net, x = two_heads(), images(12)
    t, expected, found = labels(net, 12), (two_heads().predict(x), two_heads().gradient(x, labels(net, 12))), []
    workers = [
        threading.Thread(target=lambda: found.append((net.predict(x), net.gradient(x, t), net.outputs(x)["scores"])))
        for _ in range(4)
    ]
    for w in workers:
        w.start()
    for w in workers:
        w.join(60)
    assert len(found) == 4
    for scores, gradient, again in found:
        np.testing.assert_array_equal(bits(scores), bits(expected[0]))
        np.testing.assert_array_equal(bits(again), bits(expected[0]))
        assert_same(gradient, expected[1])


@pytest.mark.parametrize("make", [two_heads, lambda: made(inception), lambda: made(siamese)])
def test_a_file_keeps_branches_shared_layers_and_outputs(make, tmp_path):
    net, path = make(), tmp_path / "net.safetensors"
    learned(net)
    net.save(path)
    again = fv.load(path)
    assert again.config() == net.config()
    assert again.output_weights == net.output_weights
    assert_same(again.arrays(), net.arrays())
    x = images(6)
    for name, scores in net.outputs(x).items():
        np.testing.assert_array_equal(bits(again.outputs(x)[name]), bits(scores))
    assert learned(again) == learned(net)
    assert_same(again.arrays(), net.arrays())


def test_weights_of_outputs_are_saved(tmp_path):
    two_heads(output_weights={"aux": 0.3}).save(tmp_path / "net.safetensors")
    assert fv.load(tmp_path / "net.safetensors").output_weights == {"scores": 1.0, "aux": 0.3}


def test_a_checkpoint_goes_on_with_the_same_bits(tmp_path):
    x, t = images(24), np.arange(24) % 5
    options = {"batch_size": 10, "seed": 4, "progress": False}
    whole, half, resumed = two_heads(), two_heads(), two_heads()
    expected = fv.fit(whole, x, t, epochs=3, **options)
    fv.fit(half, x, t, epochs=1, checkpoint=tmp_path / "c", **options)
    assert fv.fit(resumed, x, t, epochs=3, resume=tmp_path / "c", **options).loss == expected.loss
    assert_same(resumed.arrays(), whole.arrays())


def test_the_plan_explains_itself(capsys):
    net = made(siamese, seed=3)
    net.plan(4).explain()
    text = capsys.readouterr().out
    for word in ("concat1", "copy_channels", "conv1 (shared)", "affine1 (shared)", "softmax with cross-entropy"):
        assert word in text, word
    two = two_heads(output_weights={"aux": 0.3})
    text = str(two.plan(4))
    for word in ("conv1 (sum)", "softmax with cross-entropy aux", "scale"):
        assert word in text, word
    assert "result" in str(two.plan(4, training=False))
    assert "result aux" in str(two.engine.plan(4, False, outputs=("scores", "aux")))
    x, t = images(4), labels(two, 4)
    gradient = two.gradient(x, t)
    str(two.engine.plan(4, True))
    assert_same(two.gradient(x, t), gradient)


def test_magnitudes_bound_a_graph():
    """The bound that the random graphs are held to is not loose beyond use."""
    net, x = made(a_result_twice), images(5)
    b, n = magnitudes(net, x)
    assert_close_to_reference(net.predict(x), net.reference_scores(x), b, n)
    with pytest.raises(AssertionError):
        assert_close_to_reference(net.predict(x) * (1 + 1e-3), net.reference_scores(x), b, n)
