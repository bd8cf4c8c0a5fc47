"""Training: forward, backward and the optimizer's update of all parameters, fused into one program a step."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from foveal.engine.engine import Engine
from foveal.engine.plan import Images, Schedule
from foveal.engine.weights import Slot, Weights
from foveal.errors import FormatError, explain
from foveal.kernels.affine import LEARNING
from foveal.kernels.augmentation import AXES, gather_step
from foveal.kernels.buffers import zeros
from foveal.kernels.orthogonal_steps import Packed, muon_step
from foveal.kernels.steps import Step, step
from foveal.kernels.update import KERNELS
from foveal.reference.augmentation import HOLE
from foveal.reference.random import derive


class Optimizer(Protocol):
    """What the engine asks of an optimizer."""

    kind: str
    states: int
    decay_biases: bool

    def coefficients(self, step: int) -> tuple[float, ...]:
        """Return the numbers of the update's formula for a step, counted from 1: rate, weight decay, and others."""


Draw = Callable[[int, int], NDArray[np.int64]]


class Views:
    """A batch of images, each moved in its own way, and their labels: what the plan reads instead of the data.

    Parameters
    ----------
    x, labels : ndarray
        Those of the run.
    batch : int
        Most images in a step.
    draw : callable
        From the number of a step, counted from 1, and n images to their moves (M, n, axes, 3), as in
        `foveal.reference.augmentation.gather`; M is the same for every step.
    """

    def __init__(self, x: Images, labels: NDArray[np.int64], batch: int, draw: Draw) -> None:
        self._all_labels, self._draw = labels, draw
        self.x, self.labels = np.empty((batch, *x.shape[1:]), x.dtype), np.zeros(batch, np.int64)
        self._rows = np.zeros(batch, np.int64)
        moves = np.empty((len(draw(1, 1)), batch, AXES, 3), np.int64)
        moves[:] = HOLE, 0, 1  # an axis that is not there has one place, inside of every hole
        self._moves = moves[:, :, 2 - x.ndim :]
        self.step = gather_step("augment", x, self._rows, moves, self.x)

    def take(self, rows: NDArray[np.int64], number: int) -> None:
        """Set the images and labels of a step; `x` holds the images when `step` has run."""
        n = len(rows)
        self._rows[:n], self.labels[:n] = rows, self._all_labels[rows]
        self._moves[:, :n] = self._draw(number, n)


def runs(weights: Weights, decay_biases: bool, apart: Collection[int] = ()) -> list[tuple[int, int, bool]]:
    """Return the parameters, but those of layers whose ids are `apart`, in runs: start, stop, whether they decay."""

    def kind(slot: Slot) -> tuple[bool, bool]:
        return id(slot.layer) in apart, decay_biases or slot.parameter == "weight"

    groups = itertools.groupby((slot for slot in weights.slots if slot.learned), kind)
    starts = [(next(group).start, *kinds) for kinds, group in groups]
    stops = [start for start, _, _ in starts[1:]] + [weights.size]
    return [(start, stop, decays) for (start, skip, decays), stop in zip(starts, stops, strict=True) if not skip]


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
    draw : callable, optional
        The moves of the images of a step; see `Views`.
    smoothing : float
        Share of each label that is spread over all classes.
    """

    def __init__(
        self, engine: Engine, x: Images, labels: NDArray[np.int64], batch: int, optimizer: Optimizer, seed: int = 0,
        draw: Draw | None = None, smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        self.engine, self.x, self.labels, self.optimizer, self.seed = engine, x, labels, optimizer, seed
        self.number = 0
        self.plan = engine.plan(batch, True, learning=True, smoothing=smoothing)
        self._views = None if draw is None else Views(x, labels, batch, draw)
        if self._views is not None:
            self.x, self.labels = self._views.x, self._views.labels
        self._labels_at = self.labels.ctypes.data
        weights = engine.weights
        self._states = [zeros(weights.size) for _ in range(optimizer.states)]
        at_once, backward = self._learn_at_once()
        updates = self._updates(at_once)
        parts = [*((step, True) for step in at_once.values()), *updates]
        self._coefficients = [s.block.view(np.float64)[-7:] for s, _ in parts]  # c0 .. c6, the last fields
        self._decays = [decays for _, decays in parts]
        forward, views = self.plan._forward[x.dtype].steps, [self._views.step] if self._views is not None else []
        self._schedule = Schedule([*views, *forward, *backward, *(update for update, _ in updates)])
        engine.weights.pull()

    def _learn_at_once(self) -> tuple[dict[int, Step], list[Any]]:
        """Return the steps that update a layer where its gradients are made, by its id, and backward with them."""
        weights, memory = self.engine.weights, (self.engine.weights.data, *self._states)
        made: dict[int, Step] = {}
        instead: dict[int, Step | None] = {}
        for block in self.plan.used_once if self.optimizer.kind in LEARNING else ():
            if block.gradient_steps:
                slots = [s for s in weights.slots if s.layer is block.layer]
                learned = {s.parameter: [m[s.start : s.stop] for m in memory] for s in slots}
                last = made[id(block.layer)] = block.learn(self.optimizer.kind, learned, self.optimizer.decay_biases)
                first, *others = map(id, block.gradient_steps)
                instead |= {first: last, **dict.fromkeys(others)}
        backward = [instead.get(id(s), s) for s in self.plan.backward_steps]
        return made, [s for s in backward if s is not None]

    def _updates(self, at_once: Collection[int]) -> list[tuple[Step, bool]]:
        """Return the updates of all other parameters, and whether these decay; Muon's matrices are updated together."""
        weights, optimizer = self.engine.weights, self.optimizer
        parts = runs(weights, optimizer.decay_biases, at_once)
        updates = [(self._update(start, stop), decays) for start, stop, decays in parts]
        matrices = [s for s in weights.slots if s.learned and s.parameter == "weight"]
        if optimizer.kind != "muon" or not matrices:
            return updates
        together = muon_step("update", [self._matrix(s) for s in matrices], self.plan.isa)
        return [(together, True), *(update for update in updates if not update[1])]

    def _update(self, start: int, stop: int) -> Step:
        """Return the update of a run of parameters."""
        weights = self.engine.weights
        p, g, m, v = (
            a[start:stop] for a in (weights.data, self.plan.gradients, *self._states, *[weights.data] * 2)[:4]
        )
        return step("update", KERNELS[self.optimizer.kind], p=p, g=g, m=m, v=v, size=stop - start,
                    c0=0.0, c1=0.0, c2=0.0, c3=0.0, c4=0.0, c5=0.0, c6=0.0)  # fmt: skip

    def _matrix(self, slot: Slot) -> Packed:
        places = (a[slot.start : slot.stop] for a in (self.engine.weights.data, self.plan.gradients, self._states[0]))
        return Packed(slot.holder.shapes[slot.parameter], slot.index, *places)

    def step(self, rows: NDArray[np.int64]) -> tuple[float, int]:
        """Learn from images `rows`: return their mean loss before the update and how many were right."""
        plan, n = self.plan, len(rows)
        self.number += 1
        rate, decay, *others = self.optimizer.coefficients(self.number)
        for place, decays in zip(self._coefficients, self._decays, strict=True):
            place[: 2 + len(others)] = rate, decay if decays else 0.0, *others
        with self.engine.lock:
            plan.point(self._labels_at)
            if plan.learning:
                plan.reseed(derive(self.seed, self.number))
            if self._views is not None:
                self._views.take(rows, self.number)
            plan.load(self.x, rows if self._views is None else None, 0, n)
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
