"""The fused update kernels against the formulas of `foveal.training.optimizers`, with and without decay."""

import numpy as np
import pytest

from foveal.kernels.buffers import zeros
from foveal.kernels.reduction import CHUNK
from foveal.kernels.steps import program, step
from foveal.kernels.update import KERNELS
from foveal.training.optimizers import OPTIMIZERS
from tests.support.oracles import gamma

STEPS, LR = 5, 0.05
# How far p can move in a step, in learning rates, for gradients of at most 2.
REACH = {"momentum": 20, "nesterov": 40, "rmsprop": 10}


def test_every_optimizer_has_a_kernel():
    assert set(KERNELS) == set(OPTIMIZERS)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("size", [1, 7, CHUNK, 2 * CHUNK + 5])
@pytest.mark.parametrize("kind", sorted(KERNELS))
def test_kernels_equal_the_formulas(kind, size, decay):
    rng = np.random.default_rng(size)
    optimizer = OPTIMIZERS[kind](lr=lambda step: LR / step, weight_decay=decay)
    p, g, states = zeros(size), zeros(size), [zeros(size) for _ in range(optimizer.states)]
    for array in (p, g, *states):
        array[size:] = 7.0  # guard floats
    p[:size] = rng.uniform(-1, 1, size)
    oracle = {"p": p[:size].astype(np.float64)}
    m, v = [*states, p, p][:2]
    update = step("update", KERNELS[kind], p=p, g=g, m=m, v=v, size=size, **{f"c{i}": 0.0 for i in range(7)})
    run = program([update])
    for number in range(1, STEPS + 1):
        # No gradient near zero: adaptive rates divide by it, so decay would cancel there and its rounding would grow.
        g[:size] = rng.uniform(0.5, 2, size) * rng.choice([-1, 1], size)
        for i, c in enumerate(optimizer.coefficients(number)):
            update.block[f"c{i}"] = c
        run.run()
        optimizer.update(oracle, {"p": g[:size].astype(np.float64)})
    # Each step rounds at most 16 times, relative to p and to what is added to it.
    tolerance = gamma(16 * STEPS) * (1 + REACH.get(kind, 4) * LR * STEPS)
    np.testing.assert_allclose(p[:size], oracle["p"], rtol=0, atol=tolerance)
    for ours, theirs in zip(states, optimizer.state["p"], strict=True):
        np.testing.assert_allclose(ours[:size], theirs, rtol=gamma(16 * STEPS), atol=gamma(16 * STEPS) * 20)
    for array in (p, g, *states):
        assert (array[size:] == 7.0).all()
