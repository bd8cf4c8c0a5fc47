"""Blocks of one layer that has kernels of its own: batch norm, local response normalisation, dropout, subsampling,
radial basis functions, padded channels, transposed convolution.

What a kernel does not cover goes through the formula, as in `FallbackBlock`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal import layers as L
from foveal.engine.block import Array, Block, Shape
from foveal.engine.blocks import Activated
from foveal.engine.fallback import Call, FallbackBlock
from foveal.geometry import Window, transposed
from foveal.kernels import activation, dropout, radial
from foveal.kernels.batch_norm_steps import BatchNorm
from foveal.kernels.buffers import Border, Map, zeros
from foveal.kernels.convolution_steps import Correlation
from foveal.kernels.depthwise_steps import correlation
from foveal.kernels.join_steps import copy_channels
from foveal.kernels.local_response_steps import LocalResponse
from foveal.kernels.pooling_steps import Pooling
from foveal.kernels.runs import over_runs
from foveal.kernels.steps import Step, step


class OnMap(FallbackBlock):
    """A layer whose y has the shape of the map x, whatever the graph calls it."""

    @property
    def shape(self) -> Shape:
        """Shape of x."""
        return self.input_shape


class BatchNormBlock(Activated, OnMap):
    """Batch norm and its activation: with the batch's statistics while the network learns, else with the running ones.

    ReLU is the floor of y; backward finds out again where y was above it, from x.
    """

    @property
    def covered(self) -> bool:
        """Whether x is no map that the graph calls a row of features: these would be its channels."""
        return self.input_shape == self.graph_input

    def forward(self, x: Map, y: Map, p: dict[str, Array], training: bool) -> list[Any]:
        """Return the steps of y."""
        return self._forward(x, None, y, p)

    def _forward(self, x: Map, other: Map | None, y: Map, p: dict[str, Array]) -> list[Any]:
        self.y, self.norm = y, BatchNorm(x, self.layer.epsilon, self.floor)
        fixed, running = (self.name, p["scale"], p["shift"], y), (p["running_mean"], p["running_variance"])
        if self.learning:
            steps = self.norm.forward(*fixed, *running, self.layer.momentum, other)
        else:
            steps = self.norm.inference(*fixed, *running, other)
        return steps + self.sigmoid_forward(y)

    def backward(self, dy: Map, dx: Map | None, p: dict[str, Array], g: dict[str, Array]) -> list[Any]:
        """Return the steps of dx, dscale and dshift."""
        steps = self.activation_backward(self.y, dy, relu=False)
        gradients = g["scale"], g["shift"], not self.learning
        return steps + self.norm.backward(self.name, p["scale"], dy, dx, *gradients)


class BatchNormAddBlock(BatchNormBlock):
    """Batch norm, the sum with another map, and the activation: the end of a residual block."""

    @property
    def adds(self) -> bool:
        """Whether nothing else must be done to dy before."""
        return not self.find(L.Sigmoid)

    def forward_all(self, xs: Sequence[Map], y: Map, p: dict[str, Array], training: bool) -> list[Any]:
        """Return the steps of y."""
        x, other = xs
        return self._forward(x, other, y, p)

    def backward_all(self, dy: Map, dxs: Sequence[Map | None], p: dict[str, Array], g: dict[str, Array]) -> list[Any]:
        """Return the steps of both dx, dscale and dshift."""
        dx, dother = dxs
        steps = self.activation_backward(self.y, dy, relu=False)
        gradients = g["scale"], g["shift"], not self.learning, self.more
        return steps + self.norm.backward_of_sum(self.name, p["scale"], self.y, dy, dx, dother or dy, *gradients)


class LocalResponseNormBlock(OnMap):
    """Local response normalisation."""

    @property
    def norm(self) -> LocalResponse:
        """The numbers of the formula."""
        layer = self.layer
        return LocalResponse(layer.size, layer.alpha, layer.beta, layer.k)

    def forward(self, x: Map, y: Map, p: dict[str, Array], training: bool) -> list[Any]:
        """Return the step of y."""
        self.x = x
        return self.norm.forward(self.name, x, y, self.threads)

    def backward(self, dy: Map, dx: Map | None, p: dict[str, Array], g: dict[str, Array]) -> list[Any]:
        """Return the step of dx."""
        return self.norm.backward(self.name, self.x, dy, dx, self.threads) if dx else []


class DropoutBlock(OnMap):
    """Dropout while the network learns; a copy when it predicts."""

    def forward(self, x: Map, y: Map, p: dict[str, Array], training: bool) -> list[Any]:
        """Return the step of y."""
        self._masked: list[Step] = []
        return self._steps(x, y)

    def backward(self, dy: Map, dx: Map | None, p: dict[str, Array], g: dict[str, Array]) -> list[Any]:
        """Return the step of dx: the same numbers are dropped."""
        return self._steps(dy, dx) if dx else []

    def _steps(self, x: Map, y: Map) -> list[Step]:
        if not self.learning:
            return [over_runs(self.name, activation.copy, x=x, y=y)]
        made = dropout.map_steps(self.name, x, y, self.layer.rate)
        self._masked += made
        return made

    def reseed(self, seed: int) -> None:
        """Draw the masks of the next step."""
        for masked in self._masked:
            dropout.reseed(masked, self.layer.mask_seed(seed))


class SubsamplingBlock(FallbackBlock):
    """LeNet's subsampling: a coefficient times the sum of each window, and a bias."""

    @property
    def geometry(self) -> Pooling:
        """The shapes of the windows."""
        layer, spatial = self.layer, self.input_shape[1:]
        stride = layer.kernel if layer.stride is None else layer.stride
        return Pooling(self.input_shape, Window.resolve(spatial, layer.kernel, stride), self.isa)

    def forward(self, x: Map, y: Map, p: dict[str, Array], training: bool) -> list[Any]:
        """Return the step of y."""
        self.x = x
        return self.geometry.subsample(self.name, x, p["coefficient"], p["bias"], y)

    def backward(self, dy: Map, dx: Map | None, p: dict[str, Array], g: dict[str, Array]) -> list[Any]:
        """Return the steps of dx and of both gradients."""
        return self.geometry.subsample_grad(
            self.name, self.x, p["coefficient"], dy, dx, g["coefficient"], g["bias"], self.threads
        )


