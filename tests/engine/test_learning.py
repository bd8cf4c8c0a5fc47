"""What layers do only while a network learns: dropout drops, batch norm takes the batch; buffers are kept and saved."""

from __future__ import annotations

import numpy as np
import pytest

import foveal as fv
from foveal import reference
from foveal.engine import training
from foveal.errors import DataError
from foveal.kernels.threads import set_threads
from foveal.layers import Affine, BatchNorm, Convolution, Dropout, MaxPool, ReLU
from foveal.reference.random import derive
from foveal.training.optimizers import SGD
from tests.engine.test_training_run import assert_same

RNG = np.random.default_rng(3)
X, T = RNG.integers(0, 256, (40, 2, 9, 8)).astype(np.uint8), RNG.integers(0, 4, 40)
SPLIT = [np.arange(0, 16), np.arange(16, 40)]


@pytest.fixture(autouse=True)
def usual_threads():
    yield
    set_threads(None)


def network(seed=0):
    first = [Convolution(5, 3), BatchNorm(momentum=0.3), ReLU(), MaxPool(2), Dropout(0.4)]
    layers = [*first, Affine(7), BatchNorm(), ReLU(), Affine(4)]
    return fv.Network(layers, (2, 9, 8), seed=seed)


def learn(net, seed=7, rate=0.1):
    with training(net, X, T, batch_size=24, optimizer=SGD(rate), seed=seed) as run:
        return [run.step(rows) for rows in SPLIT]


def formula_step(net, state, rows, seed, rate):
    """Take one step by the formulas in float64, where a node's seed is that of its place; return the loss before it."""
    run = net.graph.run(reference, X[rows].astype(np.float64) / 255, state, seed)
    state |= run.buffers
    scores = run.values[net.graph.output]
    loss = reference.cross_entropy(scores, T[rows])
    _, gradients = run.backward({net.graph.output: reference.cross_entropy_grad(scores, T[rows])})
    for name, gradient in gradients.items():
        state[name] = state[name] - rate * gradient
    return loss


def test_a_step_is_the_formulas_step():
    net = network()
    state = {k: v.astype(np.float64) for k, v in net.arrays().items()}
    found = learn(net)
    for number, (rows, (loss, _)) in enumerate(zip(SPLIT, found, strict=True), 1):
        seed = derive(7, number)
        expected = formula_step(net, state, rows, seed, 0.1)
        assert loss == pytest.approx(expected, rel=1e-4)
    for name, array in net.arrays().items():
        np.testing.assert_allclose(array, state[name], rtol=2e-3, atol=2e-4, err_msg=name)


def test_masks_depend_on_seed_and_step_not_on_threads():
    nets, losses = [], []
    for threads in (1, 2, 3):
        set_threads(threads)
        nets.append(network())
        losses.append(learn(nets[-1]))
    assert losses[1:] == losses[:1] * 2
    for net in nets[1:]:
        assert_same(net.arrays(), nets[0].arrays())
    other = network()
    assert learn(other, seed=8) != losses[0]


def test_predictions_and_gradients_are_those_of_the_network_that_has_learned():
    net = network()
    learn(net)
    exact = net.reference_scores(X)
    np.testing.assert_allclose(net.predict(X), exact, rtol=1e-3, atol=1e-4 * np.abs(exact).max())
    np.testing.assert_array_equal(net.predict(X), net.predict(X))
    before = {k: v.copy() for k, v in net.arrays().items()}
    gradient = net.gradient(X, T)
    assert_same(net.arrays(), before)  # a gradient changes no running statistics
    assert set(gradient) == set(net.parameters)
    expected = net.numerical_gradient(X[:4], T[:4])
    for name, array in net.gradient(X[:4], T[:4]).items():
        largest = max(np.abs(expected[name]).max(), 1e-4)
        np.testing.assert_allclose(array, expected[name], atol=2e-3 * largest, err_msg=name)


def test_explaining_a_plan_changes_nothing():
    net = network()
    learn(net)
    before = {k: v.copy() for k, v in net.arrays().items()}
    assert "batchnorm1" in str(net.plan(24))
    assert_same(net.arrays(), before)
    net.layers[0].weight[...] = 0  # packs everything again
    np.testing.assert_array_equal(net.arrays()["batchnorm1.running_mean"], before["batchnorm1.running_mean"])


def test_buffers_are_no_parameters_and_are_saved(tmp_path):
    net = network()
    assert "batchnorm1.running_mean" not in net.parameters
    learn(net)
    moved = net.arrays()["batchnorm1.running_mean"]
    assert np.abs(moved).max() > 0
    net.save(tmp_path / "net.safetensors")
    again = fv.load(tmp_path / "net.safetensors")
    assert_same(again.arrays(), net.arrays())
    np.testing.assert_array_equal(again.predict(X), net.predict(X))


def test_a_diverged_run_leaves_buffers_as_they_were():
    net = network()
    before = {k: v.copy() for k, v in net.arrays().items()}
    run = training(net, X, T, batch_size=24, optimizer=SGD(0.1))
    run.step(SPLIT[0])
    run.__exit__(DataError, DataError("diverged"), None)
    assert_same(net.arrays(), before)


def test_fit_goes_on_from_a_checkpoint_with_the_same_bits(tmp_path):
    whole, half = network(), network()
    options = {"batch_size": 16, "seed": 4, "progress": False, "validation": (X, T)}
    expected = fv.fit(whole, X, T, epochs=3, **options)
    path = tmp_path / "checkpoint.safetensors"
    fv.fit(half, X, T, epochs=1, checkpoint=path, **options)
    resumed = network(seed=5)
    got = fv.fit(resumed, X, T, epochs=3, resume=path, **options)
    assert got.loss == expected.loss
    assert_same(resumed.arrays(), whole.arrays())
