"""Networks for tests: random sequences of layers, one without a kernel, and what the formulas give in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import foveal as fv
from foveal import reference
from foveal.graph import Graph, GraphBuilder
from foveal.layers import (
    Affine,
    AvgPool,
    BatchNorm,
    Convolution,
    ConvTranspose,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Join,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool,
    ReLU,
    ScaledTanh,
    Sigmoid,
    Softmax,
    Subsampling,
    Tanh,
)  # fmt: skip
from foveal.layers.learned import Learned


class Scale(Learned):
    """A user's layer that no kernel was written for: y = weight * x + bias, one pair for each feature."""

    kind = "scale"

    def __init__(self) -> None:
        super().__init__(True, 0.5)

    def run(self, ops, x, p):
        def backward(dy):
            return dy * p["weight"], {"weight": (dy * x).sum(0), "bias": dy.sum(0)}

        return x * p["weight"] + p["bias"], backward

    def output_shape(self, input_shape):
        return tuple(input_shape)

    def parameter_shapes(self, input_shape):
        return {"weight": tuple(input_shape), "bias": tuple(input_shape)}

    def fan_in(self, weight_shape):
        return 1


del Layer.types["Scale"]  # the tables of known layers are tested elsewhere


def random_layers(seed: int, input_shape: tuple[int, ...], every_kind: bool = False) -> list[Layer]:
    """Return 3 to 8 layers that fit, in any order, with every option of a window somewhere.

    Without `every_kind`, only those that `magnitudes` has a bound for.
    """
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []
    shape: tuple[int, ...] = input_shape
    for _ in range(rng.integers(3, 8)):
        layer = _draw(rng, shape, every_kind)
        shape = layer.output_shape(shape)
        layers.append(layer)
    layers += [Affine(int(rng.integers(2, 6)))] + [Softmax()] * int(rng.integers(0, 2))
    return layers


def _draw(rng: np.random.Generator, shape: tuple[int, ...], every_kind: bool) -> Layer:
    if len(shape) == 1:
        return [Affine(int(rng.integers(3, 20))), ReLU(), Sigmoid(), Flatten(), Scale(), Softmax()][rng.integers(6)]
    C, *spatial = shape
    kernel = tuple(int(rng.integers(1, min(4, n) + 1)) for n in spatial)
    stride = tuple(int(n) for n in rng.integers(1, 4, len(spatial)))
    padding = tuple((int(rng.integers(0, k)), int(rng.integers(0, k))) for k in kernel)
    plain = int(rng.integers(1, min(3, *spatial) + 1))
    rounding = ["floor", "ceil"][rng.integers(2)]
    groups = int(rng.choice([g for g in (1, 1, 1, 2, 3) if C % g == 0]))
    choices = [
        lambda: Convolution(groups * int(rng.integers(1, 9)), kernel, stride, padding, groups=groups),
        lambda: Convolution(int(rng.integers(1, 40)), plain, bias=bool(rng.integers(2))),
        lambda: Convolution(3, 2, 1, 1, dilation=2),
        lambda: MaxPool(plain, int(rng.integers(1, 3)), rounding=rounding),
        lambda: MaxPool(kernel, stride, padding, rounding=rounding),
        lambda: MaxPool(2, 1, 1, dilation=2),
        lambda: AvgPool(kernel, stride, padding, rounding, bool(rng.integers(2))),
        ReLU, ReLU, ReLU, Sigmoid, Flatten, Scale,
    ]  # fmt: skip
    others = [
        lambda: ConvTranspose(groups * int(rng.integers(1, 5)), kernel, stride=stride, groups=groups),
        lambda: BatchNorm(momentum=0.5), lambda: LocalResponseNorm(3, 0.1), lambda: Subsampling(plain),
        GlobalAvgPool, GlobalMaxPool, lambda: LeakyReLU(0.2), Tanh, ScaledTanh, Dropout,
    ]  # fmt: skip
    choices += others if every_kind else []
    for i in rng.permutation(len(choices)):
        layer = choices[i]()
        try:
            layer.output_shape(shape)
        except fv.FovealError:  # it does not fit here: another one
            continue
        return layer
    raise AssertionError(f"nothing fits {shape}")


