"""imagenet-samples: the middle of each photograph, in the order of their names; one of each class."""

import io

import numpy as np
import pytest
from PIL import Image

from foveal.data import imagenet_samples, load
from foveal.data.imagenet_samples import SOURCE, load_imagenet_samples
from tests.support.archives import few_photographs, pack, picture, put
from tests.support.oracles import require_data

FILES = few_photographs()


@pytest.fixture
def own(tmp_path, monkeypatch):
    """$FOVEAL_DATA, empty, an empty cache, and a collection of 5 photographs."""
    monkeypatch.setattr(imagenet_samples, "PHOTOGRAPHS", 5)
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FOVEAL_DATA", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def middle(data, height, width):
    """The central crop by Pillow."""
    photograph = Image.open(io.BytesIO(data))
    left, top = (photograph.width - width) // 2, (photograph.height - height) // 2
    return np.asarray(photograph.crop((left, top, left + width, top + height))).transpose(2, 0, 1)


@pytest.mark.parametrize(("size", "shape"), [(None, (224, 224)), (227, (227, 227)), ((1, 256), (1, 256))])
def test_the_middle_of_each(own, size, shape):
    pack(own / SOURCE.archive, dict(reversed(FILES.items())), "imagenet-samples/")
    before = sorted(own.parent.rglob("*"))
    data = load("imagenet-samples", size=size)
    x, t = data.train
    assert (x.shape, x.dtype, t.tolist()) == ((5, 3, *shape), np.uint8, [0, 1, 2, 3, 4])
    assert x.flags.c_contiguous
    for image, name in zip(x, sorted(FILES), strict=True):
        np.testing.assert_array_equal(image, middle(FILES[name], *shape))
    assert data.classes == ("thing_9", "thing_8", "thing_7", "thing_6", "thing_5")
    assert sorted(own.parent.rglob("*")) == before, "nothing is unpacked or kept"


def test_the_test_photographs_are_the_training_photographs(own):
    put(own / "imagenet-samples", FILES)
    data = load("imagenet-samples")
    np.testing.assert_array_equal(data.test[0], data.train[0])
    np.testing.assert_array_equal(data.test[1], data.train[1])
    assert data.name == "imagenet-samples (test = train)"


def test_the_first_so_many(own):
    put(own / "imagenet-samples", FILES)
    whole, three = load("imagenet-samples"), load("imagenet-samples", count=3, size=224)
    np.testing.assert_array_equal(three.train[0], whole.train[0][:3])
    assert three.classes == whole.classes[:3]
    assert load_imagenet_samples(count=5).classes == whole.classes


def test_a_grey_photograph_becomes_colour(own):
    put(own / "imagenet-samples", FILES | {sorted(FILES)[2]: picture(256, 256, 3, grey=True)})
    x = load("imagenet-samples").train[0]
    np.testing.assert_array_equal(x[2, 0], x[2, 2])
    assert not np.array_equal(x[1, 0], x[1, 2])


def test_the_real_photographs():
    require_data(SOURCE.archive)
    data = load("imagenet-samples-64")
    assert data.train[0].shape == (64, 3, 224, 224)
    assert data.classes[:3] == ("tench", "goldfish", "ostrich")
    assert len(set(load("imagenet-samples", size=8).classes)) == 300
    assert len({x.tobytes() for x in data.train[0]}) == 64
    red, green, blue = data.train[0][1].mean(axis=(1, 2))
    assert red > green > blue, "a goldfish is golden: the channels are red, green, blue"
