"""Training step by step: the same bits every time, memory that can be put away, and arrays that users already hold."""

from __future__ import annotations

import numpy as np
import pytest

import foveal as fv
from foveal.engine import training
from foveal.errors import FormatError
from foveal.kernels.threads import set_threads
from foveal.layers import Affine, Convolution, MaxPool, ReLU, Sigmoid
from foveal.training.optimizers import OPTIMIZERS, SGD, Adam, Muon
from tests.support.machine import bits
from tests.support.networks import Scale

RNG = np.random.default_rng(0)
X, T = RNG.integers(0, 256, (50, 2, 11, 10)).astype(np.uint8), RNG.integers(0, 4, 50)
ORDER = [RNG.permutation(50)[:n] for n in (20, 20, 10, 20, 1, 20)]


@pytest.fixture(autouse=True)
def usual_threads():
    yield
    set_threads(None)


def network(seed=0):
    layers = [Convolution(6, 3, padding=1), ReLU(), MaxPool(2), Convolution(5, 2), Sigmoid(), MaxPool(2, 1), Affine(9),
              ReLU(), Affine(4)]  # fmt: skip
    return fv.Network(layers, (2, 11, 10), seed=seed)


def copies(net):
    return {name: array.copy() for name, array in net.arrays().items()}


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(bits(found[name]), bits(array), name)


def run(net, rows=ORDER, optimizer=None):
    with training(net, X, T, batch_size=20, optimizer=optimizer or Adam()) as learning:
        return [learning.step(r) for r in rows]


def test_the_same_seed_gives_the_same_bits():
    nets, outcomes = [], []
    for threads in (1, 1, 2, 3):
        set_threads(threads)
        nets.append(network())
        outcomes.append(run(nets[-1]))
    assert outcomes[1:] == outcomes[:1] * 3
    for net in nets[1:]:
        assert_same(net.arrays(), nets[0].arrays())
    assert run(network(seed=1)) != outcomes[0]


@pytest.mark.parametrize("kind", sorted(OPTIMIZERS))
def test_a_step_is_gradient_and_update(kind):
    """The fused step against the network's gradient and the optimizer's formula, also for a batch of one."""
    fused, apart = network(), network()
    make = lambda: OPTIMIZERS[kind](lr=0.01, weight_decay=0.1)  # noqa: E731
    oracle = make()
    outcomes = run(fused, optimizer=make())
    for rows, (loss, right) in zip(ORDER, outcomes, strict=True):
        assert loss == pytest.approx(apart.loss(X[rows], T[rows]), rel=1e-4)
        assert right / len(rows) == pytest.approx(apart.accuracy(X[rows], T[rows]))
        values = copies(apart)
        oracle.update(values, apart.gradient(X[rows], T[rows]))
        apart.load_parameters(values)
    for name, array in apart.arrays().items():
        np.testing.assert_allclose(fused.arrays()[name], array, rtol=1e-3, atol=1e-4, err_msg=name)


def kernels(net, optimizer):
    with training(net, X, T, batch_size=20, optimizer=optimizer) as learning:
        return [(s.name, s.kernel.name) for s in learning._schedule.steps]


def test_affine_weights_are_updated_where_their_gradient_is_made():
    found = kernels(network(), Adam())
    assert [name for name, kernel in found if kernel == "affine_adam"] == ["affine2", "affine1 + relu2"]
    assert not {"affine_weight_gradient", "affine_input_gradient"} & {kernel for _, kernel in found}
    assert found[-1] == ("update", "adam"), "filters and biases"


def test_gradients_of_two_uses_are_made_first():
    shared = Affine(30)
    net = fv.Network([Affine(30), ReLU(), shared, ReLU(), shared, ReLU(), Affine(4)], (2, 11, 10))
    found = [kernel for _, kernel in kernels(net, Adam())]
    assert found.count("affine_adam") == 2
    assert found.count("affine_weight_gradient") == 2


def test_gradients_of_muons_matrices_are_made_first():
    found = [kernel for _, kernel in kernels(network(), Muon(0.01))]
    assert found.count("affine_weight_gradient") == 2


