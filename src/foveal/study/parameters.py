"""Parameters and generalisation: networks of growing size, with a convolution and without, on more and more images."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveal._checks import check_count
from foveal.data import Dataset
from foveal.errors import ParameterError, explain, nearest
from foveal.graph import Graph
from foveal.layers import Affine, Convolution, MaxPool, ReLU
from foveal.network import Network
from foveal.training import fit, optimizers

MODELS = ("convolution", "mlp")
WIDTHS = (2, 4, 8, 15, 30, 60)
SIZES = (1_000, 5_000)  # and all that there are
STEPS, SEEDS = 2_400, 3
BATCH, RATE, SCHEDULE = 100, 1e-3, "cosine"  # the recipe, the same for every network

Cell = tuple[int, int, int, str]  # images, seed, width, model


@dataclass(frozen=True)
class Trained:
    """One network of the study.

    Attributes
    ----------
    model : {"convolution", "mlp"}
    width : int
        Filters of the convolution; for an MLP those of the convolutional network that is as large.
    hidden : int
        Units of the hidden affine layer.
    parameters, images, seed, steps : int
    train_accuracy, test_accuracy : float
        0 to 1, both after training, as the network predicts.
    seconds : float
        Of training.
    """

    model: str
    width: int
    hidden: int
    parameters: int
    images: int
    seed: int
    steps: int
    train_accuracy: float
    test_accuracy: float
    seconds: float

    @property
    def cell(self) -> Cell:
        """Its place in the study."""
        return self.images, self.seed, self.width, self.model

    def __str__(self) -> str:
        accuracies = f"train {self.train_accuracy:.2%}  test {self.test_accuracy:.2%}".replace("%", " %")
        which = f"{self.images:,} images  seed {self.seed}  {self.model:<11}  {self.parameters:>9,} parameters"
        return f"{which}  {accuracies}  {self.seconds:.1f} s"


class ParameterStudy:
    """Networks of growing size, each trained on a few and on many images, by one recipe.

    At each width there are two networks with (nearly) the same number of parameters: one with a convolution and one
    with none, see `architecture`. For a number of images all networks take the same number of steps, with Adam(0.001)
    along a cosine and batches of 100; a seed chooses the images, the initial weights and the order. Fewer images of a
    seed are among its more. Accuracies are those on these images, and on all test images.

    Parameters
    ----------
    data : Dataset
    models : sequence of str
        "convolution", "mlp".
    widths : sequence of int
        Filters of the convolutional networks.
    sizes : sequence of int, optional
        Numbers of training images; without it 1,000, 5,000 and all.
    seeds : int
        How many networks of a kind are trained: with seeds 0, 1, ...
    steps : int
        Batches that a network learns from, whatever the number of images; rounded to whole epochs.

    Raises
    ------
    ParameterError
        An unknown model, or a number that is too small, too large, or there twice.

    Examples
    --------
    >>> from foveal import data
    >>> study = ParameterStudy(data.load("mnist-5k"), widths=(2, 4), sizes=(100,), seeds=1, steps=3)
    >>> len(study.cells), study.steps_on(100)
    (4, 3)
    >>> [(net.model, net.parameters, net.hidden) for net in study.run()]
    [('convolution', 2155, 7), ('mlp', 2395, 3), ('convolution', 7745, 13), ('mlp', 7960, 10)]
    """

    def __init__(
        self,
        data: Dataset,
        *,
        models: Sequence[str] = MODELS,
        widths: Sequence[int] = WIDTHS,
        sizes: Sequence[int] | None = None,
        seeds: int = SEEDS,
        steps: int = STEPS,
    ) -> None:
        available = len(data.train[0])
        chosen = [*(n for n in SIZES if n < available), available] if sizes is None else sizes
        self.data = data
        self.models = _different(models, "models")
        self.widths = _different([check_count(width, "widths") for width in widths], "widths")
        self.sizes = _different([check_count(size, "sizes") for size in chosen], "sizes")
        self.seeds, self.steps = check_count(seeds, "seeds"), check_count(steps, "steps")
        for model in self.models:
            _check_model(model, "models")
            architecture(model, min(self.widths), data.input_shape, len(data.classes))
        if max(self.sizes) > available:
            expected = f"at most the {available:,} training {data.kind} of {data.name}"
            raise ParameterError(explain("sizes", expected=expected, got=f"{max(self.sizes):,}"))

    @property
    def cells(self) -> list[Cell]:
        """The networks in the order in which they are trained: whole curves first, of few images before many."""
        return [
            (size, seed, width, model)
            for size in sorted(self.sizes)
            for seed in range(self.seeds)
            for width in sorted(self.widths)
            for model in self.models
        ]

    def epochs_on(self, size: int) -> int:
        """Return how often each of `size` images is seen."""
        return max(1, round(self.steps / math.ceil(size / BATCH)))

    def steps_on(self, size: int) -> int:
        """Return how many steps are taken with `size` images: the same for every network."""
        return self.epochs_on(size) * math.ceil(size / BATCH)

    def note(self, networks: Sequence[Trained]) -> str:
        """Say in a line what is behind a table or picture of these networks."""
        trained = Counter((net.images, net.width, net.model) for net in networks).values()
        few, many = min(trained, default=0), max(trained, default=0)
        seeds = f"{many} seeds" if few == many else f"{few} to {many} seeds"
        spread = f"mean of {seeds}, shaded: lowest to highest" if many > 1 else "one seed"
        reduced = "reduced run: " if self.is_reduced(networks) else ""
        return f"{reduced}{self.data.name}, {self.steps:,} steps of {BATCH} images, {spread}"

    def is_reduced(self, networks: Sequence[Trained]) -> bool:
        """Return whether these are fewer networks than the defaults ask for, or have learned for fewer steps."""
        return self.steps < STEPS or not {net.cell for net in networks}.issuperset(ParameterStudy(self.data).cells)

    @property
    def settings(self) -> dict[str, Any]:
        """What the result of a cell depends on, beside the cell."""
        return {"data": self.data.name, "steps": self.steps, "batch_size": BATCH, "optimizer": "adam", "lr": RATE,
                "schedule": SCHEDULE}  # fmt: skip

    def run(self, done: Collection[Cell] = ()) -> Iterator[Trained]:
        """Train the networks, one after the other, without those that are done.

        Raises
        ------
        KeyboardInterrupt
            On Ctrl-C; the network in training is lost.
        """
        for cell in self.cells:
            if cell not in done:
                yield self.train(*cell)

    def train(self, size: int, seed: int, width: int, model: str) -> Trained:
        """Train one network."""
        rows = np.random.default_rng(seed).permutation(len(self.data.train[0]))[:size]
        x, t = (part[rows] for part in self.data.train)
        graph = architecture(model, width, self.data.input_shape, len(self.data.classes))
        net = Network(graph, seed=seed)
        history = fit(
            net, x, t, epochs=self.epochs_on(size), batch_size=BATCH, optimizer=optimizers.Adam(RATE),
            schedule=SCHEDULE, seed=seed, progress=False,
        )  # fmt: skip
        if history.interrupted:
            raise KeyboardInterrupt
        return Trained(
            model, width, _hidden(graph), net.parameter_count, size, seed, len(history.loss), net.accuracy(x, t),
            net.accuracy(*self.data.test), history.seconds,
        )  # fmt: skip


def architecture(model: str, width: int, input_dim: Sequence[int] = (1, 28, 28), output_size: int = 10) -> Graph:
    """Return a network of the study.

    "convolution" is SimpleConvNet with `width` filters and 10/3 as many hidden units: 30 and 100 in the notes. "mlp"
    has one hidden layer, of the size that brings its number of parameters nearest to that of the other one. Both have
    He's weights.

    Raises
    ------
    ParameterError, ShapeError, GeometryError
        An unknown model, or an input that does not fit.

    Examples
    --------
    >>> for model in MODELS:
    ...     architecture(model, 30).parameters()
    {'conv1.weight': (30, 1, 5, 5), 'conv1.bias': (30,), 'affine1.weight': (4320, 100), 'affine1.bias': (100,), ...}
    {'affine1.weight': (784, 546), 'affine1.bias': (546,), 'affine2.weight': (546, 10), 'affine2.bias': (10,)}
    """
    _check_model(model, "model")
    hidden = max(1, round(10 * check_count(width, "width") / 3))
    convolutional = Graph.sequence(
        [Convolution(width, 5), ReLU(), MaxPool(2), Affine(hidden), ReLU(), Affine(output_size)], input_dim
    )
    if model == "convolution":
        return convolutional
    # features*hidden + hidden + hidden*classes + classes parameters
    each, rest = math.prod(input_dim) + 1 + output_size, output_size
    hidden = max(1, round((count(convolutional) - rest) / each))
    return Graph.sequence([Affine(hidden), ReLU(), Affine(output_size)], input_dim)


def same_maps(width: int, input_dim: Sequence[int] = (1, 28, 28)) -> tuple[int, int]:
    """Return the parameters of a convolution 5x5, and of an affine layer that makes as many numbers from an image.

    Examples
    --------
    >>> same_maps(30)
    (780, 13564800)
    """
    convolution = Graph.sequence([Convolution(width, 5)], input_dim)
    return count(convolution), count(Graph.sequence([Affine(math.prod(convolution.output_shape))], input_dim))


def count(graph: Graph) -> int:
    """Return the number of parameters."""
    return sum(math.prod(shape) for shape in graph.parameters().values())


def _hidden(graph: Graph) -> int:
    return graph.parameters()["affine1.weight"][1]


def _check_model(model: str, where: str) -> None:
    if model not in MODELS:
        raise ParameterError(explain(where, expected="a known name", got=repr(model), fix=nearest(model, MODELS)))


def _different(values: Iterable[Any], where: str) -> tuple[Any, ...]:
    given = tuple(values)
    if not given or len(set(given)) < len(given):
        got = ", ".join(map(str, given)) or "none"
        raise ParameterError(explain(where, expected="one or more, each once", got=got))
    return given
