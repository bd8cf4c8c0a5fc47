"""Dropout: the mask is the formula's, bit by bit, in every memory order, far into a sequence, and in place."""

import numpy as np
import pytest

from foveal import reference
from foveal.kernels.buffers import Border
from foveal.kernels.dropout import BLOCK, array_steps, map_steps, reseed
from foveal.kernels.steps import program
from foveal.kernels.threads import set_threads
from foveal.reference import random
from tests.support.maps import assert_untouched, filled, unwritten

SHAPES = [(3, 5, 7, 4), (2, 3, 9), (2, 2, 3, 4, 5), (40, 7), (1, 3, BLOCK + 5), (1, BLOCK + 3, 2, 2), (2, 8, 70, 70)]
SEEDS = [0, 7, 2**64 - 1]


@pytest.fixture(autouse=True)
def the_pool_of_before():
    yield
    set_threads(None)


def ones(shape):
    """Return numbers without a zero: dropped ones can be told."""
    return np.random.default_rng(shape).uniform(1, 2, shape).astype(np.float32)


@pytest.mark.parametrize("rate", [0.0, 0.5, 0.1])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_same_numbers_are_dropped(shape, seed, rate):
    x = ones(shape)
    exact = reference.dropout(x, rate, seed=seed)
    border = Border(top=1, right=2, front=len(shape) - 4) if len(shape) > 3 else Border()
    xm, ym, y = filled(x, border), unwritten(shape), np.full_like(x, np.nan)
    before = ym.data.copy()
    program(map_steps("test", xm, ym, rate, seed) + array_steps("test", x, y, rate, seed)).run()
    for found in (ym.view, y):
        np.testing.assert_array_equal(found != 0, exact != 0)
        np.testing.assert_allclose(found, exact, rtol=2 * 2.0**-24)  # 1 / (1 - rate) and the product are rounded
    assert_untouched(ym, before)


@pytest.mark.parametrize("start", [2**32 - 50, 2**32 - 1, 2**32, 2**40 + 2**32 - 7])
def test_far_into_the_sequence(start):
    x, y = np.ones(100, np.float32), np.empty(100, np.float32)
    (step,) = array_steps("test", x, y, 0.5, 7)
    step.field("start")[:] = start
    program([step]).run()
    index = np.arange(start, start + 100, dtype=np.uint64)
    np.testing.assert_array_equal(y != 0, random.hash32(index, 7) >= random.threshold(0.5))


def test_in_place_with_another_seed_each_step_and_no_traces_of_what_was_dropped():
    x = ones((3, 4, 5, 6))
    x[0, 0] = np.nan
    m = filled(x)
    steps = map_steps("test", m, m, 0.5)
    run = program(steps)
    for seed in SEEDS:
        m.view[...] = x
        reseed(steps[0], seed)
        run.run()
        exact = reference.dropout(x, 0.5, seed=seed)
        np.testing.assert_array_equal(m.view, exact)
        assert (m.view[0, 0] == 0).any(), "NaN is dropped like any other number"


def test_threads_and_smaller_batches_do_not_change_a_bit():
    x, found = ones((5, 6, 40, 40)), []
    for threads in (1, 3):
        set_threads(threads)
        xm, ym = filled(x), unwritten(x.shape)
        steps = map_steps("test", xm, ym, 0.3, 5)
        steps[0].resize(3 if threads == 1 else 5)
        program(steps).run()
        found.append(ym.view)
    np.testing.assert_array_equal(found[0][:3], found[1][:3])
    assert np.isnan(found[0][3:]).all()
