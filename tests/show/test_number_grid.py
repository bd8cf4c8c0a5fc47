"""The kernel on a number grid: its numbers beside SciPy, and what its frames show."""

import numpy as np
import pytest
from PIL import Image
from tests.support.oracles import U64, gamma, require

from foveal import data, show
from foveal.show.number_grid import steps

RNG = np.random.default_rng(11)
X, W = [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[1, 0], [0, -1]]


def texts(animation):
    return [t.get_text() for t in animation.figure.axes[0].texts if t.get_visible()]


def minus(text):
    return text.replace("-", "\N{MINUS SIGN}")


@pytest.mark.parametrize("operation", ["correlation", "convolution"])
@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding"),
    [
        ((3, 3), (2, 2), 1, 0), ((5, 4), (3, 2), 2, 1), ((4, 6), (3, 3), (1, 2), (1, 0)), ((1, 5), (1, 3), 1, "same"),
        ((6, 6), (2, 3), 3, ((0, 1), (2, 0))), ((4, 4), (4, 4), 1, "valid"), ((4, 4), (1, 1), 4, 0),
    ],
)  # fmt: skip
def test_the_numbers_are_scipys(operation, shape, kernel, stride, padding):
    scipy_signal = require("scipy.signal")
    x, w = RNG.standard_normal(shape), RNG.standard_normal(kernel)
    run = steps(x, w, operation=operation, stride=stride, padding=padding)
    scipys = eval(run.call, {"scipy": type("scipy", (), {"signal": scipy_signal}), "np": np, "x": x, "w": w})
    assert run.result.shape == scipys.shape
    bound = 2 * gamma(w.size + 1, U64) * np.abs(x).max() * np.abs(w).sum()
    np.testing.assert_allclose(run.result, scipys, rtol=0, atol=bound)


def test_the_issue_of_the_flip():
    assert steps(X, W).result.tolist() == [[-4, -4], [-4, -4]]
    assert steps(X, W, operation="convolution").result.tolist() == [[4, 4], [4, 4]]


@pytest.mark.parametrize("operation", ["correlation", "convolution"])
def test_the_equation_adds_up(operation):
    x, w = RNG.integers(-9, 9, (4, 5)), RNG.integers(-3, 3, (3, 2))
    run = steps(x, w, operation=operation, padding=1)
    for place in np.ndindex(*run.result.shape):
        *products, result = run.equation(*place)
        text = "".join(products).split("=")[1].replace("\N{MINUS SIGN}", "-").replace("·", "*")
        assert text.count("*") == w.size
        assert eval(text) == run.result[place] == float(result.replace("=", "").replace("\N{MINUS SIGN}", "-"))


def test_each_frame_lays_the_kernel_on_its_window():
    run = steps(X, W, padding=1, stride=2)
    animation = show.grid(X, W, padding=1, stride=2)
    assert len(animation) == run.result.size == 4
    frame = next(p for p in animation.moving if p.get_zorder() == 1 and p.get_width() == 2)
    for number, (p, q) in enumerate(np.ndindex(*run.result.shape)):
        animation.draw(number)
        assert frame.get_xy() == (2 * q, 2 * p)
        np.testing.assert_array_equal(run.padded[run.window(p, q)], np.pad(X, 1)[2 * p : 2 * p + 2, 2 * q : 2 * q + 2])


def test_the_result_fills_up():
    x = np.arange(1, 13).reshape(3, 4) * 7
    animation = show.grid(x, [[0, 1]], padding=0)
    expected = [minus(f"{v:g}") for v in x[:, 1:].ravel()]
    for frame in (0, 4, 8, 2):
        animation.draw(frame)
        shown = texts(animation)[-len(expected) :] if frame == 8 else texts(animation)
        assert shown[-frame - 1 :] == expected[: frame + 1]


def test_weights_stand_beside_the_numbers_as_they_are_laid():
    animation = show.grid([[1, 2], [3, 4]], [[5, 6], [7, 8]], operation="convolution")
    animation.draw(0)
    assert [t for t in texts(animation) if t.startswith("×")] == ["×8", "×7", "×6", "×5"]
    assert {"kernel w", "flipped", "∗"} <= set(texts(animation))
    other = show.grid([[1, 2], [3, 4]], [[5, 6], [7, 8]])
    other.draw(0)
    assert [t for t in texts(other) if t.startswith("×")] == ["×5", "×6", "×7", "×8"]
    assert "flipped" not in texts(other)


def test_the_title_names_the_operation_and_the_call():
    title = show.grid(X, W, padding=1, stride=2).figure.texts[0].get_text()
    assert title == 'Correlation, kernel not flipped:  scipy.signal.correlate2d(np.pad(x, 1), w, "valid")[::2, ::2]'
    title = show.grid(X, W, operation="convolution").figure.texts[0].get_text()
    assert title == 'Convolution, kernel flipped:  scipy.signal.convolve2d(x, w, "valid")'


@pytest.mark.parametrize(
    ("x", "w", "how"),
    [
        (X, W, {}),
        (np.ones((8, 8)), np.full((5, 5), -0.125), {"padding": 1}),
        (RNG.standard_normal((6, 7)), RNG.standard_normal((3, 3)), {"operation": "convolution"}),
        ([[1e6, -1e-6]], [[1]], {}),
        ([[5]], [[2]], {}),
    ],
)
def test_everything_lies_inside_the_picture(x, w, how):
    """No text or cell is cut off, and numbers stay within their cells."""
    animation = show.grid(x, w, **how)
    animation.frame(len(animation) - 1)
    figure = animation.figure
    width, height = figure.canvas.get_width_height()
    axes = figure.axes[0]
    for artist in [*figure.texts, *axes.texts, *axes.patches]:
        box = artist.get_window_extent()
        if artist.get_visible() and box.width:
            assert box.x0 >= -1, artist
            assert box.y0 >= -1, artist
            assert box.x1 <= width + 1, artist
            assert box.y1 <= height + 1, artist
    cell = abs(axes.transData.transform((1, 0))[0] - axes.transData.transform((0, 0))[0])
    numbers = [t for t in axes.texts if t.get_text() and t.get_text()[-1].isdigit() and "×" not in t.get_text()]
    assert numbers
    assert max(t.get_window_extent().width for t in numbers) < cell * 1.02


def test_files(tmp_path):
    animation = show.grid(X, W)
    for name in ("a.gif", "b.gif"):
        show.grid(X, W).save(tmp_path / name)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.n_frames == 4
        assert picture.size[0] >= 600
        picture.seek(2)
        difference = np.abs(np.asarray(picture.convert("RGB"), int) - animation.frame(2))
    assert difference.mean() < 1
    animation.save(tmp_path / "sheet.png")
    assert data.read_image(tmp_path / "sheet.png").shape[:2] == (2 * picture.size[1], 2 * picture.size[0])
    assert animation.seconds == [1.25, 1.25, 1.25, 2.0]
    assert show.grid(X, W, fps=4).seconds[0] == 0.25
