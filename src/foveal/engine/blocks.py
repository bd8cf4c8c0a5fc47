"""The blocks that kernels exist for: a convolution with its activation and pooling, an affine layer with its
activation, and single layers that stand alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal import layers as L
from foveal.engine.block import Array, Block, Shape
from foveal.geometry import Window
from foveal.kernels import activation
from foveal.kernels.affine_steps import Matrix
from foveal.kernels.buffers import Border, Map, zeros
from foveal.kernels.convolution_steps import NONE, Correlation
from foveal.kernels.depthwise_steps import correlation
from foveal.kernels.pooling_steps import Pooling
from foveal.kernels.reduction import gather
from foveal.kernels.runs import over_runs
from foveal.kernels.steps import Step, step


class Activated(Block):
    """A block whose activation, if it has one, is ReLU (the floor of a tile) or sigmoid (in place on y)."""

    @property
    def floor(self) -> float:
        """What y cannot fall below."""
        return 0.0 if self.find(L.ReLU) else NONE

    def sigmoid_forward(self, y: Map) -> list[Step]:
        """Return the step of the sigmoid in place, if the block has one."""
        return [over_runs(self.name, activation.sigmoid_forward, x=y, y=y)] if self.find(L.Sigmoid) else []

    def activation_reads_y(self, relu: bool = True) -> bool:
        """Whether the activation's gradient is made from y; `relu` says whether that of ReLU is."""
        return bool(self.find(L.Sigmoid) or (relu and self.find(L.ReLU)))

    def activation_backward(self, y: Map, dy: Map, relu: bool = True) -> list[Step]:
        """Return the step that turns dy into the gradient before the activation, in place."""
        kernel = activation.sigmoid_backward if self.find(L.Sigmoid) else activation.relu_backward
        if self.activation_reads_y(relu):
            return [over_runs(self.name, kernel, y=y, dy=dy, dx=dy)]
        return []


class ConvolutionBlock(Activated):
    """Convolution, bias, activation and max pooling in one pass."""

    vectors = 0

    @property
    def geometry(self) -> Correlation:
        """The convolution's shapes."""
        if not hasattr(self, "_geometry"):
            conv, shape = self.layer, self.input_shape
            window = Window.resolve(shape[1:], conv.kernel, conv.stride, conv.padding, conv.dilation)
            filters, groups = self.bank
            self._geometry = correlation(shape, filters, window, groups, self.isa, self.vectors, self.scratch)
        return self._geometry

    @property
    def bank(self) -> tuple[int, int]:
        """Filters and groups."""
        return self.layer.filters, self.layer.groups

    @property
    def pool(self) -> Window | None:
        """The pooling window."""
        pool = self.find(L.MaxPool)
        return pool_window(pool, self.geometry.output) if pool else None

    @property
    def reads_y(self) -> bool:
        """Whether the activation's gradient is made from y; that of ReLU is in the marks of the pooling."""
        return self.activation_reads_y(relu=self.pool is None)

    def packing(self) -> dict[str, NDArray[np.int64]]:
        """Return the index of weight and bias."""
        bias = {"bias": self.geometry.bias_index} if self.layer.use_bias else {}
        return {"weight": self.geometry.weight_index} | bias

    def x_border(self) -> Border:
        """Return the convolution's padding."""
        return self.geometry.x_border

    def dy_border(self, needs_dx: bool) -> Border:
        """Return what the input gradient reads around dy, unless dy is the pooled map's."""
        return self.geometry.dy_border if needs_dx and not self.pool else Border()

    def forward(self, x: Map, y: Map, p: dict[str, Array], training: bool) -> list[Step]:
        """Return the step of the fused block."""
        self.x, self.y = x, y
        bias = p.get("bias", zeros(self.geometry.bias_size))
        if self.pool is None:
            return self.geometry.forward(self.name, x, p["weight"], bias, y, self.floor) + self.sigmoid_forward(y)
        self.marks = zeros(x.n * self.geometry.mark_size(self.pool), np.uint8) if training else None
        steps = self.geometry.forward_pooled(
            self.name, x, p["weight"], bias, self.pool, y, self.marks, self.floor, self.threads
        )
        return steps + self.sigmoid_forward(y)

    def backward(self, dy: Map, dx: Map | None, p: dict[str, Array], g: dict[str, Array]) -> list[Step]:
        """Return the steps of dw, db and dx."""
        conv, x = self.geometry, self.x
        db = g.get("bias", zeros(conv.bias_size))
        if self.pool is None:
            steps = self.activation_backward(self.y, dy)
        else:
            steps = self.activation_backward(self.y, dy, relu=False)  # ReLU's part is in the marks
            assert self.marks is not None
            if dx is None and conv.can_unpool(self.pool):
                return steps + conv.weight_gradient_pooled(
                    self.name, x, self.pool, dy, self.marks, g["weight"], db, self.threads
                )
            full = Map(x.n, conv.y_shape, conv.dy_border if dx else Border(), pixel=conv.bias_size)
            steps += conv.unpool(self.name, self.pool, dy, self.marks, full, self.threads)
            dy = full
        if dx and dy.border | conv.dy_border != dy.border:  # an affine layer wrote it
            bordered = Map(dy.n, dy.shape, conv.dy_border)
            steps.append(over_runs(self.name, activation.copy, x=dy, y=bordered))
            dy = bordered
        steps += conv.weight_gradient(self.name, x, dy, g["weight"], db)
        return steps + (conv.input_gradient(self.name, dy, p["weight"], dx) if dx else [])


