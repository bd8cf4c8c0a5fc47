"""Whole networks: what the plan computes is what the formulas give, for layers in any order and images in any batch."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import foveal as fv
from foveal import reference
from foveal.engine import training
from foveal.kernels import isa
from foveal.layers import Affine, AvgPool, Convolution, Flatten, MaxPool, ReLU, Sigmoid, Softmax
from foveal.training.optimizers import Adam
from tests.support.machine import RUNNABLE, bits
from tests.support.networks import Scale, magnitudes, random_layers, reference_gradients
from tests.support.oracles import assert_close_to_reference, require

SHAPE = (3, 13, 11)
SEEDS = range(40)


def images(n, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).standard_normal((n, *shape)).astype(np.float32)


def pixels(n, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape)).astype(np.uint8)


def labels(net, n):
    return np.random.default_rng(1).integers(0, net.output_size, n)


def randomised(net, seed=9):
    """Give every parameter a value: biases that are zero hide errors."""
    rng = np.random.default_rng(seed)
    net.load_parameters({k: v + 0.2 * rng.standard_normal(v.shape) for k, v in net.arrays().items()})
    return net


def check(net, x):
    """Hold scores and gradients against the formulas."""
    b, n = magnitudes(net, x)
    assert_close_to_reference(net.predict(x), net.reference_scores(x), b, n)
    check_gradients(net, x)


def check_gradients(net, x):
    t = labels(net, len(x))
    found, expected = net.gradient(x, t), reference_gradients(net, x, t)
    assert list(found) == list(net.parameters)
    largest = max([float(np.abs(e).max()) for e in expected.values()], default=0.0)
    for name, gradient in found.items():
        assert gradient.shape == net.parameters[name]
        # Errors of float32 sums are relative to their terms, and these to the largest gradient that flows through.
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-4, atol=1e-5 * largest, err_msg=name)


def net_of(layers, shape=SHAPE):
    return randomised(fv.Network(layers, shape))


@pytest.mark.parametrize("shape", [SHAPE, (3, 40), (2, 7, 6, 5)], ids=["2D", "1D", "3D"])
@pytest.mark.parametrize("seed", SEEDS)
def test_random_networks(seed, shape):
    net = net_of(random_layers(seed, shape), shape)
    check(net, images(5, shape, seed=seed))


@pytest.mark.parametrize("shape", [SHAPE, (3, 40), (2, 7, 6, 5)], ids=["2D", "1D", "3D"])
@pytest.mark.parametrize("seed", SEEDS)
def test_random_networks_of_every_kind_of_layer(seed, shape):
    net = net_of(random_layers(100 + seed, shape, every_kind=True), shape)
    x = images(5, shape, seed=seed)
    exact = net.reference_scores(x)
    np.testing.assert_allclose(net.predict(x), exact, rtol=1e-4, atol=1e-5 * float(np.abs(exact).max()))
    check_gradients(net, x)


SEQUENCES = {
    "fused": lambda: [Convolution(7, 3), ReLU(), MaxPool(2), Affine(4)],
    "pool before relu": lambda: [Convolution(7, 3), MaxPool(2), ReLU(), Affine(4)],
    "sigmoid before pool": lambda: [Convolution(7, 3), Sigmoid(), MaxPool(2), Affine(4)],
    "sigmoid after pool": lambda: [Convolution(7, 3), MaxPool(3, 2), Sigmoid(), Convolution(2, 2), Affine(4)],
    "two activations": lambda: [Convolution(7, 3), ReLU(), Sigmoid(), MaxPool(2), Affine(4), Sigmoid(), ReLU()],
    "fused twice, dx needed": lambda: [Convolution(6, 3, padding=1), ReLU(), MaxPool(2), Convolution(5, 3), ReLU(),
                                       MaxPool(2), Affine(4)],
    "pooled, then padded": lambda: [Convolution(6, 3), ReLU(), MaxPool(2), Convolution(5, 3, padding=1), Sigmoid(),
                                    MaxPool(3, 1), Convolution(4, 3, padding="same"), MaxPool(2), ReLU(), Affine(4)],
    "overlapping pools": lambda: [Convolution(6, 3, padding=1), ReLU(), MaxPool(3, 2), Convolution(5, 3), MaxPool(3, 1),
                                  Affine(4)],
    "gaps between windows": lambda: [Convolution(6, 3), ReLU(), MaxPool(1, 2), Convolution(5, 2), MaxPool(2, 3),
                                     Affine(4)],
    "the last stride ends outside": lambda: [Convolution(6, 2), ReLU(), MaxPool(2, 5), Affine(4)],
    "ceil, padded": lambda: [Convolution(6, 3), MaxPool(2, rounding="ceil"), AvgPool(3, 2, 1), Affine(4)],
    "pool first": lambda: [MaxPool(2), Convolution(5, 2), AvgPool(2, 1, 1, count_padding=True), Affine(4)],
    "affine first": lambda: [Affine(9), Sigmoid(), Affine(4), ReLU(), Affine(3)],
    "relu first": lambda: [ReLU(), Convolution(5, 3, 2), Flatten(), ReLU(), Affine(4)],
    "flatten twice": lambda: [Convolution(5, 3), Flatten(), Flatten(), Affine(4)],
    "softmax in the middle": lambda: [Affine(6), Softmax(), Affine(4)],
    "softmax at the end": lambda: [Convolution(5, 3), ReLU(), Affine(4), Softmax()],
    "a single affine": lambda: [Affine(4)],
    "a user's layer": lambda: [Scale(), Convolution(5, 3), Scale(), ReLU(), Flatten(), Scale(), Affine(4), Scale()],
    "groups, dilation": lambda: [Convolution(6, 3, 2, 1, groups=3), ReLU(), Convolution(4, 2, dilation=2, groups=2),
                                 Affine(4)],
    "depthwise, pointwise": lambda: [Convolution(3, 3, groups=3, bias=False), ReLU(), Convolution(40, 1), Affine(4)],
    "convolution to 1x1": lambda: [Convolution(6, (13, 11)), ReLU(), Convolution(4, 1), Flatten()],
}  # fmt: skip


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences(name):
    check(net_of(SEQUENCES[name]()), images(4))


ENDS = {
    "flatten": lambda: [Convolution(2, 3, 4), Flatten()],
    "flatten, relu": lambda: [Convolution(2, 3, 4), Flatten(), ReLU()],
    "flatten, softmax": lambda: [Convolution(2, 3, 4), Flatten(), Softmax()],
    "flatten, a user's layer": lambda: [Convolution(2, 3, 4), Flatten(), Scale()],
    "a map": lambda: [Convolution(2, 3, 4), ReLU()],
    "a pooled map": lambda: [Convolution(2, 3, 4), MaxPool(2, 1)],
}


@pytest.mark.parametrize("name", ENDS)
def test_a_map_at_the_end_is_scored_in_the_order_of_the_notes(name):
    """Class k is element k in (C, H, W) order, whatever the memory order inside."""
    net = net_of(ENDS[name]())
    x = images(4)
    b, n = magnitudes(net, x)
    assert_close_to_reference(net.predict(x), net.reference_scores(x), b, n)
    t = labels(net, 4)
    found, expected = net.gradient(x, t), reference_gradients(net, x, t)
    for key, gradient in found.items():
        np.testing.assert_allclose(gradient, expected[key], rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("layers", [[ReLU], [Flatten], [lambda: MaxPool(2), Flatten], [Flatten, Softmax]])
def test_a_network_that_learns_nothing_still_predicts(layers):
    net = fv.Network([make() for make in layers], SHAPE)
    x = images(3)
    np.testing.assert_allclose(net.predict(x), net.reference_scores(x), rtol=1e-6)
    assert net.gradient(x, labels(net, 3)) == {}


@pytest.mark.parametrize("name", RUNNABLE)
def test_every_instruction_set(name):
    with isa.using(name):
        for key in (
            "fused twice, dx needed",
            "overlapping pools",
            "groups, dilation",
            "affine first",
            "a user's layer",
        ):
            net = net_of(SEQUENCES[key]())
            assert net.plan(4).isa.name == name
            check(net, images(4))
        for seed in (1, 5, 11):
            check(net_of(random_layers(seed, SHAPE)), images(3))


def test_two_instruction_sets_share_one_network():
    """What one engine learned, the other one predicts with."""
    net = fv.Network(SEQUENCES["fused"](), SHAPE)
    x, t = images(20), np.arange(20) % 4
    with isa.using("sse"):
        fv.fit(net, x, t, epochs=2, batch_size=10, progress=False)
        narrow = net.predict(x)
    np.testing.assert_allclose(net.predict(x), narrow, rtol=1e-4, atol=1e-5)
    fv.fit(net, x, t, epochs=1, batch_size=10, progress=False)
    wide = net.predict(x)
    assert np.abs(wide - narrow).max() > 1e-4
    with isa.using("sse"):
        np.testing.assert_allclose(net.predict(x), wide, rtol=1e-4, atol=1e-5)


def shared_convolution():
    conv = Convolution(3, 3, padding=1)
    return [conv, ReLU(), conv, MaxPool(2), conv, ReLU(), Affine(4)]


def shared_affine():
    affine = Affine(6)
    return [Affine(6), ReLU(), affine, Sigmoid(), affine, Affine(3)]


def shared_fallback():
    scale = Scale()
    return [scale, Convolution(3, 3, padding=1), scale, Affine(4)]


@pytest.mark.parametrize("make", [shared_convolution, shared_affine, shared_fallback])
def test_gradients_of_a_shared_layer_add_up(make):
    net = net_of(make())
    check(net, images(4))
    x, t = images(40), labels(net, 40)
    before = net.loss(x, t)
    fv.fit(net, x, t, epochs=3, batch_size=20, progress=False)
    assert net.loss(x, t) < before


@pytest.mark.parametrize("key", ["fused twice, dx needed", "ceil, padded", "affine first", "softmax in the middle"])
def test_gradients_agree_with_differences(key):
    """Central differences of the reference's loss in float64, along random directions in all parameters at once."""
    net = net_of(SEQUENCES[key]())
    x, t = images(6).astype(np.float64), labels(net, 6)
    arrays = {k: v.astype(np.float64) for k, v in net.arrays().items()}
    gradient = net.gradient(x, t)
    rng, step = np.random.default_rng(3), 1e-6
    for _ in range(3):
        v = {k: rng.standard_normal(a.shape) for k, a in arrays.items()}
        ends = [net._reference_loss(x.astype(np.float32), t, {k: a + sign * step * v[k] for k, a in arrays.items()})
                for sign in (1, -1)]  # fmt: skip
        numeric = (ends[0] - ends[1]) / (2 * step)
        exact = sum(float(np.vdot(gradient[k], v[k])) for k in v)
        scale = np.sqrt(sum(float((gradient[k].astype(float) ** 2).sum()) for k in v) * sum(a.size for a in v.values()))
        assert abs(numeric - exact) <= 1e-5 * scale, f"differences give {numeric}, the gradient {exact}"


