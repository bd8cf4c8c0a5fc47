"""Writing past the caches: the same bits in the same places, nothing beside them, and only where it pays."""

import numpy as np
import pytest

from foveal import ops
from foveal.kernels import large
from foveal.kernels.batch_norm_steps import BatchNorm
from foveal.kernels.buffers import Border, Map, zeros
from foveal.kernels.compiler import fields
from foveal.kernels.intrinsics import LINE, STACK
from foveal.kernels.large import goes_past, map_goes_past
from foveal.kernels.steps import program, step
from foveal.kernels.tasks import once, per_task
from tests.support.machine import bits
from tests.support.maps import BORDERS, filled, unwritten


@per_task(fields("x y size"), once)
def sent(a, task, thread):
    large.send(a.x, a.y, a.size)


@pytest.mark.parametrize("size", [0, 1, LINE - 1, LINE, 3 * LINE + 5, STACK])
def test_every_float_arrives_and_nothing_beside(size):
    x = np.arange(1, size + 1, dtype=np.float32)
    for start in range(LINE + 1):
        y = zeros(size + 2 * LINE)
        program([step("send", sent, x=x, y=y.ctypes.data + 4 * start, size=size)]).run()
        np.testing.assert_array_equal(y[start : start + size], x)
        assert not y[:start].any()
        assert not y[start + size :].any()


def test_what_is_in_its_place_stays():
    x = np.arange(40, dtype=np.float32)
    program([step("send", sent, x=x, y=x, size=x.size)]).run()
    np.testing.assert_array_equal(x, np.arange(40))


def test_only_large_results_that_are_not_over_their_source():
    enough = large.LARGE // 4
    assert goes_past(enough, STACK)
    assert not goes_past(enough - 1, STACK)
    assert not goes_past(enough, STACK + 1)
    assert not goes_past(enough, STACK, in_place=True)
    x, y = Map(1, (64, 256, 256)), Map(1, (64, 256, 256), Border(1, 1, 1, 1))
    assert map_goes_past(y, STACK, x)
    assert not map_goes_past(y, STACK, x, y)


SHAPES = [(2, 3, 5, 7), (1, 96, 11, 13), (20, 17), (2, STACK + 5, 2, 3), (3, 4, 2, 3, 5), (2, 5, 40, 60)]


def assert_both_ways_alike(compute, monkeypatch):
    """Compare every bit of what is sent past the caches with what is stored."""
    results = []
    for limit in (0, 1 << 60):
        monkeypatch.setattr(large, "LARGE", limit)
        results.append(compute())
    for past, plain in zip(*results, strict=True):
        np.testing.assert_array_equal(bits(past), bits(plain))


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norm_of_maps(shape, border, monkeypatch):
    rng = np.random.default_rng(0)
    where = BORDERS[border] if len(shape) == 4 else BORDERS["bare"]
    x, dy, other = (filled(rng.standard_normal(shape).astype(np.float32)) for _ in range(3))
    scale, shift, dscale, dshift = (zeros(shape[1]) for _ in range(4))
    scale[:], shift[:] = 2, 0.5

    def compute():
        y, total, dx = (unwritten(shape, where) for _ in range(3))
        norm = BatchNorm(x, 1e-5, 0.0)
        forward = norm.forward("test", scale, shift, y) + norm.forward("test", scale, shift, total, other=other)
        steps = forward + norm.backward("test", scale, dy, dx, dscale, dshift)
        written = [s.block["past"][0] for s in steps if "past" in s.kernel.fields.names]
        assert written == [large.LARGE == 0 and shape[1] <= STACK] * 3
        program(steps).run()
        assert np.isfinite(dx.view).all()
        return y.data, total.data, dx.data

    assert_both_ways_alike(compute, monkeypatch)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norm_of_arrays(shape, monkeypatch):
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    scale = np.full(shape[1], 2, np.float32)
    assert_both_ways_alike(lambda: (ops.batch_norm(x, scale, scale), *ops.batch_norm_grad(x, scale, dy)), monkeypatch)
