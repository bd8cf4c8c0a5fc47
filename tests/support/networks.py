"""Networks for tests: random sequences of layers, one without a kernel, and what the formulas give in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import foveal as fv
from foveal import reference
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


def magnitudes(net: fv.Network, x: Any) -> tuple[Any, int]:
    """Return, for each score, a bound b and the roundings n on its way: |float32 - exact| <= gamma_n * b.

    Layer by layer the bound is the same formula over absolute values; pooling and activations have slope 1 or less.
    """
    arrays, owner = net.arrays(), {id(node.layer): node.name for node in net.graph.owners()}
    b, n = np.abs(np.asarray(x, np.float64)), 1
    if np.asarray(x).dtype == np.uint8:
        b, n = b / 255, 3
    for node in net.graph.nodes:
        layer, prefix = node.layer, owner[id(node.layer)] + "."
        p = {k.removeprefix(prefix): np.abs(v, dtype=np.float64) for k, v in arrays.items() if k.startswith(prefix)}
        if isinstance(layer, Softmax) and node.name == net.graph.output:
            break
        if isinstance(layer, Sigmoid | Softmax):
            b, n = b + 1, n + 8 + math.prod(node.shape)
        elif not isinstance(layer, ReLU):
            b, _ = layer.run(reference, b, p)
            window = np.broadcast_to(layer.kernel if isinstance(layer, AvgPool) else 1, len(node.shape) - 1)
            terms = p["weight"][0].size if isinstance(layer, Convolution) else math.prod(window)
            n += 2 + (len(p["weight"]) if isinstance(layer, Affine) else int(terms))
    return b, n


def reference_gradients(net: fv.Network, x: Any, t: Any) -> dict[str, Any]:
    """Return the gradient of the mean loss, layer by layer through the formulas in float64."""
    arrays, owner = net.arrays(), {id(node.layer): node.name for node in net.graph.owners()}
    value = np.asarray(x, np.float64) * (1 / 255 if np.asarray(x).dtype == np.uint8 else 1)
    tape = []
    for node in net.graph.nodes:
        if isinstance(node.layer, Softmax) and node.name == net.graph.output:
            break
        prefix = owner[id(node.layer)] + "."
        p = {k.removeprefix(prefix): v.astype(np.float64) for k, v in arrays.items() if k.startswith(prefix)}
        value, backward = node.layer.run(reference, value, p)
        tape.append((prefix, backward))
    d = reference.cross_entropy_grad(value.reshape(len(value), -1), t).reshape(value.shape)
    found = {name: np.zeros(shape) for name, shape in net.parameters.items()}
    for prefix, backward in reversed(tape):
        d, gradients = backward(d)
        for name, gradient in gradients.items():
            found[prefix + name] += gradient
    return found
