"""Muon's update of packed matrices against its formula: tall, wide, padded and of several panels, on every ISA."""

import numpy as np
import pytest

from foveal.kernels.buffers import zeros
from foveal.kernels.isa import SHAPES, using
from foveal.kernels.orthogonal_steps import Packed, muon_step
from foveal.kernels.steps import program
from foveal.training.optimizers import Muon
from tests.support.machine import assert_threads_change_no_bit

WEIGHTS = [(16, 3, 3, 3), (5, 40), (40, 5), (70, 8, 1, 1), (3, 1, 200), (130, 7, 5), (1, 9), (33, 33)]


def packed(shape, rng):
    """Return a weight in memory of its own: in any order, with holes."""
    size = int(np.prod(shape))
    index = rng.permutation(np.r_[np.arange(size), np.full(11, -1)])
    memory = [zeros(index.size)[: index.size] for _ in range(3)]
    for a in memory:
        a[:] = rng.standard_normal(index.size)
        a[index < 0] = 0
    return Packed(shape, index, *memory)


def users(w, array):
    out = np.empty(int(np.prod(w.shape)))
    out[w.index[w.index >= 0]] = array[w.index >= 0]
    return out.reshape(w.shape)


@pytest.mark.parametrize("isa", sorted(SHAPES))
def test_the_formula(isa):
    rng = np.random.default_rng(0)
    weights = [packed(shape, rng) for shape in WEIGHTS]
    oracle = Muon(0.3, 0.8, 0.1)
    names = [f"{i}.weight" for i in range(len(weights))]
    p, g = ({n: users(w, getattr(w, k)) for n, w in zip(names, weights, strict=True)} for k in "pg")
    oracle.state = {n: [users(w, w.m)] for n, w in zip(names, weights, strict=True)}
    with using(isa) as shape:
        update = muon_step("update", weights, shape)
        for i, c in enumerate(oracle.coefficients(1)):
            update.block[f"c{i}"] = c
        program([update]).run()
    oracle.update(p, g)
    for n, w in zip(names, weights, strict=True):
        np.testing.assert_allclose(users(w, w.m), oracle.state[n][0], rtol=0, atol=1e-6, err_msg=n)
        np.testing.assert_allclose(users(w, w.p), p[n], rtol=0, atol=3e-6, err_msg=n)  # p of 4, steps of 0.3
        assert not w.p[w.index < 0].any()


def test_a_gradient_of_zeros_moves_nothing():
    w = packed((6, 10), np.random.default_rng(1))
    w.g[:], w.m[:] = 0, 0
    before = w.p.copy()
    update = muon_step("update", [w], SHAPES["sse"])
    update.block["c0"] = 0.5
    program([update]).run()
    np.testing.assert_array_equal(w.p, before)


def test_threads_do_not_change_a_bit():
    def compute():
        weights = [packed(shape, np.random.default_rng(2)) for shape in WEIGHTS]
        update = muon_step("update", weights, SHAPES["sse"])
        update.block["c0"], update.block["c2"] = 0.5, 0.9
        program([update]).run()
        return [w.p for w in weights]

    assert_threads_change_no_bit(compute)
