"""Recipes: they are complete and possible, and a slice of each learns."""

import inspect

import numpy as np
import pytest

import foveal as fv
from foveal import data, models
from foveal.cli import _common as common
from foveal.cli.train import OPTIMIZERS_OWN, PLAIN, settled
from foveal.training.augmentation import parse
from foveal.training.optimizers import OPTIMIZERS, by_name
from foveal.training.schedules import SCHEDULES

WITH = sorted(name for name, cls in inspect.getmembers(models, inspect.isclass) if getattr(cls, "recipes", None))
NONE = dict.fromkeys(PLAIN)


def test_these_models_have_recipes():
    assert WITH == ["Audio1D", "DeepConvNet", "InceptionSmall", "LeNet5", "ResNet"]


@pytest.mark.parametrize("name", WITH)
def test_recipes_say_nothing_unknown(name):
    recipes = getattr(models, name).recipes
    assert set(recipes) - {"any"} <= set(data.DATASETS) | {"cifar10"}
    for recipe in recipes.values():
        assert set(recipe) <= set(PLAIN)
        assert recipe.get("optimizer", "adam") in OPTIMIZERS
        assert recipe.get("schedule", "none") in SCHEDULES
        parse(recipe.get("augment", "none"))


def test_photographs_are_flipped_and_digits_are_not():
    assert settled("resnet20", "cifar10", **NONE)["augment"] == "crop=2:reflect,flip"
    assert settled("lenet5", "mnist", **NONE)["augment"] == "shift=2"
    assert settled("lenet5", "photos/", **NONE)["augment"] == "none"
    assert settled("resnet20", "photos/", **NONE) == PLAIN, "a recipe is for the data that it was tried on"
    assert settled("resnet20", "cifar10", **NONE | {"augment": "none"})["augment"] == "none"
    for name in common.MODELS:
        for digits in ("mnist", "mnist-5k"):
            assert "flip" not in settled(name, digits, **NONE)["augment"]


def test_another_optimizer_has_its_own_rate_and_decay():
    assert settled("resnet20", "cifar10", **NONE)["weight_decay"] == 0.02
    how = settled("resnet20", "cifar10", **NONE | {"optimizer": "adam"})
    assert (how["lr"], how["weight_decay"], how["schedule"]) == (None, None, "onecycle")


def learns(name, x, t, test, epochs, batch_size):
    """Train a slice by the recipe for digits; return the test accuracy and the losses."""
    how = settled(name, "mnist", **NONE | {"epochs": epochs, "batch_size": batch_size})
    optimizer = by_name(how.pop("optimizer"), **{name: how.pop(name) for name in OPTIMIZERS_OWN})
    cls, arguments = getattr(models, common.MODELS[name]), common.ARGUMENTS.get(name, {})
    net = cls(input_dim=x.shape[1:], output_size=10, seed=0, **arguments)
    history = fv.fit(net, x, t, optimizer=optimizer, progress=False, **how)
    return net.accuracy(*test), history.loss


SLICES = {"lenet5": (1000, 5, 25, 0.7), "lenet5-modern": (2000, 5, 40, 0.8), "deepconvnet": (2000, 6, 25, 0.5)}


@pytest.mark.parametrize("name", SLICES)
def test_a_slice_of_digits_is_learned(name):
    n, epochs, batch_size, bound = SLICES[name]
    digits = data.load("mnist-5k")
    x, t = digits.train
    accuracy, loss = learns(name, x[:n], t[:n], digits.test, epochs, batch_size)
    assert np.mean(loss[-10:]) < 0.8 * np.mean(loss[:10])
    assert accuracy > bound
    net = getattr(models, common.MODELS[name])((1, 28, 28), seed=0, **common.ARGUMENTS.get(name, {}))
    assert net.accuracy(*digits.test) < 0.3, "without learning the bound would not be reached"


def test_resnet20_learns_colours_in_a_few_steps():
    """Ten classes of noisy images that differ in the colour of their centre."""
    rng = np.random.default_rng(0)
    t = np.arange(512) % 10
    x = rng.integers(60, 120, (512, 3, 32, 32))
    x[:, :, 10:22, 10:22] += rng.permutation(30).reshape(10, 3)[t][:, :, None, None] * 4
    x = x.astype(np.uint8)
    how = settled("resnet20", "cifar10", **NONE)
    optimizer = by_name(how["optimizer"], **{name: how[name] for name in OPTIMIZERS_OWN})
    net = models.ResNet(20, seed=0)
    history = fv.fit(net, x, t, epochs=2, batch_size=64, optimizer=optimizer, schedule=how["schedule"],
                     augment=how["augment"], progress=False)  # fmt: skip
    assert np.mean(history.loss[-3:]) < 0.8 * np.mean(history.loss[:3])
    assert history.epochs[-1].train_accuracy > 0.25
