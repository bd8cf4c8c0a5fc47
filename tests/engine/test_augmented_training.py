"""Training on moved images and smoothed labels: the bits of training on images that were moved before."""

import numpy as np
import pytest

import foveal as fv
from foveal import reference
from foveal.engine import training
from foveal.kernels.threads import set_threads
from foveal.layers import Affine, BatchNorm, Convolution, Dropout, MaxPool, ReLU
from foveal.reference.augmentation import gather
from foveal.reference.random import derive
from foveal.training.augmentation import Draws, settle
from foveal.training.optimizers import OPTIMIZERS, SGD, Adam
from tests.engine.test_training_run import assert_same
from tests.support.oracles import U32, gamma, require

RNG = np.random.default_rng(8)
T = RNG.integers(0, 4, 50)
PIXELS = RNG.integers(0, 256, (50, 2, 11, 10)).astype(np.uint8)
ORDER = [RNG.permutation(50)[:n] for n in (20, 20, 10, 20, 1, 20)]
WORDS = "shift=2,flip,cutout=4,crop=1:reflect"


@pytest.fixture(autouse=True)
def usual_threads():
    yield
    set_threads(None)


def network(seed=0, shape=(2, 11, 10)):
    layers = [Convolution(6, 3, padding=1), BatchNorm(), ReLU(), MaxPool(2), Dropout(0.3), Affine(4)]
    return fv.Network(layers, shape, seed=seed)


def draws(words, x, seed=5):
    return Draws(settle(words, x.shape[1:]), x.shape[2:], 20, seed)


def learn(x, t, order, words=None, **options):
    net = network()
    draw = draws(words, x) if words else None
    with training(net, x, t, batch_size=20, optimizer=Adam(), seed=5, draw=draw, **options) as run:
        return net, [run.step(rows) for rows in order]


@pytest.mark.parametrize("words", ["shift=2", "flip", "cutout=5", WORDS])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_bits_of_training_on_images_moved_before(dtype, words):
    x = PIXELS if dtype == np.uint8 else (PIXELS / np.float32(255)).astype(np.float32)
    draw = draws(words, x)
    moved = np.concatenate([gather(x[rows], draw(step, len(rows))) for step, rows in enumerate(ORDER, 1)])
    assert not np.array_equal(moved, np.concatenate([x[rows] for rows in ORDER]))
    ends = np.cumsum([len(rows) for rows in ORDER])
    places = [np.arange(end - len(rows), end) for end, rows in zip(ends, ORDER, strict=True)]
    expected, outcomes = learn(moved, T[np.concatenate(ORDER)], places)
    for threads in (1, 2, 3):
        set_threads(threads)
        net, found = learn(x, T, ORDER, words)
        assert found == outcomes
        assert_same(net.arrays(), expected.arrays())


def test_users_images_are_not_changed():
    x = PIXELS.copy()
    learn(x, T, ORDER, WORDS)
    np.testing.assert_array_equal(x, PIXELS)


def test_a_plan_without_augmentation_copies_nothing():
    net = network()
    run = training(net, PIXELS, T, batch_size=20, optimizer=Adam())
    assert run.x is PIXELS
    assert not any(s.name == "augment" for s in run._schedule.steps)


@pytest.mark.parametrize("kind", ["nesterov", "adam", "adamw"])
def test_weight_decay_that_leaves_biases_alone(kind):
    """The fused update, run by run, against the optimizer's formula, which goes by names."""
    net, oracle = (OPTIMIZERS[kind](0.01, weight_decay=0.5, decay_biases=False) for _ in range(2))
    fused, all_decay = network(), network()
    values = {k: fused.arrays()[k].astype(np.float64) for k in fused.parameters}
    with training(fused, PIXELS, T, batch_size=20, optimizer=net) as run:
        for rows in ORDER:
            run.plan.reseed(derive(run.seed, run.number + 1))  # drop what the step will drop
            run.plan.backward(PIXELS, T, rows)
            gradients = fused.engine.weights.like_users(run.plan.gradients[: fused.engine.weights.size])
            run.step(rows)
            oracle.update(values, {k: v.astype(np.float64) for k, v in gradients.items()})
    for name, value in values.items():
        # each step rounds at most 16 times, relative to p and to what is added to it
        bound = gamma(16 * len(ORDER)) * (np.abs(value).max() + 4 * 0.01 * len(ORDER))
        np.testing.assert_allclose(fused.arrays()[name], value, rtol=0, atol=bound, err_msg=name)
    with training(all_decay, PIXELS, T, batch_size=20, optimizer=OPTIMIZERS[kind](0.01, weight_decay=0.5)) as run:
        for rows in ORDER:
            run.step(rows)
    scales = [other.arrays()["batchnorm1.scale"] for other in (fused, all_decay)]
    assert np.abs(scales[0] - scales[1]).max() > 1e-3, "it makes a difference"


