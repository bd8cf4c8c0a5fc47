"""What several models are made of, and the check of their variants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from foveal.errors import ParameterError, explain, nearest
from foveal.geometry import Padding, PerAxis
from foveal.graph import Graph, hinted
from foveal.layers import BatchNorm, Convolution, ReLU
from foveal.layers.base import Layer
from foveal.layers.shapes import Shape, positive_shape


def convolved(
    filters: int,
    kernel: PerAxis,
    stride: PerAxis = 1,
    padding: Padding = 0,
    *,
    groups: int = 1,
    batch_norm: bool = False,
    bias: bool | None = None,
    relu: bool = True,
) -> list[Layer]:
    """Return a convolution, with batch norm if wished, and ReLU.

    Before batch norm a bias is left out unless it is asked for: the shift does its work.

    Examples
    --------
    >>> convolved(64, 1, batch_norm=True)
    [Convolution(64, 1, bias=False), BatchNorm(), ReLU()]
    """
    with_bias = not batch_norm if bias is None else bias
    layers: list[Layer] = [Convolution(filters, kernel, stride, padding, groups=groups, bias=with_bias)]
    return layers + [BatchNorm()] * batch_norm + [ReLU()] * relu


def fitted(build: Callable[[Shape], Graph], input_dim: Sequence[int]) -> Graph:
    """Return ``build(input_dim)``; where that is too small for the whole network, the error says what is enough.

    Raises
    ------
    ShapeError, GeometryError
        An input that does not fit.
    """
    return hinted(build, positive_shape(input_dim, "network input"))


def check_choice(given: Any, known: Iterable[Any], where: str) -> None:
    """Refuse a variant that there is not.

    Raises
    ------
    ParameterError
        `given` is not among the `known`.

    Examples
    --------
    >>> check_choice(17, (11, 13, 16, 19), "VGG: depth")
    Traceback (most recent call last):
    foveal.errors.ParameterError: VGG: depth: expected 11, 13, 16 or 19, got 17.
    """
    choices = list(known)
    if given in choices and not isinstance(given, bool):
        return
    *most, last = [repr(choice) for choice in choices]
    fix = nearest(given, choices) if isinstance(given, str) and all(isinstance(c, str) for c in choices) else ""
    expected = f"{', '.join(most)} or {last}" if most else last
    raise ParameterError(explain(where, expected=expected, got=repr(given), fix=fix.partition("Known")[0].strip()))
