"""Folders of images: layouts, colours, orientation, sizes."""

import numpy as np
import pytest
from PIL import Image

from foveal.data import load, read_image
from foveal.data.image import resize, to_grey

RNG = np.random.default_rng(0)


def grey(h=8, w=8):
    return RNG.integers(0, 256, (h, w)).astype(np.uint8)


def make(folder, counts, image=grey):
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(image()).save(folder / name / f"{i}.png")
    return folder


def test_split_of_class_folders(tmp_path):
    data = load(make(tmp_path / "pets", {"dog": 5, "cat": 10}))
    assert (data.classes, data.name, data.input_shape) == (("cat", "dog"), "pets", (1, 8, 8))
    assert np.bincount(data.train[1]).tolist() == [8, 4]
    assert np.bincount(data.test[1]).tolist() == [2, 1]
    np.testing.assert_array_equal(data.train[0], load(str(tmp_path / "pets")).train[0])
    assert (load(tmp_path / "pets", test_fraction=0.5, seed=2).test[1] == 0).sum() == 5


def test_train_and_test_folders_keep_their_images(tmp_path):
    make(tmp_path / "train", {"a": 3, "b": 2})
    make(tmp_path / "test", {"a": 1, "b": 1})
    data = load(tmp_path)
    assert (data.train[1].tolist(), data.test[1].tolist()) == ([0, 0, 0, 1, 1], [0, 1])
    np.testing.assert_array_equal(data.train[0][1, 0], read_image(tmp_path / "train" / "a" / "1.png"))
    np.testing.assert_array_equal(data.test[0][1, 0], read_image(tmp_path / "test" / "b" / "0.png"))


def test_a_lone_train_folder_is_split(tmp_path):
    make(tmp_path / "train", {"a": 5, "b": 5})
    assert load(tmp_path).classes == ("a", "b")


def test_train_may_be_a_class(tmp_path):
    assert load(make(tmp_path, {"train": 5, "tram": 5})).classes == ("train", "tram")


def test_what_file_managers_leave_is_skipped(tmp_path):
    make(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "a" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "a" / ".DS_Store").write_bytes(b"x")
    (tmp_path / ".hidden").mkdir()
    assert load(tmp_path).classes == ("a", "b")


def test_one_colour_image_makes_all_colour(tmp_path):
    make(tmp_path, {"a": 3, "b": 3})
    Image.fromarray(RNG.integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(tmp_path / "a" / "c.png")
    x = load(tmp_path).train[0]
    assert x.shape[1:] == (3, 8, 8)
    assert x.flags.c_contiguous
    assert sum((image[0] == image[1]).all() for image in x) >= len(x) - 1


def test_size_resizes_and_stretches(tmp_path):
    make(tmp_path, {"a": 3, "b": 3})
    Image.fromarray(grey(30, 20)).save(tmp_path / "a" / "large.png")
    assert load(tmp_path, size=6).input_shape == (1, 6, 6)
    assert load(tmp_path, size=(6, 5)).input_shape == (1, 6, 5)


def test_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to show
    pixels = np.zeros((16, 32), np.uint8)
    pixels[:, :16] = 255
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
    read = read_image(tmp_path / "a.jpg")
    assert read.shape == (32, 16)
    assert read[:12].min() > 200  # what was left is now on top
    assert read[20:].max() < 50


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 100, 100),
        ("1", 1, 255),
        ("I;16", 100 * 257, 100),
        ("LA", (100, 255), 100),
        ("LA", (100, 0), 255),
        ("RGB", (10, 20, 30), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
    ],
)
def test_modes(tmp_path, mode, colour, expected):
    Image.new(mode, (3, 2), colour).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read.shape == ((2, 3) if np.isscalar(expected) else (2, 3, 3))
    assert read.dtype == np.uint8
    assert (read == expected).all()


def test_palettes(tmp_path):
    Image.fromarray(grey()).convert("P").save(tmp_path / "grey.png")
    Image.new("RGB", (4, 4), "red").convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "red.png")
    assert read_image(tmp_path / "grey.png").shape == (8, 8)
    assert read_image(tmp_path / "red.png").tolist()[0][0] == [255, 0, 0]


def test_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (4, 4), (0, 0, 0, 0)).save(tmp_path / "a.jpg")
    assert (read_image(tmp_path / "a.jpg") == 255).all()


def test_to_grey_and_resize():
    pixels = RNG.integers(0, 256, (40, 30, 3)).astype(np.uint8)
    ours = to_grey(pixels).astype(int)
    assert np.abs(ours - np.asarray(Image.fromarray(pixels).convert("L")).astype(int)).max() <= 1
    assert (to_grey(np.full((2, 2, 3), 255, np.uint8)) == 255).all()
    assert resize(pixels, 7, 5).shape == (7, 5, 3)
    # An antialiasing filter: a fine chequerboard becomes grey, it is not sampled.
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    assert np.abs(resize(board, 8, 8).astype(int) - 127).max() < 25
