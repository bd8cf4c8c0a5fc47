"""A row of max pooling windows and its backward, called alone: ties, dead outputs, tails of channels, overlap."""

import itertools

import numpy as np
import pytest

from foveal.kernels import pooltile
from foveal.kernels.assembler import assemble
from foveal.kernels.isa import named
from tests.support.machine import RUNNABLE, bits, call

POINTERS = {"rows", "y", "marks", "db"}
DEAD = -1
WINDOWS = [((2, 2), 2), ((3, 3), 2), ((1, 1), 1), ((2, 3), 3), ((3, 2), 1), ((2, 2), 3)]
N = 5
every_row = pytest.mark.parametrize(("name", "window", "stride"), [(n, *w) for n in RUNNABLE for w in WINDOWS])


def forward_address(name, window, remember):
    ir = pooltile.forward(named(name), window, remember)
    return assemble(f"max_pool_{name}_{window[0]}x{window[1]}_{int(remember)}", ir, named(name))


def backward_address(name, window, disjoint):
    ir = pooltile.backward(named(name), window, disjoint)
    return assemble(f"max_unpool_{name}_{window[0]}x{window[1]}_{int(disjoint)}", ir, named(name))


def tails(name):
    lanes = named(name).lanes
    return [*range(1, lanes + 1), lanes + 1, 2 * lanes, 2 * lanes + 3]


