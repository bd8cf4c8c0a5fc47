"""ONNX run by Foveal's functions: single nodes, and models whose nodes follow each other.

`Backend` has the methods of ``onnx.backend.base.Backend``, so whatever drives such a backend can drive this one. Which
function stands for which operator is a table, `foveal.interop.onnx_operators.OPERATORS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.errors import DTypeError, FormatError, MissingDependencyError, ParameterError, explain, nearest
from foveal.interop.onnx_operators import OPERATORS, Node

Array = NDArray[Any]


@dataclass(frozen=True)
class Prepared:
    """A model that is ready to run; `Backend.prepare` makes it.

    Attributes
    ----------
    inputs, outputs : tuple of str
        What `run` takes and returns, in this order.
    constants : dict of str to ndarray
        The model's initializers.
    nodes : tuple of Node
        In the order in which they run.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: dict[str, Array]
    nodes: tuple[Node, ...]

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Array, ...]:
        """Run the nodes one after the other.

        Parameters
        ----------
        inputs : sequence of ndarray, or one ndarray for the only input
            In the order of `inputs`.
        **kwargs
            What other backends take; nothing here.

        Returns
        -------
        tuple of ndarray
            In the order of `outputs`; results have the type of the operator's first input, as ONNX demands.

        Raises
        ------
        ParameterError
            Another number of inputs than the model has, or a node asks for what Foveal does not offer.
        FovealError
            What the operations themselves refuse.
        """
        arrays = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
        if len(arrays) != len(self.inputs):
            expected = f"{len(self.inputs)} inputs ({', '.join(self.inputs)})"
            raise ParameterError(explain("ONNX model", expected=expected, got=str(len(arrays))))
        values = self.constants | dict(zip(self.inputs, arrays, strict=True))
        for node in self.nodes:
            results = node.run([values[name] if name else None for name in node.inputs])
            values.update(zip(node.outputs, results, strict=True))
        return tuple(values[name] for name in self.outputs)


class Backend:
    """Runs ONNX by Foveal, on the processor; the methods are those of ``onnx.backend.base.Backend``.

    float64 inputs keep their precision, half is computed in float32 and rounded at the end. The operators are those of
    `foveal.interop.onnx_operators.OPERATORS`, of opset 7 and newer; older nodes run where they mean the same.

    Examples
    --------
    >>> import onnx
    >>> node = onnx.helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])
    >>> Backend.run_node(node, [np.arange(16.0).reshape(1, 1, 4, 4)])
    (array([[[[ 5.,  7.],
             [13., 15.]]]]),)
    """

    @classmethod
    def prepare(cls, model: Any, device: str = "CPU", **kwargs: Any) -> Prepared:
        """Check a model and return what runs it.

        Parameters
        ----------
        model : onnx.ModelProto
            As ``onnx.load`` or ``onnx.helper.make_model`` return it.
        device : str
            "CPU".
        **kwargs
            What other backends take; nothing here.

        Raises
        ------
        FormatError
            ONNX's own checker finds the model invalid.
        ParameterError
            A node of an operator that is not in the table, or another device.
        MissingDependencyError
            The package onnx is not installed.
        """
        onnx = _onnx()
        _check_device(device)
        _check(onnx, lambda: onnx.checker.check_model(model))
        graph, opset = model.graph, _opset(model)
        constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        inputs = tuple(value.name for value in graph.input if value.name not in constants)
        nodes = tuple(_node(onnx, node, opset) for node in graph.node)
        return Prepared(inputs, tuple(value.name for value in graph.output), constants, nodes)

    @classmethod
    def run_model(cls, model: Any, inputs: Any, device: str = "CPU", **kwargs: Any) -> tuple[Array, ...]:
        """Prepare a model and run it once; see `prepare` and `Prepared.run`."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls, node: Any, inputs: Sequence[Any], device: str = "CPU", outputs_info: Any = None, **kwargs: Any
    ) -> tuple[Array, ...]:
        """Run one node.

        Parameters
        ----------
        node : onnx.NodeProto
            As ``onnx.helper.make_node`` returns it.
        inputs : sequence of array_like
            Those inputs that the node names: an input that is left out ("") has none.
        device : str
            "CPU".
        outputs_info
            Not needed: Foveal knows the types and shapes of its results.
        **kwargs
            ``opset_version``, an int: whose rules apply; the newest that the installed onnx knows where not given.

        Returns
        -------
        tuple of ndarray
            One for each output that the node names.

        Raises
        ------
        FormatError, ParameterError, MissingDependencyError
            As `prepare`.
        FovealError
            What the operation itself refuses.
        """
        onnx = _onnx()
        _check_device(device)
        opset = kwargs.get("opset_version") or onnx.defs.onnx_opset_version()
        context = onnx.checker.C.CheckerContext()
        context.ir_version, context.opset_imports = onnx.IR_VERSION, {"": opset}
        _check(onnx, lambda: onnx.checker.check_node(node, context))
        ready = _node(onnx, node, opset)
        given = tuple(name for name in ready.inputs if name)
        return Prepared(given, tuple(name for name in ready.outputs if name), {}, (ready,)).run(inputs)

    @classmethod
    def is_compatible(cls, model: Any, device: str = "CPU", **kwargs: Any) -> bool:
        """Return whether every node's operator is in the table; what its attributes ask for is seen when it runs."""
        known = all(node.op_type in OPERATORS and node.domain in DOMAINS for node in model.graph.node)
        return known and cls.supports_device(device)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Return whether `device` is the processor, "CPU".

        Examples
        --------
        >>> Backend.supports_device("CPU"), Backend.supports_device("CUDA:0")
        (True, False)
        """
        return device.split(":")[0] == "CPU"


DOMAINS = ("", "ai.onnx")  # the operators of ONNX itself, under both names


def _onnx() -> Any:
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        fix = "Run: pip install onnx"
        message = explain("foveal.interop.onnx", expected="the package onnx", got="none installed", fix=fix)
        raise MissingDependencyError(message) from error


def _check(onnx: Any, checker: Any) -> None:
    try:
        checker()
    except onnx.checker.ValidationError as error:
        got = str(error).strip().splitlines()[0]
        raise FormatError(explain("ONNX", expected="a valid model or node", got=repr(got))) from None
    except (TypeError, AttributeError) as error:
        raise DTypeError(explain("ONNX", expected="an onnx ModelProto or NodeProto", got=str(error))) from None


def _check_device(device: str) -> None:
    if not Backend.supports_device(device):
        raise ParameterError(explain("ONNX device", expected="'CPU'", got=repr(device)))


def _opset(model: Any) -> int:
    return max((int(opset.version) for opset in model.opset_import if opset.domain in DOMAINS), default=0)


def _node(onnx: Any, node: Any, opset: int) -> Node:
    """Read a NodeProto: its attributes as Python values, with the defaults of the operator's schema."""
    if node.op_type not in OPERATORS or node.domain not in DOMAINS:
        got, fix = f"{node.domain}.{node.op_type}".lstrip("."), nearest(node.op_type, OPERATORS)
        raise ParameterError(explain("ONNX node", expected="an operator that Foveal runs", got=got, fix=fix))
    schema = onnx.defs.get_schema(node.op_type, opset, "")
    defaults = [attribute.default_value for attribute in schema.attributes.values()]
    given = [attribute for attribute in (*defaults, *node.attribute) if attribute.type]  # no type: no default
    values = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in given}
    attributes = {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}
    return Node(node.op_type, tuple(node.input), tuple(node.output), attributes, opset)
