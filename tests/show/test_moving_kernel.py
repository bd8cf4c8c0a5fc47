"""The moving kernel: its numbers beside analytic integrals and NumPy, and what its frames show."""

import math
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image
from tests.support.oracles import U64, gamma

from foveal import data, show
from foveal.show.animation import MP4_RATE, sheet
from foveal.show.moving_kernel import GREEN, outline
from foveal.show.signals import SHAPES, Samples, parse, read_numbers, sample
from foveal.show.sliding import slide

RNG = np.random.default_rng(7)


def midpoint_error(run, second_derivative):
    """The midpoint rule over at most n cells, n dx^3 max|h''| / 24, and the roundings of a sum of n products."""
    n, dx = min(len(run.signal.values), len(run.kernel.values)), run.signal.dx
    size = np.abs(run.signal.values).max() * np.abs(run.kernel.values).max()
    return n * dx**3 * second_derivative / 24 + gamma(n + 3, U64) * n * dx * size


def assert_integral(run, exact, second_derivative):
    t, y = run.result.places, run.result.values
    error, bound = np.abs(y - exact(t)).max(), midpoint_error(run, second_derivative)
    assert error <= bound, f"{run.result.name}: {error:.3g} beyond {bound:.3g}"


def spike_on_box(t):
    """Integral of exp(-tau) over the box around t, where the spike is: from 0 to 5."""
    return np.exp(-np.clip(t - 0.5, 0, 5)) - np.exp(-np.clip(t + 0.5, 0, 5))


@pytest.mark.parametrize("dx", [0.1, 0.05, 0.01])
def test_box_on_box_is_the_triangle(dx):
    run = slide("box", "box", dx=dx)
    assert_integral(run, lambda t: np.maximum(0, 1 - np.abs(t)), 0)
    assert run.result.values.max() == pytest.approx(1)
    assert run.result.places[np.argmax(run.result.values)] == pytest.approx(0, abs=1e-12)


def test_spike_on_box_peaks_where_the_box_has_just_taken_in_the_jump():
    run = slide("spike", "box")
    assert_integral(run, spike_on_box, 1)
    top = np.argmax(run.result.values)
    assert run.result.places[top] == pytest.approx(0.5)
    assert run.result.values[top] == pytest.approx(1 - math.exp(-1), abs=midpoint_error(run, 1))


def test_the_error_falls_with_the_square_of_dx():
    errors = []
    for dx in (0.1, 0.05):
        run = slide("spike", "box", dx=dx)
        errors.append(np.abs(run.result.values - spike_on_box(run.result.places)).max())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.02)


def test_edge_on_triangle_is_the_difference_of_its_halves():
    """f * edge = integral over (t, t + 1/2) minus integral over (t - 1/2, t): the blurred derivative."""

    def area(t):  # of the triangle, up to t
        t = np.clip(t, -1, 1)
        return np.where(t < 0, (1 + t) ** 2 / 2, 1 - (1 - t) ** 2 / 2)

    run = slide("triangle", "edge")
    assert_integral(run, lambda t: area(t + 0.5) - 2 * area(t) + area(t - 0.5), 0)


def test_gaussian_on_gaussian_is_a_wider_gaussian():
    run = slide("gaussian", "gaussian", dx=0.02)
    t = run.result.places
    exact = np.exp(-t * t / 4) / math.sqrt(4 * math.pi)
    peak = 1 / math.sqrt(2 * math.pi)
    steepest, bend = peak * math.exp(-0.5), peak  # the largest |f'| and |f''|; h = f g, h'' = f'' g + 2 f' g' + f g''
    cut = 2 * math.erfc(4 / math.sqrt(2)) * peak  # what both lose beyond 4
    assert np.abs(run.result.values - exact).max() <= midpoint_error(run, 2 * bend * peak + 2 * steepest**2) + cut


@pytest.mark.parametrize("operation", ["convolution", "correlation"])
@pytest.mark.parametrize(("n", "m", "dx"), [(1, 1, 1), (5, 3, 1), (3, 5, 1), (40, 17, 0.25), (9, 9, 2)])
def test_the_numbers_are_numpys(operation, n, m, dx):
    f, g = RNG.standard_normal(n), RNG.standard_normal(m)
    run = slide(f, g, operation=operation, dx=dx)
    numpys = eval(run.call, {"np": np, "f": f, "g": g})
    bound = 2 * gamma(min(n, m) + 2, U64) * np.convolve(np.abs(f), np.abs(g)).max() * dx
    np.testing.assert_allclose(run.result.values, numpys, rtol=0, atol=bound)
    flipped = slide(f, g[::-1], operation=operation, dx=dx).result.values
    if m > 1:
        assert np.abs(flipped - numpys).max() > 1e3 * bound, "the flip must be seen"