@pytest.mark.parametrize("kind", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("cut", [0, 1, 4])
def test_state_goes_on_with_the_same_bits(kind, cut):
    whole, first, second = network(), network(), network(seed=7)
    expected = run(whole, optimizer=OPTIMIZERS[kind]())
    with training(first, X, T, batch_size=20, optimizer=OPTIMIZERS[kind]()) as learning:
        found = [learning.step(r) for r in ORDER[:cut]]
        state = learning.state()
    assert state["step"].tolist() == [cut]
    second.load_parameters(copies(first))
    with training(second, X, T, batch_size=20, optimizer=OPTIMIZERS[kind]()) as learning:
        learning.load_state(state)
        found += [learning.step(r) for r in ORDER[cut:]]
    assert found == expected
    assert_same(second.arrays(), whole.arrays())


def test_state_has_the_users_shapes_and_is_a_copy():
    net = network()
    with training(net, X, T, batch_size=20, optimizer=Adam()) as learning:
        learning.step(ORDER[0])
        state = learning.state()
        kept = {k: v.copy() for k, v in state.items()}
        assert {k: v.shape for k, v in state.items() if k.startswith("state1.")} == {
            f"state1.{k}": v for k, v in net.parameters.items()
        }
        assert any(v.any() for k, v in state.items() if k.startswith("state0."))
        learning.step(ORDER[1])
    for name, array in kept.items():
        np.testing.assert_array_equal(state[name], array)


def test_a_state_of_something_else_is_refused():
    net = network()
    with training(net, X, T, batch_size=20, optimizer=SGD()) as learning:
        other = learning.state()
    with training(net, X, T, batch_size=20, optimizer=Adam()) as learning:
        state = learning.state()
        short = {k: v for k, v in state.items() if k != "state1.conv1.bias"}
        wrong = state | {"state0.conv1.bias": np.zeros(5, np.float32)}
        for bad in (other, short, wrong, {}):
            with pytest.raises(FormatError, match=r"^optimizer state: expected 17 arrays, got .*another"):
                learning.load_state(bad)
        assert_same(learning.state(), state)


def test_arrays_that_users_hold_are_updated_in_place():
    net = network()
    held = {f"{n.name}.{k}": n.layer.parameters[k] for n in net.graph.owners() for k in n.layer.parameters}
    before = {k: v.copy() for k, v in held.items()}
    run(net)
    for name, array in held.items():
        assert not np.array_equal(array, before[name]), f"{name} was not updated"
    assert_same(held, net.arrays())


def test_changing_an_array_in_place_changes_the_network():
    net = network()
    weight = net.layers[0].parameters["weight"]
    first = net.predict(X)
    for _ in range(2):  # again after training: the array is still the network's
        weight *= 1.5
        changed = net.predict(X)
        assert np.abs(changed - first).max() > 1e-3
        np.testing.assert_allclose(changed, net.reference_scores(X), rtol=1e-4, atol=1e-5)
        run(net)
        first = net.predict(X)
    weight[...] = 0
    with training(net, X, T, batch_size=20, optimizer=SGD(lr=0.0)) as learning:
        learning.step(ORDER[0])
    assert not net.arrays()["conv1.weight"].any(), "training starts from what the user wrote"


def test_writing_a_parameter_reaches_every_engine():
    net = network()
    first = net.predict(X)
    net.layers[-1].parameters["bias"] = np.arange(4)
    np.testing.assert_allclose(net.predict(X) - first, np.tile(np.arange(4), (50, 1)), atol=1e-5)
    net.load_parameters(copies(network()))
    np.testing.assert_array_equal(bits(net.predict(X)), bits(first))


def test_peeking_hands_nothing_out():
    """A network whose arrays nobody asked for never packs twice; handed out, they are packed before each run."""
    net = network()
    run(net)
    net.predict(X)
    net.arrays()
    net.gradient(X, T)
    net.reference_scores(X[:1])
    assert not any(layer.parameters.handed_out for layer in net.layers)
    weight = net.layers[0].weight
    assert [layer.parameters.handed_out for layer in net.layers][:4] == [True, False, False, False]
    first = net.predict(X)
    weight += 0.1
    assert not np.array_equal(net.predict(X), first)


def test_arrays_are_read_only_views_of_now():
    net = network()
    views = net.arrays()
    with pytest.raises(ValueError, match="read-only"):
        views["conv1.weight"][...] = 0
    before = views["conv1.weight"].copy()
    with training(net, X, T, batch_size=20, optimizer=Adam()) as learning:
        learning.step(ORDER[0])
        assert not np.array_equal(net.arrays()["conv1.weight"], before), "what training has learned so far"


def test_predicting_between_steps_changes_nothing():
    plain, watched = network(), network()
    expected = run(plain)
    with training(watched, X, T, batch_size=20, optimizer=Adam()) as learning:
        found = []
        for rows in ORDER:
            found.append(learning.step(rows))
            scores = watched.predict(X)
            np.testing.assert_allclose(scores, watched.reference_scores(X), rtol=1e-4, atol=1e-5)
            watched.gradient(X[:20], T[:20])
    assert found == expected
    assert_same(watched.arrays(), plain.arrays())


def test_an_exception_leaves_the_network_as_it_was():
    net = network()
    before, scores = copies(net), net.predict(X)

    def diverge():
        with training(net, X, T, batch_size=20, optimizer=SGD(lr=10.0)) as learning:
            learning.step(ORDER[0])
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        diverge()
    assert_same(net.arrays(), before)
    np.testing.assert_array_equal(bits(net.predict(X)), bits(scores))


def test_two_networks_that_share_a_layer_learn_one_set_of_parameters():
    conv = Convolution(6, 3)
    first = fv.Network([conv, ReLU(), Affine(4)], (2, 11, 10), seed=1)
    second = fv.Network([conv, Sigmoid(), MaxPool(2), Affine(4)], (2, 11, 10), seed=2)
    for net, other in ((first, second), (second, first), (first, second)):
        before = other.predict(X)
        run(net)
        np.testing.assert_allclose(other.predict(X), other.reference_scores(X), rtol=1e-4, atol=1e-5)
        assert np.abs(other.predict(X) - before).max() > 1e-5
        np.testing.assert_array_equal(first.arrays()["conv1.weight"], second.arrays()["conv1.weight"])


def test_a_users_layer_learns():
    net = fv.Network([Scale(), Convolution(5, 3), ReLU(), Scale(), Affine(4)], (2, 11, 10))
    before, loss = copies(net), net.loss(X, T)
    run(net, ORDER * 5)
    assert net.loss(X, T) < loss
    for name, array in net.arrays().items():
        assert not np.array_equal(array, before[name]), name


def test_padding_of_packed_parameters_stays_zero():
    """Lanes behind the last filter are learned, too, by vectors: they must stay zero for ever."""
    for kind in OPTIMIZERS:
        net = network()
        run(net, optimizer=OPTIMIZERS[kind](lr=0.1))
        weights = net.engine.weights
        for slot in weights.slots:
            assert not weights.data[slot.start : slot.stop][slot.index < 0].any(), f"{slot.name} after {kind}"
