"""Every refusal of training: the call or the command, the class, and what the message must say; and no work is done."""

import re

import numpy as np
import pytest

import foveal as fv
from foveal.cli import main
from foveal.errors import DTypeError, FovealError, ParameterError, ShapeError
from foveal.layers import Affine, Convolution
from foveal.training import Crop, Cutout, Flip, Shift
from foveal.training.optimizers import SGD
from foveal.training.schedules import Constant, Cosine, OneCycle, Step, by_name

X, T = np.random.default_rng(0).integers(0, 256, (12, 1, 8, 6)).astype(np.uint8), np.arange(12) % 3
IMAGES = fv.Network([Convolution(2, 3), Affine(3)], (1, 8, 6))
FLAT = fv.Network([Affine(3)], (48,))


def fit(net=IMAGES, x=X, **options):
    return lambda: fv.fit(net, x, T, epochs=2, batch_size=5, progress=False, **options)


def flat(**options):
    return fit(FLAT, X.reshape(12, 48), **options)


CALLS = [
    (fit(augment="shfit=2"), ParameterError, r"^augment: expected a known name, got 'shfit'\. Did you mean 'shift'"),
    (fit(augment="shift=2,rotate=5"), ParameterError, r"got 'rotate'\. .*Known: crop, cutout, flip, shift"),
    (fit(augment="shift"), ParameterError, r"^augment: expected numbers for shift, got 'shift'\. Write shift=2"),
    (fit(augment="shift=x"), ParameterError, r"got 'shift=x'\. Write"),
    (fit(augment="shift=-1"), ParameterError, r"got 'shift=-1'\. Write"),
    (fit(augment="shift=1:2"), ParameterError, r"got 'shift=1:2'\. Write"),
    (fit(augment="crop=2:wrap"), ParameterError, r"got 'crop=2:wrap'\. Write"),
    (fit(augment=","), ParameterError, r"got ''"),
    (fit(augment=Shift), DTypeError, r"^augment: expected augmentations such as Shift\(2\), .*got <class"),
    (fit(augment=[Shift(1), 3]), DTypeError, r"got 3"),
    (fit(augment=[Flip()] * 63), ParameterError, r"^augment: expected at most 62 of them, got 63"),
    (fit(augment=Shift(6)), ShapeError, r"^Shift\(pixels=6\): expected at least 7 pixels on each axis, got 8x6\. Take"),
    (fit(augment=[Flip(), Crop(7)]), ShapeError, r"^Crop\(padding=7, mode='zero'\): expected at least 8 pixels"),
    (fit(augment=Cutout(7)), ShapeError, r"^Cutout\(size=7\): expected at least 7 pixels on each axis, got 8x6"),
    (fit(augment=Flip(1)), ParameterError, r"^Flip: expected a spatial axis, 2 to 3 or -2 to -1, got axis=1\. Axes 0"),
    (fit(augment=Flip(4)), ParameterError, r"got axis=4"),
    (fit(augment=Flip(-3)), ParameterError, r"got axis=-3"),
    (
        flat(augment="flip"),
        ShapeError,
        r"^augment, Flip\(axis=-1\): expected images \(C, \*spatial\), .*\(48,\)\. What",
    ),
    (flat(augment=Cutout(2)), ShapeError, r"^augment, Cutout"),
    (lambda: Shift(0), ParameterError, r"^Shift: .*at least 1, got 0"),
    (lambda: Shift(1.5), DTypeError, r"^Shift: .*got 1\.5"),
    (lambda: Crop(0), ParameterError, r"^Crop: "),
    (lambda: Crop(2, "wrap"), ParameterError, r"^Crop: expected mode 'zero' or 'reflect', got 'wrap'"),
    (lambda: Cutout("8"), DTypeError, r"^Cutout: .*got '8'"),
    (lambda: Flip("x"), DTypeError, r"^Flip: .*got 'x'"),
    # labels
    (fit(label_smoothing=1.0), ParameterError, r"^label_smoothing: expected a finite number, 0 or more and below 1"),
    (fit(label_smoothing=-0.1), ParameterError, r"^label_smoothing: .*got -0\.1"),
    (fit(label_smoothing=float("nan")), ParameterError, r"^label_smoothing: .*got nan"),
    (fit(label_smoothing="0.1"), DTypeError, r"^label_smoothing: .*got '0\.1'"),
    # schedules
    (fit(warmup=-1), ParameterError, r"^warmup: "),
    (fit(warmup="1"), DTypeError, r"^warmup: "),
    (fit(warmup=2), ParameterError, r"^warmup: expected fewer than all 6 steps, got 6 steps"),
    (fit(warmup=1, schedule="onecycle"), ParameterError, r"^warmup: expected none with schedule 'onecycle', .*rises"),
    (fit(warmup=1, schedule=lambda step: 0.1), ParameterError, r"^warmup: expected none beside a function"),
    (fit(warmup=1, optimizer=SGD(Cosine(0.1, 6))), ParameterError, r"^warmup: expected none beside a function"),
    (fit(schedule="cosine", optimizer=SGD(Cosine(0.1, 6))), ParameterError, r"^schedule: expected one schedule"),
    (fit(schedule=3), DTypeError, r"^schedule: "),
    (fit(optimizer=3), DTypeError, r"^optimizer: "),
    (lambda: by_name("cosin", 0.1, 10), ParameterError, r"Did you mean 'cosine'"),
    (lambda: Constant(0.1, warmup=-1), ParameterError, r"^warmup: "),
    (lambda: Constant(-0.1), ParameterError, r"^lr: "),
    (lambda: Cosine(0.1, 10, warmup=10), ParameterError, r"^warmup: expected fewer than steps=10, got 10"),
    (lambda: Step(0.1, 0), ParameterError, r"^steps: "),
    (lambda: Step(0.1, (30, 20)), ParameterError, r"^steps: expected numbers that rise, got \(30, 20\)"),
    (lambda: Step(0.1, (20, 20)), ParameterError, r"^steps: expected numbers that rise"),
    (lambda: Step(0.1, (0, 20)), ParameterError, r"^steps: .*at least 1, got 0"),
    (lambda: Step(0.1, (1.5,)), DTypeError, r"^steps: "),
    (lambda: OneCycle(0.1, 10, rise=1.0), ParameterError, r"^OneCycle: "),
]


