"""ONNX Runtime as an oracle: one node, run on one input."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.support.oracles import require


def onnx_node(operator: str, inputs: dict[str, Any], opset: int = 17, **attributes: Any) -> Any:
    """Return the first output of one ONNX node on float32 `inputs`."""
    onnx, ort = require("onnx"), require("onnxruntime")
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in inputs.items()}
    float32, info = onnx.TensorProto.FLOAT, onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node(operator, list(arrays), ["y"], **attributes)
    wanted = [info(name, float32, array.shape) for name, array in arrays.items()]
    graph = onnx.helper.make_graph([node], "graph", wanted, [info("y", float32, None)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, arrays)[0]


def onnx_window(case: Any) -> dict[str, Any]:
    """Return a case's stride, padding and dilation as ONNX attributes (pads: all befores, then all afters)."""
    befores, afters = zip(*case.padding, strict=True)
    return {"strides": list(case.stride), "pads": [*befores, *afters], "dilations": list(case.dilation)}
