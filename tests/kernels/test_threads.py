"""Threads split work, never the result: any number of them, for any number of callers, after sleep and after a fork."""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
import time

import numpy as np
import pytest

import foveal as fv
from foveal.errors import ParameterError
from foveal.kernels import threads
from foveal.kernels.compiler import fields, integers
from foveal.kernels.intrinsics import pause
from foveal.kernels.steps import program, step
from foveal.kernels.tasks import per_task
from foveal.kernels.threads import available, pool, set_threads
from foveal.layers import Affine, Convolution, MaxPool, ReLU
from tests.support.machine import bits
from tests.support.subprocesses import python

RNG = np.random.default_rng(0)
X, T = RNG.integers(0, 256, (96, 1, 14, 14)).astype(np.uint8), RNG.integers(0, 10, 96)


@pytest.fixture(autouse=True)
def usual_threads():
    yield
    set_threads(None)


def network(seed=0):
    layers = [Convolution(7, 3, padding=1), ReLU(), MaxPool(3, 2), Convolution(5, 3), ReLU(), MaxPool(2), Affine(10)]
    return fv.Network(layers, (1, 14, 14), seed=seed)


def trained(size, optimizer="adam"):
    set_threads(size)
    net = network()
    history = fv.fit(net, X, T, epochs=2, batch_size=40, optimizer=optimizer, progress=False)
    return history.loss, {name: array.copy() for name, array in net.arrays().items()}, net.predict(X)


@pytest.mark.parametrize("size", [2, 3, 8])
def test_the_same_bits_for_any_number_of_threads(size):
    loss, arrays, scores = trained(1)
    again, others, predicted = trained(size)
    assert pool().size == size
    assert again == loss
    np.testing.assert_array_equal(bits(predicted), bits(scores))
    for name, array in arrays.items():
        np.testing.assert_array_equal(bits(others[name]), bits(array), name)


def test_every_step_is_shared_between_threads(monkeypatch):
    """Helpers do take part: with three threads, other threads than the caller's work on tasks."""
    set_threads(3)
    net, seen = network(), []
    inner = threads.help_out
    monkeypatch.setattr(
        threads, "help_out", lambda board, thread, spin: (seen.append(thread), inner(board, thread, spin))
    )
    deadline = time.monotonic() + 20
    while {1, 2} - set(seen) and time.monotonic() < deadline:
        net.predict(X)
        time.sleep(0.01)
    assert {1, 2} <= set(seen)


def test_calls_from_several_python_threads_give_the_same_result():
    nets = [network(seed) for seed in range(3)]
    expected = [net.predict(X) for net in nets]
    gradients = [net.gradient(X, T) for net in nets]
    wrong, barrier = [], threading.Barrier(6)

    def work(k):
        net = nets[k % 3]  # three networks, each from two threads
        barrier.wait(30)
        for _ in range(15):
            if not np.array_equal(bits(net.predict(X)), bits(expected[k % 3])):
                wrong.append(("predict", k))
            found = net.gradient(X, T)
            wrong.extend((n, k) for n, g in gradients[k % 3].items() if not np.array_equal(bits(found[n]), bits(g)))

    workers = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for w in workers:
        w.start()
    for w in workers:
        w.join(120)
    assert not any(w.is_alive() for w in workers), "a caller waits for ever"
    assert not wrong


def test_one_caller_has_the_pool_and_another_works_alone():
    set_threads(2)
    net = network()
    expected = net.predict(X)
    assert pool()._taken.acquire(timeout=5)
    try:
        np.testing.assert_array_equal(bits(net.predict(X)), bits(expected))
    finally:
        pool()._taken.release()


@per_task(fields("tasks turns seen"), lambda a: a.tasks)
def wait(a, task, thread):
    """Each task takes so many turns of waiting; seen[thread] counts those of a thread."""
    for _ in range(a.turns):
        pause()
    integers(a.seen, 8)[thread] += 1


