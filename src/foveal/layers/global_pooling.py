"""Global pooling: each channel's map becomes one number, its mean or its maximum. Nothing is learned."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from foveal.layers.base import Array, Backward, Gradients, Layer
from foveal.layers.shapes import Shape


class GlobalPool(Layer):
    """What the global poolings share: y has one position per channel."""

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (C, 1, 1), with a 1 for each axis."""
        channels, *spatial = self.map_shape(input_shape)
        return (channels, *(1,) * len(spatial))


class GlobalAvgPool(GlobalPool):
    """``y[n,c,0,0] = sum_hw x[n,c,h,w] / (H*W)``, for signals, images and volumes.

    Source: Lin, Chen and Yan, Network in network, arXiv 1312.4400, section 3.2.

    Examples
    --------
    >>> GlobalAvgPool().output_shape((1024, 7, 7)), GlobalAvgPool().output_shape((64, 31))
    ((1024, 1, 1), (64, 1))
    """

    kind = "pool"

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        y = ops.global_avg_pool(x)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.global_avg_pool_grad(dy, x.shape), {}

        return y, backward


class GlobalMaxPool(GlobalPool):
    """``y[n,c,0,0] = max_hw x[n,c,h,w]``, for signals, images and volumes.

    Examples
    --------
    >>> GlobalMaxPool().output_shape((64, 8, 8, 8))
    (64, 1, 1, 1)
    """

    kind = "pool"

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        y, indices = ops.global_max_pool(x, return_indices=True)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.global_max_pool_grad(dy, indices, x.shape), {}

        return y, backward
