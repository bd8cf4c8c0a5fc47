"""Schedules: the learning rate at each step, counted from 1. Each is a function of the step number."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from foveal._checks import check_count
from foveal.errors import ParameterError, explain, nearest

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class Constant:
    """The same rate at every step.

    Examples
    --------
    >>> Constant(0.1)(step=7)
    0.1
    """

    lr: float

    def __post_init__(self) -> None:
        _check(lr=self.lr)

    def __call__(self, step: int) -> float:
        return self.lr


@dataclass(frozen=True)
class Cosine:
    """Half a cosine wave from `lr` down to `final`, after a linear warm-up.

    ``final + (lr - final) (1 + cos(pi s / S)) / 2``, with s the steps done since the warm-up and S all steps after it.
    The first step runs at `lr` and `final` would be reached one step after the last, so that every step learns.

    Parameters
    ----------
    lr : float
        The highest rate.
    steps : int
        Steps in all; later steps run at `final`.
    warmup : int
        Steps of linear increase: lr/warmup, 2 lr/warmup, ..., lr.
    final : float
        Where it ends.

    Raises
    ------
    ParameterError
        If a rate is negative, or the warm-up leaves no step.

    Source
    ------
    I. Loshchilov, F. Hutter, "SGDR", ICLR 2017, equation 5, without restarts.

    Examples
    --------
    >>> rate = Cosine(lr=0.1, steps=4)
    >>> [round(rate(step), 4) for step in (1, 2, 3, 4, 5)]
    [0.1, 0.0854, 0.05, 0.0146, 0.0]
    """

    lr: float
    steps: int
    warmup: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        _check(lr=self.lr, final=self.final)
        check_count(self.steps, "steps")
        if check_count(self.warmup, "warmup", minimum=0) >= self.steps:
            raise ParameterError(explain("warmup", expected=f"fewer than steps={self.steps}", got=str(self.warmup)))

    def __call__(self, step: int) -> float:
        if step <= self.warmup:
            return self.lr * step / self.warmup
        done = min(1.0, (step - 1 - self.warmup) / (self.steps - self.warmup))
        return _between(self.lr, self.final, done)


@dataclass(frozen=True)
class Step:
    """Multiplied by `factor` after every `steps` steps.

    Raises
    ------
    ParameterError
        If a number is negative.

    Examples
    --------
    >>> rate = Step(lr=1.0, steps=10, factor=0.5)
    >>> [rate(step) for step in (1, 10, 11, 21)]
    [1.0, 1.0, 0.5, 0.25]
    """

    lr: float
    steps: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        _check(lr=self.lr, factor=self.factor)
        check_count(self.steps, "steps")

    def __call__(self, step: int) -> float:
        return self.lr * self.factor ** ((step - 1) // self.steps)


@dataclass(frozen=True)
class OneCycle:
    """Up to `lr` along a cosine in the first part of the steps, then down to almost nothing.

    Parameters
    ----------
    lr : float
        The highest rate.
    steps : int
        Steps in all; the last one runs at the lowest rate.
    rise : float
        The part of the steps in which the rate rises.
    start, final : float
        The first rate is lr/start, the last one lr/(start final).

    Raises
    ------
    ParameterError
        If a number is out of range.

    Source
    ------
    L. Smith, N. Topin, "Super-convergence", arXiv 1708.07120; torch.optim.lr_scheduler.OneCycleLR.

    Examples
    --------
    >>> rate = OneCycle(lr=1.0, steps=11)
    >>> [round(rate(step), 3) for step in (1, 3, 4, 8, 11)]
    [0.04, 0.96, 0.98, 0.33, 0.0]
    """

    lr: float
    steps: int
    rise: float = 0.3
    start: float = 25.0
    final: float = 1e4

    def __post_init__(self) -> None:
        _check(lr=self.lr)
        check_count(self.steps, "steps")
        if not 0 < self.rise < 1 or self.start < 1 or self.final < 1:
            got = f"rise={self.rise}, start={self.start}, final={self.final}"
            raise ParameterError(explain("OneCycle", expected="rise between 0 and 1, start and final >= 1", got=got))

    def __call__(self, step: int) -> float:
        low = self.lr / self.start
        done, top, last = step - 1, self.rise * self.steps - 1, self.steps - 1
        if done <= top:
            return _between(low, self.lr, done / top if top > 0 else 1.0)
        return _between(self.lr, low / self.final, min(1.0, (done - top) / (last - top)))


SCHEDULES = ("none", "cosine", "onecycle", "step")


def by_name(name: str, lr: float, steps: int) -> Schedule:
    """Make a schedule for a run of so many steps: "none", "cosine", "onecycle", or "step" (a tenth after each third).

    Raises
    ------
    ParameterError
        If the name is unknown.

    Examples
    --------
    >>> by_name("cosine", lr=0.1, steps=800)
    Cosine(lr=0.1, steps=800, warmup=0, final=0.0)
    """
    if name == "none":
        return Constant(lr)
    if name == "cosine":
        return Cosine(lr, steps)
    if name == "onecycle":
        return OneCycle(lr, steps)
    if name == "step":
        return Step(lr, max(1, math.ceil(steps / 3)))
    raise ParameterError(explain("schedule", expected="a known name", got=repr(name), fix=nearest(name, SCHEDULES)))


def _between(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def _check(**rates: Any) -> None:
    for name, value in rates.items():
        if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise ParameterError(explain(name, expected="a finite number, 0 or more", got=repr(value)))
