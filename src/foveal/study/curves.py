"""What the parameter study found: accuracy over the number of parameters, and which family needs fewer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from foveal.accounting.render import Table
from foveal.study.parameters import MODELS, Trained


class Spread(NamedTuple):
    """Mean, lowest and highest value over the seeds."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Point:
    """Networks of one size, of all seeds."""

    parameters: int
    train: Spread
    test: Spread


def curve(networks: Iterable[Trained], model: str, images: int) -> list[Point]:
    """Return train and test accuracy over the number of parameters, of one model on so many images.

    Examples
    --------
    >>> seeds = [Trained("mlp", 2, 3, 2395, 100, seed, 30, 0.5, test, 0.1) for seed, test in enumerate((0.25, 0.5))]
    >>> curve(seeds, "mlp", 100)
    [Point(parameters=2395, train=Spread(mean=0.5, low=0.5, high=0.5), test=Spread(mean=0.375, low=0.25, high=0.5))]
    """
    mine = [net for net in networks if (net.model, net.images) == (model, images)]
    groups = {n: [net for net in mine if net.parameters == n] for n in sorted({net.parameters for net in mine})}
    return [
        Point(n, _spread(net.train_accuracy for net in group), _spread(net.test_accuracy for net in group))
        for n, group in groups.items()
    ]


def _spread(values: Iterable[float]) -> Spread:
    found = list(values)
    return Spread(sum(found) / len(found), min(found), max(found))


def finding(networks: Iterable[Trained], images: int) -> str:
    """Say what the better of two models needs to reach the best test accuracy of the other; nothing if there is one.

    Examples
    --------
    >>> print(finding([Trained("mlp", 2, 3, 2395, 100, 0, 30, 1.0, 0.8, 0.1),
    ...                Trained("convolution", 2, 7, 2155, 100, 0, 30, 1.0, 0.7, 0.1),
    ...                Trained("convolution", 4, 13, 7745, 100, 0, 30, 1.0, 0.9, 0.1)], 100))
    the best mlp (2,395 parameters) has 80.00 %; convolution has that from 7,745 parameters on (90.00 %), and at
    best 90.00 % (7,745)
    """
    mine = [net for net in networks if net.images == images]
    curves = {model: curve(mine, model, images) for model in sorted({net.model for net in mine})}
    if len(curves) < 2:
        return ""
    best = {model: max(points, key=lambda point: point.test.mean) for model, points in curves.items()}
    worse, better = sorted(best, key=lambda model: best[model].test.mean)
    bar, top = best[worse], best[better]
    first = next(point for point in curves[better] if point.test.mean >= bar.test.mean)
    return (
        f"the best {worse} ({bar.parameters:,} parameters) has {_percent(bar.test.mean)}; {better} has that from "
        f"{first.parameters:,} parameters on ({_percent(first.test.mean)}), and at best {_percent(top.test.mean)} "
        f"({top.parameters:,})"
    )


def table(networks: Sequence[Trained], title: str = "", notes: Sequence[str] = ()) -> Table:
    """Return a row for each model and size, with mean accuracies on the training images, and on the test images.

    Examples
    --------
    >>> nets = [Trained("mlp", 2, 3, 2395, images, 0, 30, 1.0, 0.8, 0.1) for images in (100, 500)]
    >>> table(nets).rows
    (('mlp', 2, 3, 2395, '100.00 % / 80.00 %', '100.00 % / 80.00 %'),)
    """
    sizes = sorted({net.images for net in networks})
    found = {(model, size): curve(networks, model, size) for model in MODELS for size in sizes}
    points = {(model, size, p.parameters): p for (model, size), line in found.items() for p in line}
    kinds = sorted({(MODELS.index(net.model), net.width, net.hidden, net.parameters) for net in networks})
    rows = [
        (MODELS[model], width, hidden, count, *(_both(points.get((MODELS[model], size, count))) for size in sizes))
        for model, width, hidden, count in kinds
    ]
    header = "model", "width", "hidden", "parameters", *(f"{size:,}: train / test" for size in sizes)
    return Table(title, header, tuple(rows), notes=tuple(notes))


def _both(point: Point | None) -> str:
    return "" if point is None else f"{_percent(point.train.mean)} / {_percent(point.test.mean)}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
