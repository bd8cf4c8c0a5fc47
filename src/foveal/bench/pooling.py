"""Pooling and depthwise convolution beside PyTorch's best layout, on the maps of networks and on users' arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from foveal import ops
from foveal.bench import layers
from foveal.bench.harness import OURS, Contest, Work
from foveal.geometry import Window
from foveal.kernels.buffers import Map
from foveal.kernels.isa import host
from foveal.kernels.pooling_steps import Pooling
from foveal.kernels.steps import program
from foveal.reference import avg_pool, avg_pool_grad, max_pool, max_pool_grad

SHAPE, KERNEL, STRIDE, PADDING = (32, 64, 112, 112), 3, 2, 1
WINDOW: dict[str, Any] = {"stride": STRIDE, "padding": PADDING}
DEPTHWISE = layers.Layer("depthwise 3x3", (32, 128, 56, 56), (128, 1, 3, 3), 1, 1, groups=128)


def contests(torch: Any | None) -> list[Contest]:
    """Return contests for max and mean pooling, forward and backward, and for a depthwise convolution."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(SHAPE, np.float32)
    window = Window.resolve(SHAPE[2:], KERNEL, STRIDE, PADDING)
    dy = rng.standard_normal((*SHAPE[:2], *window.output(SHAPE[2:])), np.float32)
    made = []
    for name, ours in (("max", _maximum(x, dy)), ("mean", _mean(x, dy))):
        peers = _torch(torch, name, x, dy) if torch is not None else {}
        title = f"{name} pool {KERNEL}x{KERNEL}/{STRIDE}, forward + backward"
        made += [Contest(f"{title}{where}", {OURS: work, **peers}, iterations=3) for where, work in ours.items()]
    return made + layers.contests(torch, [DEPTHWISE])


def _maximum(x: Any, dy: Any) -> dict[str, Work]:
    p = Pooling(SHAPE[1:], Window.resolve(SHAPE[2:], KERNEL, STRIDE, PADDING), host())
    x_map, y, dy_map, dx = _maps(p, x, dy)
    codes = p.codes(len(x))
    network = program(p.maximum("y", x_map, y, codes) + p.maximum_grad("dx", dy_map, codes, dx))

    def arrays() -> tuple[Any, Any]:
        pooled, indices = ops.max_pool(x, KERNEL, **WINDOW, return_indices=True)
        return pooled, ops.max_pool_grad(dy, indices, x.shape)

    exact, indices = max_pool(x[:1], KERNEL, **WINDOW, return_indices=True)
    _agree(network, arrays, y, dx, exact, max_pool_grad(dy[:1], indices, (1, *SHAPE[1:])))
    return {"": network.run, ", arrays": arrays}


def _mean(x: Any, dy: Any) -> dict[str, Work]:
    p = Pooling(SHAPE[1:], Window.resolve(SHAPE[2:], KERNEL, STRIDE, PADDING), host())
    x_map, y, dy_map, dx = _maps(p, x, dy)
    network = program(p.mean("y", x_map, y) + p.mean_grad("dx", dy_map, dx))

    def arrays() -> tuple[Any, Any]:
        return ops.avg_pool(x, KERNEL, **WINDOW), ops.avg_pool_grad(dy, x.shape, KERNEL, **WINDOW)

    exact = avg_pool(x[:1], KERNEL, **WINDOW)
    _agree(network, arrays, y, dx, exact, avg_pool_grad(dy[:1], (1, *SHAPE[1:]), KERNEL, **WINDOW))
    return {"": network.run, ", arrays": arrays}


def _maps(p: Pooling, x: Any, dy: Any) -> tuple[Map, Map, Map, Map]:
    maps = Map(len(x), p.shape), Map(len(x), p.y_shape), Map(len(x), p.y_shape), Map(len(x), p.shape)
    maps[0].view[...], maps[2].view[...] = x, dy
    return maps


def _agree(network: Any, arrays: Any, y: Map, dx: Map, exact_y: Any, exact_dx: Any) -> None:
    """Compare one image of both ways with the formula."""
    network.run()
    for found_y, found_dx in ((y.view, dx.view), arrays()):
        np.testing.assert_allclose(found_y[:1], exact_y, atol=1e-5, err_msg="y is wrong")
        np.testing.assert_allclose(found_dx[:1], exact_dx, atol=1e-5, err_msg="dx is wrong")


def _torch(torch: Any, name: str, x: Any, dy: Any) -> dict[str, Work]:
    """Return PyTorch's forward and backward in each memory format."""
    F, aten = torch.nn.functional, torch.ops.aten
    window = [KERNEL] * 2, [STRIDE] * 2, [PADDING] * 2
    peers: dict[str, Work] = {}
    for layout in ("contiguous_format", "channels_last"):
        memory = getattr(torch, layout)
        tx, tdy = (torch.from_numpy(a).contiguous(memory_format=memory) for a in (x, dy))

        def largest(tx: Any = tx, tdy: Any = tdy) -> None:
            _, indices = F.max_pool2d(tx, *window, return_indices=True)
            aten.max_pool2d_with_indices_backward(tdy, tx, *window, [1, 1], False, indices)

        def mean(tx: Any = tx, tdy: Any = tdy) -> None:
            F.avg_pool2d(tx, *window, count_include_pad=False)
            aten.avg_pool2d_backward(tdy, tx, *window, False, False, None)

        peers[f"torch {'NCHW' if layout == 'contiguous_format' else layout}"] = largest if name == "max" else mean
    return peers
