"""Schedules: the learning rate at each step, counted from 1. Each is a function of the step number.

A warm-up multiplies the first rates by 1/warmup, 2/warmup, ..., 1: large rates are safe only when the first gradients
have brought the weights to a place where the loss is not so steep (Goyal et al., "Accurate, large minibatch SGD",
arXiv 1706.02677, section 2.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from foveal._checks import check_count
from foveal.errors import ParameterError, explain, nearest

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class Constant:
    """The same rate at every step, after a warm-up if there is one.

    Examples
    --------
    >>> rate = Constant(0.1, warmup=4)
    >>> [rate(step) for step in (1, 2, 4, 7)]
    [0.025, 0.05, 0.1, 0.1]
    """

    lr: float
    warmup: int = 0

    def __post_init__(self) -> None:
        _check(lr=self.lr)
        check_count(self.warmup, "warmup", minimum=0)

    def __call__(self, step: int) -> float:
        return self.lr * _warm(step, self.warmup)


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
            return self.lr * _warm(step, self.warmup)
        done = min(1.0, (step - 1 - self.warmup) / (self.steps - self.warmup))
        return _between(self.lr, self.final, done)


@dataclass(frozen=True)
class Step:
    """Multiplied by `factor` after every `steps` steps, or after each of the steps that are given.

    Parameters
    ----------
    lr : float
        The first rate.
    steps : int, or sequence of int
        After how many steps it falls, again and again; or after which.
    factor : float
        What it is multiplied by.
    warmup : int
        Steps of linear increase at the beginning; they count as any others.

    Raises
    ------
    ParameterError
        If a number is negative, or the steps do not rise.

    Examples
    --------
    >>> rate, paper = Step(lr=1.0, steps=10, factor=0.5), Step(lr=0.1, steps=(32_000, 48_000))  # ResNet's
    >>> [rate(step) for step in (1, 10, 11, 21)], [round(paper(step), 3) for step in (1, 32_001, 48_001)]
    ([1.0, 1.0, 0.5, 0.25], [0.1, 0.01, 0.001])
    """

    lr: float
    steps: int | Sequence[int]
    factor: float = 0.1
    warmup: int = 0

    def __post_init__(self) -> None:
        _check(lr=self.lr, factor=self.factor)
        check_count(self.warmup, "warmup", minimum=0)
        if isinstance(self.steps, int):
            check_count(self.steps, "steps")
        elif [check_count(step, "steps") for step in self.steps] != sorted(set(self.steps)):
            raise ParameterError(explain("steps", expected="numbers that rise", got=str(self.steps)))

    def __call__(self, step: int) -> float:
        if isinstance(self.steps, int):
            falls = (step - 1) // self.steps
        else:
            falls = sum(step > last for last in self.steps)
        return self.lr * self.factor**falls * _warm(step, self.warmup)


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


def by_name(name: str, lr: float, steps: int, warmup: int = 0) -> Schedule:
    """Make a schedule for a run of so many steps: "none", "cosine", "onecycle", or "step" (a tenth after each third).

    Raises
    ------
    ParameterError
        If the name is unknown, or the warm-up takes all steps; "onecycle" has its own.

    Examples
    --------
    >>> by_name("cosine", lr=0.1, steps=800, warmup=100)
    Cosine(lr=0.1, steps=800, warmup=100, final=0.0)
    """
    if name not in SCHEDULES:
        raise ParameterError(explain("schedule", expected="a known name", got=repr(name), fix=nearest(name, SCHEDULES)))
    if name == "onecycle":
        if warmup:
            why = "it rises by itself in the first 30 % of the steps"
            raise ParameterError(explain("warmup", expected="none with schedule 'onecycle'", got=str(warmup), why=why))
        return OneCycle(lr, steps)
    if warmup >= steps:
        raise ParameterError(explain("warmup", expected=f"fewer than all {steps} steps", got=f"{warmup} steps"))
    if name == "cosine":
        return Cosine(lr, steps, warmup)
    return Step(lr, max(1, math.ceil(steps / 3)), warmup=warmup) if name == "step" else Constant(lr, warmup)


def _warm(step: int, warmup: int) -> float:
    """Return the share of the rate at a step of a linear warm-up; 1 after it."""
    return step / warmup if step < warmup else 1.0


def _between(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def _check(**rates: Any) -> None:
    for name, value in rates.items():
        if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise ParameterError(explain(name, expected="a finite number, 0 or more", got=repr(value)))
