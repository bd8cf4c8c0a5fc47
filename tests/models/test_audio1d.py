"""Audio1D: its shapes, its gradients, and that it learns to tell spoken digits apart."""

import numpy as np
import pytest

import foveal as fv
from foveal import data
from foveal.cli.train import PLAIN, settled
from foveal.data.spoken_digits import SOURCE, load_spoken_digits
from foveal.errors import FovealError, GeometryError, ParameterError, ShapeError
from foveal.models import Audio1D
from tests.support.oracles import require_data

NONE = dict.fromkeys(PLAIN)


def test_shapes():
    net = Audio1D()
    assert net.input_shape == (1, 4096)
    maps = [node.shape for node in net.graph.nodes if node.name.startswith("pool")]
    assert maps == [(32, 256), (64, 64), (64, 16), (128, 1)]
    learned = 32 * 64 + 64 * 32 * 9 + 64 * 64 * 9 + 128 * 64 * 5 + 2 * (32 + 64 + 64 + 128) + 128 * 10 + 10
    assert net.parameter_count == learned == 100_170
    assert Audio1D((2, 256), output_size=3).graph.output_shape == (3,)


def test_the_network_is_its_formula():
    net = Audio1D((2, 600), output_size=4, seed=1)
    x = np.random.default_rng(0).uniform(-1, 1, (5, 2, 600)).astype(np.float32)
    np.testing.assert_allclose(net.predict(x), net.reference_scores(x), rtol=1e-4, atol=1e-5)


def test_sounds_are_taken_as_they_are():
    """Two sounds that differ only in loudness have other scores: nothing is scaled on the way in."""
    net = Audio1D(seed=2)
    x = np.random.default_rng(1).uniform(-1, 1, (1, 1, 4096)).astype(np.float32)
    np.testing.assert_allclose(net.predict(x / 2), net.reference_scores(x / 2), rtol=1e-4, atol=1e-5)
    assert np.abs(net.predict(x / 2) - net.predict(x)).max() > 1e-3


def test_it_learns_from_a_slice_of_the_recordings():
    """Three digits of real speech: chance is a third."""
    require_data(SOURCE.archive)
    (x, t), (test_x, test_t) = (part for part in two_parts(load_spoken_digits(copies=0), digits=3))
    net = Audio1D(output_size=3, seed=0)
    history = fv.fit(
        net, x[::3], t[::3], epochs=6, batch_size=15, optimizer="adam", schedule="onecycle", progress=False
    )
    assert history.loss[-1] < history.loss[0] / 2
    assert net.accuracy(test_x, test_t) > 0.75


def two_parts(dataset, digits):
    for x, t in (dataset.train, dataset.test):
        yield x[t < digits], t[t < digits]


def test_the_recipe_is_what_train_does_unless_told_otherwise():
    data, recipe = "spoken-digits", Audio1D.recipes["any"]
    assert settled("audio1d", data, **NONE) == PLAIN | recipe
    assert settled("audio1d", data, **NONE | {"epochs": 3, "schedule": "none"})["epochs"] == 3
    assert settled("audio1d", data, **NONE | {"optimizer": "sgd"})["lr"] is None, "Adam's rate is not SGD's"
    assert settled("audio1d", data, **NONE | {"optimizer": "sgd", "lr": 0.1})["lr"] == 0.1
    assert settled("audio1d", data, **NONE | {"optimizer": "adam"})["lr"] == recipe["lr"]
    assert settled("simple", "mnist", **NONE) == PLAIN


WRONG = [
    (lambda: Audio1D((1, 28, 28)), ShapeError, r"conv1.*expected an input of shape \(C, L\), got \(1, 28, 28\)"),
    (lambda: Audio1D((4096,)), ShapeError, r"conv1.*\(C, L\)"),
    (lambda: Audio1D((1, 100)), GeometryError, "pool"),
    (lambda: Audio1D(output_size=0), GeometryError, "units"),
    (lambda: Audio1D(seed=-1), ParameterError, "^seed"),
    (lambda: Audio1D().predict(np.zeros((1, 1, 4000), np.float32)), ShapeError, r"\(N, 1, 4096\), got \(1, 1, 4000\)"),
]


@pytest.mark.parametrize(("make", "kind", "message"), WRONG)
def test_refusals(make, kind, message):
    with pytest.raises(FovealError, match=message) as error:
        make()
    assert type(error.value) is kind


def test_the_data_fit_the_model():
    assert {"spoken-digits", "voxel-mnist"} <= set(data.DATASETS)
