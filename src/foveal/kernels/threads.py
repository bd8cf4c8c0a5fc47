"""One pool of threads for all plans, and the loop that runs a program on it.

A program is a list of steps (kernel, argument block). The caller walks through the steps; inside a step all threads
take tasks from its counter until none is left. A step's tasks and the order of its sums do not depend on who takes
them, so neither do the bits of the result.

The caller never waits for a thread that has not begun: the word STATE says which step is open and how many helpers
are inside; a helper joins an open step if it can, and the caller closes the step when the tasks are gone and nobody
is inside. So a sleeping or displaced thread costs its share of the speed, not a stall. Between steps the helpers look
at STATE without the GIL, and when no program has run for SPIN turns they sleep.

Only one Python thread at a time has the pool; another one that calls meanwhile runs its program alone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foveal.errors import ParameterError, explain
from foveal.kernels.compiler import Kernel, cached
from foveal.kernels.intrinsics import (
    call_kernel,
    compare_exchange,
    exchange,
    fetch_add,
    flush_denormals,
    give_way,
    load_acquire,
    pause,
    restore_mode,
)

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
LINE = 8  # int64 values in a cache line: what different threads write must not share one
PATIENCE = 20_000  # turns of waiting before a thread that waits for a helper offers its processor
SPIN = 20_000  # turns of waiting (about 0.2 to 1 ms) before a helper goes to sleep
STATE, RUNNING, KERNEL, BLOCK, COUNTER, ASLEEP = 0, 1, LINE, LINE + 1, LINE + 2, 2 * LINE  # places on the pool's board
OPEN = 1 << 15  # STATE is step number << 16 | OPEN | helpers inside


@cached
def run_program(steps, length, counters, board, threads):
    """Run the steps, (kernel, block) pairs, one after the other; each has a cache line of `counters`."""
    mode = flush_denormals()
    for s in range(length):
        pair, counter = steps + 16 * s, counters + 64 * s
        for word in range(3):  # tasks taken: in all, from the front, from the back
            exchange(counter + 8 * word, 0)
        kernel, block = load_acquire(pair), load_acquire(pair + 8)
        if threads == 1:
            call_kernel(kernel, block, counter, 0)
            continue
        exchange(board + 8 * KERNEL, kernel)
        exchange(board + 8 * BLOCK, block)
        exchange(board + 8 * COUNTER, counter)
        opened = ((load_acquire(board) >> 16) + 1 << 16) | OPEN
        exchange(board, opened)
        call_kernel(kernel, block, counter, 0)
        turns = 0
        while compare_exchange(board, opened, opened - OPEN) != opened:
            pause()
            turns += 1
            if turns > PATIENCE:  # a helper inside has lost its processor, perhaps to this very loop
                give_way()
    restore_mode(mode)


@cached
def help_out(board, thread, spin):
    """Join every step that opens; return when no program has run for `spin` turns.

    While one runs it stays awake, however long a step with few tasks keeps the others: nobody would wake it.
    """
    seen, idle = 0, 0
    mode = flush_denormals()
    while idle < spin:
        state = load_acquire(board)
        if (state & OPEN) != 0 and (state >> 16) != seen and compare_exchange(board, state, state + 1) == state:
            call_kernel(
                load_acquire(board + 8 * KERNEL),
                load_acquire(board + 8 * BLOCK),
                load_acquire(board + 8 * COUNTER),
                thread,
            )
            fetch_add(board, -1)
            seen, idle = state >> 16, 0
        else:
            pause()
            idle += 1
            if idle == spin and load_acquire(board + 8 * RUNNING) != 0:
                give_way()
                idle = 0
    restore_mode(mode)


@cached
def swap(address, value):
    """Put `value` at `address` and return what was there, in one step."""
    return exchange(address, value)


@cached
def load(address):
    """Return what is at `address`."""
    return load_acquire(address)


def available() -> int:
    """Return the number of threads to use: FOVEAL_THREADS, or the processors this process may run on."""
    asked = os.environ.get("FOVEAL_THREADS", "")
    if not asked:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not asked.isdigit() or not 1 <= int(asked) <= 1024:
        raise ParameterError(explain("FOVEAL_THREADS", expected="a number from 1 to 1024", got=repr(asked)))
    return int(asked)


class Program:
    """Kernels and their argument blocks, ready to run again and again without an allocation.

    Parameters
    ----------
    steps : sequence of (Kernel, block)
    """

    def __init__(self, steps: Sequence[tuple[Kernel, NDArray[np.void]]]) -> None:
        self._blocks = [block for _, block in steps]  # keeps the memory that the addresses point to
        self.keep: list[object] = []
        self._steps = np.array([(k.address, b.ctypes.data) for k, b in steps], np.int64).reshape(-1, 2)
        self._counters = np.zeros(LINE * (len(steps) + 1), np.int64)
        aligned = self._counters.ctypes.data + -self._counters.ctypes.data % 64
        threads = pool().size  # the scratch in its blocks has room for so many
        self._arguments = self._steps.ctypes.data, len(steps), aligned, threads

    def run(self) -> None:
        """Run the steps in order, each on all free threads of the pool."""
        pool().run(*self._arguments)


class Pool:
    """`size` - 1 helpers that join steps; the caller is the remaining thread."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._taken = threading.Lock()
        self._memory = np.zeros(LINE * (3 + size), np.int64)
        self._board = self._memory.ctypes.data + -self._memory.ctypes.data % 64
        self._running = self._board + 8 * RUNNING
        self._alarms = [threading.Semaphore(0) for _ in range(size)]
        self._asleep = [self._board + 8 * (ASLEEP + LINE * t) for t in range(size)]
        self._stopped = False
        load(self._running)  # compiled now, and not when a helper first falls asleep, which a short process never sees
        for t in range(1, size):
            threading.Thread(target=self._serve, args=(t,), name=f"foveal-{t}", daemon=True).start()

    def run(self, steps: int, length: int, counters: int, threads: int) -> None:
        """Run a program made for `threads`; alone if there is one, the pool is larger, or another caller has it."""
        if self.size == 1 or self.size > threads or not self._taken.acquire(blocking=False):
            run_program(steps, length, counters, 0, 1)
            return
        try:
            swap(self._running, 1)  # before it looks who sleeps: a helper says that it will sleep, and then looks here
            self._wake()
            run_program(steps, length, counters, self._board, self.size)
        finally:
            swap(self._running, 0)
            self._taken.release()

    def stop(self) -> None:
        """End the helpers; a later program makes a new pool."""
        with self._taken:
            self._stopped = True
            self._wake()

    def _wake(self) -> None:
        for t in range(1, self.size):
            if swap(self._asleep[t], 0):
                self._alarms[t].release()

    def _serve(self, t: int) -> None:
        while not self._stopped:
            help_out(self._board, t, SPIN)
            swap(self._asleep[t], 1)
            awake = self._stopped or load(self._running)  # a program may have begun before it could say so
            if awake and swap(self._asleep[t], 0):
                continue
            self._alarms[t].acquire()


_pool: list[Pool] = []
_making = threading.Lock()


def pool() -> Pool:
    """Return the pool of this process; it is made at the first use, and again after a fork or a new size."""
    if not _pool:
        with _making:
            if not _pool:
                _pool.append(Pool(available()))
    return _pool[0]


def set_threads(size: int | None = None) -> None:
    """Use `size` threads from now on; None reads FOVEAL_THREADS and the machine again."""
    with _making:
        for old in _pool:
            old.stop()
        _pool[:] = [] if size is None else [Pool(size)]


if hasattr(os, "register_at_fork"):  # threads do not survive a fork: the child makes its own pool
    os.register_at_fork(after_in_child=_pool.clear)