def test_simple_convnet_against_pytorch():
    torch = require("torch")
    net = randomised(fv.models.SimpleConvNet(seed=2))
    x, t = pixels(20, (1, 28, 28)), np.arange(20) % 10
    p = {k: torch.tensor(v.astype(np.float64), requires_grad=True) for k, v in net.arrays().items()}
    F = torch.nn.functional
    h = F.conv2d(torch.tensor(x / 255.0), p["conv1.weight"], p["conv1.bias"])
    h = F.max_pool2d(F.relu(h), 2).flatten(1)
    h = F.relu(h @ p["affine1.weight"] + p["affine1.bias"])
    scores = h @ p["affine2.weight"] + p["affine2.bias"]
    loss = F.cross_entropy(scores, torch.tensor(t))
    loss.backward()
    b, n = magnitudes(net, x)
    assert_close_to_reference(net.predict(x), scores.detach().numpy(), b, n)
    assert net.loss(x, t) == pytest.approx(loss.item(), rel=1e-5)
    for name, gradient in net.gradient(x, t).items():
        theirs = p[name].grad.numpy()
        np.testing.assert_allclose(gradient, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max(), err_msg=name)


@pytest.mark.parametrize("key", ["fused twice, dx needed", "ceil, padded", "a user's layer", "softmax in the middle"])
def test_a_batch_is_one_by_one(key):
    net, x = net_of(SEQUENCES[key]()), images(21)
    whole = net.predict(x)
    for size in (1, 4, 20, 100):
        np.testing.assert_array_equal(bits(net.predict(x, batch_size=size)), bits(whole), f"batch_size={size}")
    np.testing.assert_array_equal(bits(net.predict(x[7:8])[0]), bits(whole[7]))
    assert net.predict(x[:0]).shape == (0, net.output_size)


