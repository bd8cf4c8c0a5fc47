"""Winograd's minimal filtering: its matrices, exactly, and the steps that use it against the float64 reference."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from foveal import reference
from foveal.geometry import Window
from foveal.kernels import winograd_steps
from foveal.kernels.buffers import Map, Scratch
from foveal.kernels.convolution_steps import NONE, Correlation
from foveal.kernels.isa import SHAPES, named
from foveal.kernels.panels import Panels
from foveal.kernels.steps import program
from foveal.kernels.threads import pool
from foveal.kernels.tiles import choose_outer
from foveal.kernels.winograd_steps import OUTPUTS, choose
from foveal.kernels.winogradtile import matrices
from tests.support.correlations import check_forward, check_gradients, images, of_a_patch
from tests.support.geometries import Case, cases
from tests.support.machine import RUNNABLE, bits
from tests.support.maps import MARGIN, assert_untouched, poisoned
from tests.support.packed import packed

every_isa = pytest.mark.parametrize("name", RUNNABLE)
EVERY_F = [(m, S) for S, outputs in OUTPUTS.items() for m in outputs]

CASES = [
    # whole tiles in a row, and a rest; one channel, some, more than a vector, more filters than a panel, few of both
    Case((2, 1, 9, 24), (30, 1, 5, 5), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, 0),
    Case((2, 1, 8, 19), (17, 1, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, 1),
    Case((3, 16, 7, 16), (16, 16, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, 2),
    Case((1, 37, 6, 13), (70, 37, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, 3),
    Case((2, 20, 9, 14), (40, 20, 5, 5), (1, 1), ((2, 2), (2, 2)), (1, 1), 1, 4),
    # strides and dilation down the map, no kernel column to spare, a kernel of one row, images of one row
    Case((2, 5, 11, 10), (33, 5, 4, 3), (2, 1), ((1, 2), (1, 0)), (1, 1), 1, 5),
    Case((2, 18, 12, 9), (20, 18, 3, 3), (1, 1), ((2, 2), (1, 1)), (2, 1), 1, 6),
    Case((2, 4, 5, 12), (9, 4, 1, 5), (1, 1), ((0, 0), (2, 2)), (1, 1), 1, 7),
    Case((2, 12, 30), (16, 12, 3), (1,), ((1, 1),), (1,), 1, 8),
    Case((20, 3, 6, 8), (6, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, 9),
    # the gradient of a stride along the row: its phases have three columns and two
    Case((2, 16, 9, 31), (32, 16, 5, 5), (2, 2), ((2, 2), (2, 2)), (1, 1), 1, 10),
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.x_shape}-{c.w_shape}")


@pytest.fixture
def always(monkeypatch):
    """Take it wherever it is possible."""
    choose.cache_clear()
    monkeypatch.setattr(winograd_steps, "NEARLY", np.inf)
    yield
    choose.cache_clear()


def geometry(case, name, scratch=True):
    shape = case.x_shape[1:]
    window = Window.resolve(shape[1:], case.w_shape[2:], case.stride, case.padding, case.dilation)
    memory = Scratch(pool().size) if scratch else None
    if memory:
        memory.memory[:] = np.nan  # what a step finds in its scratch must not count
    return Correlation(shape, case.w_shape[0], window, case.groups, named(name), scratch=memory)


def tiles(steps):
    return [s.tile for s in steps if s.tile]


@pytest.mark.parametrize(("m", "S"), EVERY_F)
def test_minimal_filtering_is_exact(m, S):
    """m correlations for m + S - 1 products, in fractions."""
    A, G, B = matrices(m, S)
    rng = np.random.default_rng(0)
    g, d = ([Fraction(int(v), 7) for v in rng.integers(-9, 10, size)] for size in (S, m + S - 1))

    def times(matrix, vector):
        return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]

    products = [a * b for a, b in zip(times(G, g), times(B, d), strict=True)]
    assert len(products) == m + S - 1
    assert times(A, products) == [sum(g[s] * d[i + s] for s in range(S)) for i in range(m)]


@every_isa
@every_case
def test_forward_and_gradients(name, case, always):
    g = geometry(case, name)
    check_forward(g, case, 0.0 if case.seed % 2 else NONE, magnitude=of_a_patch)
    check_gradients(g, case, magnitude=of_a_patch)


@every_isa
@pytest.mark.parametrize(("m", "S"), EVERY_F)
def test_every_tile(name, m, S, always, monkeypatch):
    """Every number of outputs and of patches side by side, and every width of a panel."""
    isa, seen = named(name), set()
    monkeypatch.setattr(winograd_steps, "OUTPUTS", {S: (m,)})
    shapes = [
        (R, C) for C, R in itertools.product(range(1, 5), range(1, isa.registers))
        if R * C * (m + S - 1) + C + 1 <= isa.registers - (not isa.fma)
    ]  # fmt: skip
    for R, C in shapes:
        case = Case((1, 3, S + 1, R * m + S), (C * isa.lanes, 3, S, S), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, R)
        monkeypatch.setattr(winograd_steps.Winograd, "cycles", property(lambda way, R=R: abs(way.R - R)))
        choose.cache_clear()
        g = geometry(case, name)
        monkeypatch.setattr(type(g), "panels", _panels_of(C))
        check_forward(g, case, magnitude=of_a_patch)
        x, w, b = case.arrays(np.float32)
        memory = packed(w, g.weight_index), packed(b, g.bias_index)
        seen |= set(tiles(g.forward("test", images(g, case, x), *memory, Map(1, g.y_shape))))
        monkeypatch.undo()
        monkeypatch.setattr(winograd_steps, "NEARLY", np.inf)
        monkeypatch.setattr(winograd_steps, "OUTPUTS", {S: (m,)})
    assert seen == {f"F({m}, {S}) {R}x{C} ({name})" for R, C in shapes}


def _panels_of(C):
    plain = Correlation.panels

    def panels(self, x):
        cut = plain(self, x)
        return Panels(choose_outer(self.isa, cut.rows, cut.columns, C), cut.taps, cut.run, cut.columns, cut.rows)

    return panels


@every_isa
@every_case
def test_a_few_channels_and_rows_at_a_time(name, case, always, monkeypatch):
    """Filters that are too large for the first cache, and maps too large for the scratch."""
    monkeypatch.setattr(winograd_steps, "FIRST_LEVEL", 3000)
    monkeypatch.setattr(Scratch, "size", 5500)
    g = geometry(case, name)
    check_forward(g, case, 0.0 if case.seed % 2 else NONE, magnitude=of_a_patch)
    check_gradients(g, case, magnitude=of_a_patch)


@every_isa
@settings(derandomize=True, deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(case=cases(axes=2))
def test_random_shapes(name, case, always):
    assume(case.groups == 1 and case.w_shape[3] == 3)
    g = geometry(case, name)
    check_forward(g, case, magnitude=of_a_patch)
    check_gradients(g, case, magnitude=of_a_patch)


@every_isa
@pytest.mark.parametrize("case", [CASES[0], CASES[1], CASES[4], CASES[6], CASES[9]], ids=lambda c: f"{c.x_shape}")
@pytest.mark.parametrize("remember", [False, True])
def test_pooled(name, case, remember, always):
    """Convolution, ReLU and max pooling in one pass; what is marked as the maximum is the maximum."""
    g = geometry(case, name)
    x, w, b = case.arrays(np.float32)
    window = Window.resolve(g.output, 2, 2)
    y, marks = Map(len(x), (g.K, *window.output(g.output)), MARGIN), np.zeros(len(x) * g.mark_size(window), np.uint8)
    before = poisoned(y)
    steps = g.forward_pooled("test", images(g, case, x), packed(w, g.weight_index), packed(b, g.bias_index), window, y,
                             marks if remember else None, 0.0, pool().size)  # fmt: skip
    assert tiles(steps)[0].startswith("F(")
    program(steps).run()
    full = np.maximum(reference.correlate(x, w, b, **case.options), 0)
    expected = reference.max_pool(full, 2, stride=2)
    np.testing.assert_allclose(y.view, expected, rtol=0, atol=1e-5 * np.abs(full).max())
    assert_untouched(y, before)


@every_isa
@every_case
def test_bits_depend_neither_on_the_batch_nor_on_threads(name, case, always):
    """One image, and the same image among others: tasks are cut otherwise."""
    g = geometry(case, name)
    x, w, b = case.arrays(np.float32)
    found = []
    for batch in (x[:1], np.concatenate([x[:1]] * 21)):
        xm, y = Map(len(batch), g.shape, g.x_border), Map(len(batch), g.y_shape)
        xm.view[...] = batch
        program(g.forward("test", xm, packed(w, g.weight_index), packed(b, g.bias_index), y)).run()
        found += list(y.view.copy())
    for one in found:
        np.testing.assert_array_equal(bits(one), bits(found[0]))


@every_isa
def test_rounding_errors_are_those_of_direct_sums(name, always):
    """Along one axis only, the points are small: at most four times the errors of the direct sum."""
    for case in (CASES[0], CASES[2], CASES[3], CASES[4]):
        x, w, b = case.arrays(np.float32)
        exact, errors = reference.correlate(x.astype(float), w.astype(float), b.astype(float), **case.options), []
        for scratch in (True, False):
            g = geometry(case, name, scratch)
            xm, y = Map(len(x), g.shape, g.x_border), Map(len(x), g.y_shape)
            xm.view[...] = x
            steps = g.forward("test", xm, packed(w, g.weight_index), packed(b, g.bias_index), y)
            assert tiles(steps)[0].startswith("F(") == scratch
            program(steps).run()
            errors.append(np.sqrt(((y.view - exact) ** 2).mean()))
        assert errors[0] < 4 * errors[1]


def test_it_is_taken_where_it_saves_cycles():
    """3x3 and 5x5 on maps of some width; not where there are few channels and filters, nor with a stride or 1x1."""
    isa = SHAPES["avx512"]

    def tile(shape, K, kernel, **options):
        g = Correlation(shape, K, Window.resolve(shape[1:], kernel, **options), 1, isa, scratch=Scratch(1))
        way = g._winograd(g.panels(Map(0, shape)), (1, 2, 3, 4))
        return str(way) if way else ""

    assert tile((64, 112, 112), 64, 3, padding=1) == "F(4, 3) 2x2 (avx512)"
    assert tile((1, 28, 28), 30, 5) == "F(3, 5) 2x2 (avx512)"
    assert tile((3, 32, 32), 16, 3, padding=1) == ""
    assert tile((64, 56, 56), 64, 3, stride=2, padding=1) == ""
    assert tile((64, 56, 56), 64, 1) == ""
    assert tile((64, 56, 56), 64, 3, padding=2, dilation=2) == ""
    assert tile((512, 7, 7), 512, 3, padding=1) == ""


def test_without_scratch_sums_are_direct():
    g = geometry(CASES[2], "avx512", scratch=False)
    assert g._winograd(g.panels(Map(0, g.shape)), (1, 2)) is None