def test_places_of_the_result():
    """(f * g)(t) with g a single 1 at t = 0 is f where f is; correlation with a kernel around 2 looks 2 ahead."""
    f = Samples(np.array([1.0, 2, 3]), 5.0, 1.0, "f")
    one = Samples(np.array([1.0]), 0.0, 1.0, "one")
    ahead = Samples(np.array([1.0]), 2.0, 1.0, "ahead")
    assert slide(f, one).result.places.tolist() == [5, 6, 7]
    assert slide(f, ahead).result.places.tolist() == [7, 8, 9]
    assert slide(f, ahead, operation="correlation").result.places.tolist() == [3, 4, 5]
    assert slide([1, 2, 3], [1, 1], operation="correlation").result.places.tolist() == [-1, 0, 1, 2]


def test_correlation_of_a_signal_with_itself_is_largest_at_zero():
    f = RNG.standard_normal(30)
    result = slide(f, f, operation="correlation").result
    assert result.places[np.argmax(result.values)] == 0


@pytest.mark.parametrize("operation", ["convolution", "correlation"])
def test_factors_are_what_the_result_sums(operation):
    run = slide(RNG.standard_normal(7), RNG.standard_normal(4), operation=operation)
    for i, value in enumerate(run.result.values):
        covered, f, g = run.factors(i)
        assert value == pytest.approx(f @ g)
        # the kernel is drawn over the cells that it covers
        middles = (run.edges(i)[:-1] + run.edges(i)[1:]) / 2
        under = [k for k, place in enumerate(middles) if np.isclose(run.signal.places[covered], place).any()]
        np.testing.assert_array_equal(run.moving[under], g)


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_fill_their_support(name):
    signal = sample(name, 0.05)
    first, last = SHAPES[name].support
    assert signal.edges[[0, -1]] == pytest.approx([first, last])
    assert np.isfinite(signal.values).all()
    assert np.abs(signal.values).max() > 0.3


def polygon_area(corners):
    x, y = corners[:, 0], corners[:, 1]
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))


def lines(axes):
    return {line.get_label().split(",")[0].split(" ")[0]: line for line in axes.lines}


@pytest.mark.parametrize("operation", ["convolution", "correlation"])
def test_the_shaded_area_is_the_result(operation):
    f, g = [1, 2, -3, 1], [2, 0.5, -1]
    animation = show.convolution(f, g, operation=operation)
    above, below = animation.figure.axes
    result = slide(f, g, operation=operation).result
    first = len(animation) - len(result.values)
    product = above.patches[-1]
    for i, value in enumerate(result.values):
        animation.draw(first + i)
        assert polygon_area(product.get_xy()[:-1]) == pytest.approx(value)
        trace = next(line for line in below.lines if line.get_linewidth() == 2.4)
        np.testing.assert_allclose(trace.get_ydata()[1:-1:2], result.values[: i + 1])
        assert below.get_title(loc="left").startswith(f"t = {result.places[i]:g}".replace("-", "\N{MINUS SIGN}"))
    assert f"= {result.values[-1]:g}".replace("-", "\N{MINUS SIGN}") in below.get_title(loc="left")


def test_the_sum_is_written_out():
    animation = show.convolution([1, 2, 3], [1, 0, -1])
    animation.draw(len(animation) - 3)
    text = animation.figure.axes[1].get_title(loc="left")
    assert text == "t = 2:  1·(−1) + 2·0 + 3·1 = 2"


def test_both_shows_the_flip_side_by_side():
    animation = show.convolution("spike", "ramp", operation="both", frames=9)
    left, right = animation.figure.axes[:2]
    kernels = [next(line for line in axes.lines if str(line.get_label()).startswith("g(")) for axes in (left, right)]
    assert "flipped" in kernels[0].get_label()
    assert "not flipped" in kernels[1].get_label()
    animation.draw(0)
    np.testing.assert_allclose(kernels[0].get_xydata(), kernels[1].get_xydata())
    animation.draw(len(animation) - 4)
    a, b = (kernel.get_xydata() for kernel in kernels)
    np.testing.assert_allclose(a[:, 1], b[::-1, 1])
    np.testing.assert_allclose(a[:, 0], b[:, 0])
    titles = [axes.get_title(loc="left") for axes in (left, right)]
    assert [title.split(":")[0] for title in titles] == ["Convolution", "Correlation"]