@pytest.mark.parametrize("n", [1, 127, 128, 129, 300])
def test_batches_of_every_size(n):
    net = net_of([Convolution(2, 3, 2), ReLU(), Affine(3)], (1, 6, 6))
    x = images(n, (1, 6, 6))
    b, k = magnitudes(net, x)
    assert_close_to_reference(net.predict(x), net.reference_scores(x), b, k)
    t = labels(net, n)
    expected = reference_gradients(net, x, t)
    for name, gradient in net.gradient(x, t).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_pixels_are_scaled_and_floats_are_taken_as_they_are():
    net, x = net_of(SEQUENCES["fused"]()), pixels(6)
    b, n = magnitudes(net, x)
    assert_close_to_reference(net.predict(x), net.reference_scores(x), b, n)
    scaled = (x / 255).astype(np.float32)
    assert_close_to_reference(net.predict(scaled), net.predict(x).astype(float), 2 * b, n)
    np.testing.assert_array_equal(bits(net.predict(x / 255.0)), bits(net.predict(scaled)), "float64 is rounded once")


def test_images_in_any_memory():
    net, x = net_of(SEQUENCES["fused"]()), images(6)
    expected = bits(net.predict(x))
    frozen = x.copy()
    frozen.flags.writeable = False
    wide = np.full((12, *SHAPE), np.nan, np.float32)
    wide[::2] = x
    for view in (np.asfortranarray(x), frozen, wide[::2], x.astype(">f4"), np.ascontiguousarray(x[::-1])[::-1]):
        np.testing.assert_array_equal(bits(net.predict(view)), expected)
    np.testing.assert_array_equal(net.predict(x.astype(np.float16)).shape, (6, 4))


