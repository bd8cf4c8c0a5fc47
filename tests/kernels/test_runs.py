"""Runs: how arrays and maps are cut, and that kernels made of frames are found on disk."""

import json

import numpy as np
import pytest

from foveal.kernels import activation
from foveal.kernels.buffers import Border, Map
from foveal.kernels.runs import GRAIN, Runs, operands, over_runs, unary
from foveal.kernels.steps import program
from foveal.kernels.threads import set_threads
from tests.support.subprocesses import python


@pytest.fixture(autouse=True)
def the_pool_of_before():
    yield
    set_threads(None)


@pytest.mark.parametrize("whole", [1, 7, 1000, 10 * GRAIN])
@pytest.mark.parametrize("rows", [0, 1, 3, 5000])
def test_runs_cover_an_array_without_tearing_rows(rows, whole):
    size = rows * whole if rows * whole < 10**7 else whole
    runs = Runs.cut(size, whole)
    at = 0
    for r in runs:
        assert r.address == 4 * at
        assert r.size % whole == 0
        at += r.rows * r.size
    assert at == size


def test_rows_of_a_map_without_border_go_together():
    bare, bordered = Map(3, (4, 6, 5)), Map(3, (4, 6, 5), Border(top=1))
    step = over_runs("copy", activation.copy, x=bare, y=bare)
    assert (step.block["rows"], step.block["size"]) == (1, 6 * 5 * 4)
    step = over_runs("copy", activation.copy, x=bare, y=bordered)
    assert (step.block["rows"], step.block["size"]) == (6, 5 * 4)
    long = Map(1, (64, 100, 100))  # rows of 6400 floats: two are shorter than a task
    step = over_runs("copy", activation.copy, x=long, y=long)
    assert (step.block["rows"], step.block["size"]) == (50, 2 * 6400)


@pytest.mark.parametrize("threads", [1, 3])
def test_every_run_is_done_once(threads):
    """Each number is counted up by one, however many threads take tasks."""
    set_threads(threads)

    @unary()
    def one_more(a, x, y):
        for i in range(y.size):
            y[i] = x[i] + np.float32(1)

    x = np.zeros(5 * GRAIN + 3, np.float32)
    program([over_runs("one more", one_more, x=r, y=r) for r in Runs.of_array(x)]).run()
    np.testing.assert_array_equal(x, 1)


def test_operands():
    assert operands("x", "classes", "slope").names[-3:] == ("size", "classes", "slope")


SOURCE = """
    import json, numpy as np
    from foveal import ops
    from foveal.kernels import compiler
    x = np.linspace(-2, 2, 120, dtype=np.float32).reshape(2, 3, 4, 5)
    y = [ops.tanh(x), ops.leaky_relu(x), ops.softmax(x, axis=1), ops.log_softmax(x), ops.local_response_norm(x),
         ops.local_response_norm_grad(x, x), ops.dropout(x), ops.batch_norm(x, x[0, :, 0, 0], x[0, :, 0, 0]),
         ops.sigmoid_grad(x, x)]
    print(json.dumps([compiler.compiled(), [float(np.abs(v).sum()) for v in y]]))
"""


def test_a_second_process_finds_them_all(tmp_path):
    compiled, first = json.loads(python(SOURCE, FOVEAL_CACHE=str(tmp_path)))
    assert {"tanh_forward", "leaky_relu_forward", "softmax_forward", "log_softmax_forward", "array_forward",
            "dropout", "sigmoid_backward"} <= set(compiled)  # fmt: skip
    compiled, second = json.loads(python(SOURCE, FOVEAL_CACHE=str(tmp_path)))
    assert compiled == []
    assert second == first
