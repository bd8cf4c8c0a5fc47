"""Pooling: every window of a map becomes one number, its maximum or its mean. Nothing is learned."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from foveal.geometry import Padding, PerAxis, Window, check_rounding, check_window
from foveal.layers.base import Array, Backward, Gradients, Layer
from foveal.layers.shapes import Shape, located, plain, times


class Pool(Layer):
    """What the poolings share: a window, and channels that stay as they are."""

    def __init__(
        self, kernel: PerAxis, stride: PerAxis | None, padding: Padding, dilation: PerAxis, rounding: str
    ) -> None:
        super().__init__()
        with located(type(self).__name__):
            check_window(kernel, kernel if stride is None else stride, padding, dilation)
            self.rounding = check_rounding(rounding)
        self.kernel, self.stride = plain(kernel), plain(kernel if stride is None else stride)
        self.padding, self.dilation = plain(padding), plain(dilation)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (C, P, Q)."""
        channels, *spatial = self.map_shape(input_shape, self.kernel)
        with located(self.title()):
            window = Window.resolve(spatial, self.kernel, self.stride, self.padding, self.dilation)
            window.check_sighted(spatial, self.rounding)
            return (channels, *window.output(spatial, self.rounding))

    def argument(self, name: str) -> Any:
        """Return the constructor's argument called `name`; a stride that is the kernel need not be given."""
        return None if name == "stride" and self.stride == self.kernel else super().argument(name)

    def details(self) -> str:
        """Return ``2x2``, with the stride where it is another."""
        return times(self.kernel, self.axes) + ("" if self.stride == self.kernel else f", stride {self.stride}")


class MaxPool(Pool):
    """``y[n,c,p,q] = max_rs x[n, c, p*stride + r, q*stride + s]``.

    Parameters
    ----------
    kernel, dilation : int or one per axis
        Taps of a window, and steps between them. An int takes signals, images and volumes.
    stride : int or one per axis, optional
        Steps between windows; without it the kernel, so that windows touch without overlap.
    padding : int, one per axis, (before, after) pairs, "valid" or "same"
        Positions around the map; they are never a maximum.
    rounding : {"floor", "ceil", "error"}
        See `foveal.geometry.output_size`.

    Raises
    ------
    GeometryError, ParameterError
        An impossible value.

    Examples
    --------
    >>> MaxPool(2).output_shape((30, 24, 24)), MaxPool(3, stride=2, rounding="ceil").output_shape((64, 112, 112))
    ((30, 12, 12), (64, 56, 56))
    """

    kind = "pool"

    def __init__(
        self,
        kernel: PerAxis,
        stride: PerAxis | None = None,
        padding: Padding = 0,
        dilation: PerAxis = 1,
        rounding: str = "floor",
    ) -> None:
        super().__init__(kernel, stride, padding, dilation, rounding)

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        where = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "rounding": self.rounding}
        y, indices = ops.max_pool(x, self.kernel, **where, return_indices=True)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.max_pool_grad(dy, indices, x.shape), {}

        return y, backward


class AvgPool(Pool):
    """``y[n,c,p,q] = sum_rs x[n, c, p*stride + r, q*stride + s] / count[p,q]``.

    Parameters
    ----------
    kernel : int or one per axis
        Size of a window. An int takes signals, images and volumes.
    stride : int or one per axis, optional
        Steps between windows; without it the kernel, so that windows touch without overlap.
    padding : int, one per axis, (before, after) pairs, "valid" or "same"
        Zeros around the map.
    rounding : {"floor", "ceil", "error"}
        See `foveal.geometry.output_size`.
    count_padding : bool
        Whether ``count`` counts the padding, or only what lies in the map.

    Raises
    ------
    GeometryError, ParameterError
        An impossible value.

    Examples
    --------
    >>> AvgPool(7).output_shape((1024, 7, 7))
    (1024, 1, 1)
    """

    kind = "pool"

    def __init__(
        self,
        kernel: PerAxis,
        stride: PerAxis | None = None,
        padding: Padding = 0,
        rounding: str = "floor",
        count_padding: bool = False,
    ) -> None:
        super().__init__(kernel, stride, padding, 1, rounding)
        self.count_padding = bool(count_padding)

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        where = {"stride": self.stride, "padding": self.padding, "rounding": self.rounding}
        y = ops.avg_pool(x, self.kernel, **where, count_padding=self.count_padding)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.avg_pool_grad(dy, x.shape, self.kernel, **where, count_padding=self.count_padding), {}

        return y, backward
