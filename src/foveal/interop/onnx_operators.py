"""The operators of ONNX in terms of `foveal.ops`: which function, and how its arguments are called there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from foveal import ops
from foveal.errors import ParameterError, ShapeError, explain
from foveal.geometry import pads, transposed
from foveal.reference.arguments import same_shape

Array = NDArray[Any]


@dataclass(frozen=True)
class Node:
    """One operator with its attributes, ready to run.

    Attributes
    ----------
    operator : str
        A name in `OPERATORS`.
    inputs, outputs : tuple of str
        Names of values; "" is one that is left out.
    attributes : dict
        As ONNX calls them, with defaults.
    opset : int
        The version of ONNX's operators that the node was written for.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    opset: int

    def run(self, arrays: Sequence[Any]) -> tuple[Array, ...]:
        """Return one array for each of `outputs`; the first has the type of the first input.

        Raises
        ------
        ParameterError
            The node asks for what Foveal does not offer.
        FovealError
            What the operation refuses.
        """
        given: list[Any] = [array if array is None else np.asarray(array) for array in arrays]
        found = OPERATORS[self.operator](self, *given)
        results = found if isinstance(found, tuple) else (found,)
        if len(self.outputs) > len(results):
            names = ", ".join(name or "''" for name in self.outputs)
            self.refuse(f"{len(results)} outputs", names, f"opset {self.opset} has more in training, which is not run")
        return (results[0].astype(given[0].dtype, copy=False), *results[1:])[: len(self.outputs)]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or `default` where neither the node nor its schema has a value."""
        return self.attributes.get(name, default)

    def refuse(self, expected: str, got: Any, why: str) -> NoReturn:
        """Raise the error for what an attribute asks for and Foveal does not offer."""
        raise ParameterError(explain(f"ONNX {self.operator}", expected=expected, got=str(got), why=why))


def _conv(node: Node, x: Array, w: Array, bias: Array | None = None) -> Array:
    window = _window(node, x, w.shape[2:])
    return ops.correlate(x, w, bias, groups=node.get("group"), **window)


def _conv_transpose(node: Node, x: Array, w: Array, bias: Array | None = None) -> Array:
    spatial, kernel = x.shape[2:], w.shape[2:]
    window, extra = _window(node, x, kernel), _per_axis(node, "output_padding", len(kernel), 0)
    size = _per_axis(node, "output_shape", len(kernel), 0) if "output_shape" in node.attributes else ()
    if node.get("auto_pad").startswith("SAME"):
        size = tuple(n * s for n, s in zip(spatial, window["stride"], strict=True))
    if size:  # then padding is what the whole result has too much, and what it has too little is added at the end
        whole = transposed(spatial, kernel, window["stride"], 0, extra, window["dilation"])[1]
        cut = [full - wanted for full, wanted in zip(whole, size, strict=True)]
        extra = tuple(e + max(-c, 0) for e, c in zip(extra, cut, strict=True))
        halves = [(max(c, 0) // 2, max(c, 0) - max(c, 0) // 2) for c in cut]
        window["padding"] = halves if node.get("auto_pad") == "SAME_UPPER" else [pair[::-1] for pair in halves]
    return ops.conv_transpose(x, w, bias, output_padding=extra, groups=node.get("group"), **window)


def _max_pool(node: Node, x: Array) -> Array | tuple[Array, ...]:
    kernel, spatial = tuple(node.get("kernel_shape")), x.shape[2:]
    options = _window(node, x, kernel) | {"rounding": _rounding(node)}
    if len(node.outputs) == 1:
        y: Array = ops.max_pool(x, kernel, **options)
        return y
    y, places = ops.max_pool(x, kernel, return_indices=True, **options)
    if node.get("storage_order", 0):  # counted down the columns
        places = np.asarray(np.ravel_multi_index(np.unravel_index(places, spatial), spatial, order="F"))
    return y, np.asarray(places + _first_places(x.shape))


def _max_unpool(node: Node, y: Array, places: Array, output_shape: Array | None = None) -> Array:
    kernel = tuple(node.get("kernel_shape"))
    window = _window(node, y, kernel)
    shape = *y.shape[:2], *transposed(y.shape[2:], kernel, window["stride"], window["padding"], 0, 1)[1]
    places = same_shape(places, y.shape, "ONNX MaxUnpool", "indices", "one for each number of y")
    x = ops.max_unpool(y, places - _first_places(shape), shape)
    size = shape if output_shape is None else tuple(int(n) for n in output_shape)
    if len(size) != len(shape) or any(wanted < n for wanted, n in zip(size, shape, strict=True)):
        node.refuse(f"an output_shape of at least {shape}", size, "it holds the map that was pooled")
    return np.pad(x, [(0, wanted - n) for wanted, n in zip(size, shape, strict=True)])


def _average_pool(node: Node, x: Array) -> Array:
    kernel = tuple(node.get("kernel_shape"))
    window = _window(node, x, kernel)
    if set(window.pop("dilation")) != {1}:
        node.refuse("dilations of 1", node.get("dilations"), "foveal.avg_pool takes the mean of neighbours")
    counted = bool(node.get("count_include_pad", 0))
    return ops.avg_pool(x, kernel, rounding=_rounding(node), count_padding=counted, **window)


def _local_response_norm(node: Node, x: Array) -> Array:
    size = node.get("size")
    return ops.local_response_norm(x, size, node.get("alpha") / size, node.get("beta"), node.get("bias"))


def _batch_norm(
    node: Node, x: Array, scale: Array, shift: Array, mean: Array, variance: Array
) -> Array | tuple[Array, ...]:
    _inference(node)
    epsilon = node.get("epsilon")
    if not node.get("spatial", 1):
        node.refuse("spatial=1", 0, "mean and variance are one number per channel")
    if not node.get("training_mode", 0):
        return ops.batch_norm(x, scale, shift, mean, variance, epsilon=epsilon)
    old, new, keep = (mean, variance), ops.batch_statistics(x), node.get("momentum")
    running = (keep * a + (1 - keep) * b.astype(a.dtype) for a, b in zip(old, new, strict=True))
    return ops.batch_norm(x, scale, shift, epsilon=epsilon), *running


def _gemm(node: Node, a: Array, b: Array, c: Array | None = None) -> Array:
    a, b = (array.T if node.get(name) else array for array, name in ((a, "transA"), (b, "transB")))
    y: Array = node.get("alpha") * ops.affine(a, b)
    if c is None:
        return y
    if c.ndim > 2 or any(n not in (1, wanted) for n, wanted in zip(c.shape[::-1], y.shape[::-1], strict=False)):
        node.refuse(f"C to broadcast to {y.shape}", c.shape, "it is added to A B")
    y += node.get("beta") * c
    return y


def _dropout(node: Node, x: Array, ratio: Array | None = None, training: Array | None = None) -> tuple[Array, Array]:
    _inference(node)
    rate = node.get("ratio", 0.5) if ratio is None else float(ratio)
    if training is not None and bool(training) and rate:
        got, why = f"training with ratio {rate:g}", "every library draws its own random numbers"
        node.refuse("inference, or a ratio of 0", got, why)
    return x, np.ones(x.shape, bool if node.opset >= 10 else x.dtype)


def _flatten(node: Node, x: Array) -> Array:
    axis = node.get("axis")
    if not -x.ndim <= axis <= x.ndim:
        node.refuse(f"an axis from {-x.ndim} to {x.ndim}", axis, f"x has {x.ndim} axes")
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def _along_axis(function: Callable[..., Array]) -> Callable[[Node, Array], Array]:
    def run(node: Node, x: Array) -> Array:
        if node.opset >= 13:
            return function(x, axis=node.get("axis"))
        return function(_flatten(node, x)).reshape(x.shape)  # all axes from this one on were one

    return run


OPERATORS: dict[str, Callable[..., Array | tuple[Array, ...]]] = {
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda node, x: ops.global_avg_pool(x),
    "GlobalMaxPool": lambda node, x: ops.global_max_pool(x),
    "LRN": _local_response_norm,
    "LeakyRelu": lambda node, x: ops.leaky_relu(x, node.get("alpha")),
    "LogSoftmax": _along_axis(ops.log_softmax),
    "MaxPool": _max_pool,
    "MaxUnpool": _max_unpool,
    "Relu": lambda node, x: ops.relu(x),
    "Sigmoid": lambda node, x: ops.sigmoid(x),
    "Softmax": _along_axis(ops.softmax),
    "Tanh": lambda node, x: ops.tanh(x),
}


def _window(node: Node, x: Array, kernel: Sequence[int]) -> dict[str, Any]:
    """Return stride, padding and dilation as `foveal.ops` takes them, for maps x.

    ONNX writes all paddings before the axes first, then all behind them. Foveal's "same" is SAME_UPPER, which puts an
    odd position behind; SAME_LOWER puts it before.
    """
    axes, auto = len(kernel), node.get("auto_pad", "NOTSET")
    if x.ndim != axes + 2:
        expected = f"a batch of maps (N, C, ...) of {axes} axes"
        raise ShapeError(explain(f"ONNX {node.operator}", expected=expected, got=str(x.shape)))
    if tuple(node.get("kernel_shape", kernel)) != tuple(kernel):
        node.refuse(f"a kernel_shape of {list(kernel)}", node.get("kernel_shape"), "that is the shape of the filters")
    stride, dilation = _per_axis(node, "strides", axes, 1), _per_axis(node, "dilations", axes, 1)
    padding: Any = 0
    if auto == "NOTSET":
        both = _per_axis(node, "pads", 2 * axes, 0)
        padding = list(zip(both[:axes], both[axes:], strict=True))
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        pairs = pads("same", x.shape[2:], kernel, stride, dilation)
        padding = [pair if auto == "SAME_UPPER" else pair[::-1] for pair in pairs]
    elif auto != "VALID":
        node.refuse("auto_pad NOTSET, VALID, SAME_UPPER or SAME_LOWER", auto, "ONNX has no other")
    return {"stride": stride, "padding": padding, "dilation": dilation}


def _per_axis(node: Node, name: str, count: int, default: int) -> tuple[int, ...]:
    values = tuple(node.get(name, (default,) * count))
    if len(values) != count:
        node.refuse(f"{name} of {count} numbers", list(values), "each axis has its own")
    return values


def _rounding(node: Node) -> str:
    return "ceil" if node.get("ceil_mode", 0) else "floor"


def _first_places(shape: Sequence[int]) -> Array:
    """Return the place of each map's first number: ONNX counts through all images and channels, Foveal in one map."""
    maps = np.arange(shape[0] * shape[1]) * math.prod(shape[2:])
    return maps.reshape(*shape[:2], *(1,) * (len(shape) - 2))


def _inference(node: Node) -> None:
    if node.opset < 7 and not node.get("is_test", 0):
        node.refuse("is_test=1", 0, f"opset {node.opset} trains without it, and this backend does not")
