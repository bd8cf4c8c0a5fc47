"""Foveal beside the formats of others: `foveal.interop.onnx` runs nodes of ONNX."""
