"""The kernels where maps meet: insides only, whatever the borders and however far pixels are apart."""

from __future__ import annotations

import numpy as np
import pytest

from foveal.kernels import join_steps
from foveal.kernels.buffers import Border, Map
from foveal.kernels.steps import program
from foveal.kernels.threads import set_threads
from tests.support.machine import bits

BORDERS = [Border(), Border(1, 2, 0, 1), Border(0, 0, 2, 0, 1, 1)]
SHAPES = [(5,), (3, 70), (18, 7, 9), (64, 5, 5), (2, 3, 4, 5)]


@pytest.fixture(autouse=True)
def usual_threads():
    yield
    set_threads(None)


def filled(n, shape, border, seed=0):
    """A map of random numbers; NaN in its border would show if it were read or mixed in."""
    if len(shape) < 4:
        border = Border(border.top * (len(shape) > 2), border.bottom * (len(shape) > 2), border.left, border.right)
    m = Map(n, shape, border if len(shape) > 1 else Border())
    m.data[:] = np.nan
    m.view[:] = np.random.default_rng(seed).standard_normal(m.view.shape)
    return m


def untouched(m, run):
    """Run, and hold that nothing but the inside of m has changed."""
    before = m.data.copy()
    run()
    inside = m.view.copy()
    after = m.data.copy()
    m.data[:] = before
    m.view[:] = inside
    np.testing.assert_array_equal(bits(m.data), bits(after))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("borders", [(0, 0, 0), (1, 0, 2), (0, 2, 1), (2, 1, 0)])
@pytest.mark.parametrize("shape", SHAPES)
def test_add(shape, borders, threads):
    set_threads(threads)
    a, b, y = (filled(5, shape, BORDERS[i], seed) for seed, i in enumerate(borders))
    expected = a.view + b.view
    untouched(y, program([join_steps.add("add", a, b, y)]).run)
    np.testing.assert_array_equal(y.view, expected)
    untouched(y, program([join_steps.add("add", a, b, y, 0.0)]).run)
    np.testing.assert_array_equal(y.view, np.maximum(expected, 0))
    untouched(a, program([join_steps.add("add", a, b, a)]).run)
    np.testing.assert_array_equal(a.view, expected)


def test_nan_is_not_hidden_by_the_floor():
    a, b = filled(1, (3,), Border()), filled(1, (3,), Border())
    a.view[0, 1] = np.nan
    program([join_steps.add("add", a, b, b, 0.0)]).run()
    assert np.isnan(b.view[0]).tolist() == [False, True, False]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("borders", [(0, 0), (1, 2), (0, 1), (2, 0)])
@pytest.mark.parametrize("shape", SHAPES)
def test_channels_go_to_their_place_and_back(shape, borders, threads):
    set_threads(threads)
    x, wide = (filled(5, s, BORDERS[i], i) for s, i in zip((shape, (shape[0] + 7, *shape[1:])), borders, strict=True))
    others = wide.view.copy()
    untouched(wide, program([join_steps.copy_channels("there", x, wide, y_first=4)]).run)
    np.testing.assert_array_equal(wide.view[:, 4 : 4 + shape[0]], x.view)
    others[:, 4 : 4 + shape[0]] = x.view
    np.testing.assert_array_equal(wide.view, others)
    untouched(x, program([join_steps.copy_channels("back", wide, x, x_first=2)]).run)
    np.testing.assert_array_equal(x.view, others[:, 2 : 2 + shape[0]])


def test_fewer_images_than_there_is_room_for():
    x, y = filled(4, (3, 5, 5), BORDERS[1]), filled(4, (6, 5, 5), BORDERS[0])
    before = y.view.copy()
    copy = join_steps.copy_channels("there", x, y)
    copy.resize(2)
    program([copy]).run()
    np.testing.assert_array_equal(y.view[:2, :3], x.view[:2])
    np.testing.assert_array_equal(y.view[2:], before[2:])


def test_scale():
    x = filled(4, (6,), Border())
    before = x.view.copy()
    untouched(x, program([join_steps.scale("scale", x, 0.3)]).run)
    np.testing.assert_array_equal(x.view, before * np.float32(0.3))
