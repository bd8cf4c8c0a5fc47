"""Overfitting on purpose: a network that cannot learn a few pictures by heart has a wrong gradient somewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foveal._checks import check_count, check_images, check_labels
from foveal.errors import DataError, DTypeError, ParameterError, explain
from foveal.training import optimizers
from foveal.training.optimizers import Optimizer

if TYPE_CHECKING:
    from foveal.network import Network

BELOW = 0.1


@dataclass(frozen=True)
class Recipe:
    """How a network is made to learn pictures by heart.

    Attributes
    ----------
    optimizer : str
    lr : float
    batch_size : int
    centred : bool
        Whether it gets pixels minus their mean over the pictures, -255 to 255, in place of 0 to 1.
    size : int
        Pixels of a side, of photographs that are cropped.
    """

    optimizer: str = "adam"
    lr: float = 1e-3
    batch_size: int = 32
    centred: bool = False
    size: int = 224


# By the command line's names of models; other models have Recipe().
RECIPES = {
    "alexnet": Recipe(lr=3e-4, centred=True, size=227),
    "alexnet-one-tower": Recipe(lr=3e-4),
}


def recipe(model: str, **given: Any) -> Recipe:
    """Return how a model is trained here; what is given and not None replaces what it says.

    Examples
    --------
    >>> recipe("alexnet-one-tower", lr=None, batch_size=16)
    Recipe(optimizer='adam', lr=0.0003, batch_size=16, centred=False, size=224)
    """
    return replace(RECIPES.get(model, Recipe()), **{name: value for name, value in given.items() if value is not None})


@dataclass
class Overfit:
    """What `overfit` found.

    Attributes
    ----------
    loss : list of float
        Of the batch of each step, before the step, as the network learns: with dropout and the batch's statistics.
    predicted : list of (int, float)
        After so many steps, the loss over all pictures as the network predicts: no dropout, running statistics.
    reached : bool
        Whether the last of these is below the bound.
    below : float
        The bound.
    accuracy : float
        On the pictures, at the end, as the network predicts.
    seconds : float
        In all, with evaluations and the making of the plans.
    """

    below: float
    loss: list[float] = field(default_factory=list)
    predicted: list[tuple[int, float]] = field(default_factory=list)
    reached: bool = False
    accuracy: float = 0.0
    seconds: float = 0.0

    def __str__(self) -> str:
        verdict = "learned by heart" if self.reached else f"NOT below {self.below:g}"
        right = f"{self.accuracy:.2%}".replace("%", " %")
        loss, steps = self.predicted[-1][1], len(self.loss)
        return f"{verdict}: loss {loss:.4f} after {steps} steps, {right} right, {self.seconds:.1f} s"


def overfit(
    net: Network,
    x: NDArray[Any],
    t: NDArray[Any],
    *,
    optimizer: Optimizer | None = None,
    batch_size: int = 32,
    below: float = BELOW,
    steps: int = 200,
    every: int = 5,
    seed: int = 0,
    tell: Callable[[int, float, float | None], None] | None = None,
) -> Overfit:
    """Train a network on a few pictures until it knows them by heart.

    The loss of a step is noisy, and with dropout it stays high: half of what the network knows is hidden from it. So
    the bound holds for the loss over all pictures as the network predicts, which is computed after every few steps.

    Parameters
    ----------
    net : Network
        Trained in place.
    x : ndarray of shape (N, *input_shape), uint8 or floating
        The pictures.
    t : ndarray of shape (N,), integer, or (N, classes), one-hot
        Their labels.
    optimizer : Optimizer
        Default: ``Adam(lr=0.001)``. It is not changed.
    batch_size : int
        Pictures in a step.
    below : float
        The bound.
    steps : int
        Most steps.
    every : int
        Steps from one evaluation to the next.
    seed : int
        Of the order of the pictures and of dropout.
    tell : callable (step, loss, predicted) -> None
        Called after each step; `predicted` is None where it was not computed.

    Returns
    -------
    Overfit

    Raises
    ------
    ShapeError, DTypeError, DataError, ParameterError
        Before any work, if an argument is not what it should be.
    DataError
        If the loss becomes NaN or infinite.

    Examples
    --------
    >>> from foveal import data, models
    >>> x, t = data.load("mnist-5k").train
    >>> found = overfit(models.SimpleConvNet(), x[:8], t[:8], batch_size=8)
    >>> found.reached, found.accuracy, found.predicted[-1][1] < 0.1
    (True, 1.0, True)
    """
    images = check_images(x, net.input_shape, finite=True)
    labels = check_labels(t, net.output_size, len(images))
    batch, seed = check_count(batch_size, "batch_size"), check_count(seed, "seed", minimum=0)
    steps, every = check_count(steps, "steps"), check_count(every, "every")
    if isinstance(below, bool) or not isinstance(below, int | float) or not 0 < below < math.inf:
        raise ParameterError(explain("below", expected="a positive number", got=repr(below)))
    chosen = optimizers.Adam() if optimizer is None else optimizer
    if not isinstance(chosen, Optimizer):
        raise DTypeError(explain("optimizer", expected="an optimizer such as Adam(lr=0.001)", got=repr(optimizer)))

    from foveal.engine import training  # brings Numba: not before it is needed

    found, begin = Overfit(below), time.perf_counter()
    batches = _batches(len(images), batch, seed)
    with training(net, images, labels, batch_size=batch, optimizer=chosen, seed=seed) as run:
        for step in range(1, steps + 1):
            loss = float(run.step(next(batches))[0])
            found.loss.append(_finite(loss, step, chosen))
            seen = None
            if step % every == 0 or step == steps:
                seen = _finite(net.loss(images, labels), step, chosen)
                found.predicted.append((step, seen))
            if tell is not None:
                tell(step, loss, seen)
            if seen is not None and seen < below:
                found.reached = True
                break
    found.seconds, found.accuracy = time.perf_counter() - begin, net.accuracy(images, labels)
    return found


def _batches(n: int, size: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield rows for ever: each round visits all n once, in an order of its own."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(n)
        yield from (order[first : first + size] for first in range(0, n, size))


def _finite(loss: float, step: int, optimizer: Optimizer) -> float:
    if math.isfinite(loss):
        return loss
    fix = f"Try a tenth of the learning rate, which is {optimizer.rate(step):g}."
    raise DataError(explain(f"overfit, step {step}", expected="a finite loss", got=str(loss), fix=fix))


def centred(x: NDArray[Any]) -> NDArray[np.float32]:
    """Return pixels minus their mean over the pictures, as AlexNet's paper has it (section 2): -255 to 255.

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W), uint8
        The pictures.

    Returns
    -------
    ndarray of shape (N, C, H, W), float32

    Examples
    --------
    >>> centred(np.array([[[[0, 10]]], [[[100, 30]]]], np.uint8)).tolist()
    [[[[-50.0, -10.0]]], [[[50.0, 10.0]]]]
    """
    pixels = x.astype(np.float32)
    centre: NDArray[np.float32] = pixels.mean(0)
    return pixels - centre
