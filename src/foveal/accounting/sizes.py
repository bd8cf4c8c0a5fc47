"""The size of an output as a formula with the numbers in it: ``(224 + 2*3 - 7)/2 + 1 = 112.5 -> 112``."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from foveal._formula import product, total
from foveal.accounting.windows import Axis, axes, extra
from foveal.layers import Concat, Flatten
from foveal.layers.base import Layer
from foveal.layers.shapes import Shape


def size_formula(layer: Layer, given: tuple[Shape, ...], made: Shape) -> str:
    """Return how the size of an output of shape `made` comes about; "" where it is that of the input, or a choice.

    Axes with the same formula share it; otherwise there is one for each, apart by ``;``.

    Examples
    --------
    >>> from foveal.layers import Convolution, MaxPool
    >>> size_formula(Convolution(64, 7, stride=2, padding=3), ((3, 224, 224),), (64, 112, 112))
    '(224 + 2*3 - 7)/2 + 1 = 112.5 -> 112'
    >>> size_formula(MaxPool((2, 3)), ((8, 24, 24),), (8, 12, 8))
    '(24 - 2)/2 + 1 = 12; (24 - 3)/3 + 1 = 8'
    >>> size_formula(Concat(), ((64, 28, 28), (128, 28, 28)), (192, 28, 28))
    '64 + 128 = 192'
    """
    if isinstance(layer, Concat):
        return total(*(shape[0] for shape in given)).explained if len(given) > 1 else ""
    if isinstance(layer, Flatten):
        return product(*given[0]).explained if len(given[0]) > 1 else ""
    read = axes(layer, given[0], made)
    if read is None or len(made) == 1 or all(axis.in_place for axis in read):
        return ""
    formulas = [_axis_formula(layer, axis, i, len(read)) for i, axis in enumerate(read)]
    return "; ".join(dict.fromkeys(formulas)) if len(set(formulas)) == 1 else "; ".join(formulas)


def _axis_formula(layer: Any, axis: Axis, index: int, count: int) -> str:
    if not axis.stride:
        return f"all {axis.size} -> 1"
    if axis.spread:
        return f"{_spreading(axis, layer, extra(layer, index, count))} = {axis.out}"
    return _sliding(axis)


def _sliding(axis: Axis) -> str:
    """``(size + padding - extent)/stride + 1``, and what rounding makes of it."""
    free = f"{axis.size}{_padding(axis, '+')} - {_extent(axis, '-')}"
    exact = Fraction(axis.size + axis.before + axis.after - axis.extent, axis.stride) + 1
    formula = f"{free} + 1" if axis.stride == 1 else f"({free})/{axis.stride} + 1"
    return f"{formula} = {_decimal(exact)}" + ("" if exact == axis.out else f" -> {axis.out}")


def _spreading(axis: Axis, layer: Any, added: int) -> str:
    """``(size - 1)*stride - padding + extent``, and what is added at the end; "same" is ``size*stride``."""
    end = f" + {added}" if added else ""
    if layer.padding == "same":
        return f"{axis.size}*{axis.stride}{end}"
    grown = f"({axis.size} - 1)*{axis.stride}" if axis.stride > 1 else f"{axis.size} - 1"
    return f"{grown}{_padding(axis, '-')} + {_extent(axis, '+')}{end}"


def _padding(axis: Axis, sign: str) -> str:
    before, after = axis.before, axis.after
    if before == after:
        return f" {sign} 2*{before}" if before else ""
    return "".join(f" {sign} {n}" for n in (before, after) if n)


def _extent(axis: Axis, sign: str) -> str:
    if axis.dilation == 1:
        return str(axis.kernel)
    return f"{axis.dilation}*({axis.kernel} - 1) {sign} 1"


def _decimal(value: Fraction) -> str:
    """Return 112.5 for 225/2, and 37.33 for 112/3."""
    return str(int(value)) if value.denominator == 1 else f"{float(value):.2f}".rstrip("0")
