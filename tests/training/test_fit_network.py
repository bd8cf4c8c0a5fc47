"""fit with the real engine: it learns, equals the formulas of the optimizers, and goes on bit for bit."""

import functools
import os
import signal

import numpy as np
import pytest

from foveal import data, reference
from foveal.engine import TrainingRun
from foveal.errors import DataError, ParameterError
from foveal.models import LeNet5, SimpleConvNet
from foveal.training import Cutout, Shift, fit
from foveal.training.optimizers import OPTIMIZERS, SGD, Adam

SMALL = {"conv_param": {"filter_num": 4, "filter_size": 5, "pad": 0, "stride": 2}, "hidden_size": 16}


@pytest.fixture(scope="module")
def digits():
    x, t = data.load("mnist-5k").train
    return x[:250], t[:250]


def arrays(net):
    return {name: array.copy() for name, array in net.arrays().items()}


def test_simple_convnet_learns_mnist_5k():
    digits = data.load("mnist-5k")
    net = SimpleConvNet(seed=0)
    history = fit(net, *digits.train, epochs=6, validation=digits.test, progress=False)
    assert history.test_accuracy == net.accuracy(*digits.test)
    assert history.test_accuracy > 0.9
    assert history.smoothed()[-1] < 0.15 * history.smoothed()[0]


@pytest.mark.parametrize("kind", sorted(OPTIMIZERS))
def test_steps_equal_gradient_and_update(digits, kind):
    """A fused step against the two things it fuses: the network's gradient and the optimizer's formula in NumPy."""
    x, t = digits[0][:60], digits[1][:60]
    optimizer = OPTIMIZERS[kind](lr=0.01, weight_decay=0.01)
    net, other = SimpleConvNet(**SMALL, weight_init_std=0.1), SimpleConvNet(**SMALL, weight_init_std=0.1)
    fit(net, x, t, epochs=2, batch_size=25, optimizer=optimizer, progress=False)
    oracle = optimizer.with_rate(optimizer.lr)
    for epoch in (1, 2):
        order = np.random.default_rng((0, epoch)).permutation(60)
        for start in range(0, 60, 25):
            rows = order[start : start + 25]
            values = arrays(other)
            oracle.update(values, other.gradient(x[rows], t[rows]))
            other.load_parameters(values)
    for name, array in arrays(net).items():
        np.testing.assert_allclose(array, arrays(other)[name], rtol=2e-3, atol=2e-4, err_msg=name)


def assert_resuming_changes_no_bit(folder, monkeypatch, cut, train, **other_words):
    """Check that a run, interrupted before step number `cut` and resumed, ends as a whole one; return the history."""
    whole, part, rest = SimpleConvNet(**SMALL), SimpleConvNet(**SMALL), SimpleConvNet(**SMALL, seed=5)
    expected = train(whole)
    step, count = TrainingRun.step, iter(range(1, 100))

    def interrupted(self, rows):
        if next(count) == cut:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, rows)

    path = folder / "checkpoint.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "step", interrupted)
        assert train(part, checkpoint=path).interrupted
    history = train(rest, resume=path, **other_words)
    assert history.loss == expected.loss
    assert [e.test_accuracy for e in history.epochs] == [e.test_accuracy for e in expected.epochs]
    for name, array in arrays(whole).items():
        np.testing.assert_array_equal(arrays(rest)[name], array, err_msg=name)
    return history