class SparseConvolutionBlock(ConvolutionBlock):
    """A convolution by a table, run as the dense one: where there is no link, weight and gradient are 0."""

    @property
    def bank(self) -> tuple[int, int]:
        """Filters and groups."""
        return len(self.layer.table), 1

    def packing(self) -> dict[str, NDArray[np.int64]]:
        """Return the index of weight, -1 where there is no link, and bias."""
        size = math.prod(self.geometry.window.kernel)
        links = self.layer.links(self.geometry.C)[..., None]
        places = np.where(links < 0, -1, links * size + np.arange(size))
        return super().packing() | {"weight": np.append(places, -1)[self.geometry.weight_index]}

    def backward(self, dy: Map, dx: Map | None, p: dict[str, Array], g: dict[str, Array]) -> list[Step]:
        """Return the steps of dw, db and dx; the last one clears what is no weight."""
        index, dw = self.packing()["weight"], g["weight"]
        kept = np.where(index < 0, -1, np.arange(index.size))
        clear = step(self.name, gather, x=dw, index=kept, y=dw, size=index.size)
        return [*super().backward(dy, dx, p, g), clear]


class AffineBlock(Activated):
    """Affine layer, bias and activation."""

    flat = True
    spends_x = True

    @property
    def reads_y(self) -> bool:
        """Whether the activation's gradient is made from y."""
        return self.activation_reads_y()

    @property
    def units(self) -> int:
        """Numbers of y."""
        units: int = self.layer.units
        return units

    @property
    def geometry(self) -> Matrix:
        """The layer's shapes."""
        return Matrix(self.input_shape, self.units, self.isa)

    def packing(self) -> dict[str, NDArray[np.int64]]:
        """Return the index of weight and bias."""
        bias = {"bias": self.geometry.bias_index} if self.layer.use_bias else {}
        return {"weight": self.geometry.weight_index} | bias

    def forward(self, x: Map, y: Map, p: dict[str, Array], training: bool) -> list[Step]:
        """Return the steps of the matrix product, its bias and its activation."""
        self.x, self.y = x, y
        bias = p.get("bias", zeros(self.units))
        return self.geometry.forward(self.name, x, p["weight"], bias, y, self.floor) + self.sigmoid_forward(y)

    def backward(self, dy: Map, dx: Map | None, p: dict[str, Array], g: dict[str, Array]) -> list[Step]:
        """Return the steps of dw, db and dx."""
        self.dy, self.dx, self.db = dy, dx, g.get("bias", zeros(self.units))
        self.gradient_steps = self.geometry.weight_gradient(self.name, self.x, dy, g["weight"], self.db)
        self.gradient_steps += self.geometry.input_gradient(self.name, dy, p["weight"], dx) if dx else []
        return self.activation_backward(self.y, dy) + self.gradient_steps

    def learn(self, optimizer: str, learned: Mapping[str, Sequence[Array]], decay_biases: bool) -> Step:
        """Return the step of dx and the update of weight and bias, a panel of features after the other."""
        bias = learned.get("bias", [zeros(self.units)] * 3)
        return self.geometry.learning(self.name, optimizer, self.x, self.dy, learned["weight"], bias, self.db, self.dx,
                                      self.threads, decay_biases)  # fmt: skip


