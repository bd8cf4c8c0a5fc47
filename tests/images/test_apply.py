"""Image kernels on arrays against SciPy: every kernel, edge mode, layout, instruction set and way of running."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

import foveal.images as images
from foveal.images.fourier import correlate_by_fft
from foveal.kernels import isa
from foveal.kernels.filters import STRIP
from foveal.kernels.threads import set_threads
from tests.images.oracle import assert_bytes, clipped, exact
from tests.support.machine import RUNNABLE, bits
from tests.support.oracles import U32, require
from tests.support.subprocesses import python

LAYOUTS = {(23, 31): 1, (23, 31, 1): 1, (23, 31, 2): 1, (23, 31, 3): 3, (23, 31, 4): 3}  # shape: channels that change


def picture(shape, seed=0):
    return np.random.default_rng([seed, *shape]).integers(0, 256, shape).astype(np.uint8)


def volume(x):
    return x.reshape(*x.shape[:2], -1)


@pytest.mark.parametrize("edge", images.EDGES)
@pytest.mark.parametrize("name", images.CATALOGUE)
def test_every_kernel_against_scipy(name, edge):
    x, kernel = picture((41, 57, 3)), images.kernel(name)
    y, report = images.apply(x, kernel, edge=edge, return_report=True)
    value, error = exact(x, kernel, edge)
    assert y.dtype == np.uint8
    assert_bytes(y, value, error)
    few, many = clipped(value, error)
    assert few <= report.clipped <= many
    assert report.samples == x.size


@pytest.mark.parametrize("shape", LAYOUTS)
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_layouts_keep_alpha(shape, kind):
    x, colours = picture(shape).astype(kind), LAYOUTS[shape]
    kernel = images.kernel("emboss", scale=3, offset=10)  # thirds are never ties
    y, report = images.apply(x, kernel, return_report=True)
    value, error = exact(volume(x)[..., :colours], kernel, "reflect")
    assert (y.shape, y.dtype) == (shape, kind)
    np.testing.assert_array_equal(volume(y)[..., colours:], volume(x)[..., colours:])
    assert report.samples == 23 * 31 * colours
    if kind is np.uint8:
        assert_bytes(volume(y)[..., :colours], value, error)
        few, many = clipped(value, error)
        assert 0 < few <= report.clipped <= many
    else:
        assert (np.abs(volume(y)[..., :colours] - value) <= error).all()
        assert report.clipped == 0


@pytest.mark.parametrize("name", RUNNABLE)
@pytest.mark.parametrize("edge", images.EDGES)
def test_any_size_on_every_instruction_set(name, edge):
    """Images and kernels of random sizes, even ones too; kernels larger than the image; dense, sparse and products."""
    with isa.using(name):
        for seed in range(24):
            rng = np.random.default_rng([seed, 1])
            H, W, kh, kw = rng.integers(1, [40, 60, 10, 10])
            shape = H, W, int(rng.integers(1, 5))
            array = rng.standard_normal((kh, kw))
            if seed % 3 == 1:
                array[rng.random((kh, kw)) < 0.7] = 0
            if seed % 3 == 2:
                array = np.outer(array[:, 0], array[0])
            kernel = images.Kernel(array, scale=float(rng.uniform(0.5, 3)), offset=float(rng.uniform(-50, 150)))
            if seed % 4 == 3:  # whole numbers, whose sums are int16
                kernel = images.Kernel(np.rint(array), offset=int(rng.integers(-50, 150)))
            x, colours = picture(shape, seed), shape[2] - (shape[2] in (2, 4))
            y, report = images.apply(x, kernel, edge=edge, return_report=True)
            floats = images.apply(x.astype(np.float32), kernel, edge=edge)
            value, error = exact(x[..., :colours], kernel, edge)
            assert_bytes(y[..., :colours], value, error)
            few, many = clipped(value, error)
            assert few <= report.clipped <= many
            off = np.abs(floats[..., :colours] - value)
            assert (off <= error).all(), f"seed {seed}: {off.max()}"
            np.testing.assert_array_equal(y[..., colours:], x[..., colours:])


@pytest.mark.parametrize("edge", images.EDGES)
def test_strips_and_bands_meet(edge):
    """An image of several strips and bands, with a last strip of one column: every seam and every border is right."""
    x = picture((200, 2 * STRIP // 3 + 1, 3))
    for kernel in (
        images.kernel("gaussian", sigma=3),
        images.kernel(np.random.default_rng(0).standard_normal((7, 5))),
        images.kernel("log", sigma=0.7),
        images.kernel(np.random.default_rng(0).integers(-3, 4, (5, 7))),
    ):
        value, error = exact(x, kernel, edge)
        assert_bytes(images.apply(x, kernel, edge=edge), value, error)
        assert (np.abs(images.apply(x.astype(np.float32), kernel, edge=edge) - value) <= error).all()


@pytest.mark.parametrize("kernel", [images.kernel("gaussian", sigma=2), images.kernel("log"), images.kernel("emboss")])
def test_the_same_bits_for_any_number_of_threads(kernel):
    x, made = picture((150, 700, 3)), []
    try:
        for threads in (1, 2, 5):
            set_threads(threads)
            y, report = images.apply(x, kernel, return_report=True)
            made.append((y, report.clipped, images.apply(x.astype(np.float32), kernel)))
    finally:
        set_threads(None)
    for y, count, floats in made[1:]:
        np.testing.assert_array_equal(y, made[0][0])
        np.testing.assert_array_equal(bits(floats), bits(made[0][2]))
        assert count == made[0][1]


def test_the_same_bits_on_any_image_around():
    """A pixel does not depend on where in a strip or group of rows it lies: a part gives the part of the whole."""
    x, kernel = picture((60, 900, 3)), images.kernel(np.random.default_rng(1).standard_normal((5, 7)))
    whole = images.apply(x.astype(np.float32), kernel)
    for top, left in ((1, 1), (2, 5), (7, 300)):
        part = images.apply(np.ascontiguousarray(x[top:, left:]).astype(np.float32), kernel)
        np.testing.assert_array_equal(bits(part[2:-2, 3:-3]), bits(whole[top + 2 : -2, left + 3 : -3]))


@pytest.mark.parametrize("name", ["sharpen", "emboss", "outline", "sobel-left", "scharr-top", "laplacian"])
def test_whole_numbers_are_exact(name):
    x, kernel = picture((50, 60)), images.kernel(name)
    whole = ndimage.correlate(x.astype(np.int64), kernel.array.astype(np.int64), mode="mirror")
    np.testing.assert_array_equal(images.apply(x, kernel), np.clip(whole, 0, 255))
    np.testing.assert_array_equal(images.apply(x.astype(np.float32), kernel), whole)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("offset", [0, 127, -127, 128, -128])
@pytest.mark.parametrize("taps", [128, 129, 300])
def test_sums_at_the_ends_of_int16(taps, offset, sign):
    """255 * 128 + 127 is the largest int16; a little more must not wrap around."""
    x = np.full((3, 40), 255, np.uint8)
    x[1, 20] = 0
    kernel = images.kernel(np.full((1, taps), sign), offset=offset)
    value = exact(x[..., None], kernel, "replicate")[0]
    y, report = images.apply(x, kernel, edge="replicate", return_report=True)
    np.testing.assert_array_equal(y, np.clip(value[..., 0], 0, 255))
    assert report.clipped == ((value < 0) | (value > 255)).sum()


def test_ties_go_to_the_even_number():
    x = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(images.apply(x, [[1]], scale=2), np.rint(x / 2))
    y, report = images.apply(x, [[1]], offset=0.5, return_report=True)
    np.testing.assert_array_equal(y, np.minimum(np.rint(x + 0.5), 255))
    assert report.clipped == 1  # 255.5 is rounded to 256
    y, report = images.apply(x, [[1]], offset=-0.5, return_report=True)
    np.testing.assert_array_equal(y, np.rint(x - 0.5))
    assert report.clipped == 0  # -0.5 is rounded to 0


def test_what_was_clipped_is_counted():
    x = np.zeros((4, 5, 4), np.uint8)
    x[..., 3] = 200  # alpha is not filtered, and not counted
    x[1, 2] = 100
    y, report = images.apply(x, [[-1, 3, -1]], edge="zero", return_report=True)
    assert y[1, 1:4, 0].tolist() == [0, 255, 0]
    assert (report.clipped, report.samples, report.share) == (9, 60, 0.15)
    assert str(report) == "custom 1x3, direct: 9 of 60 samples clipped (15.00 %)"


def test_flip_is_a_convolution():
    x = picture((30, 31)).astype(np.float32)
    for shape in ((3, 3), (4, 5), (2, 2), (1, 6)):
        array = np.random.default_rng(shape).standard_normal(shape)
        wanted = ndimage.convolve(x.astype(float), array, mode="mirror")
        magnitude = ndimage.convolve(np.abs(x).astype(float), np.abs(array), mode="mirror")
        off = np.abs(images.apply(x, array, flip=True) - wanted)
        assert (off <= 30 * U32 * magnitude).all()
        assert np.abs(images.apply(x, array) - wanted).max() > 1, "a correlation would pass as well"


def test_the_methods_agree():
    """A product as column and row, the same weights all at once, and in the frequency domain."""
    x, rng = picture((90, 70, 3)).astype(np.float32), np.random.default_rng(2)
    product = images.Kernel(np.outer(rng.standard_normal(9), rng.standard_normal(7)))
    array = product.array.copy()
    array[0, 0] += 1e-3 * np.abs(array).max()  # no product any more
    nearly = images.Kernel(array)
    for kernel, method in ((product, "separable"), (nearly, "direct")):
        y, report = images.apply(x, kernel, return_report=True)
        assert report.method == method
        value, error = exact(x, kernel, "reflect")
        assert (np.abs(y - value) <= error).all()


@pytest.mark.parametrize("edge", images.EDGES)
@pytest.mark.parametrize("size", [(5, 5), (31, 40), (64, 3), (101, 101)])
def test_fourier_against_scipy(edge, size):
    """|error| <= 20 u log2(n) |x|_2 |w|_2, for three transforms of 6.7 u log2(n) each.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., theorem 24.2.
    """
    x, rng = picture((40, 51, 4)), np.random.default_rng(size)
    kernel = images.Kernel(rng.standard_normal(size) / np.sqrt(np.prod(size)), offset=100, scale=4)
    value, _ = exact(x[..., :3], kernel, edge)
    floats, y = np.empty(x.shape, np.float32), np.empty_like(x)
    assert correlate_by_fft(x.astype(np.float32), floats, 3, kernel, edge) == 0
    around = np.pad(x[..., :3], [(n, n) for n in size] + [(0, 0)], mode="wrap").astype(float)
    n = (40 + size[0]) * (51 + size[1])
    error = 20 * U32 * np.log2(2 * n) * np.sqrt(n * (around**2).mean()) * np.linalg.norm(kernel.array) / 4
    assert np.abs(floats[..., :3] - value).max() <= error < 0.25
    count = correlate_by_fft(x, y, 3, kernel, edge)
    assert_bytes(y[..., :3], value, np.full(value.shape, error))
    few, many = clipped(value, error)
    assert few <= count <= many
    np.testing.assert_array_equal(y[..., 3], x[..., 3])


def test_large_kernels_take_the_frequency_domain():
    x, rng = picture((300, 400)), np.random.default_rng(3)
    large, small = images.Kernel(rng.standard_normal((101, 101)) / 101), images.Kernel(rng.standard_normal((9, 9)) / 9)
    assert images.apply(x, large, return_report=True)[1].method == "fft"
    assert images.apply(x, small, return_report=True)[1].method == "direct"
    assert images.apply(x, "motion", return_report=True)[1].method == "direct"
    line = images.kernel("motion", length=101, angle=30)  # large, but nearly all weights are zero
    assert images.apply(x, line, return_report=True)[1].method == "direct"


@pytest.mark.parametrize(
    "change",
    {
        "every second": lambda x: np.repeat(np.repeat(x, 2, 0), 2, 1)[::2, ::2],
        "turned": lambda x: np.rot90(np.rot90(x, -1).copy()),
        "mirrored": lambda x: x[:, ::-1].copy()[:, ::-1],
        "Fortran": np.asfortranarray,
        "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
        "list": lambda x: x.tolist() if x.dtype != np.uint8 else x,
    }.items(),
    ids=lambda pair: pair[0],
)
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_any_memory(change, kind):
    x = picture((21, 22, 3)).astype(kind)
    given = change[1](x)
    before = np.array(given)
    np.testing.assert_array_equal(images.apply(given, "emboss"), images.apply(x, "emboss"))
    np.testing.assert_array_equal(given, before, "the image was changed")


@pytest.mark.parametrize("kind", [np.float16, np.float64, ">f4", ">f8"])
def test_floating_point_becomes_float32(kind):
    x = picture((12, 13)).astype(kind)
    y = images.apply(x, "gaussian")
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, images.apply(x.astype(np.float32), "gaussian"))


@pytest.mark.parametrize("shape", [(0, 5), (5, 0, 3), (0, 0, 4)])
def test_empty_images(shape):
    y, report = images.apply(np.zeros(shape, np.uint8), "box", return_report=True)
    assert y.shape == shape
    assert (report.samples, report.share) == (0, 0.0)


def test_a_kernel_of_zeros():
    x = picture((9, 10))
    assert (images.apply(x, np.zeros((3, 3)), offset=7) == 7).all()
    np.testing.assert_array_equal(images.apply(x, "identity"), x)


def test_opencv_agrees_on_edges_and_values():
    """The constants that the docstring names: BORDER_REFLECT_101 and the others."""
    cv2 = require("cv2")
    x, array = picture((40, 50, 3)), np.random.default_rng(4).standard_normal((6, 5))
    modes = {"reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE, "zero": cv2.BORDER_CONSTANT}
    for edge, mode in modes.items():
        theirs = cv2.filter2D(x.astype(np.float32), -1, array.astype(np.float32), borderType=mode)
        value, error = exact(x, images.Kernel(array), edge)
        assert (np.abs(theirs - value) <= error).all()
        assert (np.abs(images.apply(x.astype(np.float32), array, edge=edge) - value) <= error).all()
    assert edge_columns("wrap", 7, 9) == cv2.copyMakeBorder(ramp(), 0, 0, 7, 9, cv2.BORDER_WRAP)[0].tolist()
    assert edge_columns("reflect", 7, 9) == cv2.copyMakeBorder(ramp(), 0, 0, 7, 9, cv2.BORDER_REFLECT_101)[0].tolist()


def ramp():
    return np.arange(4, dtype=np.uint8)[None]


def edge_columns(edge, before, after):
    from foveal.images.edges import edge_index

    return edge_index(4, before, after, edge).tolist()


@pytest.mark.parametrize("edge", images.EDGES)
def test_edges_as_numpy_pads(edge):
    from foveal.images.edges import edge_index

    for size, before, after in itertools.product((1, 2, 3, 7), (0, 1, 5, 20), (0, 2, 17)):
        index = edge_index(size, before, after, edge)
        values = np.arange(1, size + 1)
        padded = np.pad(values, (before, after), mode=images.EDGES[edge])
        np.testing.assert_array_equal(np.where(index < 0, 0, values[index]), padded)


def test_a_second_process_compiles_nothing(tmp_path):
    source = """
        import json, numpy as np
        from foveal import images
        from foveal.kernels import assembler, compiler
        x = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
        sums = [int(images.apply(x, name).sum()) for name in ("emboss", "gaussian")]
        print(json.dumps([compiler.compiled(), assembler.compiled(), sums]))
    """
    import json

    kernels, tiles, first = json.loads(python(source, FOVEAL_CACHE=str(tmp_path)))
    assert "filter_image" in kernels
    assert tiles > 0
    assert json.loads(python(source, FOVEAL_CACHE=str(tmp_path))) == [[], 0, first]
