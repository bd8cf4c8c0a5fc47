"""Images moved on their way into a batch: the formula's numbers, for every dtype and number of axes, and no others."""

import numpy as np
import pytest

from foveal.kernels.augmentation import AXES, gather_step
from foveal.kernels.steps import program
from foveal.kernels.threads import set_threads
from foveal.reference.augmentation import HOLE, READ, REFLECT, gather

SHAPES = [(1, 1), (2, 50), (1, 3000), (1, 1, 1), (3, 9, 8), (1, 28, 28), (2, 5, 1, 7), (1, 4, 6, 5), (3, 70, 60)]
N, BATCH = 30, 21


@pytest.fixture(autouse=True)
def the_pool_of_before():
    yield
    set_threads(None)


def random_moves(rng, n, spatial, count=4):
    """Moves (count, n, axes, 3): of any kind for each image, with starts that leave something to see."""
    moves, kinds = np.empty((count, n, len(spatial), 3), np.int64), rng.integers(0, 3, (count, n))
    for axis, size in enumerate(spatial):
        far = min(3, size - 1)
        flips = (kinds == READ) & (rng.random((count, n)) < 0.5)
        starts = np.where(flips, size - 1, 0) + rng.integers(-far, far + 1, (count, n))
        steps = np.where(kinds == HOLE, 3, np.where(flips, -1, 1))
        moves[:, :, axis] = np.stack([kinds, starts, steps], axis=-1)
    return moves


@pytest.mark.parametrize("n", [BATCH, 1])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_formulas_numbers(shape, dtype, n):
    rng = np.random.default_rng(shape)
    x = rng.integers(1, 256, (N, *shape)).astype(dtype)
    numbers, moves = rng.integers(0, N, BATCH), random_moves(rng, BATCH, shape[1:])
    expected = gather(x[numbers], moves)
    wide = np.empty((len(moves), BATCH, AXES, 3), np.int64)
    wide[:] = HOLE, 0, 1
    wide[:, :, AXES + 1 - len(shape) :] = moves
    for threads in (1, 2, 3):
        set_threads(threads)
        memory = np.full((BATCH + 2, *shape), 77, dtype)
        step = gather_step("test", x, numbers, wide, memory[1:-1])
        step.resize(n)
        program([step]).run()
        np.testing.assert_array_equal(memory[1 : n + 1], expected[:n])
        assert (memory[0] == 77).all()
        assert (memory[n + 1 :] == 77).all(), "beyond the images of a smaller batch"


def test_the_random_moves_are_worth_a_test():
    rng = np.random.default_rng(0)
    moves = random_moves(rng, 200, (28, 28))
    assert {READ, REFLECT, HOLE} == set(moves[..., 0].ravel().tolist())
    y = gather(np.ones((200, 1, 28, 28), np.uint8), moves)
    assert 0.02 < (y == 0).mean() < 0.5
