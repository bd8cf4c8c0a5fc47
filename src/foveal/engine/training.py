"""Training: forward, backward and the optimizer's update of all parameters, fused into one program a step."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from foveal.engine.engine import Engine
from foveal.engine.plan import Images, Schedule
from foveal.errors import FormatError, explain
from foveal.kernels.buffers import zeros
from foveal.kernels.steps import step
from foveal.kernels.update import KERNELS
from foveal.reference.random import derive


class Optimizer(Protocol):
    """What the engine asks of an optimizer."""

    kind: str
    states: int

    def coefficients(self, step: int) -> tuple[float, ...]:
        """Return the numbers of the update's formula for a step, counted from 1."""


class TrainingRun:
    """A network in training. Leave the ``with`` block, or call `close`, and the network has the learned parameters.

    After an exception the network's arrays stay as they were last written or read: a diverged run does not spoil them.

    Parameters
    ----------
    engine : Engine
    x : ndarray of shape (N, *input_shape), contiguous uint8 or float32
    labels : ndarray of shape (N,), int64
    batch : int
        Most images in a step.
    optimizer : Optimizer
    seed : int
        Of dropout.
    """

    def __init__(
        self, engine: Engine, x: Images, labels: NDArray[np.int64], batch: int, optimizer: Optimizer, seed: int = 0
    ) -> None:
        self.engine, self.x, self.labels, self.optimizer, self.seed = engine, x, labels, optimizer, seed
        self._labels_at = labels.ctypes.data
        self.number = 0
        self.plan = engine.plan(batch, True, learning=True)
        weights = engine.weights
        self._states = [zeros(weights.size) for _ in range(optimizer.states)]
        m, v = ([*self._states, weights.data, weights.data])[:2]
        update = step("update", KERNELS[optimizer.kind], p=weights.data, g=self.plan.gradients, m=m, v=v,
                      size=weights.size, c0=0.0, c1=0.0, c2=0.0, c3=0.0, c4=0.0, c5=0.0, c6=0.0)  # fmt: skip
        self._coefficients = update.block.view(np.float64)[-7:]  # c0 .. c6, the last fields
        forward = self.plan._forward[x.dtype].steps
        self._schedule = Schedule([*forward, *self.plan.backward_steps, update])
        engine.weights.pull()

    def step(self, rows: NDArray[np.int64]) -> tuple[float, int]:
        """Learn from images `rows`: return their mean loss before the update and how many were right."""
        plan, n = self.plan, len(rows)
        self.number += 1
        coefficients = self.optimizer.coefficients(self.number)
        self._coefficients[: len(coefficients)] = coefficients
        with self.engine.lock:
            plan.point(self._labels_at)
            if plan.learning:
                plan.reseed(derive(self.seed, self.number))
            plan.load(self.x, rows, 0, n)
            self._schedule.run(n)
            self.engine.weights.updated()
            return plan.outcome(n)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the optimizer's memory: its arrays in the users' shapes, and the number of steps done."""
        with self.engine.lock:
            arrays: dict[str, NDArray[Any]] = {"step": np.array([self.number], np.int64)}
            for i, data in enumerate(self._states):
                arrays |= {f"state{i}.{k}": v for k, v in self.engine.weights.like_users(data).items()}
            return arrays

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from a state that `state` returned."""
        names = self.state()
        if set(names) != set(state) or any(names[k].shape != state[k].shape for k in names):
            got = f"{len(state)} arrays: {', '.join(sorted(state)[:3])}..."
            why = "it was saved by another optimizer or another network"
            raise FormatError(explain("optimizer state", expected=f"{len(names)} arrays", got=got, why=why))
        self.number = int(state["step"][0])
        for i, data in enumerate(self._states):
            prefix = f"state{i}."
            self.engine.weights.pack({k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}, data)

    def close(self) -> None:
        """Write what was learned into the network's arrays."""
        with self.engine.lock:
            self.engine.weights.push()

    def __enter__(self) -> TrainingRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.engine.weights.discard()
