"""The history of a run: the loss of every step, and one record for each epoch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foveal.errors import FormatError, explain


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images gave.

    Parameters
    ----------
    epoch : int
        Counted from 1.
    train_loss, train_accuracy : float
        Mean over the images as they were trained on, each before its own step; accuracy from 0 to 1.
    test_accuracy : float or None
        On the validation images after the epoch; None without validation.
    seconds : float
        Of training, without validation and checkpoint.
    images_per_second : float
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_accuracy: float | None
    seconds: float
    images_per_second: float


@dataclass
class History:
    """What `fit` returns.

    Parameters
    ----------
    loss : list of float
        Mean loss of the batch of each step, before the step.
    epochs : list of Epoch
        The finished epochs.
    interrupted : bool
        True if Ctrl-C ended the run early.
    settings : dict
        epochs, batch_size, seed, optimizer, number of images, augmentation and label smoothing of the run.

    Examples
    --------
    >>> history = History(loss=[2.3, 1.1], epochs=[Epoch(1, 1.7, 0.5, None, 0.1, 2000.0)])
    >>> History.from_json(history.to_json()) == history
    True
    """

    loss: list[float] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    interrupted: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Seconds of training of all finished epochs."""
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def test_accuracy(self) -> float | None:
        """The test accuracy after the last epoch, 0 to 1; None if there is none."""
        return self.epochs[-1].test_accuracy if self.epochs else None

    def smoothed(self, window: int = 11) -> NDArray[np.float64]:
        """The loss of each step, smoothed; see `smooth`."""
        return smooth(self.loss, window)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts and numbers, as they are written to history.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Any) -> Self:
        """The reverse of `to_dict`.

        Raises
        ------
        FormatError
            If it is no history.
        """
        try:
            epochs = [Epoch(**epoch) for epoch in value["epochs"]]
            loss = [float(loss) for loss in value["loss"]]
            return cls(loss, epochs, bool(value["interrupted"]), dict(value["settings"]))
        except (KeyError, TypeError, ValueError) as error:
            expected = "loss, epochs, interrupted and settings"
            raise FormatError(explain("history", expected=expected, got=repr(error))) from error

    def to_json(self) -> str:
        """JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The reverse of `to_json`.

        Raises
        ------
        FormatError
            If it is no history.
        """
        try:
            value = json.loads(text)
        except ValueError as error:
            raise FormatError(explain("history", expected="JSON", got=repr(str(error)))) from error
        return cls.from_dict(value)


def smooth(values: Any, window: int = 11) -> NDArray[np.float64]:
    """Smooth a curve with a Kaiser window (beta = 2), mirrored at both ends so that the length stays.

    Parameters
    ----------
    values : sequence of float, length n
        The curve.
    window : int
        Width of the window; made odd, and not wider than the curve.

    Returns
    -------
    ndarray of shape (n,), float64

    Source
    ------
    K. Saitoh, "Deep Learning from Scratch", common/util.py, smooth_curve.

    Examples
    --------
    >>> smooth([1, 1, 1, 1]).tolist(), len(smooth([1, 5, 2, 8, 3]))
    ([1.0, 1.0, 1.0, 1.0], 5)
    """
    curve = np.asarray(values, np.float64)
    half = (min(window, len(curve)) - 1) // 2
    if half < 1:
        return curve.copy()
    weights = np.kaiser(2 * half + 1, 2)
    return np.convolve(np.pad(curve, half, mode="reflect"), weights / weights.sum(), mode="valid")