def smoothed_gradient(net, x, t, smoothing):
    """Loss and gradients by one step of SGD with a rate of 1."""
    before = {k: v.copy() for k, v in net.arrays().items()}
    with training(net, x, t, batch_size=len(x), optimizer=SGD(1.0), smoothing=smoothing) as run:
        loss, _ = run.step(np.arange(len(x)))
    return loss, {k: before[k] - v for k, v in net.arrays().items()}, before


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_the_gradient_of_smoothed_labels_is_the_formulas(smoothing):
    x, t = PIXELS[:20], T[:20]
    net = fv.Network([Convolution(6, 3), ReLU(), MaxPool(2), Affine(4)], (2, 11, 10), seed=3)
    loss, found, before = smoothed_gradient(net, x, t, smoothing)
    run = net.graph.run(reference, x / 255, {k: v.astype(np.float64) for k, v in before.items()})
    scores = run.values[net.graph.output]
    assert loss == pytest.approx(reference.cross_entropy(scores, t, label_smoothing=smoothing), rel=1e-5)
    plain = reference.cross_entropy(scores, t)
    assert smoothing == 0 or abs(loss - plain) > 1e-4 * plain
    dy = reference.cross_entropy_grad(scores, t, label_smoothing=smoothing)
    _, exact = run.backward({net.graph.output: dy})
    for name, gradient in exact.items():
        # Of what is subtracted from p, p's last digit is lost; the gradient's own roundings grow like sqrt(n).
        bound = 2 * U32 * np.abs(before[name]).max() + 100 * U32 * np.abs(gradient).max()
        np.testing.assert_allclose(found[name], gradient, rtol=0, atol=bound, err_msg=name)


def test_smoothed_labels_agree_with_pytorch():
    torch = require("torch")
    x, t = (PIXELS[:20].reshape(20, -1) / np.float32(255)).astype(np.float32), T[:20]
    net = fv.Network([Affine(4)], (220,), seed=1)
    loss, found, before = smoothed_gradient(net, x, t, 0.2)
    w, b = (torch.tensor(before[f"affine1.{k}"].astype(np.float64), requires_grad=True) for k in ("weight", "bias"))
    theirs = torch.nn.CrossEntropyLoss(label_smoothing=0.2)(torch.tensor(x.astype(np.float64)) @ w + b, torch.tensor(t))
    theirs.backward()
    assert loss == pytest.approx(theirs.item(), rel=1e-5)
    for name, gradient in (("affine1.weight", w.grad), ("affine1.bias", b.grad)):
        bound = 2 * U32 * np.abs(before[name]).max() + 100 * U32 * float(gradient.abs().max())
        np.testing.assert_allclose(found[name], gradient.numpy(), rtol=0, atol=bound, err_msg=name)


def test_smoothing_does_not_change_net_gradient_and_loss():
    """Nor the other way round: plans of the same size are told apart."""
    net = fv.Network([Convolution(6, 3), ReLU(), Affine(4)], (2, 11, 10), seed=2)
    x, t = PIXELS[:16], T[:16]
    loss, gradient = net.loss(x, t), net.gradient(x, t)
    with training(net, x, t, batch_size=16, optimizer=SGD(0.0), smoothing=0.3) as run:
        smoothed, _ = run.step(np.arange(16))
    assert smoothed == pytest.approx(reference.cross_entropy(net.reference_scores(x), t, label_smoothing=0.3), rel=1e-5)
    assert net.loss(x, t) == loss
    assert_same(net.gradient(x, t), gradient)
