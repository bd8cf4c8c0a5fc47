"""The arguments of `fit`, checked and settled before any work."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foveal._checks import check_count, check_images, check_labels
from foveal._files import output_folder
from foveal.errors import DTypeError, ParameterError, StorageError, explain
from foveal.training import optimizers, schedules
from foveal.training.optimizers import Optimizer

if TYPE_CHECKING:
    from foveal.network import Network

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Job:
    """A checked run."""

    net: Network
    x: NDArray[Any]
    t: NDArray[np.int64]
    epochs: int
    batch_size: int
    optimizer: Optimizer
    validation: tuple[NDArray[Any], NDArray[np.int64]] | None
    checkpoint: Path | None
    seed: int
    settings: dict[str, Any]

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return math.ceil(len(self.x) / self.batch_size)


def prepare(
    net: Network, x: Any, t: Any, epochs: Any, batch_size: Any, optimizer: Any, schedule: Any, validation: Any,
    seed: Any, checkpoint: StrPath | None,
) -> Job:  # fmt: skip
    """Check the arguments of `fit`; what is wrong is told before a file is touched."""
    x = check_images(x, net.input_shape, finite=True)
    t = check_labels(t, net.output_size, len(x))
    if validation is not None:
        validation = (
            check_images(validation[0], net.input_shape, where="validation x"),
            check_labels(validation[1], net.output_size, len(validation[0]), where="validation t"),
        )
    epochs, batch_size = check_count(epochs, "epochs"), check_count(batch_size, "batch_size")
    seed = check_count(seed, "seed", minimum=0)
    optimizer = _optimizer(optimizer, schedule, epochs * math.ceil(len(x) / batch_size))
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None:
        output_folder(path.parent, make=False)
        if path.is_dir():
            raise StorageError(explain(str(path), expected="a file for the checkpoint", got="a folder"))
    settings = {
        "epochs": epochs, "batch_size": batch_size, "seed": seed, "optimizer": repr(optimizer), "images": len(x),
    }  # fmt: skip
    return Job(net, x, t, epochs, batch_size, optimizer, validation, path, seed, settings)


def _optimizer(optimizer: Any, schedule: Any, steps: int) -> Optimizer:
    made = optimizers.Adam() if optimizer is None else optimizer
    if isinstance(made, str):
        made = optimizers.by_name(made)
    if not isinstance(made, Optimizer):
        raise DTypeError(explain("optimizer", expected="an optimizer such as Adam(lr=0.001)", got=repr(optimizer)))
    if schedule is None or schedule == "none":
        return made.with_rate(made.lr)
    if callable(schedule):
        return made.with_rate(schedule)
    if not isinstance(schedule, str):
        expected = "a name or a function from step to rate"
        raise DTypeError(explain("schedule", expected=expected, got=repr(schedule)))
    if callable(made.lr):
        fix = "Give the optimizer a number, or leave schedule out."
        raise ParameterError(explain("schedule", expected="one schedule", got=f"{schedule!r} and {made.lr!r}", fix=fix))
    return made.with_rate(schedules.by_name(schedule, made.lr, steps))
