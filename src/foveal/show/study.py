"""Pictures of studies: accuracy over the number of parameters, and the loss of a network that learns by heart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from foveal.errors import DataError, explain
from foveal.show.canvas import BLUE, INK, ORANGE, new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from foveal.study import Overfit, Trained

STYLES = {"convolution": ("convolution", BLUE, "o"), "mlp": ("MLP", ORANGE, "s")}
_TICKS = (0, 50, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9)
_LEAST = 0.05  # percent of errors; fewer, and none, stand on this line


def accuracy_over_parameters(networks: Sequence[Trained], *, title: str = "", note: str = "") -> Figure:
    """Draw train and test accuracy over the number of parameters, a panel for each number of training images.

    Test accuracy has full lines and markers, train accuracy broken lines and hollow ones; shades span the seeds. The
    share of errors has a logarithmic axis, so that 98 % and 99 % stand as far apart as 80 % and 90 %; what is above
    99.95 % stands there.

    Parameters
    ----------
    networks : sequence of Trained
        From `foveal.study.ParameterStudy`.
    title, note : str
        Above the picture, and below it.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    DataError
        If there is no network.

    Examples
    --------
    >>> from foveal.study import Trained
    >>> figure = accuracy_over_parameters([Trained("mlp", 2, 3, 2395, 1000, 0, 30, 0.9, 0.8, 0.1)])
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['1,000 training images']
    """
    if not networks:
        raise DataError(explain("study", expected="at least one network", got="none"))
    sizes = sorted({net.images for net in networks})
    figure = new_figure(1.2 + 3.5 * len(sizes), 4.2)
    figure.suptitle(title or "Accuracy over the number of parameters", color=INK, fontsize=11, x=0.01, ha="left")
    panels = figure.subplots(1, len(sizes), sharex=True, sharey=True, squeeze=False)[0]
    for axes, size in zip(panels, sizes, strict=True):
        _panel(axes, networks, size)
    panels[0].set_ylabel("correct (%), logarithmic in the errors", color=INK)
    panels[-1].legend(frameon=False, fontsize=8, loc="lower right", labelcolor=INK)
    if note:
        figure.supxlabel(note, color=INK, fontsize=8, x=0.01, ha="left")
    return figure


def _panel(axes: Axes, networks: Sequence[Trained], size: int) -> None:
    from foveal.study import curve

    for model, (name, colour, marker) in STYLES.items():
        points = curve(networks, model, size)
        if not points:
            continue
        counts = [point.parameters for point in points]
        for part, line, face in (("train", "--", "white"), ("test", "-", colour)):
            spreads = [getattr(point, part) for point in points]
            low, high = ([_errors(getattr(s, name)) for s in spreads] for name in ("low", "high"))
            axes.fill_between(counts, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(
                counts, [_errors(s.mean) for s in spreads], line, color=colour, marker=marker, markersize=4.5,
                markerfacecolor=face, linewidth=1.4, label=f"{name}, {part}",
            )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    worst = max(_errors(min(net.train_accuracy, net.test_accuracy)) for net in networks)
    axes.set_ylim(min(100.0, 1.2 * worst), _LEAST / 1.25)  # upside down: better is higher
    axes.set_yticks(
        [100 - tick for tick in (*_TICKS, 100 - _LEAST)], [*(f"{tick:g}" for tick in _TICKS), f"≥ {100 - _LEAST:g}"]
    )
    axes.set_yticks([], minor=True)
    axes.set_title(f"{size:,} training images", loc="left", color=INK, fontsize=10)
    axes.set_xlabel("parameters", color=INK)
    plain_axes(axes)


def _errors(accuracy: float) -> float:
    return max(100 * (1 - accuracy), _LEAST)


def loss_curves(found: Mapping[str, Overfit], *, title: str = "") -> Figure:
    """Draw the loss of each step, and the loss as the network predicts, down to the bound.

    Parameters
    ----------
    found : dict of str to Overfit
        From `foveal.study.overfit`, by the name of the network.
    title : str
        Above the picture.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    DataError
        If there is no step to draw.

    Examples
    --------
    >>> from foveal.study import Overfit
    >>> figure = loss_curves({"simple": Overfit(0.1, [2.3, 0.9, 0.05], [(3, 0.04)], True, 1.0, 0.5)})
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['simple: 0.04 after 3 steps, 0.5 s']
    """
    if not found or not all(run.loss for run in found.values()):
        raise DataError(explain("overfit", expected="at least one step", got="none", fix="Train before drawing."))
    figure = new_figure(max(5.6, 0.8 + 3.9 * len(found)), 3.8)
    figure.suptitle(title or "Learning pictures by heart", color=INK, fontsize=11, x=0.01, ha="left")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, (name, run) in zip(panels, found.items(), strict=True):
        _losses(axes, name, run)
    panels[0].set_ylabel("cross-entropy (nats)", color=INK)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=8, loc="outside lower right", ncols=3, labelcolor=INK)
    return figure


def _losses(axes: Axes, name: str, run: Overfit) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator

    axes.plot(
        range(1, len(run.loss) + 1), run.loss, color=BLUE, alpha=0.6, linewidth=1.0, label="each step, as it learns"
    )
    if run.predicted:
        steps, losses = zip(*run.predicted, strict=True)
        axes.plot(steps, losses, "-o", color=ORANGE, markersize=4, linewidth=1.6, label="all pictures, as it predicts")
        last = f": {losses[-1]:.2g} after {steps[-1]} steps, {_seconds(run.seconds)}"
    axes.axhline(run.below, color=INK, linestyle=":", linewidth=1.0, label=f"bound, {run.below:g}")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0, len(run.loss) * 1.02)
    axes.set_title(name + (last if run.predicted else ""), loc="left", color=INK, fontsize=9)
    axes.set_xlabel("step", color=INK)
    plain_axes(axes)


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1g} s"
