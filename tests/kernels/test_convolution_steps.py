"""The loops around the tile, step by step against the float64 reference: forward, both gradients, and fused pooling.

Every map lies in poisoned memory: what no step may read is NaN, what no step may write must keep its bits.
"""

from __future__ import annotations

import itertools
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foveal import reference
from foveal.geometry import Window
from foveal.kernels import convolution_steps, large, panels
from foveal.kernels.buffers import Border, Map, zeros
from foveal.kernels.convolution_steps import NONE, PARTS, Correlation
from foveal.kernels.isa import SHAPES, named
from foveal.kernels.steps import program
from foveal.kernels.threads import pool
from tests.support.correlations import check_forward, check_gradients, images
from tests.support.geometries import Case, cases
from tests.support.machine import RUNNABLE
from tests.support.maps import MARGIN, assert_untouched, poisoned
from tests.support.packed import gradient_memory, packed, unpacked

every_isa = pytest.mark.parametrize("name", RUNNABLE)
random_cases = settings(
    derandomize=True, deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

FIXED = [
    # SimpleConvNet, LeNet C3, a strided first layer, 1x1, depthwise, a panel and a bit, channels nobody expects
    Case((3, 1, 12, 12), (30, 1, 5, 5), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, 0),
    Case((2, 6, 14, 14), (16, 6, 5, 5), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, 1),
    Case((2, 3, 23, 23), (64, 3, 7, 7), (4, 4), ((2, 2), (2, 2)), (1, 1), 1, 2),
    Case((2, 257, 5, 5), (30, 257, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, 3),
    Case((1, 30, 6, 7), (257, 30, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, 4),
    Case((2, 6, 9, 9), (6, 1, 3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 6, 5),
    Case((2, 30, 11, 8), (6, 15, 3, 2), (1, 2), ((2, 1), (0, 2)), (2, 3), 2, 6),
    Case((PARTS + 3, 3, 8, 6), (6, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, 7),
    Case((2, 6, 5, 5), (3, 6, 1, 1), (3, 3), ((0, 0), (0, 0)), (1, 1), 1, 8),
    # kernel columns that meet only padding: at both ends of a row, in one tile and in several, all of a kernel row
    Case((2, 33, 6, 27), (30, 33, 5, 5), (1, 1), ((2, 2), (2, 2)), (1, 1), 1, 9),
    Case((2, 40, 5, 9), (20, 40, 3, 3), (1, 1), ((2, 2), (2, 2)), (2, 2), 1, 10),
    Case((2, 32, 4, 14), (64, 16, 3, 5), (2, 2), ((1, 1), (2, 4)), (1, 1), 2, 11),
    Case((1, 32, 3, 2), (48, 32, 3, 5), (1, 1), ((1, 1), (4, 4)), (1, 1), 1, 12),
    Case((2, 16, 5, 3), (17, 16, 1, 3), (1, 1), ((0, 0), (6, 6)), (1, 3), 1, 13),
]


@pytest.fixture(autouse=True)
def many_parts(monkeypatch):
    """Sum the gradients of small layers in as many parts as those of large ones."""
    monkeypatch.setattr(convolution_steps, "PART_MACS", 1)


def geometry(case, name):
    shape = case.x_shape[1:]
    window = Window.resolve(shape[1:], case.w_shape[2:], case.stride, case.padding, case.dilation)
    return Correlation(shape, case.w_shape[0], window, case.groups, named(name))


any_axes = st.integers(1, 3).flatmap(lambda axes: cases(axes=axes))


@every_isa
@random_cases
@given(case=any_axes)
def test_forward(name, case):
    check_forward(geometry(case, name), case, 0.0 if case.seed % 2 else NONE)


@every_isa
@random_cases
@given(case=any_axes)
def test_gradients(name, case):
    check_gradients(geometry(case, name), case)


@every_isa
@random_cases
@given(case=any_axes)
def test_gradients_of_rows_in_parts(name, case):
    """Rows that are longer than what fits in L1 are cut."""
    with mock.patch.object(convolution_steps, "PIXELS", 2):
        check_gradients(geometry(case, name), case)


@every_isa
@random_cases
@given(case=any_axes)
def test_padding_is_left_out(name, case):
    """Kernel columns that meet only padding, of few channels, too."""
    with mock.patch.object(panels, "SHORTEST", 1), mock.patch.object(convolution_steps, "CHANNELS", 1):
        check_forward(geometry(case, name), case, 0.0 if case.seed % 2 else NONE)
        check_gradients(geometry(case, name), case)


NEVER_READ = [
    Case((2, 32, 6, 27), (40, 32, 5, 5), (1, 1), ((2, 2), (2, 2)), (1, 1), 1, 0),  # a row of several tiles
    Case((2, 32, 9, 9), (40, 32, 3, 3), (1, 1), ((2, 2), (2, 2)), (2, 2), 1, 1),
    Case((2, 64, 6, 13), (64, 16, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 4, 2),
]


@every_isa
@pytest.mark.parametrize("case", NEVER_READ, ids=lambda c: f"{c.x_shape}-{c.w_shape}")
def test_padding_is_not_even_read(name, case):
    """It holds NaN, and no result has one: every product with padding is left out."""
    g = geometry(case, name)
    x, w, b = case.arrays(np.float32)
    xm, ym, dxm = Map(len(x), g.shape, g.x_border), Map(len(x), g.y_shape, g.dy_border), Map(len(x), g.shape)
    dw, db, weights = gradient_memory(g.weight_size), gradient_memory(g.bias_size), packed(w, g.weight_index)
    for m in (xm, ym):
        m.data[:] = np.nan
        m.view[...] = 1
    gradients = g.weight_gradient("test", xm, ym, dw, db) + g.input_gradient("test", ym, weights, dxm)
    program(gradients + g.forward("test", xm, weights, packed(b, g.bias_index), ym)).run()
    for values in (ym.view, dxm.view, unpacked(dw, g.weight_index, w.shape)):
        assert not np.isnan(values).any()


@every_isa
@pytest.mark.parametrize("case", FIXED, ids=lambda c: f"{c.x_shape}-{c.w_shape}")
def test_fixed_shapes(name, case):
    check_forward(geometry(case, name), case)
    check_gradients(geometry(case, name), case)


@every_isa
@pytest.mark.parametrize("case", FIXED, ids=lambda c: f"{c.x_shape}-{c.w_shape}")
def test_large_maps_are_fetched_ahead(name, case, monkeypatch):
    monkeypatch.setattr(large, "LARGE", 0)
    check_forward(geometry(case, name), case)
    check_gradients(geometry(case, name), case)


@every_isa
def test_gradient_of_fewer_images_than_parts(name):
    """The program of a batch also runs for fewer images: what other runs left in a part's memory does not count."""
    case = FIXED[7]
    g, (x, w, _) = geometry(case, name), case.arrays(np.float32)
    dy = np.random.default_rng(1).standard_normal((len(x), *g.y_shape)).astype(np.float32)
    xm, dym = images(g, case, x), Map(len(x), g.y_shape, g.dy_border)
    dym.view[...] = dy
    dw, db = gradient_memory(g.weight_size), gradient_memory(g.bias_size)
    steps = g.weight_gradient("test", xm, dym, dw, db)
    run = program(steps)
    for n in (len(x), 3):
        for s in steps:
            s.resize(n)
        run.run()
        expected = reference.correlate_grad(x[:n], w, dy[:n], **case.options)[1:]
        np.testing.assert_allclose(unpacked(dw, g.weight_index, w.shape), expected[0], rtol=0, atol=1e-4)
        np.testing.assert_allclose(unpacked(db, g.bias_index, (g.K,)), expected[1], rtol=0, atol=1e-4)


@every_isa
@pytest.mark.parametrize("spatial", [(10, 21), (7, 7), (210,), (3, 7, 10)])
def test_pixels_without_borders_are_one_row(name, spatial, monkeypatch):
    """1x1: all pixels are one row, which dw takes in parts that fit in L1."""
    monkeypatch.setattr(convolution_steps, "PIXELS", 30)
    one, zero = (1,) * len(spatial), ((0, 0),) * len(spatial)
    case = Case((2, 5, *spatial), (40, 5, *one), one, zero, one, 1, 9)
    check_forward(geometry(case, name), case, margins=(Border(), Border()))
    check_gradients(geometry(case, name), case, margins=(Border(), Border()))


# Pooling: kernel, stride. Windows that touch, overlap, leave gaps, are not square.
POOLS = [(2, 2), (3, 2), (2, 1), ((2, 3), (2, 3)), ((3, 1), (3, 2)), (1, 1), (2, 3), (1, 2)]
POOLED = [
    Case((3, 1, 12, 13), (30, 1, 5, 5), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, 0),
    Case((PARTS + 1, 3, 9, 8), (6, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, 1),
    Case((2, 6, 17, 15), (33, 6, 3, 3), (2, 1), ((0, 1), (1, 0)), (1, 1), 1, 2),
    Case((2, 2, 11, 11), (3, 2, 2, 2), (1, 1), ((0, 0), (0, 0)), (2, 2), 1, 3),
    Case((3, 1, 20, 17), (40, 1, 7, 7), (1, 1), ((2, 1), (0, 3)), (1, 1), 1, 4),
    Case((2, 1, 16, 14), (50, 1, 3, 3), (1, 2), ((1, 1), (1, 0)), (1, 1), 1, 5),
]


class Pooled:
    """A fused convolution, activation and pooling on whole numbers: exact in float32, with ties and dead outputs."""

    def __init__(self, case, name, kernel, stride, floor):
        self.case, self.g, self.floor = case, geometry(case, name), floor
        self.window = Window.resolve(self.g.output, kernel, stride)
        rng = np.random.default_rng(case.seed)
        self.x, self.w = (rng.integers(-2, 3, s).astype(np.float32) for s in (case.x_shape, case.w_shape))
        self.b = rng.integers(-2, 3, case.w_shape[0]).astype(np.float32)
        self.full = np.maximum(reference.correlate(self.x, self.w, self.b, **case.options), floor)
        self.expected, self.indices = reference.max_pool(self.full, kernel, stride=stride, return_indices=True)
        self.y = Map(len(self.x), self.expected.shape[1:], MARGIN)
        self.dy = rng.integers(-3, 4, self.expected.shape).astype(np.float32)

    def forward(self, remember=True):
        g, n = self.g, len(self.x)
        size = n * g.mark_size(self.window)
        self.marks = zeros(size, np.uint8)
        self.marks[:] = 99
        self.xm = images(g, self.case, self.x)
        before = poisoned(self.y)
        steps = g.forward_pooled(
            "test", self.xm, packed(self.w, g.weight_index), packed(self.b, g.bias_index), self.window, self.y,
            self.marks if remember else None, self.floor, pool().size,
        )  # fmt: skip
        program(steps).run()
        assert_untouched(self.y, before)
        assert (self.marks[size if remember else 0 :] == 99).all()
        return self.y.view

    def reference_gradients(self):
        dfull = reference.max_pool_grad(self.dy, self.indices, self.full.shape)
        dfull = np.where(self.full > self.floor, dfull, 0)
        return dfull, *reference.correlate_grad(self.x, self.w, dfull, **self.case.options)

    def gradients(self, fused):
        """Return dx (None if fused), dw and db; either un-pooled in the loop or over a whole map."""
        g, dym = self.g, Map(len(self.x), self.y.shape)
        poisoned(dym, self.dy)
        dw, db = gradient_memory(g.weight_size), gradient_memory(g.bias_size)
        if fused:
            program(g.weight_gradient_pooled(
                "test", self.xm, self.window, dym, self.marks, dw, db, pool().size
            )).run()  # fmt: skip
            dx = None
        else:
            full = Map(len(self.x), g.y_shape, g.dy_border, pixel=g.bias_size)
            dxm = Map(len(self.x), g.shape)
            poisoned(dxm)
            steps = g.unpool("test", self.window, dym, self.marks, full, pool().size)
            steps += g.weight_gradient("test", self.xm, full, dw, db)
            run = program(steps + g.input_gradient("test", full, packed(self.w, g.weight_index), dxm))
            for _ in range(2):  # again on the same map: what the first run left there must not count
                run.run()
            np.testing.assert_array_equal(full.view, self.reference_gradients()[0])
            dx = dxm.view
        return dx, unpacked(dw, g.weight_index, self.w.shape), unpacked(db, g.bias_index, (g.K,))


def fits(case, kernel):
    return all(k <= n for k, n in zip(np.broadcast_to(kernel, 2), geometry(case, RUNNABLE[0]).output, strict=True))


def fits_in_the_loop(p):
    """Whether windows are disjoint and their strides end in the map: else rows of x behind an image would be read."""
    (kernel, stride), rows = (p.window.kernel, p.window.stride), p.g.output[0]
    return kernel[0] <= stride[0] and kernel[1] <= stride[1] and p.expected.shape[2] * stride[0] <= rows


EVERY_POOL = [(case, *p) for case, p in itertools.product(POOLED, POOLS) if fits(case, p[0])]
every_pool = pytest.mark.parametrize(("case", "kernel", "stride"), EVERY_POOL, ids=lambda v: getattr(v, "seed", v))


@every_isa
@every_pool
@pytest.mark.parametrize("floor", [0.0, NONE])
def test_fused_pooling(name, case, kernel, stride, floor):
    p = Pooled(case, name, kernel, stride, floor)
    assert p.g.can_fuse(p.window)
    np.testing.assert_array_equal(p.forward(remember=False), p.expected)
    np.testing.assert_array_equal(p.forward(), p.expected)
    _, dx, dw, db = p.reference_gradients()
    ours = p.gradients(fused=False)
    for got, expected in zip(ours, (dx, dw, db), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert p.g.can_unpool(p.window) == fits_in_the_loop(p)
    if fits_in_the_loop(p):
        _, *ours = p.gradients(fused=True)
        for got, expected in zip(ours, (dw, db), strict=True):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(("isa", "case", "kernel", "rows"), [
    ("avx512", POOLED[0], 2, [5]), ("avx512", POOLED[4], 2, [3, 1]), ("avx512", POOLED[5], 2, [3]),
    ("avx2", POOLED[5], 1, [3]), ("avx512", POOLED[0], 4, []), ("avx512", POOLED[1], 2, []), ("avx2", POOLED[0], 2, []),
    ("sse", POOLED[5], 1, []),
])  # fmt: skip
def test_only_winners_are_multiplied(isa, case, kernel, rows, monkeypatch):
    """With one channel, where a tile finds the pixels of the maxima; it does so many kernel rows at once."""
    made = []
    monkeypatch.setattr(convolution_steps, "assemble", lambda name, *_: made.append(name) or 1)
    g = Correlation(case.x_shape[1:], case.w_shape[0], geometry(case, "sse").window, 1, SHAPES[isa])
    window, n = Window.resolve(g.output, kernel), PARTS
    x, dy = Map(n, g.shape, g.x_border), Map(n, (g.K, *window.output(g.output)))
    marks, dw, db = np.zeros(1, np.uint8), gradient_memory(g.weight_size), gradient_memory(g.bias_size)
    g.weight_gradient_pooled("test", x, window, dy, marks, dw, db, 1)
    assert [int(n.split("_")[2].split("x")[0]) for n in made if n.startswith("winners")] == rows


def test_windows_that_overlap_are_not_unpooled_in_the_loop():
    g = geometry(POOLED[0], RUNNABLE[0])
    assert not g.can_unpool(Window.resolve(g.output, 3, 2))
    assert g.can_unpool(Window.resolve(g.output, 2, 2))


def test_strides_that_end_outside_the_map_are_not_unpooled_in_the_loop():
    """Windows 1x1 with stride 3 on 8 rows: the third stride would read rows of x behind the image."""
    g = geometry(POOLED[0], RUNNABLE[0])
    assert g.output[0] == 8
    assert not g.can_unpool(Window.resolve(g.output, 1, 3))
    assert g.can_unpool(Window.resolve(g.output, 1, 2))


def test_parts_of_a_gradient(monkeypatch):
    """Many where the sum costs little beside the products; never more than images; one for a huge filter bank."""
    monkeypatch.undo()
    net, window = named(RUNNABLE[0]), Window.resolve((28, 28), 5)
    assert Correlation((1, 28, 28), 30, window, 1, net).parts(100) == PARTS
    assert Correlation((1, 28, 28), 30, window, 1, net).parts(3) <= 3
    small = Window.resolve((3, 3), 3, padding=1)
    assert Correlation((512, 3, 3), 512, small, 1, net).parts(100) == 1
    assert Correlation((480, 14, 14), 192, Window.resolve((14, 14), 1), 1, net).parts(16) == 2, "3, but of equal size"