def test_the_kernel_turns_over_before_it_slides():
    animation = show.convolution("box", "ramp", frames=5)
    above, below = animation.figure.axes
    kernel = next(line for line in above.lines if str(line.get_label()).startswith("g("))
    turning = len(animation) - 5
    widths = []
    for frame in range(turning):
        animation.draw(frame)
        x, y = kernel.get_data()
        widths.append(float(x[np.argmax(y)]))  # where the ramp is highest
        assert below.get_title(loc="left").startswith("The kernel")
    assert widths == sorted(widths, reverse=True)
    assert (widths[0], widths[-1]) == pytest.approx((0.995, -0.995))
    still = show.convolution("box", "triangle", frames=5)
    assert len(still) == 1 + 5, "a kernel that is even looks the same when it is flipped"


@pytest.mark.parametrize("operation", ["convolution", "both"])
@pytest.mark.parametrize(
    ("signal", "kernel"),
    [("spike", "ramp"), ("sine", "edge"), ([1, 2, 3], [1, 0, -1]), (RNG.standard_normal(20), -RNG.random(7) / 9)],
)
def test_no_text_is_cut_off_or_overlaps_its_neighbour(operation, signal, kernel):
    animation = show.convolution(signal, kernel, operation=operation, frames=25)
    figure = animation.figure
    for i in range(0, len(animation), 3):
        animation.frame(i)
        width, height = figure.canvas.get_width_height()
        boxes = []
        for axes in figure.axes:
            written = {axes.get_title(loc="left"), axes.get_xlabel()} - {""}
            texts = [text for text in axes.findobj(Text) if text.get_text() in written]
            boxes += [text.get_window_extent() for text in texts]
            boxes += [axes.get_legend().get_window_extent()] if axes.get_legend() else []
        for n, box in enumerate(boxes):
            assert box.x0 >= -1, f"frame {i}"
            assert box.x1 <= width + 1, f"frame {i}"
            assert 0 <= box.y0 <= box.y1 <= height, f"frame {i}"
            assert not any(box.overlaps(other) for other in boxes[:n]), f"frame {i}"


def test_outline_of_a_curve_goes_through_the_middles_of_the_cells():
    corners = outline(np.array([1.0, 3.0]), np.array([0.0, 2.0, 4.0]), steps=False)
    assert corners.tolist() == [[0, 0], [0, 1], [1, 1], [3, 3], [4, 3], [4, 0]]


def test_frames_may_be_asked_for_in_any_order():
    animation = show.convolution("box", "ramp", frames=6)
    frames = [animation.frame(i) for i in range(len(animation))]
    for i in (5, 0, 9, 3):
        np.testing.assert_array_equal(animation.frame(i), frames[i])
    np.testing.assert_array_equal(show.convolution("box", "ramp", frames=6).frame(9), frames[9])


def test_frames_show_the_area_in_green():
    animation = show.convolution("box", "box", frames=11)
    top = slice(0, 240)
    green = [int(near(animation.frame(1 + i)[top], GREEN).sum()) for i in (0, 2, 5, 8, 10)]
    assert green[2] > 2 * green[1] > 4 * green[0]
    assert green[2] > 2 * green[3] > 4 * green[4]


def near(pixels, colour):
    from matplotlib.colors import to_rgb

    # 60 % of the colour on the signal's pale blue on white
    under = 0.88 + 0.12 * np.array(to_rgb("#0072B2"))
    wanted = 255 * (0.6 * np.array(to_rgb(colour)) + 0.4 * under)
    return (np.abs(pixels - wanted) < 12).all(axis=-1)


def test_gif(tmp_path):
    animation = show.convolution("box", "box")
    animation.save(tmp_path / "box.gif")
    assert (tmp_path / "box.gif").stat().st_size < 2_000_000
    with Image.open(tmp_path / "box.gif") as picture:
        check_gif(picture, animation)


def check_gif(picture, animation):
    assert (picture.n_frames, picture.size, picture.info["loop"]) == (len(animation), (640, 480), 0)
    durations = []
    for i in range(picture.n_frames):
        picture.seek(i)
        durations.append(picture.info["duration"])
        if i in (20, 45):
            shown, drawn = np.asarray(picture.convert("RGB"), int), animation.frame(i).astype(int)
            assert np.abs(shown - drawn).mean() < 1
            assert (shown[0, 0] == 255).all()
    assert durations[0] == durations[-1] == 1500
    assert durations[5] == 70
    assert 1000 * sum(animation.seconds) == pytest.approx(sum(durations), rel=0.05)


