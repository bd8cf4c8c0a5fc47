"""voxel-mnist: real digits as solids, seeded, and turned by what the recipe says."""

import numpy as np
import pytest

from foveal.data import load, voxels
from foveal.data.voxels import SIDE, extrude, load_voxel_mnist, turns
from foveal.errors import DataError, ParameterError
from tests.support.oracles import require, require_data


class Fixed:
    """A generator whose random numbers are chosen: uniform takes the given share of its range, noise is none."""

    def __init__(self, angles=(0, 0, 0), zoom=1.0, half=3.0):
        self.answers = [np.array(angles, float) / (15, 40, 40), zoom, half]

    def uniform(self, low, high, size):
        return np.broadcast_to(self.answers.pop(0), size)

    def standard_normal(self, shape, dtype):
        return np.zeros(shape, dtype)


def digit():
    """A digit's pixels, smooth, so that it can be compared after a turn."""
    y, x = np.mgrid[:28, :28]
    return (230 * np.exp(-((x - 9) ** 2 / 30 + (y - 15) ** 2 / 60))).astype(np.uint8)


@pytest.fixture
def only_5k(tmp_path, monkeypatch):
    monkeypatch.delenv("FOVEAL_DATA", raising=False)
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path))


def test_shapes_and_labels(only_5k):
    data = load_voxel_mnist(train=500, test=100)
    assert (data.train[0].shape, data.test[0].shape) == ((500, 1, 16, 16, 16), (100, 1, 16, 16, 16))
    assert (data.train[0].dtype, data.train[1].dtype, data.name) == (np.uint8, np.int64, "voxel-mnist-5k")
    assert data.classes == tuple("0123456789")
    assert np.bincount(data.train[1], minlength=10).min() > 25


def test_the_seed_fixes_every_voxel(only_5k):
    one, same, other = (load_voxel_mnist(train=300, test=300, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.train[0], same.train[0])
    np.testing.assert_array_equal(one.test[0], same.test[0])
    assert not np.array_equal(one.train[0], other.train[0])
    np.testing.assert_array_equal(load_voxel_mnist(train=10, test=300).test[0], one.test[0])


def test_a_digit_that_comes_again_has_another_pose(only_5k):
    x, t = load_voxel_mnist(train=10, test=2000).test  # mnist-5k has 1,000 test digits
    assert np.bincount(t).tolist() == [200] * 10
    assert len({volume.tobytes() for volume in x}) == 2000


def test_without_a_turn_each_slice_is_the_digit():
    x = digit()
    volume = extrude(x[None], Fixed(half=3.0))[0, 0].astype(float)
    small = x.reshape(14, 2, 14, 2).mean(axis=(1, 3))
    weights = np.clip(3.5 - np.abs(np.arange(SIDE) - 7.5), 0, 1)
    assert weights.sum() == 6
    for z in range(SIDE):
        np.testing.assert_allclose(volume[z, 1:-1, 1:-1], weights[z] * small, atol=0.51)
        assert volume[z, 0].max() == volume[z, :, -1].max() == 0


def test_turns_are_scipys():
    """About z first, then y, then x. Scipy counts (x, y, z): in (z, y, x) turns about z and x have the other sense."""
    rotation = require("scipy.spatial.transform").Rotation
    angles = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    for matrix, (z, y, x) in zip(turns(angles), angles, strict=True):
        scipys = rotation.from_euler("zyx", [-z, y, -x]).as_matrix()
        np.testing.assert_allclose(matrix, scipys[::-1, ::-1], atol=1e-12)


@pytest.mark.parametrize("angles", [(15, 0, 0), (0, 40, 0), (0, 0, -40), (-10, 30, 20)])
def test_a_turned_solid_is_scipys(angles):
    """Beside scipy.ndimage.affine_transform on the solid that stands upright."""
    ndimage = require("scipy.ndimage")
    upright = np.zeros((SIDE,) * 3)
    small = digit().reshape(14, 2, 14, 2).mean(axis=(1, 3))
    upright[:, 1:-1, 1:-1] = np.clip(3.5 - np.abs(np.arange(SIDE) - 7.5), 0, 1)[:, None, None] * small
    matrix = turns(np.deg2rad([angles]))[0]
    middle = np.full(3, 7.5)
    wanted = ndimage.affine_transform(upright, matrix, middle - matrix @ middle, order=1)
    made = extrude(digit()[None], Fixed(angles))[0, 0].astype(float)
    # The solid's edge across the depth is interpolated by scipy and computed here: they differ by less than 1/8 there.
    assert np.abs(made - wanted).max() < 230 / 8 + 1
    straight = extrude(digit()[None], Fixed())[0, 0].astype(float)
    assert np.abs(made - wanted).mean() < np.abs(straight - wanted).mean() / 4, "the turn must be seen"


@pytest.mark.parametrize("half", [2.0, 2.25, 3.5])
def test_thickness_and_zoom(half):
    x = np.zeros((1, 28, 28), np.uint8)
    x[:, 8:20, 6:22] = 200
    values = extrude(x, Fixed(half=half))[0, 0]
    assert values[:, 8, 8].sum(dtype=int) == 2 * half * 200
    solid = values > 100
    assert (solid.any(axis=(0, 2)).sum(), solid.any(axis=(0, 1)).sum()) == (6, 8)
    larger = extrude(x, Fixed(half=half, zoom=1.25))[0, 0] > 100
    assert larger.any(axis=(0, 1)).sum() == 10


def test_noise():
    noise = extrude(np.zeros((400, 28, 28), np.uint8), np.random.default_rng(3)).astype(float)
    # of normal noise that is rounded and clipped at 0, the half beyond 1/2 is left
    assert (noise > 0).mean() == pytest.approx(0.5 - 0.5 / (20 * np.sqrt(2 * np.pi)), abs=0.002)
    assert np.sqrt((noise[noise > 0] ** 2).mean()) == pytest.approx(20, rel=0.03)


def test_the_real_digits():
    require_data("mnist/*.gz")
    data = load("voxel-mnist")
    assert (data.train[0].shape, data.test[0].shape) == ((10000, 1, 16, 16, 16), (2000, 1, 16, 16, 16))
    assert data.name == "voxel-mnist"


def test_nothing_is_downloaded(only_5k, monkeypatch):
    def reached(*_):
        raise AssertionError("a download was tried")

    monkeypatch.setattr("foveal.data.mnist._fetch", reached)
    assert voxels.load_voxel_mnist(train=5, test=5).name == "voxel-mnist-5k"


def test_refusals(only_5k):
    with pytest.raises(ParameterError, match=r"train: .*got 0"):
        load_voxel_mnist(train=0)
    with pytest.raises(ParameterError, match=r"test: .*got -1"):
        load_voxel_mnist(test=-1)
    with pytest.raises(DataError, match="voxel-mnist: expected at least one digit"):
        extrude(np.zeros((0, 28, 28), np.uint8), np.random.default_rng(0))