def test_scores_belong_to_the_caller():
    net, x = net_of(SEQUENCES["fused"]()), images(6)
    first = net.predict(x)
    kept = first.copy()
    net.predict(-x)
    np.testing.assert_array_equal(first, kept)
    gradients = net.gradient(x, labels(net, 6))
    kept = {k: v.copy() for k, v in gradients.items()}
    net.gradient(-x, labels(net, 6))
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, kept[name])


def test_a_smaller_last_batch_reuses_the_plan():
    net = net_of(SEQUENCES["fused twice, dx needed"]())
    x, t = pixels(64), np.arange(64) % 4
    with training(net, x, t, batch_size=32, optimizer=Adam()) as run:
        places = [m.data.ctypes.data for m in run.plan.maps]
        size, rows = run.plan.nbytes, np.arange(64)
        for _ in range(3):
            run.step(rows[:32])
            run.step(rows[32:45])
        tracemalloc.start()
        for _ in range(20):
            run.step(rows[:32])
            run.step(rows[32:45])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 20_000, f"{peak} bytes were allocated in steps that should allocate nothing"
        assert run.plan.nbytes == size
        assert [m.data.ctypes.data for m in run.plan.maps] == places
        assert net.engine.plan(32, True) is run.plan


SPENT = {
    "behind pooling": ([Convolution(3, 3), ReLU(), MaxPool(2), Affine(5)], True),
    "behind a convolution": ([Convolution(3, 3), Affine(5)], True),
    "behind an affine layer": ([Affine(7), Affine(5)], True),
    "ReLU's gradient reads the map": ([Convolution(3, 3), ReLU(), Affine(5)], False),
    "sigmoid's gradient reads the map": ([Affine(7), Sigmoid(), Affine(5)], False),
    "behind a convolution with padding": ([Convolution(3, 3), Convolution(4, 9, padding=4), Affine(5)], True),
}


