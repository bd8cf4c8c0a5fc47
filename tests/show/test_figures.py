"""Figures are tested for what they say: scales, labels and pixels."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from foveal import show
from foveal.errors import DataError, ParameterError, ShapeError
from foveal.show.filters import mosaic
from foveal.training import Epoch, History

RNG = np.random.default_rng(0)


def run(loss, test=True):
    epochs = [Epoch(i, 0.5, 0.8 + 0.03 * i, 0.79 + 0.03 * i if test else None, 1.0, 100.0) for i in (1, 2, 3, 4)]
    return History(list(loss), epochs)


def texts(axes):
    return [text.get_text().strip() for text in axes.texts]


def test_history_draws_raw_and_smoothed():
    loss = 2.3 * np.exp(-np.arange(200) / 30) + 0.001 * RNG.random(200)
    history = run(loss)
    left, right = show.history(history).axes
    raw, smooth = left.lines
    np.testing.assert_array_equal(raw.get_ydata(), loss)
    np.testing.assert_allclose(smooth.get_ydata(), history.smoothed())
    assert raw.get_alpha() < 0.5 < smooth.get_linewidth()
    assert left.get_yscale() == "log"
    assert [line.get_label() for line in right.lines] == ["train", "test"]
    np.testing.assert_allclose(right.lines[1].get_ydata(), [82, 85, 88, 91])
    assert texts(right) == ["test 91.00 %", "train 92.00 %"]


def test_history_is_linear_when_the_loss_fell_little():
    axes = show.history(run(2.3 - 0.01 * np.arange(100))).axes[0]
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] == 0


@pytest.mark.parametrize("loss", [[2.3], [2.3, 0.0], [0.0, 0.0], [1e-9] * 30])
def test_history_of_odd_runs_can_be_drawn(loss, tmp_path):
    show.save(show.history(History(loss, interrupted=True)), tmp_path / "h.png")


def test_history_without_test_data():
    right = show.history(run([2.0, 1.0], test=False)).axes[1]
    assert texts(right) == ["train 92.00 %"]


def test_labels_of_close_curves_do_not_overlap():
    history = History([1.0], [Epoch(1, 1.0, 0.9000, 0.9001, 1.0, 1.0), Epoch(2, 1.0, 0.9500, 0.9501, 1.0, 1.0)])
    axes = show.history(history).axes[1]
    low, high = axes.get_ylim()
    first, second = (text.xyann[1] for text in axes.texts)
    assert second - first >= 0.06 * (high - low)


def test_filters_share_one_symmetric_scale():
    before, after = RNG.normal(0, 0.01, (30, 1, 5, 5)), RNG.normal(0, 0.3, (30, 1, 5, 5))
    figure = show.filters(before, after)
    limit = np.abs(after).max()
    limits = [axes.images[0].get_clim() for axes in figure.axes[:2]]
    assert limits == [(-limit, limit)] * 2
    bar = figure.axes[2]
    assert bar.get_ylim() == pytest.approx((-limit, limit))
    assert bar.get_ylabel() == "weight, square-root scale"
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["Before training", "After training"]


def test_noise_before_learning_is_seen_beside_what_is_learned():
    before, after = RNG.normal(0, 0.01, (30, 1, 5, 5)), RNG.normal(0, 0.3, (30, 1, 5, 5))
    image = show.filters(before, after).axes[0].images[0]
    greys = image.to_rgba(image.get_array())[..., 0]
    inside = ~np.ma.getmaskarray(image.get_array())
    assert np.ptp(greys[inside]) > 0.1
    np.testing.assert_allclose(image.norm(0.0), 0.5, atol=1e-9)
    assert image.norm(-0.2) == pytest.approx(1 - image.norm(0.2))


def test_colours_before_learning_are_seen_as_greys_are():
    before, after = RNG.normal(0, 0.01, (4, 3, 3, 3)), RNG.normal(0, 0.3, (4, 3, 3, 3))
    limit = np.abs(after).max()
    colours = show.filters(before, after).axes[0].images[0].get_array()[1:4, 1:4]
    w = np.moveaxis(before[0], 0, -1)
    np.testing.assert_allclose(colours, 0.5 + 0.5 * np.sign(w) * np.sqrt(np.abs(w) / limit))


def test_halves_of_like_strength_are_drawn_on_a_linear_scale():
    figure = show.filters(np.full((2, 1, 3, 3), 0.5), np.ones((2, 1, 3, 3)))
    assert figure.axes[1].images[0].norm(0.5) == pytest.approx(0.75)
    assert figure.axes[2].get_ylabel() == "weight"


def test_the_larger_half_sets_the_scale_even_if_it_is_the_first():
    figure = show.filters(np.full((2, 1, 3, 3), -4.0), np.ones((2, 1, 3, 3)))
    assert figure.axes[1].images[0].get_clim() == (-4, 4)


def test_zero_is_mid_grey_and_each_weight_keeps_its_place():
    w = np.zeros((1, 1, 3, 3))
    w[0, 0, 0, 0], w[0, 0, 2, 1] = 1, -1
    image = show.filters(None, w).axes[0].images[0]
    rgba = image.to_rgba(image.get_array())[1:-1, 1:-1]
    np.testing.assert_allclose(rgba[1, 1, :3], 0.5, atol=0.003)
    np.testing.assert_allclose(rgba[0, 0, :3], 1)
    np.testing.assert_allclose(rgba[2, 1, :3], 0)


def test_mosaic_places_every_filter_row_by_row():
    images = RNG.normal(size=(7, 2, 3))
    sheet = mosaic(images)
    columns = (sheet.shape[1] - 1) // 4
    for i, image in enumerate(images):
        y, x = i // columns * 3 + 1, i % columns * 4 + 1
        np.testing.assert_array_equal(sheet[y : y + 2, x : x + 3], image)
    assert np.isfinite(sheet).sum() == images.size


def test_filters_of_three_channels_are_in_colour():
    w = RNG.normal(size=(4, 3, 2, 2))
    pixels = np.asarray(show.filters(w, w).axes[1].images[0].get_array())
    limit = np.abs(w).max()
    np.testing.assert_allclose(pixels[1:3, 1:3], 0.5 + 0.5 * np.moveaxis(w[0], 0, -1) / limit)


def test_other_channels_are_chosen_and_said():
    w = RNG.normal(size=(4, 16, 3, 3))
    figure = show.filters(w, w, channel=5)
    assert figure.axes[-1].get_ylabel() == "weight (channel 5 of 16)"
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array()[1:4, 1:4], w[0, 5])


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (96, 3, 11, 11), (512, 64, 3, 3), (6, 16, 7), (5, 1, 2, 9)])
def test_filters_of_any_size(shape, tmp_path):
    w = RNG.normal(size=shape)
    show.save(show.filters(w, w), tmp_path / "f.png", dpi=50)
    assert imread(tmp_path / "f.png").shape[1] > 100


def test_weights_of_zero_can_be_drawn():
    assert show.filters(None, np.zeros((2, 1, 3, 3))).axes[0].images[0].get_clim() == (-1, 1)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_save_is_whole_and_repeatable(tmp_path, ending):
    figures = [show.filters(None, np.ones((2, 1, 3, 3))) for _ in range(2)]
    paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for figure, path in zip(figures, paths, strict=True):
        show.save(figure, path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [p.name for p in paths]
    if ending == "png":
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_no_pyplot_state_and_no_early_import():
    code = (
        "import sys, foveal.show, foveal.training; assert 'matplotlib' not in sys.modules;"
        "import numpy; foveal.show.filters(None, numpy.ones((1, 1, 2, 2))); print('matplotlib.pyplot' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
    assert matplotlib.__version__


ERRORS = {
    "no steps": (lambda: show.history(History()), DataError, "history: expected at least one step"),
    "shapes differ": (
        lambda: show.filters(np.ones((2, 1, 3, 3)), np.ones((3, 1, 3, 3))),
        ShapeError,
        r"same shape before and after, got \(2, 1, 3, 3\) and \(3, 1, 3, 3\)",
    ),
    "no filters": (lambda: show.filters(None, np.ones((2, 3))), ShapeError, r"\(K, C, R, S\).*got \(2, 3\)"),
    "no such channel": (lambda: show.filters(None, np.ones((2, 4, 3, 3)), channel=4), ShapeError, "from 0 to 3, got 4"),
    "ending": (
        lambda: show.save(show.history(run([1.0])), "figure.pgn"),
        ParameterError,
        "got 'pgn'.*Did you mean 'png'",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    call, kind, message = ERRORS[case]
    with pytest.raises(kind, match=message):
        call()
