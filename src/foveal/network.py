"""Network: what most users hold in their hand. Predict, loss, gradient, accuracy, save and load."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal import reference
from foveal._checks import check_count, check_images, check_labels
from foveal._files import atomic_write, storage_error
from foveal._version import __version__
from foveal.errors import DTypeError, FormatError, FovealError, ParameterError, ShapeError, explain
from foveal.graph import Graph, checks
from foveal.layers.base import Layer

if TYPE_CHECKING:
    from foveal.engine import Engine, Plan
    from foveal.kernels.isa import ISA

Array = NDArray[Any]
FORMAT = "foveal-network-1"


class Network:
    """A network of layers with its parameters.

    Parameters
    ----------
    layers : list of Layer, or Graph
        From the input to the scores.
    input_shape : tuple of int
        Shape of one image (C, H, W) or vector (F,).
    seed : int
        Of the initial parameters; a layer that already has parameters of the right shapes keeps them.
    classes : sequence of str, optional
        Names of the classes, kept in saved files.
    output_weights : mapping of str to float, optional
        Weights of the outputs' losses, by name, where the graph has several; 1 where none is given. An output with 0 is
        not trained.

    Attributes
    ----------
    classes : tuple of str or None
    output_weights : dict of str to float
        For every output.

    Raises
    ------
    ShapeError, GeometryError, ParameterError
        A layer cannot take what the one before it makes.

    Examples
    --------
    >>> from foveal.layers import Affine, Convolution, MaxPool, ReLU
    >>> net = Network([Convolution(4, 5), ReLU(), MaxPool(2), Affine(10)], input_shape=(1, 28, 28), seed=0)
    >>> net.parameters
    {'conv1.weight': (4, 1, 5, 5), 'conv1.bias': (4,), 'affine1.weight': (576, 10), 'affine1.bias': (10,)}
    >>> net.predict(np.zeros((3, 1, 28, 28), np.uint8)).shape
    (3, 10)
    """

    types: ClassVar[dict[str, type[Network]]] = {}

    def __init__(
        self,
        layers: Iterable[Layer] | Graph,
        input_shape: Sequence[int] | None = None,
        *,
        seed: int = 0,
        classes: Sequence[str] | None = None,
        output_weights: Mapping[str, float] | None = None,
    ) -> None:
        if isinstance(layers, Graph):
            self.graph = layers
        elif input_shape is None:
            fix = "Pass input_shape=(1, 28, 28) for grey images of 28x28."
            raise ParameterError(explain("Network", expected="an input_shape", got="None", fix=fix))
        else:
            self.graph = Graph.sequence(layers, input_shape)
        self.output_weights = checks.output_weights(self.graph, output_weights or {})
        self.seed = check_count(seed, "seed", minimum=0)
        rng = np.random.default_rng(self.seed)
        for node in self.graph.owners():
            given = self.graph.input_shapes(node.name)[0]
            if node.layer.parameters.shapes != node.layer.parameter_shapes(given):  # layers that have learned keep it
                node.layer.initialise(given, rng)
        self.classes = None if classes is None else tuple(str(c) for c in classes)
        self._engines: dict[str, Engine] = {}
        self._isa: list[Callable[[], ISA]] = []

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        Network.types[cls.__name__] = cls

    # What it is

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without N."""
        return self.graph.input_shape

    @property
    def layers(self) -> list[Layer]:
        """The layers in the order in which they run, each once."""
        return list(self.graph.layers)

    @property
    def output_size(self) -> int:
        """Number of scores, or classes."""
        return math.prod(self.graph.output_shape)

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """{"conv1.weight": (30, 1, 5, 5), ...}: name and shape of every parameter."""
        return self.graph.parameters()

    @property
    def parameter_count(self) -> int:
        """How many numbers are learned."""
        return sum(math.prod(shape) for shape in self.parameters.values())

    def summary(self) -> str:
        """Return the table of `accounting.account`: a row for every node, each number with its formula."""
        from foveal.accounting import account

        return account(self).to_text()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.input_shape} -> {self.output_size}, {self.parameter_count:,} parameters)"

    # What it computes

    @property
    def engine(self) -> Engine:
        """What runs the network on this machine; made at the first use."""
        if not self._isa:
            from foveal.kernels.isa import host  # brings Numba: not before it is needed

            self._isa.append(host)
        isa = self._isa[0]().name
        if isa not in self._engines:
            from foveal.engine import Engine

            self._engines[isa] = Engine(self.graph, self.output_weights)
        return self._engines[isa]

    def plan(self, batch: int = 100, *, training: bool = True) -> Plan:
        """Return how the network runs for batches of up to `batch` images; ``.explain()`` prints it."""
        return self.engine.plan(check_count(batch, "batch"), training, learning=training)

    def predict(self, x: ArrayLike, *, batch_size: int | None = None) -> Array:
        """Return the scores before softmax.

        Parameters
        ----------
        x : ndarray of shape (N, *input_shape), uint8 or floating
            uint8 is scaled by 1/255; floating point is taken as it is.
        batch_size : int, optional
            Images that are computed at once; the scores do not depend on it.

        Returns
        -------
        ndarray of shape (N, classes), float32

        Raises
        ------
        ShapeError, DTypeError
            x is not what the network was made for.
        """
        from foveal.engine import as_input

        images = as_input(check_images(x, self.input_shape, empty=True))
        size = None if batch_size is None else check_count(batch_size, "batch_size")
        return self.engine.scores(images, size)

    def outputs(self, x: ArrayLike, *, batch_size: int | None = None) -> dict[str, Array]:
        """Return the scores of every output, by name; the first are those of `predict`.

        Examples
        --------
        >>> from foveal.graph import GraphBuilder
        >>> from foveal.layers import Affine, Convolution, GlobalAvgPool, ReLU
        >>> build = GraphBuilder((3, 32, 32))
        >>> x = build([Convolution(8, 3), ReLU()], build.input)
        >>> aux = build([GlobalAvgPool(), Affine(10)], x, name="aux")
        >>> y = build([Convolution(16, 3, 2), ReLU(), GlobalAvgPool(), Affine(10)], x)
        >>> net = Network(build.graph({"scores": y, "aux": aux}), output_weights={"aux": 0.3})
        >>> {name: scores.shape for name, scores in net.outputs(np.zeros((5, 3, 32, 32))).items()}
        {'scores': (5, 10), 'aux': (5, 10)}
        """
        from foveal.engine import as_input

        images = as_input(check_images(x, self.input_shape, empty=True))
        size = None if batch_size is None else check_count(batch_size, "batch_size")
        return self.engine.outputs(images, size)

    def probabilities(self, x: ArrayLike, *, batch_size: int | None = None) -> Array:
        """Return softmax of the scores, (N, classes): each row sums to 1."""
        scores = self.predict(x, batch_size=batch_size)
        return reference.softmax(scores).astype(np.float32) if len(scores) else scores

    def loss(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the mean softmax cross-entropy of images x and labels t (class indices or one-hot).

        Of several outputs it is the sum of their losses, each times its weight in `output_weights`.
        """
        images, labels = self._pair(x, t)
        return self._loss(self.outputs(images), labels)

    def accuracy(self, x: ArrayLike, t: ArrayLike, *, batch_size: int | None = None) -> float:
        """Return the share of images whose highest score is their label's."""
        images, labels = self._pair(x, t)
        scores = self.predict(images, batch_size=batch_size)
        return float((scores.reshape(len(scores), -1).argmax(1) == labels).mean())

    def gradient(self, x: ArrayLike, t: ArrayLike) -> dict[str, Array]:
        """Return the gradient of the mean loss for every parameter, by name and in its shape.

        Raises
        ------
        ShapeError, DTypeError, DataError, ParameterError
            x or t is not what the network was made for.
        """
        from foveal.engine import as_input

        images, labels = self._pair(x, t)
        return dict(self.engine.gradient(as_input(images), labels)[1])

    def numerical_gradient(self, x: ArrayLike, t: ArrayLike, *, step: float = 1e-5) -> dict[str, Array]:
        """Return the gradient by central differences, (loss(p + h) - loss(p - h)) / 2h, with the reference's loss.

        Slow: two losses for each number that is learned. It checks `gradient`; it does not replace it.
        """
        images, labels = self._pair(x, t)
        arrays = {k: v.astype(np.float64) for k, v in self.arrays().items()}
        result = {}
        for name in self.parameters:
            array = arrays[name]
            slopes = np.empty(array.size)
            flat = array.reshape(-1)
            for i, kept in enumerate(flat.copy()):
                flat[i] = kept + step
                above = self._reference_loss(images, labels, arrays)
                flat[i] = kept - step
                slopes[i] = (above - self._reference_loss(images, labels, arrays)) / (2 * step)
                flat[i] = kept
            result[name] = slopes.reshape(array.shape)
        return result

    def _loss(self, scores: Mapping[str, Array], t: Array) -> float:
        weighted = [(weight, scores[name]) for name, weight in self.output_weights.items() if weight]
        return sum(weight * float(reference.cross_entropy(y, t)) for weight, y in weighted)

    def _reference_loss(self, x: Array, t: Array, arrays: Mapping[str, Array]) -> float:
        return self._loss(self._reference_outputs(x, arrays), t)

    def reference_scores(self, x: ArrayLike) -> Array:
        """Return the scores computed by the reference formulas in float64: what `predict` is tested against."""
        return next(iter(self.reference_outputs(x).values()))

    def reference_outputs(self, x: ArrayLike) -> dict[str, Array]:
        """Return the scores of every output computed by the reference formulas in float64."""
        return self._reference_outputs(check_images(x, self.input_shape), self.arrays())

    def _reference_outputs(self, x: Array, arrays: Mapping[str, Array]) -> dict[str, Array]:
        scaled = x.astype(np.float64) * (1 / 255 if x.dtype == np.uint8 else 1.0)
        run = self.graph.run(reference, scaled, {k: v.astype(np.float64) for k, v in arrays.items()})
        return {name: run.values[at] for name, at in self.graph.scores.items()}

    def _pair(self, x: ArrayLike, t: ArrayLike) -> tuple[Array, NDArray[np.int64]]:
        images = check_images(x, self.input_shape)
        return images, check_labels(t, self.output_size, len(images))

    # What it has learned

    def arrays(self) -> dict[str, Array]:
        """Return read-only views of all parameters and buffers, by name, as they are now."""
        views: dict[str, Array] = {}
        for node in self.graph.owners():
            for holder in (node.layer.parameters, node.layer.buffers):
                if holder.refresh is not None:
                    holder.refresh()
                views |= {f"{node.name}.{name}": array.view() for name, array in holder.peek().items()}
        for view in views.values():
            view.flags.writeable = False
        return views

    def load_parameters(self, parameters: Mapping[str, ArrayLike]) -> None:
        """Set every parameter, and the buffers that are given; nothing changes unless all names and shapes fit.

        Raises
        ------
        ShapeError
            Names are missing or unknown, or a shape differs; the message lists all of them.
        DTypeError
            An array does not hold real numbers.
        """
        given = {k: np.asarray(v) for k, v in parameters.items()}
        wanted = {k: v.shape for k, v in self.arrays().items()}
        both = [(k, shape, given[k].shape) for k, shape in wanted.items() if k in given]
        wrong = {
            "missing": [f"{k} is missing" for k in self.parameters if k not in given],
            "unknown": [f"{k} is unknown" for k in given if k not in wanted],
            "of another shape": [f"{k} has shape {got}, not {shape}" for k, shape, got in both if got != shape],
        }
        if any(wrong.values()):
            fix = "These are parameters of another network."
            lists = [[*told[:6], *([f"and {len(told) - 6} more {kind}"] if len(told) > 6 else [])]
                     for kind, told in wrong.items()]  # fmt: skip
            got = "; ".join(entry for entries in lists for entry in entries)
            raise ShapeError(
                explain("parameters", expected=f"the {len(self.parameters)} of {self!r}", got=got, fix=fix)
            )
        for name, value in given.items():
            if value.dtype.kind not in "fiub":
                raise DTypeError(explain(f"parameter {name!r}", expected="real numbers", got=f"dtype {value.dtype}"))
        for node in self.graph.owners():
            for holder in (node.layer.parameters, node.layer.buffers):
                holder.update({k: given[f"{node.name}.{k}"] for k in holder if f"{node.name}.{k}" in given})

    def config(self) -> dict[str, Any]:
        """Return what `load` needs to build the network again, ready for JSON."""
        weights = {name: weight for name, weight in self.output_weights.items() if weight != 1}
        described = {"type": type(self).__name__, "graph": self.graph.config(), "seed": self.seed}
        return described | ({"output_weights": weights} if weights else {})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write layers and parameters to a safetensors file; an old file is replaced only when all is written.

        Raises
        ------
        StorageError
            The file cannot be written.
        """
        from safetensors.numpy import save

        description = {"format": FORMAT, "version": __version__, "network": json.dumps(self.config())}
        if self.classes is not None:
            description["classes"] = json.dumps(self.classes)
        content = save({k: np.ascontiguousarray(v) for k, v in self.arrays().items()}, description)
        with atomic_write(path) as file:
            file.write(content)


def load(path: str | os.PathLike[str]) -> Network:
    """Return the network in a file that `Network.save` wrote.

    Raises
    ------
    FormatError
        The file is truncated, no safetensors file, or holds something else than a network of Foveal.
    StorageError
        The file cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as read

    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise storage_error(path, "read", error) from None
    try:
        arrays = read(content)
        size = int.from_bytes(content[:8], "little")
        description = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    except (SafetensorError, ValueError, KeyError) as error:
        fix = "Save it again with net.save(path); if it was copied, copy it again."
        got, why = f"{len(content):,} bytes that are none", f"{error}"
        raise FormatError(explain(str(path), expected="a safetensors file", got=got, why=why, fix=fix)) from None
    if description.get("format") != FORMAT:
        got = f"format {description.get('format')!r} with {len(arrays)} arrays"
        fix = "Only files written by Network.save describe their layers."
        raise FormatError(explain(str(path), expected=f"a network ({FORMAT})", got=got, fix=fix))
    return _build(str(path), description, arrays)


def _build(path: str, description: Mapping[str, str], arrays: Mapping[str, Array]) -> Network:
    try:
        config = json.loads(description["network"])
        kind = Network.types.get(config["type"], Network)
        net = kind.__new__(kind)
        classes = json.loads(description["classes"]) if "classes" in description else None
        graph, weights = Graph.from_config(config["graph"]), config.get("output_weights")
        Network.__init__(net, graph, seed=config["seed"], classes=classes, output_weights=weights)
        net.load_parameters(arrays)
    except (FovealError, AttributeError, KeyError, TypeError, ValueError) as error:
        got = "a description that does not fit its arrays"
        raise FormatError(explain(path, expected="a network", got=got, why=str(error))) from None
    return net


Network.types["Network"] = Network