class ConvTransposeBlock(Activated):
    """Transposed convolution: the input gradient of the convolution that it transposes, with a bias and activation."""

    @property
    def covered(self) -> bool:
        """Whether every window of the convolution has a number of x; `output_padding` can make room for more."""
        return self.geometry.output == self.input_shape[1:]

    @property
    def geometry(self) -> Correlation:
        """The convolution that is transposed, from maps of y to maps of x."""
        layer, shape = self.layer, self.input_shape
        options = layer.kernel, layer.stride, layer.padding, layer.output_padding, layer.dilation
        window, output = transposed(shape[1:], *options)
        return correlation((layer.filters, *output), shape[0], window, layer.groups, self.isa)

    def packing(self) -> dict[str, NDArray[np.int64]]:
        """Return the index of weight and bias."""
        bias = {"bias": np.arange(self.layer.filters)} if self.layer.use_bias else {}
        return {"weight": self.geometry.weight_index} | bias

    def x_border(self) -> Border:
        """Return what the input gradient reads around its dy, which is x here."""
        return self.geometry.dy_border

    def dy_border(self, needs_dx: bool) -> Border:
        """Return the padding of the convolution that is transposed."""
        return self.geometry.x_border

    def forward(self, x: Map, y: Map, p: dict[str, Array], training: bool) -> list[Step]:
        """Return the steps of y."""
        self.x, self.y = x, y
        steps = self.geometry.input_gradient(self.name, x, p["weight"], y, p.get("bias"), self.floor)
        return steps + self.sigmoid_forward(y)

    def backward(self, dy: Map, dx: Map | None, p: dict[str, Array], g: dict[str, Array]) -> list[Any]:
        """Return the steps of dx, dw and db."""
        conv, steps = self.geometry, list[Any](self.activation_backward(self.y, dy))
        if dy.border | conv.x_border != dy.border:  # an affine layer wrote it
            bordered = Map(dy.n, dy.shape, conv.x_border)
            steps.append(over_runs(self.name, activation.copy, x=dy, y=bordered))
            dy = bordered
        nothing = zeros(conv.bias_size)
        steps += conv.weight_gradient(self.name, dy, self.x, g["weight"], nothing)
        if "bias" in g:
            steps.append(Call(self.name, functools.partial(_sum, dy, g["bias"]), keep=(dy,)))
        if dx:
            steps += conv.forward(self.name, dy, p["weight"], zeros(conv.bias_size), dx)
        return steps


class RadialBasisBlock(Block):
    """The negative squared distance from each code."""

    flat = True

    def forward(self, x: Map, y: Map, p: dict[str, Array], training: bool) -> list[Any]:
        """Return the step of y."""
        order = np.arange(math.prod(self.input_shape)).reshape(x.C, -1).T.ravel()
        self.x, self.codes = x, np.ascontiguousarray(self.layer.matrix[:, order], np.float32)
        classes, features = self.codes.shape
        return [step(self.name, radial.radial_forward, macs=x.n * self.codes.size, keep=(x, y), x=x.address, xs=x.image,
                     codes=self.codes, y=y.address, ys=y.image, n=x.n, features=features, classes=classes)]  # fmt: skip

    def backward(self, dy: Map, dx: Map | None, p: dict[str, Array], g: dict[str, Array]) -> list[Any]:
        """Return the step of dx."""
        if dx is None:
            return []
        x, (classes, features) = self.x, self.codes.shape
        return [step(self.name, radial.radial_backward, macs=x.n * self.codes.size, keep=(x, dy, dx), x=x.address,
                     xs=x.image, codes=self.codes, dy=dy.address, dys=dy.image, dx=dx.address, dxs=dx.image, n=dy.n,
                     features=features, classes=classes)]  # fmt: skip


class PadChannelsBlock(Block):
    """New channels that are 0, behind those of x: nobody writes to them."""

    @property
    def covered(self) -> bool:
        """Whether x is no map that the graph calls a row of features, in another order."""
        return self.input_shape == self.graph_input

    def forward(self, x: Map, y: Map, p: dict[str, Array], training: bool) -> list[Any]:
        """Return the step that copies the channels of x."""
        return [copy_channels(self.name, x, y)]

    def backward(self, dy: Map, dx: Map | None, p: dict[str, Array], g: dict[str, Array]) -> list[Any]:
        """Return the step that copies them back."""
        return [copy_channels(self.name, dy, dx)] if dx else []


def _sum(dy: Map, db: Array, n: int) -> None:
    """Write the sum of the first n images over all but channels."""
    np.sum(dy.view[:n], axis=(0, *range(2, dy.view.ndim)), out=db)


SINGLE = {
    L.BatchNorm: BatchNormBlock,
    L.LocalResponseNorm: LocalResponseNormBlock,
    L.Dropout: DropoutBlock,
    L.ConvTranspose: ConvTransposeBlock,
    L.Subsampling: SubsamplingBlock,
    L.RadialBasis: RadialBasisBlock,
    L.PadChannels: PadChannelsBlock,
}