@pytest.mark.parametrize("kind", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("cut", [2, 3, 4])
def test_interrupted_and_resumed_gives_the_same_bits(digits, tmp_path, monkeypatch, kind, cut):
    settings = {"epochs": 2, "batch_size": 100, "optimizer": kind, "schedule": "cosine", "progress": False}
    train = functools.partial(fit, x=digits[0], t=digits[1], validation=digits, **settings)
    assert_resuming_changes_no_bit(tmp_path, monkeypatch, cut, train)


@pytest.mark.parametrize("cut", [2, 3, 4])
def test_augmented_and_smoothed_training_goes_on_with_the_same_bits(digits, tmp_path, monkeypatch, cut):
    settings = {"epochs": 2, "batch_size": 100, "augment": [Shift(2), Cutout(5)], "label_smoothing": 0.1,
                "plain_epochs": 1, "schedule": "cosine", "warmup": 1, "seed": 3, "progress": False}  # fmt: skip
    train = functools.partial(fit, x=digits[0], t=digits[1], **settings)
    history = assert_resuming_changes_no_bit(tmp_path, monkeypatch, cut, train, augment="shift=2,cutout=5")
    assert history.settings["augment"] == "Shift(pixels=2), Cutout(size=5)"
    assert history.settings["label_smoothing"] == 0.1
    assert train(SimpleConvNet(**SMALL), augment=None).loss != history.loss


def test_in_plain_epochs_images_are_as_they_are(digits):
    options = {"epochs": 3, "batch_size": 100, "progress": False}
    plain, late, always = (
        fit(SimpleConvNet(**SMALL), *digits, **options, **how).loss
        for how in ({}, {"augment": "shift=2,cutout=4", "plain_epochs": 9}, {"augment": "shift=2,cutout=4"})
    )
    steps = len(plain) // 3
    half = fit(SimpleConvNet(**SMALL), *digits, **options, augment="shift=2,cutout=4", plain_epochs=2).loss
    assert late == plain
    assert half[:steps] == always[:steps]
    assert half[steps] != always[steps]
    with pytest.raises(ParameterError, match="plain_epochs"):
        fit(SimpleConvNet(**SMALL), *digits, **options, plain_epochs=-1)


def test_the_loss_that_is_reported_is_that_of_smoothed_labels(digits):
    x, t = digits[0][:60], digits[1][:60]
    net = SimpleConvNet(**SMALL, weight_init_std=0.1)
    expected = reference.cross_entropy(net.reference_scores(x), t, label_smoothing=0.3)
    assert abs(expected - net.loss(x, t)) > 1e-3 * expected
    history = fit(net, x, t, epochs=1, batch_size=60, label_smoothing=0.3, progress=False)
    assert history.loss == [pytest.approx(expected, rel=1e-5)]


def test_augmentation_helps_digits():
    """Where there are only 300, shifts make a difference that is larger than chance."""
    (x, t), test = data.load("mnist-5k").train, data.load("mnist-5k").test
    options = {"epochs": 40, "batch_size": 50, "optimizer": Adam(0.003), "schedule": "onecycle", "progress": False}
    accuracy = {}
    for words in ("none", "shift=2"):
        found = []
        for seed in range(3):
            net = LeNet5((1, 28, 28), variant="modern", seed=seed)
            fit(net, x[:300], t[:300], augment=words, seed=seed, **options)
            found.append(net.accuracy(*test))
        accuracy[words] = np.mean(found)
    assert accuracy["shift=2"] > accuracy["none"] + 0.02, accuracy


def test_validation_and_checkpoint_do_not_change_the_result(digits, tmp_path):
    first, second = SimpleConvNet(**SMALL), SimpleConvNet(**SMALL)
    fit(first, *digits, epochs=2, batch_size=64, progress=False)
    fit(second, *digits, epochs=2, batch_size=64, validation=digits, checkpoint=tmp_path / "c", progress=False)
    for name, array in arrays(first).items():
        np.testing.assert_array_equal(arrays(second)[name], array, err_msg=name)


def test_divergence_is_told(digits):
    net = SimpleConvNet(**SMALL, weight_init_std=0.3)
    with pytest.raises(DataError, match=r"expected a finite loss, got (nan|inf): training diverged at .* 1e\+20"):
        fit(net, *digits, epochs=3, batch_size=50, optimizer=SGD(1e20), progress=False)


def test_batch_larger_than_the_data(digits):
    net = SimpleConvNet(**SMALL)
    assert len(fit(net, *digits, epochs=2, batch_size=1000, optimizer=Adam(), progress=False).loss) == 2
