"""The two inner loops of image kernels, called alone on every instruction set, and guards around what they write."""

import itertools

import numpy as np
import pytest

from foveal.kernels import filter_steps, filters, filtertile, isa
from foveal.kernels.assembler import assemble
from foveal.kernels.isa import named
from foveal.kernels.steps import program
from foveal.kernels.threads import pool
from tests.support.machine import RUNNABLE, call
from tests.support.oracles import gamma

POINTERS = {"rows", "w", "x", "y", "init", "db"}


@pytest.mark.parametrize("name", RUNNABLE)
@pytest.mark.parametrize(("R", "C"), [(1, 1), (1, 12), (2, 3), (3, 2), (6, 1)])
def test_weigh(name, R, C):
    shape, rng = named(name), np.random.default_rng(R)
    address = assemble(filtertile.weigh_name(shape, R, C), filtertile.weigh(shape, R, C), shape)
    for T, M in ((1, 1), (7, 3)):
        size, ys = M * C * shape.lanes, M * C * shape.lanes + 5
        memory = rng.standard_normal((T, size + 3)).astype(np.float32)
        rows = np.array([row[t % 3 :].ctypes.data for t, row in enumerate(memory)], np.int64)  # unaligned too
        w, y = rng.standard_normal((T, R)).astype(np.float32), np.full((R, ys), np.nan, np.float32)
        call(address, filtertile.WEIGH, POINTERS, rows=rows, w=w, T=T, y=y, ys=ys, M=M)
        x = np.stack([row[t % 3 : t % 3 + size] for t, row in enumerate(memory)]).astype(float)
        off = np.abs(y[:, :size] - w.T.astype(float) @ x)
        assert (off <= gamma(2 * T) * (np.abs(w.T).astype(float) @ np.abs(x))).all()
        assert np.isnan(y[:, size:]).all(), "written behind the row"


@pytest.mark.parametrize("name", RUNNABLE)
@pytest.mark.parametrize(("R", "C"), [(1, 12), (3, 2)])
def test_weigh_whole_numbers(name, R, C):
    """int16 sums, up to both ends of what they hold."""
    shape, rng = named(name), np.random.default_rng(R)
    V = filtertile.lanes(shape, True)
    assert shape.lanes * 2 == V
    address = assemble(filtertile.weigh_name(shape, R, C, True), filtertile.weigh(shape, R, C, True), shape)
    T, M = 4, 2
    x = rng.integers(0, 256, (T, M * C * V)).astype(np.int16)
    x[:, 0] = 255
    w = rng.integers(-32, 33, (T, R))
    w[:, 0] = 32 if R == 1 else -32
    y, rows = np.full((R, x.shape[1] + 5), 77, np.int16), np.array([row.ctypes.data for row in x], np.int64)
    call(address, filtertile.WEIGH, POINTERS, rows=rows, w=filter_steps.scalars(w, True), T=T, y=y, ys=y.shape[1], M=M)
    np.testing.assert_array_equal(y[:, :-5], w.T @ x.astype(int))
    assert abs(int(y[0, 0])) == 128 * 255
    assert (y[:, -5:] == 77).all()


@pytest.mark.parametrize("name", RUNNABLE)
def test_quantise_whole_numbers(name):
    shape = named(name)
    V = filtertile.lanes(shape, True)
    values = np.resize(np.concatenate([np.arange(-300, 600), [32767 - 9, -32768]]).astype(np.int16), 40 * V)
    y, count = np.full(values.size + 1, 77, np.uint8), np.array([5], np.int64)
    address = assemble(filtertile.quantise_name(shape, True), filtertile.quantise(shape, True), shape)
    init = filter_steps.scalars(np.array([9, 1]), True)
    call(address, filtertile.QUANTISE, POINTERS, x=values, init=init, y=y, db=count, M=40)
    wanted = values.astype(int) + 9
    np.testing.assert_array_equal(y[:-1], np.clip(wanted, 0, 255))
    assert count[0] == 5 + ((wanted < 0) | (wanted > 255)).sum()
    assert y[-1] == 77


