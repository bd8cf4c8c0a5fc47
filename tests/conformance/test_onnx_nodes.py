"""ONNX's own tests of its operators, run by `foveal.interop.onnx`: each passes or is listed with its reason."""

import importlib
import warnings
from pathlib import Path

import numpy as np
import pytest

from foveal.errors import FovealError, ParameterError
from foveal.interop.onnx import Backend
from foveal.interop.onnx_operators import OPERATORS
from tests.support.oracles import require

DILATED = "avg_pool has no dilation"
RANDOM = "training with other random numbers"
NOT_SUPPORTED = {  # by the name of ONNX's test
    "test_averagepool_2d_dilations": DILATED,
    "test_averagepool_3d_dilations_small": DILATED,
    "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_False": DILATED,
    "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_True": DILATED,
    "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_False": DILATED,
    "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True": DILATED,
    "test_training_dropout": RANDOM,
    "test_training_dropout_default": RANDOM,
    "test_training_dropout_default_mask": RANDOM,
    "test_training_dropout_mask": RANDOM,
}
FILES = {"BatchNormalization": "batch_normalization"}  # others are the operator's name in small letters
MODELS = ("pytorch-converted", "pytorch-operator", "simple")


@pytest.fixture(scope="module")
def onnx():
    return require("onnx")


@pytest.fixture(scope="module")
def cases(onnx):
    """ONNX's node tests by operator; importing the file of an operator makes its tests."""
    node = importlib.import_module("onnx.backend.test.case.node")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for operator in OPERATORS:
            importlib.import_module(f"{node.__name__}.{FILES.get(operator, operator.lower())}")
    single = [case for case in node._NodeTestCases if len(case.model.graph.node) == 1]
    return {operator: [c for c in single if c.model.graph.node[0].op_type == operator] for operator in OPERATORS}


@pytest.fixture(scope="module")
def similar(onnx):
    """ONNX's own comparison: shapes, types, and numbers within the tolerance of the test."""
    return importlib.import_module("onnx.backend.test.runner").Runner.assert_similar_outputs


def arrays(onnx, values):
    return [onnx.numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else v for v in values]


@pytest.mark.parametrize("operator", OPERATORS)
def test_nodes(operator, onnx, cases, similar, tally):
    row = tally.row(f"ONNX {onnx.__version__}, tests of nodes", operator)
    assert cases[operator], "ONNX has tests of every operator"
    for case in cases[operator]:
        for inputs, expected in case.data_sets:
            given = arrays(onnx, inputs)
            if case.name in NOT_SUPPORTED:
                with pytest.raises(ParameterError, match=f"^ONNX {operator}: expected .*, got"):
                    Backend.run_model(case.model, given)
                row.others[NOT_SUPPORTED[case.name]] += 1
                continue
            found = Backend.run_model(case.model, given)
            similar(arrays(onnx, expected), found, case.rtol, case.atol, case.name)
            alone = Backend.run_node(case.model.graph.node[0], given, opset_version=case.model.opset_import[0].version)
            for one, other in zip(alone, found, strict=True):
                np.testing.assert_array_equal(one, other, case.name)
            row.agree += 1


def test_what_is_listed_as_not_supported_exists(cases):
    known = {case.name for of_operator in cases.values() for case in of_operator}
    assert set(NOT_SUPPORTED) <= known


def data_sets(onnx, folder):
    """Return inputs and outputs of each data set that lies beside a model."""
    for place in sorted(folder.glob("test_data_set_*")):
        yield [
            [onnx.numpy_helper.to_array(onnx.load_tensor(path)) for path in sorted(place.glob(f"{kind}_*.pb"))]
            for kind in ("input", "output")
        ]


@pytest.mark.parametrize("kind", MODELS)
def test_models_of_these_operators(kind, onnx, similar, tally):
    """Layers that PyTorch wrote as ONNX, most of them of opset 6: those that consist of operators of the table."""
    loader = importlib.import_module("onnx.backend.test.loader")
    suite = f"ONNX {onnx.__version__}, models '{kind}'"
    compared = 0
    for case in loader.load_model_tests(kind=kind):
        folder = Path(case.model_dir)
        model = onnx.load(folder / "model.onnx")
        operators = [node.op_type for node in model.graph.node]
        if not Backend.is_compatible(model):
            assert set(operators) - set(OPERATORS)
            with pytest.raises(FovealError, match="expected an operator that Foveal runs"):
                Backend.prepare(model)
            tally.row(suite, "other").others["operators that Foveal does not have"] += 1
            continue
        for inputs, expected in data_sets(onnx, folder):
            similar(expected, Backend.run_model(model, inputs), case.rtol, case.atol, case.name)
            tally.row(suite, " + ".join(operators)).agree += 1
            compared += 1
    assert compared, "none was compared"
