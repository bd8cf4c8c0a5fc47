"""`foveal.interop.onnx` beside ONNX Runtime, where ONNX's own tests have one map, small numbers or a new opset only."""

import numpy as np
import pytest

from foveal.interop.onnx import Backend
from tests.conformance.bounds import assert_within
from tests.support.oracles import require

RNG = np.random.default_rng(0)
X, W = (RNG.standard_normal(shape).astype(np.float32) for shape in ((2, 4, 7, 6), (4, 3, 3, 2)))
POOL = {"kernel_shape": [3, 2], "strides": [2, 2]}
LOWER, UPPER = {"auto_pad": "SAME_LOWER"}, {"auto_pad": "SAME_UPPER"}
CASES = [  # operator, inputs, opset, outputs, attributes
    ("AveragePool", [X], 17, 1, POOL | LOWER),
    ("AveragePool", [X], 17, 1, POOL | {"pads": [2, 0, 1, 1], "count_include_pad": 1}),
    ("BatchNormalization", [X, *abs(RNG.standard_normal((4, 4)).astype(np.float32))], 9, 1, {"epsilon": 0.5}),
    ("Conv", [X, W[:, :2]], 17, 1, {"group": 2, "strides": [2, 1]} | LOWER),
    ("Conv", [X, W[:, :2]], 17, 1, {"group": 2, "strides": [3, 3]} | UPPER),
    ("ConvTranspose", [X, W], 17, 1, {"strides": [3, 2], "output_shape": [19, 11]}),
    ("ConvTranspose", [X, W], 17, 1, {"strides": [2, 3], "output_padding": [1, 2], "pads": [1, 0, 0, 2]}),
    ("Flatten", [X], 13, 1, {"axis": -2}),
    ("LRN", [X], 17, 1, {"size": 3, "alpha": 2.0, "beta": 0.6, "bias": 1.5}),
    ("LogSoftmax", [X], 11, 1, {"axis": 2}),
    ("MaxPool", [X], 17, 2, POOL | {"pads": [1, 1, 1, 0]}),
    ("MaxPool", [X], 17, 2, POOL | {"storage_order": 1}),
    ("Softmax", [X], 11, 1, {}),
]


def session(onnx, operator, inputs, opset, outputs, attributes):
    """Run one node by ONNX Runtime, on one thread."""
    runtime, helper = require("onnxruntime"), onnx.helper
    names = [f"x{i}" for i in range(len(inputs))], [f"y{i}" for i in range(outputs)]
    kinds = [onnx.TensorProto.FLOAT, onnx.TensorProto.INT64]
    types = [helper.np_dtype_to_tensor_dtype(a.dtype) for a in inputs]
    given = [helper.make_tensor_value_info(n, t, a.shape) for n, t, a in zip(names[0], types, inputs, strict=True)]
    results = [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(names[1], kinds, strict=False)]
    node = helper.make_node(operator, *names, **attributes)
    graph = helper.make_graph([node], "graph", given, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    run = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return node, run.run(None, dict(zip(names[0], inputs, strict=True)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}, {', '.join(case[4])}")
def test_values_agree_with_onnxruntime(case, tally):
    operator, inputs, opset, *_ = case
    node, expected = session(require("onnx"), *case)
    found = Backend.run_node(node, inputs, opset_version=opset)
    tally.row("ONNX Runtime, what those tests leave out", operator).agree += 1
    # Both round in float32: 40 terms at most, of numbers of about 1, and powers or exponentials of sums of them.
    size = max(1, np.abs(expected[0]).max()) * 4
    assert_within(found[0], expected[0], np.full(expected[0].shape, size), 50, "float32")
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_unpooling_maps_of_a_batch():
    """Indices count through all images and channels."""
    onnx = require("onnx")
    kernel = {"kernel_shape": [2, 2], "strides": [2, 2]}
    x = X[..., :6, :]
    _, (y, places) = session(onnx, "MaxPool", [x], 17, 2, kernel)
    node, (expected,) = session(onnx, "MaxUnpool", [y, places], 11, 1, kernel)
    (found,) = Backend.run_node(node, [y, places], opset_version=11)
    np.testing.assert_array_equal(found, expected)
    assert found.shape == x.shape