@pytest.mark.parametrize("name", RUNNABLE)
def test_quantise(name):
    """All bytes, both sides of every tie, the ends, and what no byte can hold."""
    shape = named(name)
    whole = np.arange(-4, 260, dtype=np.float32)
    ties = whole + np.float32(0.5)
    special = np.array([-0.0, 1e30, -1e30, np.inf, -np.inf, 3e9, -3e9, 2.0**23, 1e-40], np.float32)
    values = np.concatenate([whole, ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf), special])
    values = np.resize(values, -(-values.size // shape.lanes) * shape.lanes).astype(np.float32)
    y, count = np.full(values.size + 1, 77, np.uint8), np.array([5], np.int64)
    address = assemble(filtertile.quantise_name(shape), filtertile.quantise(shape), shape)
    call(address, filtertile.QUANTISE, POINTERS, x=values, init=np.array([0, 1], np.float32), y=y, db=count,
         M=values.size // shape.lanes)  # fmt: skip
    rounded = np.rint(values.astype(float))
    np.testing.assert_array_equal(y[:-1], np.clip(rounded, 0, 255))
    assert count[0] == 5 + ((rounded < 0) | (rounded > 255)).sum()
    assert y[-1] == 77


@pytest.mark.parametrize("name", RUNNABLE)
def test_quantise_scales_and_does_not_count_nan(name):
    shape = named(name)
    values = np.linspace(-300, 300, 4 * shape.lanes).astype(np.float32)
    values[::3] = np.nan
    y, count = np.zeros(values.size, np.uint8), np.zeros(1, np.int64)
    address = assemble(filtertile.quantise_name(shape), filtertile.quantise(shape), shape)
    call(address, filtertile.QUANTISE, POINTERS, x=values, init=np.array([128, -0.5], np.float32), y=y, db=count, M=4)
    wanted, real = np.rint(128 - 0.5 * values.astype(float)), ~np.isnan(values)
    np.testing.assert_array_equal(y[real], np.clip(wanted[real], 0, 255))
    assert count[0] == ((wanted[real] < 0) | (wanted[real] > 255)).sum() > 0


@pytest.mark.parametrize("name", RUNNABLE)
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("whole", [True, False])
def test_nothing_is_written_around_the_image(name, kind, whole):
    """Guard values on both sides of the output, and an input that ends where the memory ends."""
    for shape in ((3, 5, 3), (1, 1, 1), (7, 385, 3), (2, 1153, 1), (9, 50, 4)):
        rng, (H, W, C) = np.random.default_rng(shape), shape
        x = rng.integers(0, 256, shape).astype(kind)
        memory = np.full(x.size + 128, 77, kind)
        y, counts = memory[64:-64].reshape(shape), np.zeros((pool().size, 8), np.int64)
        rows, columns = (np.pad(np.arange(n), 1, mode="wrap") for n in (H, W))
        with isa.using(name) as chosen:
            plan = filter_steps.ImageFilter(
                shape, C, np.eye(3), None, rows, columns, 1, whole and kind is np.uint8, chosen, pool().size
            )  # fmt: skip
            program(plan.steps(x, y, 1, -200, counts)).run()
        assert (memory[:64] == 77).all()
        assert (memory[-64:] == 77).all()
        wanted = sum(x[rows[i : i + H]][:, columns[i : i + W]].astype(float) for i in range(3)) - 200
        np.testing.assert_array_equal(y, np.clip(wanted, 0, 255) if kind is np.uint8 else wanted)


def test_taps_are_the_matrix():
    """Adding up the taps of each output row, shifted back, gives the matrix again; no tap is all zeros."""
    rng = np.random.default_rng(0)
    for kh, kw, R in ((3, 3, 2), (5, 1, 4), (1, 6, 1), (4, 7, 3)):
        matrix = np.where(rng.random((kh, kw)) < 0.5, rng.standard_normal((kh, kw)), 0).astype(np.float32)
        taps = filter_steps.taps(matrix.astype(float), R, 1)
        assert (taps.weights != 0).any(axis=1).all()
        assert len({tuple(place) for place in taps.places}) == len(taps.places)
        for r in range(R):
            again = np.zeros((kh + R - 1, kw), np.float32)
            again[tuple(taps.places.T)] = taps.weights[:, r]
            np.testing.assert_array_equal(again[r : r + kh], matrix)
            assert np.count_nonzero(again) == np.count_nonzero(matrix)
    none = filter_steps.taps(np.zeros((3, 3)), 2, 1)
    assert len(none.places) > 0, "the tile wants a tap"
    assert not none.weights.any()


@pytest.mark.parametrize("name", RUNNABLE)
def test_the_chosen_tile_fits_the_registers(name):
    shape = named(name)
    for size, rows, whole in itertools.product(((3, 3), (15, 15), (31, 1), (1, 31)), (True, False), (True, False)):
        taps = filter_steps.choose(shape, np.ones(size), whole, rows)
        assert shape.registers >= taps.R * taps.C + taps.C + 1
        assert rows or taps.R == 1
        assert filters.STRIP % (taps.C * filtertile.lanes(shape, whole)) == 0, "a block would end behind the strip"
