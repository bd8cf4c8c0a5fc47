"""Pooling of channels-last maps against the formulas in float64: any window, edges, ties, NaN, every instruction set.

Every map lies in poisoned memory: what no step may read is NaN, what no step may write must keep its bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from foveal import reference
from foveal.geometry import Window
from foveal.kernels import large
from foveal.kernels.buffers import Border, Map, zeros
from foveal.kernels.isa import named
from foveal.kernels.pooling_steps import PARTS, Pooling
from foveal.kernels.steps import program
from foveal.kernels.threads import pool
from tests.support.geometries import cases
from tests.support.machine import RUNNABLE, assert_threads_change_no_bit
from tests.support.maps import MARGIN, assert_untouched, poisoned
from tests.support.oracles import assert_close_to_reference

every_isa = pytest.mark.parametrize("name", RUNNABLE)
random_cases = settings(derandomize=True, deadline=None, max_examples=25)
INNER = Border(0, 1, 2, 0, 1, 0)


@dataclass(frozen=True)
class Pool:
    """A pooling and its numbers: whole ones, so that sums are exact, with ties, and -inf and NaN where asked for."""

    x_shape: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...] = ()
    dilation: tuple[int, ...] = ()
    rounding: str = "floor"
    seed: int = 0

    @property
    def options(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding or 0, "rounding": self.rounding}

    @property
    def window(self) -> Window:
        return Window.resolve(self.x_shape[2:], self.kernel, self.stride, self.padding or 0, self.dilation or 1)

    def pooling(self, name: str, count_padding: bool = False) -> Pooling:
        return Pooling(self.x_shape[1:], self.window, named(name), self.rounding, count_padding)

    def x(self, special: bool = False) -> Any:
        rng = np.random.default_rng(self.seed)
        values = rng.integers(-3, 4, self.x_shape).astype(np.float32)
        if special:
            values[rng.random(self.x_shape) < 0.2] = -np.inf
            values[rng.random(self.x_shape) < 0.1] = np.nan
        return values

    def dy(self, pooling: Pooling) -> Any:
        rng = np.random.default_rng(self.seed + 1)
        return rng.integers(-3, 4, (self.x_shape[0], *pooling.y_shape)).astype(np.float32)


@st.composite
def pools(draw: st.DrawFn, dilated: bool = True) -> Pool:
    case = draw(cases(axes=draw(st.integers(1, 3)), max_batch=2))
    kernel, dilation = case.w_shape[2:], case.dilation if dilated else (1,) * len(case.stride)
    channels, rounding = draw(st.integers(1, 70)), draw(st.sampled_from(["floor", "ceil"]))
    made = Pool(
        (case.x_shape[0], channels, *case.x_shape[2:]), kernel, case.stride, case.padding, dilation, rounding, case.seed
    )
    assume(made.window.blind(made.x_shape[2:], rounding) is None)
    return made


FIXED = [
    Pool((3, 64, 14, 14), (3, 3), (2, 2), ((1, 1), (1, 1))),
    Pool((2, 16, 9, 10), (2, 2), (2, 2), rounding="ceil"),
    Pool((2, 6, 8, 8), (8, 8), (8, 8)),  # global
    Pool((2, 1, 12), (3,), (1,), ((1, 1),)),
    Pool((1, 100, 7, 5), (2, 3), (3, 1), ((0, 1), (2, 0))),
    Pool((2, 33, 4, 5, 6), (2, 3, 2), (2, 1, 3), ((0, 0), (1, 2), (1, 0)), (1, 1, 2)),
    Pool((1, 17, 6, 6), (1, 1), (4, 3)),  # positions that no window reads
    Pool((1, 80, 11, 11), (2, 2), (2, 1), ((2, 1), (0, 3)), (3, 4)),
]
fixed = pytest.mark.parametrize("case", FIXED, ids=lambda c: f"{c.x_shape}-{c.kernel}")


def placed(values: Any, border: Border) -> Map:
    m = Map(len(values), values.shape[1:], border)
    poisoned(m, values)
    return m


def check_maximum(case: Pool, name: str, special: bool) -> None:
    p, x = case.pooling(name), case.x(special)
    expected, indices = reference.max_pool(
        x, case.kernel, **case.options, dilation=case.window.dilation, return_indices=True
    )
    xm, y, codes = placed(x, INNER), Map(len(x), p.y_shape, MARGIN), p.codes(len(x))
    for remembered in (None, codes):
        before = poisoned(y)
        program(p.maximum("test", xm, y, remembered)).run()
        np.testing.assert_array_equal(y.view, expected)
        assert_untouched(y, before)
    dy = case.dy(p)
    dx = Map(len(x), p.shape, MARGIN)
    before = poisoned(dx)
    kept = codes.copy()
    program(p.maximum_grad("test", placed(dy, INNER), codes, dx)).run()
    np.testing.assert_array_equal(dx.view, reference.max_pool_grad(dy, indices, x.shape))
    assert_untouched(dx, before)
    np.testing.assert_array_equal(codes, kept)


def check_mean(case: Pool, name: str, count_padding: bool) -> None:
    p, x = case.pooling(name, count_padding), case.x()
    options = {**case.options, "count_padding": count_padding}
    y, dx = Map(len(x), p.y_shape, MARGIN), Map(len(x), p.shape, MARGIN)
    before, dx_before, dy = poisoned(y), poisoned(dx), case.dy(p)
    program(p.mean("test", placed(x, INNER), y) + p.mean_grad("test", placed(dy, INNER), dx)).run()
    size = reference.avg_pool(abs(x), case.kernel, **options)
    assert_close_to_reference(y.view, reference.avg_pool(x, case.kernel, **options), size, n=2)
    size = reference.avg_pool_grad(abs(dy), x.shape, case.kernel, **options)
    n = math.prod(case.kernel) + 2
    assert_close_to_reference(dx.view, reference.avg_pool_grad(dy, x.shape, case.kernel, **options), size, n)
    assert_untouched(y, before)
    assert_untouched(dx, dx_before)


@every_isa
@random_cases
@given(case=pools())
def test_maximum(name, case):
    check_maximum(case, name, special=bool(case.seed % 2))


@every_isa
@random_cases
@given(case=pools(dilated=False), count_padding=st.booleans())
def test_mean(name, case, count_padding):
    check_mean(case, name, count_padding)


@every_isa
@fixed
def test_fixed_shapes(name, case):
    check_maximum(case, name, special=False)
    check_maximum(case, name, special=True)
    if set(case.dilation) <= {1}:
        check_mean(case, name, count_padding=True)


@every_isa
def test_every_number_of_channels(name):
    for channels in range(1, 4 * named(name).lanes + 3):
        case = Pool((1, channels, 3, 4), (2, 2), (1, 2), seed=channels)
        check_maximum(case, name, special=False)
        check_mean(case, name, count_padding=False)


@every_isa
@fixed
def test_large_maps_are_written_past_the_caches(name, case, monkeypatch):
    monkeypatch.setattr(large, "LARGE", 0)
    check_maximum(case, name, special=True)
    if set(case.dilation) <= {1}:
        check_mean(case, name, count_padding=False)


@pytest.mark.parametrize(("places", "expected"), [(256, 8), (257, 16), (65536, 16), (65537, 32)])
def test_codes_number_the_places_of_large_windows(places, expected):
    case = Pool((1, 2, places + 3), (places,), (2,))
    assert case.pooling(RUNNABLE[0]).code_bits == expected
    x = np.zeros(case.x_shape, np.float32)
    x[0, 0, places] = x[0, 1, 3] = 1  # the last place of the second window
    p = case.pooling(RUNNABLE[0])
    y, codes, dx = Map(1, p.y_shape), p.codes(1), Map(1, p.shape)
    steps = p.maximum("test", placed(x, INNER), y, codes)
    program(steps + p.maximum_grad("test", placed(case.dy(p), INNER), codes, dx)).run()
    _, indices = reference.max_pool(x, places, stride=2, return_indices=True)
    np.testing.assert_array_equal(dx.view, reference.max_pool_grad(case.dy(p), indices, x.shape))


@every_isa
@pytest.mark.parametrize(
    "case", [c for c in FIXED if not c.padding and c.rounding == "floor"], ids=lambda c: f"{c.x_shape}"
)
def test_subsampling(name, case):
    p, x = case.pooling(name), case.x()
    C, rng = case.x_shape[1], np.random.default_rng(2)
    coefficient, bias = zeros(C), zeros(C)
    coefficient[:C], bias[:C] = rng.integers(-2, 3, (2, C))
    coefficient[C:] = bias[C:] = np.nan
    dcoefficient, dbias = np.full((2, C + 1), 7, np.float32)
    y, dx, dy = Map(len(x), p.y_shape, MARGIN), Map(len(x), p.shape, MARGIN), case.dy(p)
    before, dx_before = poisoned(y), poisoned(dx)
    xm, dym = placed(x, INNER), placed(dy, INNER)
    steps = p.subsample("test", xm, coefficient, bias, y)
    steps += p.subsample_grad("test", xm, coefficient, dym, dx, dcoefficient, dbias, pool().size)
    program(steps).run()
    np.testing.assert_array_equal(
        y.view, reference.subsample(x, coefficient[:C], bias[:C], case.kernel, stride=case.stride)
    )
    expected = reference.subsample_grad(x, coefficient[:C], dy, case.kernel, stride=case.stride)
    for ours, theirs in zip((dx.view, dcoefficient[:C], dbias[:C]), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert dcoefficient[C] == dbias[C] == 7
    assert_untouched(y, before)
    assert_untouched(dx, dx_before)


def test_the_number_of_threads_changes_no_bit():
    rng, case = np.random.default_rng(3), Pool((PARTS + 3, 20, 9, 9), (3, 3), (2, 2), ((1, 1), (1, 1)))
    p = case.pooling(RUNNABLE[0])
    x, dy = (rng.standard_normal(s).astype(np.float32) for s in (case.x_shape, (case.x_shape[0], *p.y_shape)))

    def compute():
        dcoefficient, dbias = np.zeros((2, 20), np.float32)
        dx = Map(len(x), p.shape)
        steps = p.subsample_grad(
            "t", placed(x, INNER), zeros(20), placed(dy, INNER), None, dcoefficient, dbias, pool().size
        )
        program(steps + p.mean_grad("t", placed(dy, INNER), dx)).run()
        return dcoefficient, dbias, dx.view

    assert_threads_change_no_bit(compute)


def test_fewer_images_than_there_is_room_for():
    case = Pool((3, 5, 6, 6), (2, 2), (2, 2))
    p, x = case.pooling(RUNNABLE[0]), case.x()
    xm, y, codes = placed(x, INNER), Map(3, p.y_shape), p.codes(3)
    poisoned(y)
    (step,) = p.maximum("test", xm, y, codes)
    step.resize(2)
    program([step]).run()
    np.testing.assert_array_equal(y.view[:2], reference.max_pool(x[:2], 2))
    assert np.isnan(y.view[2]).all()
