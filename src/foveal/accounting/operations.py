"""What a layer computes, pass by pass: its multiply-adds, and every other operation on numbers.

A multiply-add (MAC) is two floating-point operations (FLOP): ``FLOPs = 2*MACs + other operations``. An addition,
multiplication, division, comparison, power, exponential or tanh is one operation; numbers in the padding are computed
with like any others, and each sum begins at 0 if it sums products, at its first term if it does not.

With n numbers of y, m numbers of x, k taps of a window, all for one example:

===================  =============================  =====================================  ==================
layer                forward                        dx                                     parameters
===================  =============================  =====================================  ==================
Convolution, Affine  MACs, n for biases             MACs                                   MACs, n for biases
Subsampling          n MACs, (k - 1)n               (k + 1)n                               n MACs, n
MaxPool              (k - 1)n                       n
AvgPool              k n                            (k + 1)n
GlobalMaxPool        m - n                          n
GlobalAvgPool        m                              n
ReLU                 n                              n
LeakyReLU            2n                             2n
Tanh                 n                              3n
ScaledTanh           3n                             4n
Sigmoid              4n                             3n
Softmax              5n - 2                         4n - 1
BatchNorm            2n, as ``a[c]*x + b[c]``       5n, with the batch's statistics        3n
LocalResponseNorm    4n + s, s squares in all sums  6n + s
RadialBasis          m n MACs, m n + n              m n MACs, m
Dropout              0                              n
Add of r inputs      (r - 1)n                       0
===================  =============================  =====================================  ==================

A map that r nodes read gets r gradients; their (r - 1)n additions stand in the dx of the node that made it. dx is
computed only where something before the layer learns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from foveal import layers as L
from foveal._formula import Count
from foveal.geometry import per_axis, volume
from foveal.layers.base import Layer
from foveal.layers.shapes import Shape


@dataclass(frozen=True)
class Passes:
    """A number for each pass: forward, dx, and the gradients of the parameters."""

    forward: int = 0
    dx: int = 0
    dw: int = 0

    def __add__(self, other: Passes) -> Passes:
        return Passes(self.forward + other.forward, self.dx + other.dx, self.dw + other.dw)

    @property
    def training(self) -> int:
        """All three together."""
        return self.forward + self.dx + self.dw


@dataclass(frozen=True)
class Work:
    """Multiply-adds and other operations of one example."""

    macs: Passes = Passes()
    other: Passes = Passes()

    @property
    def flops(self) -> Passes:
        """``2*MACs + other``."""
        macs, other = self.macs, self.other
        return Passes(2 * macs.forward + other.forward, 2 * macs.dx + other.dx, 2 * macs.dw + other.dw)


# n numbers of y, m of x, k taps -> other operations of forward, dx, parameters
Rule = Callable[[int, int, int], tuple[int, int, int]]
_RULES: dict[type[Layer], Rule] = {
    L.Subsampling: lambda n, m, k: ((k - 1) * n, (k + 1) * n, n),
    L.MaxPool: lambda n, m, k: ((k - 1) * n, n, 0),
    L.AvgPool: lambda n, m, k: (k * n, (k + 1) * n, 0),
    L.GlobalMaxPool: lambda n, m, k: (m - n, n, 0),
    L.GlobalAvgPool: lambda n, m, k: (m, n, 0),
    L.ReLU: lambda n, m, k: (n, n, 0),
    L.LeakyReLU: lambda n, m, k: (2 * n, 2 * n, 0),
    L.Tanh: lambda n, m, k: (n, 3 * n, 0),
    L.ScaledTanh: lambda n, m, k: (3 * n, 4 * n, 0),
    L.Sigmoid: lambda n, m, k: (4 * n, 3 * n, 0),
    L.Softmax: lambda n, m, k: (5 * n - 2, 4 * n - 1, 0),
    L.BatchNorm: lambda n, m, k: (2 * n, 5 * n, 3 * n),
    L.Dropout: lambda n, m, k: (0, n, 0),
    L.RadialBasis: lambda n, m, k: (m * n + n, m, 0),
}


def work(layer: Layer, given: tuple[Shape, ...], made: Shape) -> Work:
    """Return what a layer computes for inputs of shapes `given` and y of shape `made`, without N.

    Layers that the table does not know have the multiply-adds that they say, and an addition for each bias.

    Examples
    --------
    >>> from foveal.layers import Convolution, ReLU
    >>> conv = work(Convolution(30, 5), ((1, 28, 28),), (30, 24, 24))
    >>> conv.macs.forward.explained, conv.flops
    ('5*5*1*30*24*24 = 432,000', Passes(forward=881280, dx=864000, dw=881280))
    >>> work(ReLU(), ((30, 24, 24),), (30, 24, 24)).flops
    Passes(forward=17280, dx=17280, dw=0)
    """
    n, m = volume(made), volume(given[0])
    forward = layer.macs(given[0]) if len(given) == 1 else 0
    learned = bool(layer.parameter_shapes(given[0]))
    macs = Passes(forward, 0 if isinstance(layer, L.Subsampling) else forward, forward if learned else 0)
    return Work(macs, Passes(*_other(layer, given, n, m, made)))


def _other(layer: Any, given: tuple[Shape, ...], n: int, m: int, made: Shape) -> tuple[int, int, int]:
    if isinstance(layer, L.Add):
        return (len(given) - 1) * n, 0, 0
    if isinstance(layer, L.LocalResponseNorm):
        squares = _neighbours(layer.size, made[0]) * (n // made[0])
        return 4 * n + squares, 6 * n + squares, 0
    rule = next((rule for kind, rule in _RULES.items() if isinstance(layer, kind)), None)
    if rule is not None:
        return rule(n, m, math.prod(per_axis(layer.kernel, len(made) - 1, "kernel")) if hasattr(layer, "kernel") else 1)
    biases = n if len(given) == 1 and "bias" in layer.parameter_shapes(given[0]) else 0
    return biases, 0, biases


def _neighbours(size: int, channels: int) -> int:
    """Return how many squares local response normalisation sums at one position; there are fewer at the ends."""
    before, after = (size - 1) // 2, size // 2
    return sum(min(channels - 1, c + after) - max(0, c - before) + 1 for c in range(channels))


def explained(number: int) -> str:
    """Return the formula of a count and what it gives, or the number."""
    return number.explained if isinstance(number, Count) else f"{number:,}"
