"""What `foveal.interop.onnx` refuses: the call, the class, and what the message must say."""

import sys

import numpy as np
import pytest

from foveal.errors import (
    DTypeError,
    FormatError,
    FovealError,
    GeometryError,
    MissingDependencyError,
    ParameterError,
    ShapeError,
)
from foveal.interop.onnx import Backend
from tests.support.oracles import require

X, W = np.zeros((1, 2, 6, 6), np.float32), np.zeros((4, 2, 3, 3), np.float32)
WINDOW = {"kernel_shape": [2, 2]}
C = np.ones(2, np.float32)
PLACES = np.zeros(X.shape, np.int64) + np.array([0, 49]).reshape(1, 2, 1, 1)  # the first of maps of 7 x 7


def node(operator, count, outputs=1, **attributes):
    names = [f"x{i}" for i in range(count)], [f"y{i}" for i in range(outputs)]
    return require("onnx").helper.make_node(operator, *names, **attributes)


def run(operator, *arrays, outputs=1, opset=22, **attributes):
    return Backend.run_node(node(operator, len(arrays), outputs, **attributes), list(arrays), opset_version=opset)


def model(operator, count, arrays, **attributes):
    helper, float32 = require("onnx").helper, 1
    values = [helper.make_tensor_value_info(f"x{i}", float32, ["N", "C"]) for i in range(count)]
    result = [helper.make_tensor_value_info("y0", float32, ["N", "K"])]
    graph = helper.make_graph([node(operator, count, **attributes)], "graph", values, result)
    return Backend.prepare(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])).run(arrays)


