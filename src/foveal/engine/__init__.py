"""The engine: how a graph runs on this machine. Needs Numba, so it is imported when a network first computes."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from foveal.engine.engine import Engine
from foveal.engine.plan import Plan
from foveal.engine.training import Draw, Optimizer, TrainingRun

__all__ = ["Engine", "Optimizer", "Plan", "TrainingRun", "as_input", "training"]


class Runnable(Protocol):
    """What has an engine: a network."""

    @property
    def engine(self) -> Engine:
        """The engine."""


def as_input(x: NDArray[Any]) -> NDArray[Any]:
    """Return x as the kernels read it, contiguous uint8 or float32; the same array if it is that already."""
    return np.ascontiguousarray(x, np.uint8 if x.dtype == np.uint8 else np.float32)


def training(
    net: Runnable, x: NDArray[Any], t: NDArray[np.int64], *, batch_size: int, optimizer: Optimizer, seed: int = 0,
    draw: Draw | None = None, smoothing: float = 0.0,
) -> TrainingRun:  # fmt: skip
    """Return a context in which `net` learns step by step from x and the class indices t.

    seed : of dropout; draw : the moves of the images of a step, see `Views`; smoothing : of the labels
    """
    labels = np.ascontiguousarray(t, np.int64)
    return TrainingRun(net.engine, as_input(x), labels, min(batch_size, len(x)), optimizer, seed, draw, smoothing)
