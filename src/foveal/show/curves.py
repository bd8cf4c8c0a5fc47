"""Learning curves: the loss of every step, and the accuracy of every epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from foveal.errors import DataError, explain
from foveal.show.canvas import BLUE, INK, ORANGE, new_figure, plain_axes
from foveal.training.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOG_FROM = 10.0  # the loss gets a logarithmic axis once it fell by this factor


def history(history: History, *, title: str = "") -> Figure:
    """Draw the loss of each step, smoothed over the raw values, and the accuracy of each epoch.

    The loss axis is logarithmic if the smoothed loss fell to less than a tenth. Raw values that leave the axis are the
    rarest hundredth.

    Parameters
    ----------
    history : History
        Of `fit`.
    title : str
        Above the figure.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    DataError
        If there is no step to draw.

    Examples
    --------
    >>> figure = history(History(loss=[2.3, 1.7, 1.2, 0.9]))
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['Loss of each step']
    """
    if not history.loss:
        raise DataError(explain("history", expected="at least one step", got="none", fix="Train before drawing."))
    panels = 2 if history.epochs else 1
    figure = new_figure(5.2 * panels, 3.8)
    if title:
        figure.suptitle(title, fontsize=11, color=INK, x=0.01, ha="left")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _loss(axes[0], history)
    if history.epochs:
        _accuracy(axes[1], history)
    return figure


def _loss(axes: Axes, history: History) -> None:
    raw, smooth = np.asarray(history.loss), history.smoothed()
    steps = np.arange(1, len(raw) + 1)
    axes.plot(steps, raw, color=BLUE, alpha=0.25, linewidth=0.7, label="raw")
    axes.plot(steps, smooth, color=BLUE, linewidth=1.6, label="smoothed")
    low, high = np.percentile(raw, 1), raw.max()
    if raw.min() > 0 and smooth.max() > _LOG_FROM * smooth.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_ylim(min(low, smooth.min()) / 1.3, high * 1.3)
    else:
        axes.set_ylim(0, high * 1.05 or 1)
    axes.set_xlim(0, len(raw) * 1.02)
    axes.set_title("Loss of each step", loc="left", fontsize=10, color=INK)
    axes.set_xlabel("step" + (" (interrupted)" if history.interrupted else ""), color=INK)
    axes.set_ylabel("cross-entropy (nats)", color=INK)
    axes.legend(frameon=False, fontsize=9, loc="upper right", labelcolor=INK)
    plain_axes(axes)


def _accuracy(axes: Axes, history: History) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = [record.epoch for record in history.epochs]
    curves = {"train": (BLUE, [100 * record.train_accuracy for record in history.epochs])}
    tested = [record.test_accuracy for record in history.epochs]
    if all(value is not None for value in tested):
        curves["test"] = (ORANGE, [100 * value for value in tested if value is not None])
    lowest = min(min(values) for _, values in curves.values())
    axes.set_ylim(max(0.0, lowest - 0.08 * (100 - lowest) - 0.2), 100.2)
    for name, (colour, values) in curves.items():
        axes.plot(epochs, values, color=colour, linewidth=1.6, marker="o", markersize=3.5, label=name)
    _label_ends(axes, epochs[-1], curves)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("Accuracy of each epoch", loc="left", fontsize=10, color=INK)
    axes.set_xlabel("epoch", color=INK)
    axes.set_ylabel("correct (%)", color=INK)
    plain_axes(axes)


def _label_ends(axes: Axes, x: int, curves: dict[str, tuple[str, list[float]]]) -> None:
    """Write each curve's name and last value beside its end, moved apart where they would overlap."""
    low, high = axes.get_ylim()
    ordered = sorted(curves.items(), key=lambda item: item[1][1][-1])
    place = -np.inf
    for name, (colour, values) in ordered:
        place = max(values[-1], place + 0.07 * (high - low))
        axes.annotate(
            f"  {name} {values[-1]:.2f} %", (x, values[-1]), xytext=(x, place), textcoords="data", color=colour,
            fontsize=9, va="center", annotation_clip=False,
        )  # fmt: skip
