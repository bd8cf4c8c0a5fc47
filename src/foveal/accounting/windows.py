"""Which cells of its input each position of a layer's output reads, axis by axis.

All that accounting says about places comes from here: sizes, receptive fields, coverage. On one axis, with the padding
before it, output i reads

    sliding     i*stride - before + t*dilation                  for each tap t of the kernel
    spreading   (i + before - t*dilation) / stride              for each tap t where that is a whole number

A transposed convolution spreads; everything else that has a window slides. An activation slides a kernel of one tap.
A layer that reads its whole input has one output position and a kernel as large as the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.geometry import Window, per_axis, transposed
from foveal.layers import BatchNorm, Dropout, LocalResponseNorm, PadChannels
from foveal.layers.activation import Activation
from foveal.layers.base import Layer
from foveal.layers.global_pooling import GlobalPool
from foveal.layers.join import Join
from foveal.layers.shapes import Shape

Cells = NDArray[np.int64]
NOTHING = np.iinfo(np.int64).min  # instead of a cell, where a tap meets none

_IN_PLACE = (Activation, BatchNorm, Dropout, Join, LocalResponseNorm, PadChannels)  # a position reads its own only


@dataclass(frozen=True)
class Axis:
    """One axis of a layer's window.

    Attributes
    ----------
    size, out : int
        Cells of the input and positions of the output.
    kernel, stride, dilation, before, after : int
        The window. A stride of 0 belongs to a layer that reads its whole input.
    spread : bool
        Whether the window spreads (transposed convolution).
    rounding : str
        What happens to a remainder: see `foveal.geometry.output_size`.
    """

    size: int
    out: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    spread: bool = False
    rounding: str = "floor"

    @property
    def extent(self) -> int:
        """Cells from the first to the last tap."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def in_place(self) -> bool:
        """Whether position i reads cell i and no other."""
        return (self.kernel, self.stride, self.before, self.size) == (1, 1, 0, self.out)

    def reads(self, positions: Cells) -> Cells:
        """Return the cells that each tap reads, (positions, taps), padding and beyond included, or `NOTHING`.

        Examples
        --------
        >>> Axis(size=5, out=3, kernel=3, stride=2, before=1).reads(np.arange(3))
        array([[-1,  0,  1],
               [ 1,  2,  3],
               [ 3,  4,  5]])
        """
        taps = self.dilation * np.arange(self.kernel)
        if not self.spread:
            return positions[:, None] * self.stride - self.before + taps
        ahead = positions[:, None] + self.before - taps
        return np.where(ahead % self.stride == 0, ahead // self.stride, NOTHING)

    def cells(self) -> Cells:
        """Return what all outputs read of the input, (out, taps), or `NOTHING` where a tap lies outside it."""
        reads = self.reads(np.arange(self.out))
        return np.where((reads >= 0) & (reads < self.size), reads, NOTHING)


def axes(layer: Layer, given: Shape, made: Shape) -> tuple[Axis, ...] | None:
    """Return how a layer reads each spatial axis of an input of shape `given` to make `made`, both without N.

    Where the output is flat, all of the input is read. None: the layer is not known, and has no window that tells.

    Examples
    --------
    >>> from foveal.layers import Affine, Convolution
    >>> axes(Convolution(8, 3, stride=2), (3, 8, 9), (8, 3, 4))[1]
    Axis(size=9, out=4, kernel=3, stride=2, dilation=1, before=0, after=0, spread=False, rounding='floor')
    >>> axes(Affine(10), (8, 3, 4), (10,))[0]
    Axis(size=3, out=1, kernel=3, stride=0, dilation=1, before=0, after=0, spread=False, rounding='floor')
    """
    spatial, out = given[1:], made[1:]
    if isinstance(layer, GlobalPool) or not out:
        return tuple(Axis(n, 1, kernel=n, stride=0) for n in spatial)
    if isinstance(layer, _IN_PLACE):
        return tuple(Axis(n, n) for n in spatial)
    if not hasattr(layer, "kernel") or not hasattr(layer, "stride") or len(spatial) != len(out):
        return None
    window, spread = _window(layer, spatial)
    rounding = getattr(layer, "rounding", "floor")
    values = zip(spatial, out, window.kernel, window.stride, window.dilation, window.padding, strict=True)
    return tuple(Axis(n, p, k, s, d, before, after, spread, rounding) for n, p, k, s, d, (before, after) in values)


def _window(layer: Any, spatial: tuple[int, ...]) -> tuple[Window, bool]:
    padding, dilation = getattr(layer, "padding", 0), getattr(layer, "dilation", 1)
    if hasattr(layer, "output_padding"):
        return transposed(spatial, layer.kernel, layer.stride, padding, layer.output_padding, dilation)[0], True
    return Window.resolve(spatial, layer.kernel, layer.stride, padding, dilation), False


def extra(layer: Any, axis: int, axes: int) -> int:
    """Return the positions that a transposed convolution adds at the end of an axis."""
    return per_axis(layer.output_padding, axes, "output_padding", least=0)[axis]
