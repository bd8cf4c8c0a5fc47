"""The numbers of the named kernels, what separates, and kernels from text and files."""

import json
import math

import numpy as np
import pytest
from scipy import ndimage

import foveal.images as images
from foveal.images.reading import parse_numbers
from tests.support.oracles import require

# As on the notes' page of image kernels.
NOTES = {
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "emboss": [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
    "outline": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "sobel-left": [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
    "sobel-right": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "sobel-top": [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
    "sobel-bottom": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
}


@pytest.mark.parametrize("name", NOTES)
def test_the_numbers_of_the_notes(name):
    kernel = images.kernel(name)
    np.testing.assert_array_equal(kernel.array, NOTES[name])
    assert (kernel.scale, kernel.offset, kernel.name) == (1, 0, name)


@pytest.mark.parametrize("family", ["sobel", "prewitt", "scharr"])
def test_sides(family):
    """A side lights up where it is the brighter one; SciPy's derivatives have the same weights."""
    left_bright = np.repeat([[9.0, 9, 9, 0, 0, 0]], 6, axis=0)
    for side, turns in (("left", 0), ("bottom", 1), ("right", 2), ("top", 3)):
        y = images.apply(np.rot90(left_bright, turns).copy(), f"{family}-{side}", edge="replicate")
        assert y.max() > 0
        assert y.min() == 0
        opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[side]
        np.testing.assert_array_equal(y, -images.apply(np.rot90(left_bright, turns).copy(), f"{family}-{opposite}",
                                                       edge="replicate"))  # fmt: skip
    if family != "scharr":
        x = np.random.default_rng(0).standard_normal((9, 9))
        theirs = getattr(ndimage, family)(x, axis=1, mode="mirror")
        np.testing.assert_allclose(images.apply(x, f"{family}-right"), theirs, atol=1e-5)


def test_blurs_keep_the_brightness_and_edges_lose_it():
    for name in images.CATALOGUE:
        gain = images.kernel(name).gain
        edges = name.startswith(("sobel", "prewitt", "scharr")) or name in ("outline", "laplacian", "log")
        assert gain == pytest.approx(0 if edges else 1, abs=1e-12)


@pytest.mark.parametrize("sigma", [0.3, 1, 2.5, 5])
def test_gaussian(sigma):
    kernel = images.kernel("gaussian", sigma=sigma)
    radius = math.ceil(3 * sigma)
    assert kernel.array.shape == (2 * radius + 1,) * 2
    x = np.random.default_rng(0).standard_normal((40, 40))
    theirs = ndimage.gaussian_filter(x, sigma, mode="mirror", radius=radius)
    np.testing.assert_allclose(images.apply(x, kernel), theirs, atol=1e-5)
    cv2 = require("cv2")
    weights = cv2.getGaussianKernel(2 * radius + 1, sigma)
    np.testing.assert_allclose(kernel.array, weights @ weights.T, rtol=1e-12, atol=1e-16)
    assert images.kernel("gaussian", sigma=sigma, size=9).array.shape == (9, 9)


def test_box():
    np.testing.assert_array_equal(images.kernel("box", size=5).array, np.ones((5, 5)))
    assert images.kernel("box", size=(3, 7)).array.shape == (3, 7)
    x = np.random.default_rng(0).standard_normal((20, 20))
    np.testing.assert_allclose(images.apply(x, images.kernel("box", size=(3, 7))),
                               ndimage.uniform_filter(x, (3, 7), mode="mirror"), atol=1e-6)  # fmt: skip


def test_log_is_the_laplacian_of_the_gaussian():
    """Against SciPy's, whose kernel reaches as far; its sum is not quite 0, ours is."""
    sigma, x = 2.0, np.zeros((41, 41))
    x[20, 20] = 1
    theirs = ndimage.gaussian_laplace(x, sigma, truncate=4.0)
    ours = images.apply(x, images.kernel("log", sigma=sigma))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert images.kernel("log", sigma=sigma).array.sum() == pytest.approx(0, abs=1e-15)


def test_motion():
    np.testing.assert_allclose(images.kernel("motion", length=5).array, np.full((1, 5), 0.2))
    np.testing.assert_allclose(images.kernel("motion", length=5, angle=90).array, np.full((5, 1), 0.2))
    np.testing.assert_array_equal(images.kernel("motion", length=1).array, [[1]])
    np.testing.assert_allclose(images.kernel("motion", length=4).array, [[0.125, 0.25, 0.25, 0.25, 0.125]])
    for angle in (10, 30, 45, 135, 200):
        array = images.kernel("motion", length=21, angle=angle).array
        np.testing.assert_allclose(array, array[::-1, ::-1], atol=1e-15)
        y, x = np.mgrid[: array.shape[0], : array.shape[1]] - (np.array(array.shape) // 2)[:, None, None]
        along = -y * math.sin(math.radians(angle)) + x * math.cos(math.radians(angle))
        across = y * math.cos(math.radians(angle)) + x * math.sin(math.radians(angle))
        assert (array * across**2).sum() < 0.3
        assert (array * along**2).sum() == pytest.approx((21**2 - 1) / 12, rel=0.1)
        assert array.sum() == pytest.approx(1)


def test_separated():
    rng = np.random.default_rng(0)
    for kh, kw in ((2, 2), (5, 3), (9, 9)):
        column, row = rng.standard_normal(kh), rng.standard_normal(kw)
        found = images.Kernel(np.outer(column, row)).separated
        assert found is not None
        np.testing.assert_allclose(np.outer(*found), np.outer(column, row), rtol=1e-14)
        full = rng.standard_normal((kh, kw))
        assert np.linalg.matrix_rank(full) > 1
        assert images.Kernel(full).separated is None
    for name in ("gaussian", "box", "scharr-left", "sobel-top"):
        assert images.kernel(name).separated is not None
    for name in ("emboss", "sharpen", "outline", "log", "laplacian"):
        assert images.kernel(name).separated is None
    whole = np.outer([6, -4, 10], [15, 0, 35, -5])
    column, row = images.Kernel(whole).separated
    np.testing.assert_array_equal(np.outer(column, row), whole)
    assert (column == np.rint(column)).all()
    assert (row == np.rint(row)).all()
    assert images.Kernel(np.zeros((3, 3))).separated is None


def test_a_kernel_keeps_its_numbers():
    numbers = np.ones((2, 2))
    kernel = images.kernel(numbers, scale=4, offset=1)
    numbers[0, 0] = 7
    assert kernel.array[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        kernel.array[0, 0] = 7
    assert images.kernel(kernel) is kernel
    assert images.kernel(kernel, scale=2).scale == 2
    assert images.kernel(kernel, scale=2).offset == 1
    assert images.kernel("sharpen", offset=5).offset == 5
    assert str(images.kernel("sobel-left", scale=8, offset=128)).startswith("sobel-left 3x3, divided by 8, plus 128\n")


@pytest.mark.parametrize(
    "text",
    ["1 2 3; 4 5 6", "1,2,3;4,5,6", "1 2 3;4 5 6;", "1 2 3\n4 5 6", "1,2,3\n4,5,6\n", "1;2;3\n4;5;6",
     "1, 2, 3\r\n4, 5, 6", "# a comment\n1 2 3;\n\n4 5 6;  # more\n", "1\t2\t3\n4\t5\t6", "2/2 4/2 3.0\n4e0 5 6"],
)  # fmt: skip
def test_numbers(text):
    assert parse_numbers(text) == [[1, 2, 3], [4, 5, 6]]


def test_files(tmp_path):
    array = [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]
    np.save(tmp_path / "a.npy", np.array(array))
    (tmp_path / "b.json").write_text(json.dumps(array))
    (tmp_path / "c.csv").write_text("0,-1,0\n-1,5,-1\n0,-1,0\n")
    (tmp_path / "d.txt").write_text("\ufeff0 -1 0; -1 5 -1; 0 -1 0", encoding="utf-8")
    for name in ("a.npy", "b.json", "c.csv", "d.txt"):
        kernel = images.read_kernel(tmp_path / name)
        np.testing.assert_array_equal(kernel.array, array)
        assert kernel.name == name[0]
    (tmp_path / "e.json").write_text(json.dumps({"array": array, "scale": 2, "offset": 3, "name": "mine"}))
    kernel = images.read_kernel(tmp_path / "e.json")
    assert (kernel.scale, kernel.offset, kernel.name) == (2, 3, "mine")