class WholeMapBlock(AffineBlock):
    """A convolution whose window is the whole map, and its activation: filters are units that read every feature."""

    @property
    def units(self) -> int:
        """Filters."""
        filters: int = self.layer.filters
        return filters

    def packing(self) -> dict[str, NDArray[np.int64]]:
        """Return the index of weight (K, C, *kernel), where an affine layer has (in, out), and bias."""
        features, units = np.divmod(self.geometry.weight_index, self.units)
        return super().packing() | {"weight": np.where(features < 0, -1, units * self.geometry.features + features)}


def reads_whole_map(layer: L.Convolution, shape: Shape) -> bool:
    """Whether a convolution has one window on a map of this shape, which is the map."""
    window = Window.resolve(shape[1:], layer.kernel, layer.stride, layer.padding, layer.dilation)
    return window.kernel == tuple(shape[1:]) and not np.any(window.padding) and layer.groups == 1


class Shapeless(Block):
    """A block whose y has the shape of the map x, whatever the graph calls it."""

    @property
    def shape(self) -> Shape:
        """Shape of x."""
        return self.input_shape


ACTIVATIONS = {
    L.ReLU: (activation.relu_forward, activation.relu_backward),
    L.LeakyReLU: (activation.leaky_relu_forward, activation.leaky_relu_backward),
    L.Sigmoid: (activation.sigmoid_forward, activation.sigmoid_backward),
    L.Tanh: (activation.tanh_forward, activation.tanh_backward),
    L.ScaledTanh: (activation.scaled_tanh_forward, activation.scaled_tanh_backward),
}


class ActivationBlock(Shapeless):
    """An activation that no other block could take in."""

    def forward(self, x: Map, y: Map, p: dict[str, Array], training: bool) -> list[Step]:
        """Return its step."""
        self.x, self.y = x, y
        return [over_runs(self.name, ACTIVATIONS[type(self.layer)][0], x=x, y=y, **self._numbers())]

    def backward(self, dy: Map, dx: Map | None, p: dict[str, Array], g: dict[str, Array]) -> list[Step]:
        """Return the step of dx."""
        kernel = ACTIVATIONS[type(self.layer)][1]
        return [over_runs(self.name, kernel, y=self.y, dy=dy, dx=dx, **self._numbers())] if dx else []

    def _numbers(self) -> dict[str, Any]:
        return {"slope": self.layer.slope} if isinstance(self.layer, L.LeakyReLU) else {}


class PoolingBlock(Block):
    """Max or average pooling on its own, of windows or of whole maps."""

    @property
    def geometry(self) -> Pooling:
        """The pooling's shapes."""
        layer, spatial = self.layer, self.input_shape[1:]
        if isinstance(layer, L.GlobalAvgPool | L.GlobalMaxPool):
            return Pooling(self.input_shape, Window.resolve(spatial, spatial), self.isa)
        window = Window.resolve(spatial, layer.kernel, layer.stride, layer.padding, layer.dilation)
        return Pooling(self.input_shape, window, self.isa, layer.rounding, getattr(layer, "count_padding", False))

    def forward(self, x: Map, y: Map, p: dict[str, Array], training: bool) -> list[Step]:
        """Return its step."""
        if not isinstance(self.layer, L.MaxPool | L.GlobalMaxPool):
            self.codes = None
            return self.geometry.mean(self.name, x, y)
        self.codes = self.geometry.codes(x.n) if training else None
        return self.geometry.maximum(self.name, x, y, self.codes)

    def backward(self, dy: Map, dx: Map | None, p: dict[str, Array], g: dict[str, Array]) -> list[Step]:
        """Return the step of dx."""
        if dx is None:
            return []
        if self.codes is None:
            return self.geometry.mean_grad(self.name, dy, dx)
        return self.geometry.maximum_grad(self.name, dy, self.codes, dx)


def pool_window(layer: Any, spatial: Sequence[int]) -> Window:
    """Return a pooling layer's window on a map of this size, with what "ceil" adds as padding."""
    window = Window.resolve(spatial, layer.kernel, layer.stride, layer.padding, getattr(layer, "dilation", 1))
    return window.fitted(spatial, layer.rounding)
