"""Network: what most users hold in their hand. Every promise of section 4 of the design, and files that keep bits."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import foveal as fv
from foveal.accounting import account
from foveal.layers import Affine, AvgPool, Convolution, Flatten, MaxPool, ReLU, Sigmoid, Softmax
from foveal.models import SimpleConvNet
from tests.support.machine import bits
from tests.support.subprocesses import python

RNG = np.random.default_rng(0)
X, T = RNG.standard_normal((12, 2, 9, 8)).astype(np.float32), RNG.integers(0, 5, 12)


def network(**options):
    layers = [Convolution(4, 3, padding="same"), ReLU(), MaxPool(2), Convolution(3, 2, groups=1, bias=False), Sigmoid(),
              AvgPool(2, 1), Affine(6), ReLU(), Affine(5)]  # fmt: skip
    return fv.Network(layers, (2, 9, 8), **options)


def test_the_example_of_the_design():
    conv = Convolution(30, 5, stride=1, padding=0, dilation=1, groups=1, bias=True)
    net = fv.Network([conv, ReLU(), MaxPool(2), Affine(100), ReLU(), Affine(10)], input_shape=(1, 28, 28), seed=0)
    assert net.parameters == {
        "conv1.weight": (30, 1, 5, 5), "conv1.bias": (30,), "affine1.weight": (4320, 100), "affine1.bias": (100,),
        "affine2.weight": (100, 10), "affine2.bias": (10,),
    }  # fmt: skip
    assert net.parameter_count == 433_890
    assert net.layers[0] is conv
    x, t = np.zeros((3, 1, 28, 28), np.uint8), [1, 2, 3]
    assert net.predict(x).shape == (3, 10)
    assert net.predict(x).dtype == np.float32
    assert net.loss(x, t) == pytest.approx(np.log(10), rel=0.2)
    assert set(net.gradient(x, t)) == set(net.parameters)


def test_import_foveal_leaves_out_what_is_not_asked_for():
    rooms = ["foveal.accounting", "foveal.data", "foveal.images", "foveal.show", "foveal.training"]
    found = python(f"""
        import sys, foveal
        print({{*{rooms}, "matplotlib", "numba", "PIL", "rich", "safetensors"}} & sys.modules.keys())
        print([getattr(foveal, room.removeprefix("foveal.")).__name__ for room in {rooms}])
        print([name for name in foveal.__all__ if not hasattr(foveal, name) or name not in dir(foveal)])
        print(hasattr(foveal, "maxpool"), foveal.fit is foveal.training.fit)
    """)
    assert found.splitlines() == ["set()", str(rooms), "[]", "False True"]


def test_repr_and_sizes():
    net = network()
    assert repr(net) == f"Network((2, 9, 8) -> 5, {net.parameter_count:,} parameters)"
    assert net.input_shape == (2, 9, 8)
    assert net.output_size == 5
    assert net.parameter_count == sum(a.size for a in net.arrays().values())


def test_summary_is_the_account():
    net = SimpleConvNet()
    assert net.summary() == account(net).to_text()
    assert "SimpleConvNet, input 1x28x28" in net.summary()
    assert "433,890 = 433,750 weights + 140 biases" in net.summary()


def test_a_shared_layer_is_counted_once():
    affine = Affine(4)
    net = fv.Network([affine, ReLU(), affine, Affine(2)], (4,))
    assert net.parameter_count == 20 + 10
    assert "parameters: 30 = 24 weights + 6 biases" in net.summary()
    assert len(net.layers) == 3


def test_probabilities_loss_and_accuracy_are_those_of_the_scores():
    net = network()
    scores = net.predict(X).astype(np.float64)
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    np.testing.assert_allclose(net.probabilities(X), p, rtol=1e-5)
    np.testing.assert_allclose(net.probabilities(X).sum(1), 1, rtol=1e-6)
    assert net.probabilities(X).dtype == np.float32
    assert net.loss(X, T) == pytest.approx(-np.log(p[np.arange(12), T]).mean(), rel=1e-6)
    assert net.accuracy(X, T) == (scores.argmax(1) == T).mean()
    assert net.accuracy(X, scores.argmax(1)) == 1.0
    assert isinstance(net.loss(X, T), float)
    assert isinstance(net.accuracy(X, T), float)


def test_a_softmax_at_the_end_leaves_the_scores():
    with_it, without = network(), network()
    layers = [*with_it.layers, Softmax()]
    with_it = fv.Network(layers, (2, 9, 8))
    np.testing.assert_array_equal(bits(with_it.predict(X)), bits(without.predict(X)))
    assert with_it.loss(X, T) == without.loss(X, T)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32, ">i8"])
def test_labels_of_every_integer_type_and_one_hot(dtype):
    net = network()
    hot = np.eye(5)[T]
    gradient = net.gradient(X, T)
    for t in (T.astype(dtype), T.tolist(), hot.astype(np.float32), hot.astype(dtype), hot.astype(bool)):
        assert net.loss(X, t) == net.loss(X, T)
        assert net.accuracy(X, t) == net.accuracy(X, T)
        for name, value in net.gradient(X, t).items():
            np.testing.assert_array_equal(value, gradient[name])


def test_gradient_equals_numerical_gradient():
    net = network()
    rng = np.random.default_rng(5)
    net.load_parameters({k: v + 0.3 * rng.standard_normal(v.shape) for k, v in net.arrays().items()})
    exact, numeric = net.gradient(X[:4], T[:4]), net.numerical_gradient(X[:4], T[:4])
    assert list(exact) == list(numeric) == list(net.parameters)
    for name, gradient in exact.items():
        np.testing.assert_allclose(gradient, numeric[name], rtol=2e-3, atol=1e-6, err_msg=name)
        assert gradient.shape == net.parameters[name]


def test_numerical_gradient_changes_nothing():
    net = network()
    before, scores = {k: v.copy() for k, v in net.arrays().items()}, net.predict(X)
    net.numerical_gradient(X[:1], T[:1])
    for name, array in net.arrays().items():
        np.testing.assert_array_equal(bits(array), bits(before[name]))
    np.testing.assert_array_equal(bits(net.predict(X)), bits(scores))


def test_seeds():
    first, again, other = network(seed=3), network(seed=3), network(seed=4)
    np.testing.assert_array_equal(bits(first.predict(X)), bits(again.predict(X)))
    assert not np.array_equal(first.predict(X), other.predict(X))


def test_load_parameters_takes_other_types_and_copies():
    net = network()
    values = {k: v.astype(np.float64) for k, v in network(seed=9).arrays().items()}
    values["conv1.bias"] = [1, 2, 3, 4]
    net.load_parameters(values)
    values["conv1.weight"][:] = 0
    assert net.arrays()["conv1.weight"].any()
    np.testing.assert_array_equal(net.arrays()["conv1.bias"], [1, 2, 3, 4])
    assert net.arrays()["conv1.bias"].dtype == np.float32
    np.testing.assert_allclose(net.predict(X), net.reference_scores(X), rtol=1e-4, atol=1e-5)


# Files


@pytest.mark.parametrize("make", [network, SimpleConvNet, lambda: fv.Network([Affine(3), Softmax()], (4,)),
                                  lambda: fv.Network([MaxPool(2), Flatten()], (1, 4, 4))])  # fmt: skip
def test_a_file_keeps_the_bits(tmp_path, make):
    net, path = make(), tmp_path / "net.safetensors"
    net.save(path)
    again = fv.load(path)
    assert type(again) is type(net)
    assert repr(again) == repr(net)
    assert again.summary() == net.summary()
    assert again.seed == net.seed
    assert list(again.arrays()) == list(net.arrays())
    for name, array in net.arrays().items():
        np.testing.assert_array_equal(bits(again.arrays()[name]), bits(array))
    x = np.random.default_rng(1).standard_normal((3, *net.input_shape))
    np.testing.assert_array_equal(bits(again.predict(x)), bits(net.predict(x)))
    net.save(str(path))  # a str is a path, too
    assert fv.load(str(path)).config() == net.config()


def test_what_was_learned_is_saved(tmp_path):
    net, path = network(), tmp_path / "net.safetensors"
    fv.fit(net, X, T, epochs=2, batch_size=5, progress=False)
    scores = net.predict(X)
    net.save(path)
    again = fv.load(path)
    np.testing.assert_array_equal(bits(again.predict(X)), bits(scores))
    fv.fit(again, X, T, epochs=1, batch_size=5, progress=False)
    fv.fit(net, X, T, epochs=1, batch_size=5, progress=False)
    np.testing.assert_array_equal(bits(again.predict(X)), bits(net.predict(X)))


def test_special_values_are_kept(tmp_path):
    net, path = network(), tmp_path / "net.safetensors"
    odd = np.array([np.nan, -0.0, np.inf, 1e-45], np.float32)
    net.layers[0].bias = odd
    net.save(path)
    np.testing.assert_array_equal(bits(fv.load(path).layers[0].bias), bits(odd))


def test_class_names_are_kept(tmp_path):
    path = tmp_path / "net.safetensors"
    names = ["cat", "dög", 'a "quoted" one', "", "5"]
    network(classes=names).save(path)
    assert fv.load(path).classes == tuple(names)
    network().save(path)
    assert fv.load(path).classes is None


def test_the_notes_network_comes_back_with_its_names(tmp_path):
    net, path = SimpleConvNet(output_size=4, seed=6), tmp_path / "net.safetensors"
    net.save(path)
    again = fv.load(path)
    assert isinstance(again, SimpleConvNet)
    np.testing.assert_array_equal(again.params["W3"], net.params["W3"])


def test_a_network_of_an_unknown_class_is_a_network(tmp_path):
    """A subclass that this process has not imported: its layers and parameters say all that is computed."""

    class Mine(fv.Network):
        pass

    net, path = Mine([Affine(3)], (4,)), tmp_path / "net.safetensors"
    net.save(path)
    assert type(fv.load(path)) is Mine
    del fv.Network.types["Mine"]
    assert type(fv.load(path)) is fv.Network


def test_the_file_is_safetensors_that_others_can_read(tmp_path):
    net, path = network(classes="abcde"), tmp_path / "net.safetensors"
    net.save(path)
    arrays = load_file(path)
    assert {k: v.shape for k, v in arrays.items()} == net.parameters
    with safe_open(path, "np") as file:
        description = file.metadata()
    assert description["format"] == "foveal-network-1"
    assert description["version"] == fv.__version__
    assert json.loads(description["network"])["graph"]["input_shape"] == [2, 9, 8]
    save_file(arrays, path, description)  # written by somebody else's code
    np.testing.assert_array_equal(bits(fv.load(path).predict(X)), bits(net.predict(X)))


def test_shared_layers_are_shared_again(tmp_path):
    affine, path = Affine(4), tmp_path / "net.safetensors"
    net = fv.Network([affine, ReLU(), affine], (4,))
    net.save(path)
    again = fv.load(path)
    assert again.layers[0] is again.graph.nodes[2].layer
    assert again.parameter_count == 20


def test_predicting_in_threads():
    net, expected, found = network(), network().predict(X), []
    workers = [threading.Thread(target=lambda: found.append(net.predict(X))) for _ in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join(60)
    assert len(found) == 4
    for scores in found:
        np.testing.assert_array_equal(bits(scores), bits(expected))