@pytest.mark.parametrize("case", SPENT)
def test_a_gradient_lies_where_its_map_was_if_nobody_reads_that_any_more(case):
    layers, spent = SPENT[case]
    net = randomised(net_of(layers))
    check_gradients(net, images(7))
    plan = net.engine.plan(8, True)
    (step,) = (s for s in plan.steps if s.kernel.name == "affine_input_gradient")
    assert any(m is value for m in step.keep for value in plan.maps) is spent


def test_a_smaller_batch_sees_nothing_of_the_larger_one():
    """What the last run left in the buffers must not count: the same bits as on a fresh network."""
    x, t = images(40), np.arange(40) % 4
    for key in ("fused twice, dx needed", "overlapping pools", "gaps between windows", "a user's layer"):
        used, fresh = net_of(SEQUENCES[key]()), net_of(SEQUENCES[key]())
        used.engine.plan(40, True).backward(1e3 * x, t, np.arange(40))
        for net in (used, fresh):
            net.engine.weights.pull()
            net.engine.plan(40, True).backward(x, t, np.arange(9))
        found, expected = used.engine.plan(40, True).gradients, fresh.engine.plan(40, True).gradients
        np.testing.assert_array_equal(bits(found), bits(expected), key)


def test_the_plan_explains_itself(capsys):
    net = net_of(SEQUENCES["fused twice, dx needed"]() + [Scale()])
    plan = net.plan(batch=8)
    plan.explain()
    text = capsys.readouterr().out
    assert text.startswith(f"plan for training, batches of up to 8, on {plan.isa.name} ({plan.isa.lanes} lanes")
    for word in ("conv1 + relu1 + pool1", "conv2 + relu2 + pool2", "affine1", "scale1", "input", "of peak", "MACs",
                 "bytes", "softmax with cross-entropy", "convolution_pool_forward", "read_uint8", "sum"):  # fmt: skip
        assert word in text, word
    for step in plan.steps:
        assert step.name in text
    macs = 8 * sum(node.layer.macs(net.graph.input_shapes(node.name)[0]) for node in net.graph.nodes)
    forward = [s for s in net.plan(batch=8, training=False).steps if s.macs]
    padded = sum(s.macs for s in forward)
    assert macs <= padded <= 1.1 * macs, "forward MACs are the layers', but for padding to whole vectors"
    assert "plan for inference" in str(net.plan(batch=8, training=False))


def test_what_is_printed_does_not_disturb_what_is_computed():
    net, x = net_of(SEQUENCES["fused"]()), images(8)
    expected, t = bits(net.predict(x)), labels(net, 8)
    gradient = net.gradient(x, t)
    str(net.plan(batch=8))
    str(net.plan(batch=8, training=False))
    np.testing.assert_array_equal(bits(net.predict(x)), expected)
    for name, value in net.gradient(x, t).items():
        np.testing.assert_array_equal(bits(value), bits(gradient[name]))


def test_the_loss_is_the_references():
    net, x = net_of(SEQUENCES["fused"]()), images(8)
    t = labels(net, 8)
    expected = reference.cross_entropy(net.reference_scores(x), t)
    assert net.loss(x, t) == pytest.approx(expected, rel=1e-5)
    loss, right = net.engine.plan(8, True).backward(x, t, np.arange(8))
    assert loss == pytest.approx(expected, rel=1e-5)
    assert right == round(8 * net.accuracy(x, t))
    assert net.engine.gradient(x, t)[0] == pytest.approx(expected, rel=1e-5)
