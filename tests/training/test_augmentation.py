"""What is drawn: every place as often as it should be, the same for the same step, and what words mean."""

import numpy as np
import pytest

from foveal.reference.augmentation import gather
from foveal.training import Crop, Cutout, Flip, Shift, augmented
from foveal.training.augmentation import AUGMENTATIONS, Draws, parse, settle

N = 4000
X = np.zeros((N, 1, 11, 9), np.uint8)
X[:, 0, 5, 4] = 1  # one pixel in the middle


def often(found, expected, what):
    """Hold that counts of N draws are within 5 standard deviations of what they should be."""
    p = expected / N
    np.testing.assert_array_less(np.abs(found - expected), 5 * np.sqrt(N * p * (1 - p)), err_msg=what)


@pytest.mark.parametrize("augment", [Shift(2), Crop(2), Crop(2, "reflect")], ids=str)
def test_every_shift_is_as_likely(augment):
    where = augmented(X, augment).sum(axis=(0, 1))
    assert where[3:8, 2:7].sum() == N == where.sum(), "the pixel left the places that it can reach"
    often(where[3:8, 2:7], N / 25, str(augment))


def test_every_second_image_is_flipped():
    x = np.tile(np.arange(9, dtype=np.uint8), (N, 2, 11, 1))
    y = augmented(x, Flip())
    flipped = (y == x[..., ::-1]).all(axis=(1, 2, 3))
    assert (flipped | (y == x).all(axis=(1, 2, 3))).all(), "rows or channels were changed"
    often(flipped.sum(), N / 2, "flips")
    up = augmented(x.swapaxes(2, 3), Flip(-2))
    np.testing.assert_array_equal(up, y.swapaxes(2, 3))
    np.testing.assert_array_equal(up, augmented(x.swapaxes(2, 3), Flip(2)))


def test_the_centre_of_a_hole_may_be_anywhere():
    y = augmented(np.ones((N, 2, 11, 9), np.uint8), Cutout(3))
    np.testing.assert_array_equal(y[:, 0], y[:, 1])
    holes = (y[:, 0] == 0).sum(axis=(1, 2))
    assert set(holes) == {4, 6, 9}, "a corner, an edge, inside"
    often((holes == 9).sum(), N * (9 * 7) / (11 * 9), "holes inside")
    often((y[:, 0, 0, 0] == 0).sum(), N * 4 / 99, "the first corner: of 4 centres")


def test_the_same_seed_and_step_draw_the_same():
    augment = settle("shift=2,flip,cutout=3", (1, 11, 9))
    forward, backward, other = (Draws(augment, (11, 9), 50, seed) for seed in (3, 3, 4))
    steps = [1, 2, 16, 17, 40]
    expected = {step: forward(step, 50).copy() for step in steps}
    for step in reversed(steps):
        np.testing.assert_array_equal(backward(step, 50), expected[step])
        np.testing.assert_array_equal(backward(step, 20), expected[step][:, :20])
        assert not np.array_equal(other(step, 50), expected[step])
    assert len({moves.tobytes() for moves in expected.values()}) == len(steps)


def test_the_last_epochs_are_only_mirrored():
    """Before the step `last` nothing changes; after it a shift and a hole are gone, and the flip is as it was."""
    x = np.arange(1, 31).reshape(2, 1, 15)
    augment = settle("shift=2,flip,cutout=3", (1, 15))
    always, until = Draws(augment, (15,), 2, 0), Draws(augment, (15,), 2, 0, last=20)
    for step in (1, 20, 21, 40):
        expected = gather(x, always(step, 2)) if step <= 20 else gather(x, always(step, 2)[1:2])
        np.testing.assert_array_equal(gather(x, until(step, 2)), expected)
    assert any(not np.array_equal(gather(x, always(s, 2)), gather(x, until(s, 2))) for s in range(21, 40))


def test_one_after_the_other():
    """A flip mirrors the hole that was cut before it, and leaves the one cut after it."""
    x = np.ones((N, 1, 8), np.uint8)
    for words in ("cutout=1,flip", "flip,cutout=1"):
        y = augmented(x, words)
        drawn = Draws(parse(words), (8,), N, 0)(1, N)
        hole, flip = (drawn[words.split(",").index(word), :, 0] for word in ("cutout=1", "flip"))
        mirrored = (flip[:, 2] < 0) & words.startswith("cutout")
        places = np.where(mirrored, 7 - hole[:, 1], hole[:, 1])
        np.testing.assert_array_equal(y[:, 0].argmin(axis=1), places)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("shift=2", (Shift(2),)),
        ("shift=2,flip,crop=4,cutout=8", (Shift(2), Flip(), Crop(4), Cutout(8))),
        (" crop=4:reflect , flip=-2", (Crop(4, "reflect"), Flip(-2))),
        ("none", ()),
        (None, ()),
        (Flip(), (Flip(),)),
        ([Flip(), Shift(1)], (Flip(), Shift(1))),
    ],
)
def test_words_and_objects(words, expected):
    assert settle(words, (1, 28, 28)) == expected


def test_every_one_has_a_name():
    assert set(AUGMENTATIONS) == {"shift", "flip", "crop", "cutout"}


@pytest.mark.parametrize("shape", [(1, 20), (3, 9, 8), (1, 4, 6, 5)], ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_signals_images_and_volumes(shape, dtype):
    x = np.random.default_rng(0).integers(1, 256, (50, *shape)).astype(dtype)
    y = augmented(x, "shift=1,flip,cutout=2")
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert not np.array_equal(y, x)
    assert np.isin(y, np.append(x, 0)).all()
