"""A right network learns a few pictures by heart, and one with a wrong gradient does not."""

import numpy as np
import pytest

import foveal as fv
from foveal.layers import Affine, BatchNorm, Convolution, Dropout, MaxPool, ReLU
from foveal.study import centred, overfit, recipe
from foveal.study.overfit import RECIPES, Recipe, _batches
from foveal.training import optimizers
from tests.support.networks import Scale

RNG = np.random.default_rng(0)
X, T = RNG.integers(0, 256, (12, 3, 9, 9), np.uint8), RNG.integers(0, 4, 12)


class WrongSign(Scale):
    """Its gradient goes uphill."""

    def run(self, ops, x, p):
        y, backward = super().run(ops, x, p)
        return y, lambda dy: (-backward(dy)[0], backward(dy)[1])


def small(*extra, seed=0):
    layers = [Convolution(8, 3, bias=False), BatchNorm(), ReLU(), MaxPool(2), Affine(64), ReLU(), *extra, Affine(4)]
    return fv.Network(layers, (3, 9, 9), seed=seed)


@pytest.mark.parametrize("optimizer", [None, optimizers.Momentum(0.02)])
def test_pictures_are_learned_by_heart_though_the_network_drops(optimizer):
    net, told = small(Dropout(0.5)), []
    found = overfit(net, X, T, optimizer=optimizer, batch_size=6, steps=600, every=7, tell=lambda *a: told.append(a))
    assert found.reached
    assert found.accuracy == 1.0
    step, last = found.predicted[-1]
    assert last < 0.1 <= min(loss for _, loss in found.predicted[:-1])
    assert len(found.loss) == step
    assert [step for step, _ in found.predicted] == list(range(7, step + 1, 7))
    assert told == [(i + 1, loss, dict(found.predicted).get(i + 1)) for i, loss in enumerate(found.loss)]
    assert net.loss(X, T) == last  # what was learned is in the network
    assert found.seconds > 0


def test_without_dropout_the_loss_of_a_step_is_that_of_the_prediction_before():
    net = fv.Network([Convolution(4, 3), ReLU(), Affine(4)], (3, 9, 9))
    first = net.loss(X, T)
    found = overfit(net, X, T, batch_size=12, steps=6, every=1, below=1e-9)
    predicted = [first, *(loss for _, loss in found.predicted[:-1])]
    # each is a float32 mean over images; scores differ by the order of their sums alone
    np.testing.assert_allclose(found.loss, predicted, rtol=1e-5)
    assert not found.reached


def test_the_bound_may_be_missed():
    found = overfit(small(), X, T, steps=9, every=5)
    assert not found.reached
    assert [step for step, _ in found.predicted] == [5, 9]
    assert str(found).startswith(f"NOT below 0.1: loss {found.predicted[-1][1]:.4f} after 9 steps, ")


def test_a_wrong_gradient_is_found():
    right = fv.Network([Convolution(8, 3), ReLU(), Affine(16), Scale(), Affine(4)], (3, 9, 9))
    wrong = fv.Network([Convolution(8, 3), ReLU(), Affine(16), WrongSign(), Affine(4)], (3, 9, 9))
    assert overfit(right, X, T, batch_size=12).reached
    assert not overfit(wrong, X, T, batch_size=12).reached


def test_the_same_seed_gives_the_same_bits():
    losses = [overfit(small(Dropout()), X, T, batch_size=5, steps=8, seed=seed).loss for seed in (3, 3, 4)]
    assert losses[0] == losses[1] != losses[2]
    # one picture has one order: here the seed is that of dropout alone
    one, other = (overfit(small(Dropout()), X[:1], T[:1], steps=1, seed=seed).loss for seed in (3, 4))
    assert one != other


@pytest.mark.parametrize(("n", "size"), [(7, 3), (6, 3), (2, 5)])
def test_each_round_visits_every_picture_once(n, size):
    batches, orders = _batches(n, size, 0), []
    for _ in range(4):
        rows = np.concatenate([next(batches) for _ in range(-(-n // size))])
        assert sorted(rows) == list(range(n))
        orders.append(tuple(rows))
    assert n < 3 or len(set(orders)) > 1


def test_recipes_name_models_and_optimizers():
    from foveal.cli._common import MODELS

    for name, how in RECIPES.items():
        assert name in MODELS
        assert optimizers.by_name(how.optimizer, lr=how.lr).lr == how.lr
    assert recipe("simple") == Recipe()
    assert recipe("alexnet", lr=0.5, optimizer="sgd", batch_size=None) == Recipe(
        "sgd", 0.5, RECIPES["alexnet"].batch_size, centred=True, size=227
    )


def test_centred_pixels():
    found = centred(X)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, X - X.mean(0), atol=1e-4)  # 12 roundings of numbers up to 255