def test_png_is_a_sheet_of_key_frames(tmp_path):
    animation = show.convolution("box", "box", frames=30)
    animation.save(tmp_path / "box.png", dpi=50)
    page = data.read_image(tmp_path / "box.png")
    assert page.shape == (3 * 240, 2 * 320, 3)
    np.testing.assert_array_equal(page[:240, 320:], animation.frame(animation.keys[1], dpi=50))


def test_sheet_of_an_odd_number():
    frames = [np.full((2, 3, 3), i, np.uint8) for i in range(3)]
    page = sheet(frames, 2)
    assert page[2:, 3:].min() == 255
    assert page[2:, :3].max() == 2


def test_the_same_bytes_in_every_process(tmp_path):
    code = "import sys; from foveal import show; show.convolution('spike', 'box', frames=12).save(sys.argv[1])"
    for ending in ("gif", "png"):
        made = []
        for seed in ("1", "2"):
            path = tmp_path / f"{seed}.{ending}"
            subprocess.run(
                [sys.executable, "-c", code, str(path)], check=True, env={**os.environ, "PYTHONHASHSEED": seed}
            )
            made.append(path.read_bytes())
        assert made[0] == made[1]


FFMPEG = """#!{python}
import pathlib, sys
raw = sys.stdin.buffer.read()
if "fail" in {mode!r}:
    print("Unknown encoder 'libx264'", file=sys.stderr)
    raise SystemExit(8)
pathlib.Path(sys.argv[-1]).write_text(repr((sys.argv[1:-1], len(raw))))
"""


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    """Put a program in ffmpeg's place that writes down what it was given."""

    def put(mode="good"):
        program = tmp_path / "bin" / "ffmpeg"
        program.parent.mkdir()
        program.write_text(FFMPEG.format(python=sys.executable, mode=mode))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(program.parent))

    return put


def test_mp4_is_piped_to_ffmpeg(tmp_path, ffmpeg):
    ffmpeg()
    animation = show.convolution("box", "box", frames=4, fps=2)
    animation.save(tmp_path / "box.mp4", dpi=33)  # 211x158 pixels: H.264 needs even sides
    arguments, size = eval((tmp_path / "box.mp4").read_text())
    assert arguments[arguments.index("-s") + 1] == "210x158"
    assert size == 210 * 158 * 3 * round(MP4_RATE * sum(animation.seconds))
    assert "libx264" in arguments


def test_a_failing_ffmpeg_leaves_nothing(tmp_path, ffmpeg):
    ffmpeg("fail")
    with pytest.raises(OSError, match=r"box\.mp4: expected ffmpeg to write it, got .*libx264"):
        show.convolution("box", "box", frames=2).save(tmp_path / "box.mp4", dpi=30)
    assert [p.name for p in tmp_path.iterdir()] == ["bin"]


def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "box.gif").write_bytes(b"before")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="disk is full"):
        show.convolution("box", "box", frames=2).save(tmp_path / "box.gif", dpi=30)
    assert (tmp_path / "box.gif").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 1


def test_no_pyplot_state():
    code = (
        "import sys, foveal.show; assert 'matplotlib' not in sys.modules;"
        "foveal.show.convolution('box', 'box', frames=2).frame(0);"
        "print(sorted({'matplotlib.pyplot', 'numba'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_numbers_from_files(tmp_path):
    wanted = np.array([[1.0, -2.5], [3.0, 4.0]])
    (tmp_path / "a.csv").write_text("\ufeff1, -2.5\r\n3, 4\r\n")
    (tmp_path / "b.txt").write_text("# a map\n1 -2.5\n\n3 4 # end\n")
    np.save(tmp_path / "c.npy", wanted.astype(">f4"))
    for name in ("a.csv", "b.txt", "c.npy"):
        np.testing.assert_array_equal(read_numbers(tmp_path / name), wanted)
    np.save(tmp_path / "column.npy", np.array([[1], [2]], np.int8))
    assert sample(read_numbers(tmp_path / "column.npy"), 1).values.tolist() == [1, 2]


def test_parse_tells_names_from_numbers():
    assert parse("1e-3 ,2", "x").tolist() == [0.001, 2]
    assert parse("box", "x") is None
    assert parse("", "x") is None
    assert parse("1;2;3", "x").shape == (3, 1)
