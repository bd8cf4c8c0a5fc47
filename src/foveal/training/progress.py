"""How a run is reported: a bar on a terminal, one plain line for each epoch elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

from foveal.training.history import Epoch


def describe(record: Epoch, epochs: int) -> str:
    """One line about an epoch.

    Examples
    --------
    >>> print(describe(Epoch(3, 0.25, 0.925, 0.91, 0.5, 8000.0), 20))
    epoch  3/20  loss 0.2500  train 92.50 %  test 91.00 %  8,000 images/s
    """
    test = "" if record.test_accuracy is None else f"  test {record.test_accuracy:.2%}".replace("%", " %")
    train = f"{record.train_accuracy:.2%}".replace("%", " %")
    number = f"{record.epoch:>{len(str(epochs))}}/{epochs}"
    return (
        f"epoch {number}  loss {record.train_loss:.4f}  train {train}{test}  {record.images_per_second:,.0f} images/s"
    )


class Silent:
    """Reports nothing; the base of the others."""

    def __init__(self, epochs: int, images: int) -> None:
        self.epochs, self.images = epochs, images

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def step(self, seen: int, loss: float, accuracy: float) -> None:
        """After a step: images seen in the run, loss of the batch, accuracy of the epoch so far."""

    def epoch(self, record: Epoch) -> None:
        """After an epoch."""

    def note(self, text: str) -> None:
        """Something that the user should know."""


class Lines(Silent):
    """One line for each epoch, on stderr."""

    def epoch(self, record: Epoch) -> None:
        self.note(describe(record, self.epochs))

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Bar(Silent):
    """A rich progress bar on stderr with loss, accuracy, images/s and the time left; epochs scroll by above it."""

    def __init__(self, epochs: int, images: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        super().__init__(epochs, images)
        text = "{task.fields[now]}"
        columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), TextColumn(text), TimeRemainingColumn()]
        self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.bar.add_task(f"epoch 1/{epochs}", total=epochs * images, now="")
        self.last, self.last_seen = time.perf_counter(), 0

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def step(self, seen: int, loss: float, accuracy: float) -> None:
        now = time.perf_counter()
        if now - self.last < 0.1:  # a step may take 1 ms; drawing it takes as long
            return
        rate = (seen - self.last_seen) / (now - self.last)
        self.last, self.last_seen = now, seen
        text = f"loss {loss:.4f}  accuracy {accuracy:.1%}  {rate:,.0f} images/s".replace("%", " %")
        epoch = min(self.epochs, (seen - 1) // self.images + 1)
        self.bar.update(self.task, completed=seen, now=text, description=f"epoch {epoch}/{self.epochs}")

    def epoch(self, record: Epoch) -> None:
        self.note(describe(record, self.epochs))

    def note(self, text: str) -> None:
        self.bar.console.print(text, highlight=False, markup=False)


def reporter(progress: bool, epochs: int, images: int) -> Silent:
    """Choose how to report: a bar needs a terminal to draw on."""
    if not progress:
        return Silent(epochs, images)
    return (Bar if sys.stderr.isatty() else Lines)(epochs, images)