REFUSED = [
    (lambda: run("Elu", X), ParameterError, r"^ONNX node: expected an operator that Foveal runs, got Elu\. Did you"),
    (lambda: run("Conv", X, W, domain="com.me"), FormatError, r"^ONNX: .*No opset import for domain 'com\.me'"),
    (lambda: run("Conv", X), FormatError, r"^ONNX: expected a valid model or node, got 'Node .* has input size 1 not"),
    (lambda: run("MaxPool", X), FormatError, r"^ONNX: .*Required attribute 'kernel_shape' is missing"),
    (lambda: Backend.run_node("Conv", [X]), DTypeError, r"^ONNX: expected an onnx ModelProto or NodeProto, got"),
    (lambda: Backend.prepare(None), DTypeError, r"^ONNX: expected an onnx ModelProto or NodeProto, got"),
    (lambda: Backend.run_node(node("Relu", 1), [X], device="CUDA:0"), ParameterError, r"^ONNX device: expected 'CPU',"),
    (lambda: model("Relu", 1, [X, X]), ParameterError, r"^ONNX model: expected 1 inputs \(x0\), got 2\.$"),
    (lambda: model("Gemm", 2, X), ParameterError, r"^ONNX model: expected 2 inputs \(x0, x1\), got 1\.$"),
    (lambda: run("Conv", X[0], W), ShapeError, r"^ONNX Conv: expected a batch of maps \(N, C, ...\) of 2 axes, got"),
    (lambda: run("MaxPool", X[0], **WINDOW), ShapeError, r"^ONNX MaxPool: expected a batch of maps .* got \(2, 6, 6\)"),
    (lambda: run("Conv", X[:, :1], W), ShapeError, r"^correlate: expected w of shape \(K, 1, R, S\), got \(4, 2, 3,"),
    (lambda: run("Conv", X, W, kernel_shape=[2, 2]), ParameterError, r"^ONNX Conv: expected a kernel_shape of \[3,"),
    (lambda: run("Conv", X, W, strides=[1]), ParameterError, r"^ONNX Conv: expected strides of 2 numbers, got \[1\]"),
    (lambda: run("Conv", X, W, strides=[0, 1]), GeometryError, r"^stride\[0\]: expected a positive integer, got 0"),
    (lambda: run("Conv", X, W, dilations=[1, 1, 1]), ParameterError, r"^ONNX Conv: expected dilations of 2 numbers"),
    (lambda: run("Conv", X, W, pads=[1, 1]), ParameterError, r"^ONNX Conv: expected pads of 4 numbers, got \[1, 1\]"),
    (lambda: run("Conv", X, W, pads=[-1, 0, 0, 0]), GeometryError, r"^padding\[0\]: expected an integer of at least"),
    (lambda: run("Conv", X, W, auto_pad="SAME"), ParameterError, r"^ONNX Conv: expected auto_pad NOTSET, VALID, .*"),
    (lambda: run("ConvTranspose", X, W[:2], output_shape=[8]), ParameterError, r"expected output_shape of 2 numbers,"),
    (lambda: run("ConvTranspose", X, W[:2], output_shape=[20, 20]), GeometryError, r"^output_padding\[0\]: expected"),
    (lambda: run("AveragePool", X, dilations=[2, 2], **WINDOW), ParameterError, r"^ONNX AveragePool: expected"),
    (lambda: run("BatchNormalization", X, C, C, C, C, outputs=3), ParameterError, r"^ONNX BatchNormalization:"),
    (lambda: run("BatchNormalization", X, C, C, C, C, opset=6), ParameterError, r"expected is_test=1, got 0: opset 6"),
    (
        lambda: run("BatchNormalization", X, C, C, C, C, opset=7, spatial=0),
        ParameterError,
        r"expected spatial=1, got 0",
    ),
    (lambda: run("BatchNormalization", X, C, C, C, C[:1]), ShapeError, r"^batch_norm: expected variance of shape"),
    (lambda: run("Dropout", X, np.float32(0.5), np.bool_(True)), ParameterError, r"^ONNX Dropout: expected inference,"),
    (lambda: run("Flatten", X, axis=5), ParameterError, r"^ONNX Flatten: expected an axis from -4 to 4, got 5"),
    (lambda: run("Gemm", W[0, 0], W[0, 0], C), ParameterError, r"^ONNX Gemm: expected C to broadcast to \(3, 3\), got"),
    (lambda: run("Gemm", W[0, 0], X[0, 0]), ShapeError, r"^affine: expected w of shape \(3, out\), got \(6, 6\)"),
    (lambda: run("LeakyRelu", X, alpha=-0.5), ParameterError, r"^leaky_relu: expected a slope of at least 0, got"),
    (lambda: run("MaxUnpool", X, PLACES[0], **WINDOW), ShapeError, r"^ONNX MaxUnpool: expected indices of shape \(1,"),
    (
        lambda: run("MaxUnpool", X, PLACES, np.array([1, 2, 6, 6]), **WINDOW),
        ParameterError,
        r"^ONNX MaxUnpool: expected an output_shape of at least \(1, 2, 7, 7\), got \(1, 2, 6, 6\)",
    ),
    (lambda: run("MaxUnpool", X, PLACES + 98, **WINDOW), ShapeError, r"^max_unpool: expected indices from 0 to 48,"),
    (lambda: run("Softmax", X, axis=4), ShapeError, r"^softmax: expected an axis from -4 to 3, got 4"),
    (lambda: run("Relu", X.astype(str)), DTypeError, r"^relu: expected x of real numbers, got dtype <U"),
]


@pytest.mark.parametrize(
    ("call", "error", "message"), REFUSED, ids=[f"{i}-{row[2][1:26]}" for i, row in enumerate(REFUSED)]
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
    assert isinstance(caught.value, FovealError)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None, "a user would see two tracebacks"


def test_without_onnx(monkeypatch):
    relu = node("Relu", 1)
    monkeypatch.setitem(sys.modules, "onnx", None)
    message = r"^foveal\.interop\.onnx: expected the package onnx, got none installed\. Run: pip install onnx$"
    with pytest.raises(MissingDependencyError, match=message):
        Backend.run_node(relu, [X])


def test_types():
    """The first result has the type of the first input, whatever computed it."""
    for dtype in (np.float16, np.float32, np.float64, np.uint8, np.int8):
        x = np.arange(72).reshape(X.shape).astype(dtype)
        y, places = run("MaxPool", x, outputs=2, **WINDOW)
        assert (y.dtype, places.dtype) == (dtype, np.int64)
        np.testing.assert_array_equal(y, x.ravel()[places], "indices count through the whole array")
    x, w = (np.random.default_rng(0).standard_normal(a.shape).astype(np.float16) for a in (X, W))
    (half,), (exact,) = run("Conv", x, w), run("Conv", x.astype(np.float64), w.astype(np.float64))
    np.testing.assert_array_equal(half, exact.astype(np.float32).astype(np.float16))
