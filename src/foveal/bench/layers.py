"""Single convolutions on the kernels: forward and gradients beside the FMA peak and PyTorch's best layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveal.bench.harness import OURS, Contest, Work
from foveal.geometry import Window
from foveal.kernels.buffers import Map, Scratch, zeros
from foveal.kernels.convolution_steps import Correlation
from foveal.kernels.depthwise_steps import Depthwise, correlation
from foveal.kernels.isa import host
from foveal.kernels.peak import copying, reading
from foveal.kernels.steps import program
from foveal.kernels.threads import pool
from foveal.reference import correlate, correlate_grad

PASSES = ("forward", "weight gradient", "input gradient")


@dataclass(frozen=True)
class Layer:
    """A convolution: name, shapes of x (N, C, *spatial) and w (K, C/groups, *kernel), and its other arguments."""

    name: str
    x: tuple[int, ...]
    w: tuple[int, ...]
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    passes: tuple[str, ...] = PASSES

    @property
    def options(self) -> dict[str, Any]:
        """What `correlate` is called with."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}


_TWO = PASSES[:2]
LAYERS = (
    Layer("AlexNet conv1", (32, 3, 224, 224), (64, 3, 11, 11), 4, 2, passes=_TWO),
    Layer("AlexNet conv2", (32, 64, 27, 27), (192, 64, 5, 5), 1, 2, passes=_TWO),
    Layer("AlexNet conv3", (32, 192, 13, 13), (384, 192, 3, 3), 1, 1, passes=_TWO),
    Layer("VGG 64@112", (8, 64, 112, 112), (64, 64, 3, 3), 1, 1, passes=_TWO),
    Layer("Inception 1x1", (16, 480, 14, 14), (192, 480, 1, 1), passes=_TWO),
    Layer("ResNet stem", (8, 3, 224, 224), (64, 3, 7, 7), 2, 3, passes=_TWO),
)


def contests(torch: Any | None, layers: Sequence[Layer] = LAYERS) -> list[Contest]:
    """Return a contest for each pass of each layer."""
    return [contest for layer in layers for contest in _contests(torch, layer)]


def _contests(torch: Any | None, layer: Layer) -> list[Contest]:
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape, np.float32) for shape in (layer.x, layer.w))
    window = Window.resolve(layer.x[2:], layer.w[2:], layer.stride, layer.padding, layer.dilation)
    g = correlation(layer.x[1:], layer.w[0], window, layer.groups, host(), scratch=Scratch(pool().size))
    dy = rng.standard_normal((len(x), *g.y_shape), np.float32)
    (ours, limits), flop = _ours(layer, g, x, w, dy), 2.0 * len(x) * g.macs
    peers: dict[str, dict[str, Work]] = _torch(torch, layer, x, w, dy) if torch is not None else {}
    return [
        Contest(f"{layer.name} {name}", {OURS: ours[name], **peers.get(name, {})}, flop, 3, limits.get(name))
        for name in layer.passes
    ]


def _ours(layer: Layer, g: Correlation, x: Any, w: Any, dy: Any) -> tuple[dict[str, Work], dict[str, Work]]:
    """Return each pass on maps that lie as in a plan, after comparing one image with the formula; and their limits."""
    n = len(x)
    x_map, y_map = Map(n, g.shape, g.x_border), Map(n, g.y_shape)
    dy_map, dx_map = Map(n, g.y_shape, g.dy_border), Map(n, g.shape)
    x_map.view[...], dy_map.view[...] = x, dy
    packed, bias = zeros(g.weight_size), zeros(g.bias_size)
    packed[: g.weight_size] = np.where(g.weight_index >= 0, w.ravel()[g.weight_index], 0)
    dw, db = zeros(g.weight_size), zeros(g.bias_size)
    passes = dict(zip(PASSES, (
        g.forward("y", x_map, packed, bias, y_map), g.weight_gradient("dw", x_map, dy_map, dw, db),
        g.input_gradient("dx", dy_map, packed, dx_map),
    ), strict=True))  # fmt: skip
    programs = {name: program(passes[name]) for name in layer.passes}
    for run in programs.values():
        run.run()
    one = x[:1], w, dy[:1]
    _agree(y_map.view[:1], correlate(x[:1], w, **layer.options), f"y of {layer.name}")
    if PASSES[2] in programs:
        _agree(dx_map.view[:1], correlate_grad(*one, **layer.options)[0], f"dx of {layer.name}")
    memory = (copying(x_map, y_map), reading(x_map, dy_map), copying(dy_map, dx_map))
    limits: dict[str, Work] = {}
    if isinstance(g, Depthwise):  # it takes as long as its maps
        limits = {name: run.run for name, run in zip(PASSES, memory, strict=True)}
    return {name: run.run for name, run in programs.items()}, limits


def _torch(torch: Any, layer: Layer, x: Any, w: Any, dy: Any) -> dict[str, dict[str, Work]]:
    """Return PyTorch's passes in each memory format; signals also as images one row high, which are often faster."""
    axes = len(layer.x) - 2
    convolve = getattr(torch.nn.functional, f"conv{axes}d")
    formats: list[tuple[str, Any, Any]] = [("NCHW", torch.contiguous_format, layer)]
    if axes > 1:
        formats += [("channels_last", torch.channels_last if axes == 2 else torch.channels_last_3d, layer)]
    peers: dict[str, dict[str, Work]] = {name: {} for name in PASSES}
    arguments = [[v] * axes for v in (layer.stride, layer.padding, layer.dilation)]
    for name, memory, _ in formats:
        _add_torch(torch, peers, f"torch {name}", convolve, arguments, layer.groups,
                   [torch.from_numpy(a).contiguous(memory_format=memory) for a in (x, w, dy)])  # fmt: skip
    if axes == 1:
        images = [torch.from_numpy(a)[:, :, None].contiguous(memory_format=torch.channels_last) for a in (x, w, dy)]
        arguments = [[least, *given] for least, given in zip((1, 0, 1), arguments, strict=True)]
        _add_torch(torch, peers, "torch 2D channels_last", torch.nn.functional.conv2d, arguments, layer.groups, images)
    return peers


def _add_torch(
    torch: Any, peers: dict[str, dict[str, Work]], name: str, convolve: Any, arguments: Any, groups: int, arrays: Any
) -> None:
    x, w, dy = arrays

    def forward() -> None:
        with torch.inference_mode():
            convolve(x, w, None, *arguments, groups)

    def gradient(mask: list[bool]) -> Work:
        where = (*arguments, False, [0] * len(arguments[0]), groups, mask)
        return lambda: torch.ops.aten.convolution_backward(dy, x, w, None, *where)

    for key, run in zip(PASSES, (forward, gradient([False, True, False]), gradient([True, False, False])), strict=True):
        peers[key][name] = run


def _agree(ours: Any, exact: Any, what: str) -> None:
    np.testing.assert_allclose(ours, exact, atol=1e-5 * float(np.abs(exact).max()), err_msg=f"{what} is wrong")
