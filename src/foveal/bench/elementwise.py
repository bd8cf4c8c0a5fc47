"""Normalisation, activations, softmax and dropout beside PyTorch's best layout and mode.

What works through memory is timed in two ways: into an array that is there, and into a new one, whose pages the system
has to provide; PyTorch does the same each time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from foveal import ops, reference
from foveal.bench.harness import OURS, Contest, Work
from foveal.kernels import activation, softmax
from foveal.kernels.batch_norm_steps import BatchNorm
from foveal.kernels.buffers import Map, zeros
from foveal.kernels.local_response_steps import LocalResponse
from foveal.kernels.runs import Runs, over_runs
from foveal.kernels.steps import program
from foveal.kernels.threads import pool

LRN_SHAPE, LRN = (32, 96, 55, 55), (5, 5e-4, 0.75, 2.0)
NORM_SHAPE, EPSILON, MOMENTUM = (32, 64, 56, 56), 1e-5, 0.1
ROWS, CLASSES = 10_000, 1000  # 10^7 numbers
RATE = 0.5


def contests(torch: Any | None) -> list[Contest]:
    """Return contests for both normalisations, forward and backward, and for 10^7 numbers each of the others."""
    return [*_local_response(torch), *_batch_norm(torch), *_ten_million(torch), _dropout(torch)]


def _arrays(*shapes: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def _both_ways(title: str, network: Work, arrays: Work, peers: dict[str, Work], iterations: int) -> list[Contest]:
    """Return a contest on the maps of networks, and one on users' arrays."""
    return [
        Contest(f"{title}{where}", {OURS: work, **peers}, iterations=iterations)
        for where, work in (("", network), (", arrays", arrays))
    ]


class _InTurn:
    """Forward and backward on arrays; dx of the last turn is given back first, as autograd gives back its gradients."""

    def __init__(self, forward: Work, backward: Work) -> None:
        self._forward, self._backward, self._dx = forward, backward, None

    def __call__(self) -> tuple[Any, Any]:
        """Return y and dx."""
        self._dx = None
        y = self._forward()
        self._dx = self._backward()
        return y, self._dx


def _local_response(torch: Any | None) -> list[Contest]:
    x, dy = _arrays(LRN_SHAPE, LRN_SHAPE)
    maps = [Map(len(x), x.shape[1:]) for _ in range(4)]
    maps[0].view[...], maps[2].view[...] = x, dy
    norm, threads = LocalResponse(*LRN), pool().size
    x_map, y_map, dy_map, dx_map = maps
    network = program(norm.forward("y", x_map, y_map, threads) + norm.backward("dx", x_map, dy_map, dx_map, threads))

    arrays = _InTurn(lambda: ops.local_response_norm(x, *LRN), lambda: ops.local_response_norm_grad(x, dy, *LRN))
    network.run()
    exact = reference.local_response_norm(x[:1], *LRN), reference.local_response_norm_grad(x[:1], dy[:1], *LRN)
    for y, dx in (arrays(), (maps[1].view, maps[3].view)):
        np.testing.assert_allclose(y[:1], exact[0], atol=1e-5, err_msg="y is wrong")
        np.testing.assert_allclose(dx[:1], exact[1], atol=1e-5, err_msg="dx is wrong")
    size, alpha, beta, k = LRN
    peers: dict[str, Work] = {}
    if torch is not None:
        norms = torch.nn.functional.local_response_norm
        peers = _automatic(torch, lambda t: norms(t, size, alpha * size, beta, k), x, dy)
    return _both_ways("LRN, forward + backward", network.run, arrays, peers, 1)


def _batch_norm(torch: Any | None) -> list[Contest]:
    x, dy = _arrays(NORM_SHAPE, NORM_SHAPE)
    C = x.shape[1]
    scale, shift = (v + 1 for v in _arrays((C,), (C,)))
    maps = [Map(len(x), x.shape[1:]) for _ in range(4)]
    maps[0].view[...], maps[2].view[...] = x, dy
    mean, variance, dscale, dshift = (zeros(C) for _ in range(4))
    norm = BatchNorm(maps[0], EPSILON)
    network = program(
        norm.forward("y", scale, shift, maps[1], mean, variance, MOMENTUM)
        + norm.backward("dx", scale, maps[2], maps[3], dscale, dshift)
    )

    arrays = _InTurn(
        lambda: ops.batch_norm(x, scale, shift, epsilon=EPSILON),
        lambda: ops.batch_norm_grad(x, scale, dy, epsilon=EPSILON)[0],
    )
    network.run()
    exact = reference.batch_norm(x, scale, shift), reference.batch_norm_grad(x, scale, dy)[0]
    for y, dx in (arrays(), (maps[1].view, maps[3].view)):
        np.testing.assert_allclose(y, exact[0], atol=1e-5, err_msg="y is wrong")
        np.testing.assert_allclose(dx, exact[1], atol=1e-5, err_msg="dx is wrong")
    peers = _torch_batch_norm(torch, x, dy, scale, shift) if torch is not None else {}
    return _both_ways("batch norm in training, forward + backward", network.run, arrays, peers, 3)


