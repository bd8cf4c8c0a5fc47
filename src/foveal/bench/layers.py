"""Single convolutions on the kernels: forward and weight gradient beside the FMA peak and PyTorch's best layout."""

from __future__ import annotations

from typing import Any

import numpy as np

from foveal.bench.harness import OURS, Contest, Work
from foveal.geometry import Window
from foveal.kernels.buffers import Map, zeros
from foveal.kernels.convolution_steps import Correlation
from foveal.kernels.isa import host
from foveal.kernels.steps import program
from foveal.reference import correlate

# name, batch, C, size, filters, kernel, stride, padding
LAYERS = (
    ("AlexNet conv1", 32, 3, 224, 64, 11, 4, 2),
    ("AlexNet conv2", 32, 64, 27, 192, 5, 1, 2),
    ("AlexNet conv3", 32, 192, 13, 384, 3, 1, 1),
    ("VGG 64@112", 8, 64, 112, 64, 3, 1, 1),
    ("Inception 1x1", 16, 480, 14, 192, 1, 1, 0),
    ("ResNet stem", 8, 3, 224, 64, 7, 2, 3),
)


def contests(torch: Any | None) -> list[Contest]:
    """Return a contest for the forward and one for the weight gradient of each layer."""
    return [c for layer in LAYERS for c in _layer(torch, *layer)]


def _layer(
    torch: Any | None, name: str, n: int, C: int, size: int, K: int, kernel: int, stride: int, padding: int
) -> list[Contest]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, C, size, size), np.float32)
    w = rng.standard_normal((K, C, kernel, kernel), np.float32)
    g = Correlation((C, size, size), K, Window.resolve((size, size), kernel, stride, padding), 1, host())
    maps, y = Map(n, (C, size, size), g.x_border), Map(n, g.y_shape)
    maps.view[...] = x
    packed, bias, dw = zeros(g.weight_size), zeros(g.bias_size), zeros(g.weight_size)
    packed[: g.weight_size] = np.where(g.weight_index >= 0, w.ravel()[g.weight_index], 0)
    forward = program(g.forward("forward", maps, packed, bias, y))
    forward.run()
    exact = correlate(x[:1], w, stride=stride, padding=padding)
    np.testing.assert_allclose(y.view[:1], exact, atol=1e-5 * float(np.abs(exact).max()), err_msg=f"{name} is wrong")
    backward = program(g.weight_gradient("dw", maps, y, dw, zeros(g.bias_size)))
    flop = 2.0 * n * g.macs
    peers = _torch(torch, x, w, stride, padding) if torch is not None else ({}, {})
    return [
        Contest(f"{name} forward", {OURS: forward.run, **peers[0]}, flop, iterations=3),
        Contest(f"{name} weight gradient", {OURS: backward.run, **peers[1]}, flop, iterations=3),
    ]


def _torch(torch: Any, x: Any, w: Any, stride: int, padding: int) -> tuple[dict[str, Work], dict[str, Work]]:
    forward: dict[str, Work] = {}
    gradient: dict[str, Work] = {}
    for name, layout in (("torch NCHW", torch.contiguous_format), ("torch channels_last", torch.channels_last)):
        xt = torch.from_numpy(x).contiguous(memory_format=layout)
        wt = torch.from_numpy(w).contiguous(memory_format=layout)
        dy = torch.nn.functional.conv2d(xt, wt, None, stride, padding).detach()

        def run(xt: Any = xt, wt: Any = wt) -> None:
            with torch.inference_mode():
                torch.nn.functional.conv2d(xt, wt, None, stride, padding)

        def back(xt: Any = xt, wt: Any = wt, dy: Any = dy) -> None:
            where = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, [False, True, False])
            torch.ops.aten.convolution_backward(dy, xt, wt, None, *where)

        forward[name], gradient[name] = run, back
    return forward, gradient
