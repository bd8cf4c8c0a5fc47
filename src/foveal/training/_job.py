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
from foveal.training import augmentation, optimizers, schedules
from foveal.training.augmentation import Augmentation
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
    augment: tuple[Augmentation, ...]
    plain_epochs: int
    label_smoothing: float
    settings: dict[str, Any]

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return math.ceil(len(self.x) / self.batch_size)


def prepare(
    net: Network, x: Any, t: Any, epochs: Any, batch_size: Any, optimizer: Any, schedule: Any, validation: Any,
    seed: Any, checkpoint: StrPath | None, augment: Any = None, label_smoothing: Any = 0.0, warmup: Any = 0,
    plain_epochs: Any = 0,
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
    augment = augmentation.settle(augment, net.input_shape)
    plain_epochs = check_count(plain_epochs, "plain_epochs", minimum=0)
    label_smoothing = optimizers.within("label_smoothing", label_smoothing, below=1)
    steps = math.ceil(len(x) / batch_size)
    warmup = round(optimizers.within("warmup", warmup) * steps)
    optimizer = _optimizer(optimizer, schedule, epochs * steps, warmup)
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None:
        output_folder(path.parent, make=False)
        if path.is_dir():
            raise StorageError(explain(str(path), expected="a file for the checkpoint", got="a folder"))
    settings = {
        "epochs": epochs, "batch_size": batch_size, "seed": seed, "optimizer": repr(optimizer), "images": len(x),
        "augment": ", ".join(map(repr, augment)) or None, "label_smoothing": label_smoothing or None,
        "plain_epochs": plain_epochs or None,
    }  # fmt: skip
    return Job(net, x, t, epochs, batch_size, optimizer, validation, path, seed, augment, plain_epochs, label_smoothing,
               settings)  # fmt: skip


def _optimizer(optimizer: Any, schedule: Any, steps: int, warmup: int) -> Optimizer:
    made = optimizers.Adam() if optimizer is None else optimizer
    if isinstance(made, str):
        made = optimizers.by_name(made)
    if not isinstance(made, Optimizer):
        raise DTypeError(explain("optimizer", expected="an optimizer such as Adam(lr=0.001)", got=repr(optimizer)))
    if not (schedule is None or callable(schedule) or isinstance(schedule, str)):
        expected = "a name or a function from step to rate"
        raise DTypeError(explain("schedule", expected=expected, got=repr(schedule)))
    named = isinstance(schedule, str) and schedule != "none"
    if not (callable(schedule) or callable(made.lr)):
        plain = not (named or warmup)
        return made.with_rate(made.lr if plain else schedules.by_name(schedule or "none", made.lr, steps, warmup))
    if callable(made.lr) and named:
        fix = "Give the optimizer a number, or leave schedule out."
        raise ParameterError(explain("schedule", expected="one schedule", got=f"{schedule!r} and {made.lr!r}", fix=fix))
    if warmup:
        fix = "Let the function begin with a warm-up, or name a schedule."
        raise ParameterError(explain("warmup", expected="none beside a function", got=f"{warmup} steps", fix=fix))
    return made.with_rate(schedule if callable(schedule) else made.lr)
