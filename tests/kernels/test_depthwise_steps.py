"""Depthwise convolution, step by step against the float64 reference: every kernel, stride and dilation in 1D to 3D.

Every map lies in poisoned memory (`tests/support/maps.py`).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal import reference
from foveal.geometry import Window
from foveal.kernels import large
from foveal.kernels.buffers import Map
from foveal.kernels.convolution_steps import NONE, PARTS, Correlation
from foveal.kernels.depthwise_steps import Depthwise, correlation
from foveal.kernels.isa import named
from foveal.kernels.steps import program
from tests.support.correlations import check_forward, check_gradients, gradient, images
from tests.support.geometries import Case, cases
from tests.support.machine import RUNNABLE, assert_threads_change_no_bit
from tests.support.maps import MARGIN, assert_untouched, poisoned
from tests.support.oracles import assert_close_to_reference
from tests.support.packed import gradient_memory, packed, unpacked

every_isa = pytest.mark.parametrize("name", RUNNABLE)
random_cases = settings(derandomize=True, deadline=None, max_examples=20)


def deep(case: Case, channels: int, multiplier: int = 1) -> Case:
    """Return a case with a group for each channel."""
    x_shape = case.x_shape[0], channels, *case.x_shape[2:]
    w_shape = channels * multiplier, 1, *case.w_shape[2:]
    return Case(x_shape, w_shape, case.stride, case.padding, case.dilation, channels, case.seed)


def shaped(n, C, size, kernel, stride=1, padding=0, dilation=1, multiplier=1):
    """Return a case with the same stride and dilation on all axes."""
    axes = len(size)
    case = Case(
        (n, C, *size), (C, 1, *kernel), (stride,) * axes, ((padding, padding),) * axes, (dilation,) * axes, C, n + C
    )
    return deep(case, C, multiplier)


FIXED = [
    # MobileNet's two, a 5x5, ConvNeXt's 7x7, a kernel wider than the registers, a long signal, volumes
    shaped(2, 32, (14, 14), (3, 3), 1, 1),
    shaped(2, 64, (15, 15), (3, 3), 2, 1),
    shaped(2, 24, (9, 11), (5, 5), 2, 2),
    shaped(2, 40, (8, 8), (7, 7), 1, 3),
    shaped(1, 5, (4, 40), (2, 31), 1, 0),
    shaped(2, 3, (300,), (9,), 4, 0),
    shaped(1, 4, (90,), (40,), 2, 3),  # a row too long for a tile
    shaped(2, 6, (5, 6, 7), (3, 3, 3), 1, 1),
    shaped(2, 17, (5, 6, 7), (2, 1, 3), 2, 1, 2),
    shaped(PARTS + 2, 7, (3, 3), (3, 3), 1, 1),
    shaped(1, 16, (7, 7), (1, 1), 3, 0),  # inputs that no window reads
    shaped(2, 8, (9, 9), (3, 3), 2, 1, multiplier=2),
    shaped(1, 5, (12,), (3,), 3, 1, 2, multiplier=3),
]
fixed = pytest.mark.parametrize("case", FIXED, ids=lambda c: f"{c.x_shape}-{c.w_shape}")


def geometry(case, name):
    shape = case.x_shape[1:]
    window = Window.resolve(shape[1:], case.w_shape[2:], case.stride, case.padding, case.dilation)
    return Depthwise(shape, case.w_shape[0], window, case.groups, named(name))


def check_transposed(g, case, floor):
    """Hold the input gradient with a bias and a floor: a transposed convolution and ReLU."""
    x, w, _ = case.arrays(np.float32)
    dy, dym, dx = gradient(g, case), Map(len(x), g.y_shape, g.dy_border), Map(len(x), g.shape, MARGIN)
    poisoned(dym, dy)
    before, bias = poisoned(dx), np.random.default_rng(case.seed + 2).standard_normal(g.C).astype(np.float32)
    program(g.input_gradient("test", dym, packed(w, g.weight_index), dx, bias, floor)).run()
    spread = bias.reshape(-1, *(1,) * len(case.stride))
    expected = np.maximum(reference.correlate_grad(x, w, dy, **case.options)[0] + spread, floor)
    size = reference.correlate_grad(abs(x), abs(w), abs(dy), **case.options)[0] + abs(spread)
    assert_close_to_reference(dx.view, expected, size, w.size // case.groups + 3)
    assert_untouched(dx, before)


@every_isa
@pytest.mark.parametrize("axes", [1, 2, 3])
@random_cases
@given(data=st.data(), channels=st.integers(2, 40), multiplier=st.sampled_from([1, 1, 2, 3]))
def test_random_shapes(name, axes, data, channels, multiplier):
    case = deep(data.draw(cases(axes=axes)), channels, multiplier)
    check_forward(geometry(case, name), case, 0.0 if case.seed % 2 else NONE)
    check_gradients(geometry(case, name), case)
    check_transposed(geometry(case, name), case, 0.0 if case.seed % 2 else NONE)


@every_isa
@fixed
def test_fixed_shapes(name, case):
    check_forward(geometry(case, name), case, 0.0)
    check_gradients(geometry(case, name), case)
    check_transposed(geometry(case, name), case, NONE)


@every_isa
def test_every_number_of_channels_and_columns(name):
    for channels in range(2, 2 * named(name).lanes + 3):
        case = shaped(1, channels, (3, channels % 19 + 1), (3, 3), 1, 1)
        check_forward(geometry(case, name), case)
        check_gradients(geometry(case, name), case)


@every_isa
@fixed
def test_large_maps_are_fetched_ahead_and_written_past_the_caches(name, case, monkeypatch):
    monkeypatch.setattr(large, "LARGE", 0)
    check_forward(geometry(case, name), case)
    check_gradients(geometry(case, name), case)


def test_the_number_of_threads_changes_no_bit():
    case = shaped(3, 20, (19, 10), (3, 3), 1, 1)
    g, (x, w, _) = geometry(case, RUNNABLE[0]), case.arrays(np.float32)

    def compute():
        dym, dx = Map(len(x), g.y_shape, g.dy_border), Map(len(x), g.shape)
        poisoned(dym, gradient(g, case))
        dw, db = gradient_memory(g.weight_size), gradient_memory(g.bias_size)
        steps = g.weight_gradient("test", images(g, case, x), dym, dw, db)
        program(steps + g.input_gradient("test", dym, packed(w, g.weight_index), dx)).run()
        return dw, db, dx.view

    assert_threads_change_no_bit(compute)


def test_fewer_images_than_there_is_room_for():
    case = shaped(3, 6, (8, 8), (3, 3), 2, 1)
    g, (x, w, b) = geometry(case, RUNNABLE[0]), case.arrays(np.float32)
    y, dym = Map(3, g.y_shape), Map(3, g.y_shape, g.dy_border)
    dy = gradient(g, case)
    poisoned(y)
    poisoned(dym, dy)
    dw, db = gradient_memory(g.weight_size), gradient_memory(g.bias_size)
    xm = images(g, case, x)
    steps = g.forward("test", xm, packed(w, g.weight_index), packed(b, g.bias_index), y)
    steps += g.weight_gradient("test", xm, dym, dw, db)
    for s in steps:
        s.resize(2)
    program(steps).run()
    size = reference.correlate(abs(x), abs(w), abs(b), **case.options)
    expected = reference.correlate(x, w, b, **case.options)
    assert_close_to_reference(y.view[:2], expected[:2], size[:2], w[0].size + 2)
    assert np.isnan(y.view[2]).all()
    _, expected, _ = reference.correlate_grad(x[:2], w, dy[:2], **case.options)
    _, size, _ = reference.correlate_grad(abs(x[:2]), abs(w), abs(dy[:2]), **case.options)
    assert_close_to_reference(unpacked(dw, g.weight_index, w.shape), expected, size, dy.size // g.K + 2)


@pytest.mark.parametrize(
    ("channels", "filters", "groups", "expected"),
    [(32, 32, 32, Depthwise), (32, 64, 32, Depthwise), (32, 32, 16, Correlation), (32, 32, 1, Correlation)]
    + [(1, 1, 1, Correlation), (4, 4 * 40, 4, Correlation)],
)
def test_which_convolutions_run_channel_by_channel(channels, filters, groups, expected):
    window = Window.resolve((8, 8), 3, padding=1)
    made = correlation((channels, 8, 8), filters, window, groups, named("avx2"))
    assert type(made) is expected
    assert made.can_fuse(Window.resolve((8, 8), 2, 2)) == (groups == 1)