def random_graph(seed: int, input_shape: tuple[int, ...], every_kind: bool = False) -> Graph:
    """Return a graph of some 10 to 20 nodes with branches, joins, a result that several read, and a shared layer.

    Without `every_kind`, only layers that `magnitudes` has a bound for. Half of the graphs have a second output.
    """
    rng = np.random.default_rng(seed)
    build = GraphBuilder(input_shape)
    results = [build.input]  # all of them, to read from; those that nobody reads yet:
    loose: list[str] = []
    shared = Convolution(input_shape[0], 3, padding=1) if len(input_shape) > 1 else Affine(*input_shape)

    def read(count: int) -> list[str]:
        latest = [str(name) for name in rng.choice(results[-5:], count)]
        loose[:] = [name for name in loose if name not in latest]
        return latest

    def made(name: str) -> None:
        results.append(name)
        loose.append(name)

    for _ in range(rng.integers(8, 14)):
        (x,) = read(1)
        alike = [r for r in results if build.shape(r) == build.shape(x)]
        same_size = [r for r in results if build.shape(r)[1:] == build.shape(x)[1:]]
        choice = rng.integers(6)
        if choice == 0:
            made(build.add([x, *map(str, rng.choice(alike, rng.integers(0, 3)))]))
        elif choice == 1:
            made(build.concat([x, *map(str, rng.choice(same_size, rng.integers(0, 3)))]))
        elif choice == 2 and build.shape(x) == input_shape:
            made(build(shared, x))
        else:
            made(build(_draw(rng, build.shape(x), every_kind), x))
        loose[:] = [name for name in loose if not any(name in node.inputs for node in build.nodes)]
    affine = Affine(4)
    ends = [build(Affine(6), name) for name in loose]
    scores = build([Affine(6), affine], build.concat(ends) if rng.integers(2) else build.add(ends))
    if rng.integers(2):
        return build.graph(build(Softmax(), scores) if rng.integers(2) else scores)
    aux = build([Affine(6), affine], str(rng.choice(results[1:])))
    return build.graph({"scores": scores, "aux": aux})


def magnitudes(net: fv.Network, x: Any) -> tuple[Any, int]:
    """Return, for each score, a bound b and the roundings n on its way: |float32 - exact| <= gamma_n * b.

    Node by node the bound is the same formula over absolute values; pooling and activations have slope 1 or less.
    """
    arrays, owner = net.arrays(), {id(node.layer): node.name for node in net.graph.owners()}
    pixels = np.asarray(x).dtype == np.uint8
    given = np.abs(np.asarray(x, np.float64)) / (255 if pixels else 1)
    found: dict[str, tuple[Any, int]] = {"input": (given, 3 if pixels else 1)}
    for node in net.graph.nodes:
        layer, prefix = node.layer, owner[id(node.layer)] + "."
        p = {k.removeprefix(prefix): np.abs(v, dtype=np.float64) for k, v in arrays.items() if k.startswith(prefix)}
        b, n = [found[name][0] for name in node.inputs], max(found[name][1] for name in node.inputs)
        if isinstance(layer, Join):
            found[node.name] = layer.run_joined(reference, b, p)[0], n + len(b)
        elif isinstance(layer, Sigmoid | Softmax):
            found[node.name] = b[0] + 1, n + 8 + math.prod(node.shape)
        elif isinstance(layer, ReLU):
            found[node.name] = b[0], n
        else:
            window = np.broadcast_to(layer.kernel if isinstance(layer, AvgPool) else 1, len(node.shape) - 1)
            terms = p["weight"][0].size if isinstance(layer, Convolution) else math.prod(window)
            n += 2 + (len(p["weight"]) if isinstance(layer, Affine) else int(terms))
            found[node.name] = layer.run(reference, b[0], p)[0], n
    return found[next(iter(net.graph.scores.values()))]


def reference_gradients(net: fv.Network, x: Any, t: Any) -> dict[str, Any]:
    """Return the gradient of the loss, node by node through the formulas in float64."""
    scaled = np.asarray(x, np.float64) * (1 / 255 if np.asarray(x).dtype == np.uint8 else 1)
    run = net.graph.run(reference, scaled, {k: v.astype(np.float64) for k, v in net.arrays().items()})
    dys: dict[str, Any] = {}
    for name, at in net.graph.scores.items():
        y = run.values[at]
        dy = reference.cross_entropy_grad(y.reshape(len(y), -1), t).reshape(y.shape)
        dys[at] = dys.get(at, 0.0) + net.output_weights[name] * dy
    return run.backward(dys)[1]