def _torch_batch_norm(torch: Any, x: Any, dy: Any, scale: Any, shift: Any) -> dict[str, Work]:
    w, b, zero, one = (torch.from_numpy(v.copy()) for v in (scale, shift, 0 * scale, 0 * scale + 1))

    def norm(t: Any) -> Any:
        return torch.nn.functional.batch_norm(t, zero, one, w, b, True, MOMENTUM, EPSILON)

    peers = _automatic(torch, norm, x, dy, (w, b))
    for layout, memory in _layouts(torch):
        xt, dyt = (torch.from_numpy(v).contiguous(memory_format=memory) for v in (x, dy))
        y, dx, few = torch.empty_like(xt), torch.empty_like(xt), [torch.empty_like(w) for _ in range(4)]

        def run(xt: Any = xt, dyt: Any = dyt, y: Any = y, dx: Any = dx, few: Any = few) -> None:
            with torch.inference_mode():
                torch.native_batch_norm(xt, w, b, zero, one, True, MOMENTUM, EPSILON, out=(y, *few[:2]))
                torch.ops.aten.native_batch_norm_backward(
                    dyt, xt, w, zero, one, *few[:2], True, EPSILON, [True] * 3, out0=dx, out1=few[2], out2=few[3]
                )

        peers[f"torch out= {layout}"] = run
    return peers


def _layouts(torch: Any) -> tuple[tuple[str, Any], ...]:
    return ("NCHW", torch.contiguous_format), ("channels_last", torch.channels_last)


def _automatic(torch: Any, function: Callable[[Any], Any], x: Any, dy: Any, learned: Any = ()) -> dict[str, Work]:
    """Return a function and its gradients by autograd, eager and compiled, in both layouts."""
    peers: dict[str, Work] = {}
    modes = ("eager", function), ("compile", torch.compile(function))
    for (mode, made), (layout, memory) in itertools.product(modes, _layouts(torch)):
        xt, dyt = (torch.from_numpy(v).contiguous(memory_format=memory) for v in (x, dy))
        leaves = [t.requires_grad_() for t in (xt, *learned)]

        def run(made: Any = made, xt: Any = xt, dyt: Any = dyt, leaves: Any = leaves) -> None:
            for leaf in leaves:
                leaf.grad = None
            made(xt).backward(dyt)

        peers[f"torch {mode} {layout}"] = run
    return peers


def _ten_million(torch: Any | None) -> list[Contest]:
    (x,) = _arrays((ROWS, CLASSES))
    kernels = {
        "sigmoid": (activation.sigmoid_forward, {}, {}),
        "tanh": (activation.tanh_forward, {}, {}),
        "softmax": (softmax.softmax_forward, {"classes": CLASSES}, {"dim": 1}),
    }
    made = []
    for name, (kernel, constants, options) in kernels.items():
        function, y = getattr(ops, name), np.zeros_like(x)
        cut = [Runs.of_array(a, constants.get("classes", 1)) for a in (x, y)]
        steps = [over_runs(name, kernel, **{"x": a, "y": b, **constants}) for a, b in zip(*cut, strict=True)]
        there: dict[str, Work] = {OURS: program(steps).run}
        new: dict[str, Work] = {OURS: partial(function, x)}
        there[OURS]()
        for found in (y, function(x)):
            np.testing.assert_allclose(found, getattr(reference, name)(x), rtol=4e-7, err_msg=f"{name} is wrong")
        if torch is not None:
            given, out = torch.from_numpy(x), torch.from_numpy(np.zeros_like(x))
            new["torch"] = partial(getattr(torch, name), given, **options)
            there["torch out="] = partial(getattr(torch, name), given, **options, out=out)
        made += [Contest(f"{name} of 10^7 numbers, {where}", work) for where, work in
                 (("into an array", there), ("a new array", new))]  # fmt: skip
    return made


def _dropout(torch: Any | None) -> Contest:
    (x,) = _arrays((ROWS * CLASSES,))
    ours = partial(ops.dropout, x, RATE, seed=1)
    np.testing.assert_array_equal(ours(), reference.dropout(x, RATE, seed=1), "dropout is wrong")
    peers = {"torch": partial(torch.nn.functional.dropout, torch.from_numpy(x), RATE)} if torch is not None else {}
    return Contest("dropout of 10^7 numbers, a new array", {OURS: ours, **peers}, iterations=2)