def rounded(name, channels):
    lanes = named(name).lanes
    return -(-channels // lanes) * lanes


def winners(name, window, marks, channels):
    """Return from marks (N, bytes) the place whose value was taken, (N, channels), or DEAD: bit by bit."""
    lanes, places = named(name).lanes, window[0] * window[1]
    size, vectors = max(lanes // 8, 1), -(-channels // lanes)
    words = marks[:, : vectors * places * size].reshape(N, vectors, places, size)
    bits = np.unpackbits(words, axis=-1, bitorder="little")[..., :lanes]
    beats = bits.transpose(2, 0, 1, 3).reshape(places, N, vectors * lanes).astype(bool)
    last = np.zeros(beats.shape[1:], int)
    for p in range(1, places):
        last[beats[p]] = p
    return np.where(beats[0], last, DEAD)


def random_marks(rng, name, window, size, channels):
    """Return random bits of which those behind the channels say that no gradient passes."""
    lanes, places = named(name).lanes, window[0] * window[1]
    alive = (np.arange(size) < channels) & (rng.random((N, size)) < 0.7)
    bits = rng.random((N, size // lanes, places, lanes)) < 0.5
    bits[:, :, 0] = alive.reshape(N, -1, lanes)
    return np.packbits(bits, axis=-1, bitorder="little").reshape(N, -1)


def addresses(rows):
    return np.array([row.ctypes.data for row in rows], np.int64)


def picture(rng, window, stride, pixel, ties):
    """Return rows of memory, unaligned: whole numbers from -2 to 2 have many ties, normal ones none."""
    columns = (N - 1) * stride + window[1]
    values = rng.integers(-2, 3, (window[0], columns * pixel + 40)) if ties else rng.standard_normal(
        (window[0], columns * pixel + 40)
    )  # fmt: skip
    return [np.concatenate([[0], row]).astype(np.float32)[1:] for row in values]


def taps(rows, window, stride, pixel, channels):
    """Return the values of each window by place, (places, N, channels)."""
    places = itertools.product(range(window[0]), range(window[1]))
    q, c = np.ix_(range(N), range(channels))
    return np.stack([rows[r][(q * stride + s) * pixel + c] for r, s in places])


@every_row
@pytest.mark.parametrize("floor", [0.0, -np.inf])
def test_forward(name, window, stride, floor):
    for channels, ties in itertools.product(tails(name), (False, True)):
        rng = np.random.default_rng([channels, ties])
        pixel, ys = channels + 2, channels + 3
        ms = rounded(name, channels) // named(name).lanes * pooltile.mark_bytes(named(name), window) + 1
        rows = picture(rng, window, stride, pixel, ties)
        values = taps(rows, window, stride, pixel, channels)
        for remember in (True, False):
            y, marks = np.full((N, ys), np.nan, np.float32), np.full(N * ms + 1, 77, np.uint8)
            call(
                forward_address(name, window, remember), pooltile.FORWARD, POINTERS, rows=addresses(rows), xs=pixel,
                sx=stride * pixel, n=N, channels=channels, y=y, ys=ys, marks=marks, ms=ms, floor=floor,
            )  # fmt: skip
            np.testing.assert_array_equal(y[:, :channels], np.maximum(values.max(0), np.float32(floor)))
            assert np.isnan(y[:, channels:]).all(), "written behind the channels"
            if not remember:
                assert (marks == 77).all()
                continue
            won = winners(name, window, marks[:-1].reshape(N, ms), rounded(name, channels))
            first = np.where(values.max(0) > floor, values.argmax(0), DEAD)  # argmax: of equal values the first
            np.testing.assert_array_equal(won[:, :channels], first)
            assert (won[:, channels:] == DEAD).all(), "lanes behind the channels must stay dead in backward"
            assert (marks[:-1].reshape(N, ms)[:, -1] == 77).all()
            assert marks[-1] == 77


@every_row
def test_backward(name, window, stride):
    ph, pw = window
    for channels in tails(name):
        rng = np.random.default_rng(channels)
        size = rounded(name, channels)
        ds, ys = size + 1, channels + 2
        marks = random_marks(rng, name, window, size, channels)
        won, ms = winners(name, window, marks, size), marks.shape[1]
        dy = rng.standard_normal(N * ys + 40).astype(np.float32)
        dy[(np.arange(dy.size) % ys >= channels) | (np.arange(dy.size) >= N * ys)] = np.nan  # between pixels: unread
        columns = (N - 1) * stride + pw
        disjoint = pw <= stride
        memory = rng.standard_normal((ph, columns * ds + 8)).astype(np.float32)
        if disjoint:
            for q, s in itertools.product(range(N), range(pw)):
                at = (q * stride + s) * ds
                memory[:, at : at + size] = np.nan  # overwritten: what was there does not count
        before, db = memory.copy(), np.concatenate([rng.standard_normal(size), [7]]).astype(np.float32)
        sums = db.astype(np.float64)
        call(
            backward_address(name, window, disjoint), pooltile.BACKWARD, POINTERS, rows=addresses(list(memory)), ds=ds,
            sd=stride * ds, n=N, channels=channels, y=dy, ys=ys, marks=marks, ms=ms, db=db,
        )  # fmt: skip
        expected, touched = before.astype(np.float64), np.zeros(memory.shape, bool)
        for q, p in itertools.product(range(N), range(ph * pw)):
            at = (q * stride + p % pw) * ds
            touched[p // pw, at : at + size] = True
            share = np.where(won[q, :channels] == p, dy[q * ys : q * ys + channels].astype(np.float64), 0)
            place = expected[p // pw, at : at + size]
            if disjoint:
                place[:] = 0
            place[:channels] += share
        for q in range(N):
            sums[:channels] += np.where(won[q, :channels] == DEAD, 0, dy[q * ys : q * ys + channels].astype(float))
        np.testing.assert_array_equal(bits(memory[~touched]), bits(before[~touched]), "guards between pixels")
        if disjoint:
            np.testing.assert_array_equal(memory[touched], expected[touched])
        else:
            np.testing.assert_allclose(memory[touched], expected[touched], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(db, sums, rtol=1e-6, atol=1e-6)
        assert db[-1] == 7


@pytest.mark.parametrize("name", RUNNABLE)
@pytest.mark.parametrize("place", range(4))
def test_forward_keeps_nan(name, place):
    """As the reference and `pooling.max_pool_forward` do: a NaN anywhere in the window is its maximum."""
    rows = [np.ones(60, np.float32) for _ in range(2)]
    rows[place // 2][place % 2] = np.nan
    y, marks = np.zeros(1, np.float32), np.zeros(64, np.uint8)
    call(
        forward_address(name, (2, 2), True), pooltile.FORWARD, POINTERS, rows=addresses(rows), xs=1, sx=2, n=1,
        channels=1, y=y, ys=1, marks=marks, ms=64, floor=0.0,
    )  # fmt: skip
    assert np.isnan(y[0])
    assert marks[0] & 1 == 0, "no gradient passes a NaN"
