"""The choice of tiles is register arithmetic: what fits, what covers the latency, what leaves no nearly empty tile."""

import pytest

from foveal.errors import ParameterError
from foveal.kernels import isa as isas
from foveal.kernels import tiles
from foveal.kernels.isa import SHAPES, named
from tests.support.machine import RUNNABLE

EVERY = pytest.mark.parametrize("name", list(SHAPES))


def needed(name, R, C):
    """Registers of an outer tile: accumulators, weights, one broadcast; a product of its own where nothing is fused."""
    return R * C + C + 1 + (not named(name).fma)


@pytest.mark.parametrize("R", range(1, 15))
def test_split_deals_rows_out_evenly(R):
    for rows in range(1, 200):
        count, small, more = tiles.split(rows, R)
        sizes = [small + 1] * more + [small] * (count - more)
        assert sum(sizes) == rows
        assert min(sizes) >= 1
        assert max(sizes) <= R
        assert count == -(-rows // R)


@EVERY
def test_every_candidate_fits_the_registers_and_none_is_missing(name):
    isa = named(name)
    found = set(tiles.outer_candidates(isa))
    assert found == {(R, C) for R in range(1, 33) for C in range(1, 5) if needed(name, R, C) <= isa.registers}


@EVERY
@pytest.mark.parametrize("columns", [1, 6, 16, 30, 64, 100, 257])
def test_the_chosen_outer_tile_fits_and_covers(name, columns):
    isa = named(name)
    for rows in (1, 2, 5, 13, 24, 27, 55, 224):
        t = tiles.choose_outer(isa, rows, columns)
        assert needed(name, t.R, t.C) <= isa.registers
        assert t.width == t.C * isa.lanes
        _, small, more = tiles.split(rows, t.R)
        assert small + (more > 0) == t.R, "the largest tile that is needed, no larger"
        for vectors in (1, 2):
            assert vectors == tiles.choose_outer(isa, rows, columns, vectors).C


@EVERY
def test_large_problems_keep_the_multiply_add_units_busy(name):
    """As many accumulators as multiply-adds are on their way, and fewer loads than multiply-adds."""
    isa = named(name)
    t = tiles.choose_outer(isa, 224, 256)
    assert isa.latency <= t.R * t.C
    assert t.R + t.C < t.R * t.C
    t = tiles.choose_inner(isa, 100)
    assert isa.latency <= t.R * t.C
    assert t.R * t.C + t.R + 1 + (not isa.fma) <= isa.registers
    assert t.R + t.C < t.R * t.C


@EVERY
def test_the_chosen_outer_tile_is_nearly_the_cheapest(name):
    """In cycles for one k over all tiles and panels; of nearly equal ones the choice prefers fewer loads."""
    isa = named(name)

    def cycles(R, C, rows, columns):
        count, small, more = tiles.split(rows, R)
        vectors, cost = -(-columns // isa.lanes), 0.0
        for c in [C] * (vectors // C) + [vectors % C] * (vectors % C > 0):
            for r, times in ((small + 1, more), (small, count - more)):
                cost += times * max(r * c / 2, (r + c) / 2 + 0.25, isa.latency / 2)
        return cost

    for rows, columns in [(24, 30), (8, 16), (13, 384), (55, 64), (1, 10), (28, 6)]:
        t = tiles.choose_outer(isa, rows, columns)
        best = min(cycles(*shape, rows, columns) for shape in tiles.outer_candidates(isa))
        assert cycles(t.R, t.C, rows, columns) <= 1.05 * best


def test_the_table_makes_only_what_is_needed():
    t = tiles.choose_outer(named(RUNNABLE[0]), 27, 16)
    made = tiles.table("outer", t, t.C, 27)
    _, small, more = tiles.split(27, t.R)
    assert set(made.nonzero()[0]) == ({small, small + 1} if more else {small})
    assert tiles.table("outer", t, t.C, None)[1:].all()
    assert not tiles.table("outer", t, t.C, None)[0]


def test_the_override_is_one_at_a_time_and_ends():
    before = isas.host()
    with isas.using("sse") as inner:
        assert isas.host() is inner is named("sse")
        with isas.using("neon"):
            assert isas.host() is named("neon")
        assert isas.host() is inner
    assert isas.host() == before
    with pytest.raises(ParameterError, match=r"expected a known name, got 'avx1024'\. Did you mean 'avx512'"):
        named("avx1024")


@pytest.fixture
def read_again():
    """Let the environment be read at the first need, and again after the test."""
    isas._given.cache_clear()
    yield
    isas._given.cache_clear()


def test_the_environment_names_the_instruction_set(monkeypatch, read_again):
    monkeypatch.setenv("FOVEAL_ISA", "sse")
    assert isas.host() is named("sse")
    monkeypatch.setenv("FOVEAL_ISA", "avx2")
    assert isas.host() is named("sse"), "it is read once"


def test_the_environment_names_no_instruction_set(monkeypatch, read_again):
    monkeypatch.setenv("FOVEAL_ISA", "mmx")
    for _ in range(2):
        with pytest.raises(ParameterError, match="got 'mmx'"):
            isas.host()
