"""Pictures of coverage say what was counted."""

import numpy as np
import pytest

from foveal import show
from foveal.accounting import coverage
from foveal.layers import Convolution, ConvTranspose, MaxPool


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]


def test_numbers_stand_in_the_cells_of_small_maps():
    counted = coverage(Convolution(1, 3, 2), (1, 6, 6))
    figure = show.coverage(counted)
    assert titles(figure) == ["Read: input, 6x6, 11 cells never", "Written: result, 2x2"]
    for axes, counts in zip(figure.axes[:2], (counted.reads, counted.writes), strict=True):
        assert [int(text.get_text()) for text in axes.texts] == counts.ravel().tolist()
        (image,) = axes.images
        np.testing.assert_array_equal(image.get_array().filled(0), counts)
    bad = figure.axes[0].images[0].get_array().mask
    np.testing.assert_array_equal(bad, counted.reads == 0)
    assert figure.get_suptitle() == "Convolution(1, 3, stride=2) on (1, 6, 6)"


def test_cells_that_are_never_read_are_orange():
    figure = show.coverage(coverage(MaxPool(2), (1, 5, 5)))
    image = figure.axes[0].images[0]
    colours = image.to_rgba(image.get_array())
    assert np.allclose(colours[4, 0, :3], [0xD5 / 255, 0x5E / 255, 0])
    assert not np.allclose(colours[0, 0, :3], colours[4, 0, :3])


def test_large_maps_have_no_numbers():
    figure = show.coverage(coverage(ConvTranspose(1, 3, stride=2), (1, 20, 20)), title="A chessboard")
    assert [len(axes.texts) for axes in figure.axes[:2]] == [0, 0]
    assert figure.get_suptitle() == "A chessboard"


def test_a_signal_is_drawn_as_bars():
    counted = coverage(Convolution(1, (3,), 4), (1, 14))
    first, second = show.coverage(counted).axes
    heights = [bar.get_height() for bar in first.patches[:14]]
    assert heights == counted.reads.tolist()
    never = [round(bar.get_x() + 0.5) for bar in first.patches[14:]]
    assert never == np.flatnonzero(counted.reads == 0).tolist()
    assert [bar.get_height() for bar in second.patches] == [3, 3, 3]


def test_of_a_volume_the_plane_in_the_middle():
    counted = coverage(Convolution(1, 2, 2), (1, 5, 6, 7))
    figure = show.coverage(counted)
    assert titles(figure)[0] == "Read: input, 5x6x7, plane 2, 66 cells never"
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array().filled(0), counted.reads[2])


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_it_can_be_saved(tmp_path, ending):
    show.save(show.coverage(coverage(Convolution(1, 3), (1, 5, 5))), tmp_path / f"a.{ending}")
    assert (tmp_path / f"a.{ending}").stat().st_size > 1000
