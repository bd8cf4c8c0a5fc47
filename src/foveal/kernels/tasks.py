"""How the work of a kernel is dealt out to threads: the frame around all of them, once.

A kernel says how many tasks it has and what happens in one of them. Which thread does it changes nothing in the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from foveal.kernels.compiler import Function, Kernel, arguments, helper, inlined, named_after
from foveal.kernels.intrinsics import fetch_add

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
one_task: Any = None  # names of what the frame calls; `named_after` puts the kernel's own there
tasks: Any = None
together: Any = None


@helper
def take(counter, tasks, thread):
    """Return the number of the next of so many tasks, `tasks` if none is left: odd threads take from the back.

    So a thread meets about the same images, or the same weights, in each step: they are still in its own cache.
    """
    if fetch_add(counter, 1) >= tasks:
        return tasks
    if thread % 2 == 0:
        return fetch_add(counter + 8, 1)
    return tasks - 1 - fetch_add(counter + 16, 1)


def _all_tasks(args, counter, thread):
    a = arguments(args)
    count, few = tasks(a), together(a)
    first = few * take(counter, -(-count // few), thread)
    while first < count:
        for task in range(first, min(first + few, count)):
            one_task(a, task, thread)
        first = few * take(counter, -(-count // few), thread)


def once(a):
    """Return 1: a kernel has one task only, or a thread takes one at a time."""
    return 1


def per_task(layout: np.dtype[Any], tasks: Function, together: Function = once) -> Callable[[Function], Kernel]:
    """Make a `Kernel` of a function (arguments, task, thread) that does one of so many tasks.

    Parameters
    ----------
    layout : numpy.dtype
        Of the arguments, `fields`.
    tasks, together : function (arguments) -> int
        How many tasks there are, and how many small ones a thread takes at a time.
    """
    frame = {"tasks": inlined(tasks), "together": inlined(together)}
    return lambda f: Kernel(named_after(f, _all_tasks, one_task=inlined(f), **frame), layout)


def images(a):
    """Return how many images there are: the tasks of a light kernel."""
    return a.n


def images_a_task(a):
    """Return how many of them a thread takes at a time: taking one costs about as much as a small image."""
    return 8