def test_a_long_task_puts_no_helper_to_sleep_for_the_rest_of_the_program():
    set_threads(2)
    alone, shared = np.zeros(8, np.int64), np.zeros(8, np.int64)
    long = step("one task", wait, tasks=1, turns=50 * threads.SPIN, seen=alone)
    many = step("many tasks", wait, tasks=400, turns=threads.SPIN // 4, seen=shared)
    run = program([long, many])
    for _ in range(3):
        run.run()
    assert alone.sum() == 3
    assert shared.sum() == 1200
    assert shared.min() == 0  # there are two threads, not eight
    assert shared[:2].min() > 0, "one thread slept while the other worked"


def test_a_helper_that_is_about_to_sleep_sees_that_a_program_has_begun(monkeypatch):
    """The caller found nobody asleep, since the helper had not said so yet: nobody would wake it."""
    calls = []
    monkeypatch.setattr(threads, "help_out", lambda *_: calls.append(time.sleep(0.001)))
    set_threads(2)
    threads.swap(pool()._running, 1)
    for _ in range(2000):
        if len(calls) > 20:
            break
        time.sleep(0.001)
    assert len(calls) > 20, "it sleeps while a program runs"
    threads.swap(pool()._running, 0)
    for _ in range(2000):
        if asleep() == [1]:
            break
        time.sleep(0.001)
    assert asleep() == [1]


def asleep():
    return [ctypes.c_int64.from_address(place).value for place in pool()._asleep[1:]]


def test_helpers_sleep_when_idle_and_wake():
    set_threads(3)
    net = network()
    expected = net.predict(X)
    for _ in range(3):
        deadline = time.monotonic() + 20
        while asleep() != [1, 1] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert asleep() == [1, 1], "idle helpers must not keep a processor busy"
        np.testing.assert_array_equal(bits(net.predict(X)), bits(expected))


def test_stopped_pools_leave_no_threads():
    before = threading.active_count()
    for size in (4, 2, 5, 1):
        set_threads(size)
        network().predict(X[:2])
    deadline = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_a_pool_made_by_another_size_does_not_disturb_a_plan_in_use():
    """A training run that began with one thread goes on with three: its scratch must not be shared between threads."""
    loss, _, _ = trained(1, "sgd")
    source = f"""
        import numpy as np
        from foveal.engine import training
        from foveal.kernels.threads import set_threads
        from foveal.training.optimizers import SGD
        from tests.kernels.test_threads import T, X, network
        set_threads(1)
        net, losses = network(), []
        with training(net, X, T.astype(np.int64), batch_size=40, optimizer=SGD()) as run:
            for epoch in (1, 2):
                order = np.random.default_rng((0, epoch)).permutation(len(X))
                for start in range(0, len(X), 40):
                    losses.append(run.step(order[start:start + 40])[0])
                    set_threads(3)
        assert losses == {loss!r}, losses
    """
    python(source)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_works():
    python(
        """
        import os, threading, numpy as np
        from tests.kernels.test_threads import X, network, set_threads
        set_threads(2)
        net = network()
        expected = net.predict(X)
        child = os.fork()
        if child == 0:
            code = 3
            try:
                same = [np.array_equal(n.predict(X), expected) for n in (net, network())]
                code = 0 if all(same) and threading.active_count() == 2 else 2  # with a helper of its own
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert np.array_equal(net.predict(X), expected)
        """,
        timeout=60, FOVEAL_THREADS="2",
    )  # fmt: skip


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "1025", " "])
def test_impossible_numbers_of_threads(monkeypatch, value):
    monkeypatch.setenv("FOVEAL_THREADS", value)
    with pytest.raises(ParameterError, match=r"^FOVEAL_THREADS: expected a number from 1 to 1024, got"):
        available()


def test_the_environment_sets_the_number_of_threads(monkeypatch):
    monkeypatch.setenv("FOVEAL_THREADS", "3")
    assert available() == 3
    set_threads(None)
    assert pool().size == 3
    monkeypatch.delenv("FOVEAL_THREADS")
    assert available() >= 1
    assert list(itertools.islice(pool()._asleep, 1))


def test_denormals_are_zero_in_kernels_and_nowhere_else():
    """A product below 1e-38 is 0 in a kernel, on every thread; the caller's own arithmetic keeps its denormals."""
    from foveal.layers import Affine
    from foveal.network import Network

    net = Network([Affine(4)], input_shape=(16,), seed=0)
    net.layers[0].weight = np.full((16, 4), 1e-20, np.float32)
    x = np.full((64, 16), 1e-20, np.float32)
    np.testing.assert_array_equal(net.predict(x), 0)
    assert float(np.float32(1e-20) * np.float32(1e-20)) > 0