@pytest.mark.parametrize(("call", "kind", "message"), CALLS)
def test_calls(call, kind, message):
    before = {name: array.copy() for net in (IMAGES, FLAT) for name, array in net.arrays().items()}
    with pytest.raises(FovealError, match=message) as error:
        call()
    assert type(error.value) is kind
    for name, array in before.items():
        now = next(
            net.arrays()[name] for net in (FLAT, IMAGES) if net.arrays().get(name, array[:0]).shape == array.shape
        )
        np.testing.assert_array_equal(now, array)


def test_a_checkpoint_of_other_augmentation_is_refused(tmp_path):
    path = tmp_path / "c.safetensors"
    fv.fit(IMAGES, X, T, epochs=1, augment="shift=1", label_smoothing=0.1, checkpoint=path, progress=False)
    for options, message in (
        ({"label_smoothing": 0.1}, r"augment = Shift\(pixels=1\) as in the checkpoint, got None"),
        ({"label_smoothing": 0.1, "augment": "shift=2"}, r"got Shift\(pixels=2\)"),
        ({"augment": "shift=1"}, r"label_smoothing = 0\.1 as in the checkpoint, got None"),
    ):
        with pytest.raises(ParameterError, match=message):
            fv.fit(IMAGES, X, T, epochs=2, resume=path, progress=False, **options)


COMMANDS = {
    "augment": (["--augment", "filp"], r"augment: .*'filp'\. Did you mean 'flip'"),
    "augment without a number": (["--augment", "crop"], r"augment: expected numbers for crop"),
    "shift larger than the image": (["--augment", "shift=28"], r"Shift\(pixels=28\): expected at least 29 pixels"),
    "cutout larger than the image": (["--augment", "cutout=29"], r"Cutout\(size=29\): .*got 28x28"),
    "smoothing": (["--label-smoothing", "1"], r"--label-smoothing: .*below 1, got 1"),
    "no number": (["--label-smoothing", "much"], r"--label-smoothing.*valid number"),
    "warmup": (["--warmup", "20"], r"--warmup: expected fewer than all 800 steps"),
    "warmup and onecycle": (["--warmup", "1", "--schedule", "onecycle"], r"--warmup: expected none with schedule"),
    "negative warmup": (["--warmup", "-1"], r"--warmup: "),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_commands(case, tmp_path, monkeypatch, capsys):
    options, message = COMMANDS[case]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit:
        main(["train", *options])
    out, err = capsys.readouterr()
    assert (exit.value.code, out) == (2, "")
    assert re.fullmatch(f"error: .*{message}.*\n", err), err
    assert list(tmp_path.iterdir()) == []
