"""fit: train a network."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foveal._files import output_folder
from foveal.errors import DataError, explain
from foveal.training._interrupt import held_back
from foveal.training._job import Job, StrPath, prepare
from foveal.training.augmentation import Augmentation, Draws
from foveal.training.checkpoint import Checkpoint
from foveal.training.history import Epoch, History
from foveal.training.optimizers import Optimizer
from foveal.training.progress import Silent, reporter
from foveal.training.schedules import Schedule

if TYPE_CHECKING:
    from foveal.network import Network


def fit(
    net: Network,
    x: NDArray[Any],
    t: NDArray[Any],
    *,
    epochs: int,
    batch_size: int = 100,
    optimizer: Optimizer | str | None = None,
    schedule: Schedule | str | None = None,
    validation: tuple[NDArray[Any], NDArray[Any]] | None = None,
    warmup: float = 0,
    augment: Augmentation | Sequence[Augmentation] | str | None = None,
    plain_epochs: int = 0,
    label_smoothing: float = 0.0,
    seed: int = 0,
    progress: bool = True,
    checkpoint: StrPath | None = None,
    resume: StrPath | None = None,
) -> History:
    """Train a network by mini-batches.

    Each epoch visits every image once, in the order ``np.random.default_rng((seed, epoch)).permutation(N)``; the last
    batch may be smaller. Ctrl-C ends the run after the current step and keeps the work; pressed twice, it ends at once.

    Parameters
    ----------
    net : Network
        Trained in place.
    x : ndarray of shape (N, C, *spatial), uint8 or floating
        Images; uint8 is scaled by 1/255, floating point is taken as it is.
    t : ndarray of shape (N,), integer, or (N, classes), one-hot
        Labels.
    epochs : int
        Passes over the images; with `resume`, in all.
    batch_size : int
        Images in a step.
    optimizer : Optimizer or str
        Default: ``Adam(lr=0.001)``. It is not changed.
    schedule : str or callable step -> float
        "cosine", "onecycle", "step" (see `foveal.training.schedules`) or a function; starts from the optimizer's lr.
    warmup : float
        Epochs in which the rate rises from nearly 0, before the rest of the schedule; "onecycle" has its own.
    augment : Augmentation, sequence of them, or str
        What is done to each image before each step, one after the other: ``[Shift(2), Flip()]``, or in words
        "shift=2,flip"; see `foveal.training.augmentation`.
    plain_epochs : int
        The last epochs, in which images are only mirrored, not moved, cropped or cut out: what the network is asked
        about later looks like that (He, Xie et al., "Data augmentation revisited", arXiv 1909.09148).
    label_smoothing : float
        Share of each label that is spread evenly over all classes, at least 0 and below 1. The losses that are reported
        are those of the smoothed labels.
    validation : tuple (x, t)
        Images and labels on which the accuracy is measured after each epoch.
    seed : int
        Of the order of the images, of augmentation and of dropout.
    progress : bool
        Report on stderr: a bar on a terminal, else one line for each epoch.
    checkpoint : path
        Written after each epoch and on Ctrl-C.
    resume : path
        A checkpoint to go on from. The result has the same bits as a run that was never interrupted.

    Returns
    -------
    History

    Raises
    ------
    ShapeError, DTypeError, DataError, ParameterError, StorageError, FormatError
        Before any work, if an argument is not what it should be.
    DataError
        If the loss becomes NaN or infinite.
    """
    job = prepare(net, x, t, epochs, batch_size, optimizer, schedule, validation, seed, checkpoint, augment,
                  label_smoothing, warmup, plain_epochs)  # fmt: skip
    start = Checkpoint({}, {}, 0, History(settings=job.settings))
    if resume is not None:
        start = Checkpoint.load(resume)
        start.check(job.settings, str(resume))
        net.load_parameters(start.parameters)
        start.history.settings, start.history.interrupted = job.settings, False
    with reporter(progress, job.epochs, len(job.x)) as report, held_back() as asked:
        return _run(job, start, report, asked)


def _run(job: Job, now: Checkpoint, report: Silent, asked: Callable[[], bool]) -> History:
    """Epochs, one after the other, from wherever `now` stands."""
    steps, last = job.steps, job.epochs * job.steps
    if now.step >= last:
        return now.history
    with _training(job) as run:
        if now.state:
            run.load_state(now.state)
        while now.step < last and not now.history.interrupted:
            if _epoch(job, run, now, report, asked):
                _record(job, now, report)
            now.history.interrupted = now.step < last and asked()
            if job.checkpoint is not None:
                _save(job, run, now, job.checkpoint)
    if now.history.interrupted:
        kept = f"; continue with resume={str(job.checkpoint)!r}" if job.checkpoint else ""
        report.note(f"interrupted after step {now.step} (epoch {max(0, now.step - 1) // steps + 1}){kept}")
    return now.history


def _training(job: Job) -> Any:
    from foveal.engine import training  # brings Numba: not before it is needed

    draw = None
    if job.augment:
        last = (job.epochs - job.plain_epochs) * job.steps if job.plain_epochs else None
        draw = Draws(job.augment, job.x.shape[2:], min(job.batch_size, len(job.x)), job.seed, last)
    return training(job.net, job.x, job.t, batch_size=job.batch_size, optimizer=job.optimizer, seed=job.seed, draw=draw,
                    smoothing=job.label_smoothing)  # fmt: skip


def _epoch(job: Job, run: Any, now: Checkpoint, report: Silent, asked: Callable[[], bool]) -> bool:
    """The steps of one epoch, or what is left of them; False if Ctrl-C was pressed before the end."""
    epoch, done = divmod(now.step, job.steps)
    order = np.random.default_rng((job.seed, epoch + 1)).permutation(len(job.x))
    start = time.perf_counter() - now.seconds
    for first in range(done * job.batch_size, len(order), job.batch_size):
        if asked():
            break
        rows = order[first : first + job.batch_size]
        loss, correct = run.step(rows)
        if not math.isfinite(loss):
            raise _diverged(job, now.step + 1, loss)
        now.step += 1
        now.correct += correct
        now.history.loss.append(float(loss))
        seen = first + len(rows)
        report.step(epoch * len(order) + seen, loss, now.correct / seen)
    now.seconds = time.perf_counter() - start
    return now.step == (epoch + 1) * job.steps


def _record(job: Job, now: Checkpoint, report: Silent) -> None:
    """Close an epoch: its record, and the accuracy on the validation images."""
    n, steps = len(job.x), job.steps
    sizes = np.full(steps, job.batch_size)
    sizes[-1] = n - (steps - 1) * job.batch_size
    loss = float(np.average(now.history.loss[-steps:], weights=sizes))
    test = None if job.validation is None else float(job.net.accuracy(*job.validation))
    record = Epoch(now.step // steps, loss, now.correct / n, test, now.seconds, n / max(now.seconds, 1e-9))
    now.history.epochs.append(record)
    now.correct, now.seconds = 0, 0.0
    report.epoch(record)


def _save(job: Job, run: Any, now: Checkpoint, path: Path) -> None:
    now.parameters, now.state = dict(job.net.arrays()), run.state()
    output_folder(path.parent)
    now.save(path)


def _diverged(job: Job, step: int, loss: float) -> DataError:
    rate = job.optimizer.rate(step)
    epoch = (step - 1) // job.steps + 1
    kept = f" The checkpoint {job.checkpoint} keeps the last good epoch." if job.checkpoint and epoch > 1 else ""
    return DataError(
        explain(
            f"fit, step {step} (epoch {epoch})",
            expected="a finite loss",
            got=str(loss),
            why=f"training diverged at a learning rate of {rate:g}",
            fix=f"Try a tenth of that rate, a schedule with warm-up, or smaller initial weights.{kept}",
        )
    )
