"""Every refusal of layers and graphs: the call, the class, and what the message must say."""

import numpy as np
import pytest

import foveal
from foveal import reference
from foveal.errors import DTypeError, FormatError, FovealError, GeometryError, ParameterError, ShapeError
from foveal.graph import Graph, Node
from foveal.layers import Affine, AvgPool, Convolution, Flatten, Layer, MaxPool, Parameters, ReLU, Softmax

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def ops_are_the_reference(monkeypatch):
    monkeypatch.setattr(foveal, "ops", reference, raising=False)


def made(layer, input_shape):
    layer.initialise(input_shape, RNG)
    return layer


def forwarded(layer, *shapes):
    for shape in shapes:
        layer.forward(np.zeros(shape))
    return layer


def node(name, *inputs, layer=None):
    return Node(name, layer or ReLU(), inputs, (4,))


def write(owner, name, value):
    setattr(owner, name, value)


LAYERS = [
    (
        lambda: Convolution(30, 5, stride=0),
        GeometryError,
        r"^Convolution: stride: expected a positive integer, got 0\. Use",
    ),
    (lambda: Convolution(0, 5), GeometryError, r"^Convolution: filters: expected a positive integer, got 0"),
    (lambda: Convolution(3.0, 5), DTypeError, r"^Convolution: filters: .* got 3\.0: it is a float"),
    (lambda: Convolution(3, (5, 0)), GeometryError, r"^Convolution: kernel\[1\]: .* got 0"),
    (lambda: Convolution(3, 5, padding="smae"), ParameterError, r"^Convolution: padding: .* Did you mean 'same'\?"),
    (lambda: Convolution(3, 5, padding=-1), GeometryError, r"^Convolution: padding: expected an integer of at least 0"),
    (lambda: Convolution(3, 5, groups=2), GeometryError, r"^Convolution \(3 filters 5x5\): .* divide 3 filters, got 2"),
    (lambda: Convolution(3, 5, bias="no"), DTypeError, r"^Convolution: bias: expected True or False, got 'no'"),
    (
        lambda: Convolution(3, 5, weight_std=-1),
        ParameterError,
        r"^Convolution: weight_std: .* or None for He's, got -1",
    ),
    (lambda: Affine(3, weight_std=float("nan")), ParameterError, r"^Affine: weight_std: .* got nan"),
    (lambda: Affine(3, weight_std="he"), ParameterError, r"^Affine: weight_std: .* got 'he'"),
    (lambda: Affine(0), GeometryError, r"^Affine: units: expected a positive integer, got 0"),
    (lambda: MaxPool(0), GeometryError, r"^MaxPool: kernel: expected a positive integer, got 0"),
    (lambda: MaxPool(2, stride=0), GeometryError, r"^MaxPool: stride: .* got 0"),
    (lambda: AvgPool(2, rounding="flor"), ParameterError, r"^AvgPool: rounding: .* Did you mean 'floor'\?"),
    (
        lambda: Convolution(3, (5, 5)).output_shape((28, 28)),
        ShapeError,
        r"^Convolution \(3 filters 5x5\): .*\(C, H, W\), got",
    ),
    (lambda: Convolution(3, (5, 5)).output_shape((28, 28)), ShapeError, r"One channel of 28x28 is \(1, 28, 28\)"),
    (lambda: Convolution(3, 5).output_shape((9,)), ShapeError, r"got \(9,\): it is flat"),
    (lambda: Convolution(3, 5).output_shape((1, 8, 8, 8, 8)), ShapeError, r"or \(C, D, H, W\), got .* it has 5 axes"),
    (
        lambda: Convolution(3, (5, 3)).output_shape((1, 4, 4)),
        GeometryError,
        r"^Convolution \(3 filters 5x3\): kernel: ",
    ),
    (
        lambda: Convolution(4, 3, groups=2).output_shape((3, 9, 9)),
        GeometryError,
        r"channels that groups=2 divides, got 3",
    ),
    (lambda: MaxPool(2).output_shape((3, 0, 4)), ShapeError, r"^MaxPool \(2x2\): .* positive integers, without N, got"),
    (lambda: MaxPool(9, 1).output_shape((3, 4, 4)), GeometryError, r"^MaxPool \(9x9, stride 1\): kernel: .* at most 4"),
    (
        lambda: MaxPool(2, padding=2).output_shape((3, 4, 4)),
        GeometryError,
        r"^MaxPool \(2x2\): padding: .* see the map",
    ),
    (
        lambda: AvgPool(3, 2, rounding="error").output_shape((3, 6, 6)),
        GeometryError,
        r"^AvgPool \(3x3.* divisible by the",
    ),
    (lambda: Affine(3).output_shape(7), ShapeError, r"^Affine \(3 units\): expected an input shape .* got 7"),
    (lambda: Affine(3).output_shape(()), ShapeError, r"^Affine \(3 units\): .* got \(\)"),
    (lambda: Flatten().output_shape((2, "a")), ShapeError, r"^Flatten: expected an input shape"),
    (
        lambda: Softmax().output_shape((3, 4, 4)),
        ShapeError,
        r"^Softmax: .* \(classes,\), got \(3, 4, 4\)\. Put Flatten",
    ),
    (
        lambda: ReLU().forward(np.zeros(3)),
        ShapeError,
        r"^ReLU: expected x of shape \(N, \.\.\.\), got \(3,\)\. One example",
    ),
    (lambda: ReLU().backward(np.zeros((1, 3))), ParameterError, r"^ReLU: expected forward before backward"),
    (lambda: made(Affine(2), (3,)).backward([[1, 2]]), ParameterError, r"^Affine \(2 units\): expected forward before"),
    (
        lambda: Affine(2).weight,
        ParameterError,
        r"^Affine \(2 units\): expected a weight, got no input shape yet\. Call init",
    ),
    (lambda: write(Affine(2), "weight", [[1]]), ParameterError, r"expected a weight, got no input shape yet"),
    (lambda: write(Affine(2), "bias", [1]), ParameterError, r"expected a bias, got no input shape yet"),
    (lambda: made(Affine(2, bias=False), (3,)).bias, ParameterError, r"expected a layer with a bias, got bias=False"),
    (lambda: Affine(2, bias=False).db, ParameterError, r"expected a layer with a bias, got bias=False"),
    (lambda: made(Affine(2), (3,)).dw, ParameterError, r"expected backward before gradients, got none\. Call forward"),
    (
        lambda: write(made(Affine(2), (3,)), "weight", np.zeros((2, 3))),
        ShapeError,
        r"'weight': .*\(3, 2\), got \(2, 3\)",
    ),
    (
        lambda: forwarded(Convolution(3, 5), (1, 1, 9, 9), (1, 3, 9, 9)),
        ShapeError,
        r"^Convolution \(3 filters 5x5\): expected x for a weight of shape \(3, 1, 5, 5\), got x of shape \(1, 3, 9, "
        r"9\): such an x needs a weight of shape \(3, 3, 5, 5\)\. Use a new layer",
    ),
    (lambda: forwarded(Affine(2), (1, 3), (1, 4)), ShapeError, r"expected x for a weight of shape \(3, 2\), got x of"),
    (
        lambda: Layer.from_config({"type": "Convolutoin"}),
        FormatError,
        r"^layer: .* Did you mean 'Convolution'\? Known: Add, Aff",
    ),
    (lambda: Layer.from_config({}), FormatError, r"^layer: expected a known type, got 'None'"),
    (
        lambda: Layer.from_config({"type": "ReLU", "slope": 1}),
        FormatError,
        r"^layer ReLU: expected the arguments \(\).*slope",
    ),
    (
        lambda: Layer.from_config({"type": "Affine"}),
        FormatError,
        r"^layer Affine: .* missing a required argument: 'units'",
    ),
    (lambda: Parameters({"b": [0]}).update(c=1), ParameterError, r"got 'c'\. Known: b"),
    (lambda: Parameters().update(c=1), ParameterError, r"got 'c'\. There are none"),
    (lambda: Parameters({"b": [0]}).update(b=[1, 2]), ShapeError, r"^parameter 'b': expected shape \(1,\), got \(2,\)"),
    (
        lambda: Parameters({"b": [0]}).update(b=["x"]),
        DTypeError,
        r"^parameter 'b': expected real numbers, got dtype <U1",
    ),
    (
        lambda: Parameters({"b": [0]}).pop("b"),
        ParameterError,
        r"^parameters: expected a read or a write, got del \['b'\]",
    ),
]

GRAPHS = [
    (
        lambda: Graph.sequence([Convolution(30, 5), ReLU(), Convolution(4, 30)], (1, 28, 28)),
        GeometryError,
        r"^Convolution 'conv2' \(4 filters 30x30\) on input \(30, 24, 24\): kernel: expected a window that spans "
        r"at most 24",
    ),
    (
        lambda: Graph.sequence([Affine(9), MaxPool(2)], (1, 28, 28)),
        ShapeError,
        r"^MaxPool 'pool1' \(2x2\) on input \(9,\): expected an input of shape .*, got \(9,\)",
    ),
    (lambda: Graph.sequence([], (4,)), ParameterError, r"^network: expected at least one layer, got none"),
    (
        lambda: Graph.sequence([ReLU], (4,)),
        DTypeError,
        r"^network, layer 0: expected a layer, got .*Write ReLU\(\.\.\.\)",
    ),
    (lambda: Graph.sequence([ReLU(), "relu"], (4,)), DTypeError, r"^network, layer 1: expected a layer, got 'relu'"),
    (lambda: Graph.sequence([ReLU()], 28), ShapeError, r"^network input: expected an input shape of positive integers"),
    (lambda: Graph.sequence([ReLU()], (None, 28, 28)), ShapeError, r"^network input: .* got \(None, 28, 28\)"),
    (lambda: Graph((4,), [node("a", "input"), node("a", "input")], "a"), ParameterError, r"^network: .* 'a' twice"),
    (
        lambda: Graph((4,), [node("input", "input")], "input"),
        ParameterError,
        r"^network: expected a node name .* got 'input'",
    ),
    (lambda: Graph((4,), [node("a.b", "input")], "a.b"), ParameterError, r"without '\.', .* got 'a\.b'"),
    (lambda: Graph((4,), [node("", "input")], ""), ParameterError, r"expected a node name .* got ''"),
    (lambda: Graph((4,), [node("a", "input", layer=ReLU)], "a"), DTypeError, r"^network, layer 0: expected a layer"),
    (
        lambda: Graph((4,), [node("relu1", "input")], "relu"),
        ParameterError,
        r"^network output: .* Did you mean 'relu1'\?",
    ),
    (lambda: Graph((4,), [], "a"), ParameterError, r"^network output: .* There are no nodes"),
    (
        lambda: Graph((4,), [node("a", "inptu")], "a"),
        ParameterError,
        r"^ReLU 'a': .* got 'inptu'\. Did you mean 'input'\?",
    ),
    (
        lambda: Graph((4,), [node("a", "input"), node("b", "c"), node("c", "b")], "a"),
        ParameterError,
        r"^network: expected a graph without cycles, got b <- c, c <- b: these nodes wait for each other",
    ),
    (lambda: Graph((4,), [node("a", "a")], "a"), ParameterError, r"without cycles, got a <- a"),
    (
        lambda: Graph((4,), [node("a", "input"), node("b", "a", "input")], "b"),
        ParameterError,
        r"^ReLU 'b': expected one input, got 2\. Join them first: builder\.concat",
    ),
    (lambda: Graph((4,), [node("a")], "a"), ParameterError, r"^ReLU 'a': expected one input, got 0"),
    (
        lambda: Graph((5,), [node("a", "input")], "a"),
        ShapeError,
        r"^ReLU 'a': expected a result of shape \(5,\), got \(4,\)",
    ),
    (
        lambda: Graph.sequence([layer := Affine(3), ReLU(), layer], (4,)),
        ShapeError,
        r"^Affine 'affine2' \(3 units\): expected the parameters of 'affine1', whose layer it shares: .*\(4, 3\)",
    ),
    (lambda: Graph.sequence([ReLU()], (4,))["relu2"], ParameterError, r"got 'relu2'\. Did you mean 'relu1'\?"),
    (lambda: Graph.sequence([ReLU()], (4,)).consumers("rel"), ParameterError, r"^network: expected the name of a node"),
    (
        lambda: Graph.from_config({}),
        FormatError,
        r"^network config: expected input_shape, layers, .* KeyError 'layers'",
    ),
    (lambda: Graph.from_config([1]), FormatError, r"^network config: .* TypeError"),
    (lambda: Graph.from_config({"layers": ["ReLU"]}), FormatError, r"^network config: .* AttributeError"),
    (lambda: Graph.from_config({"layers": [{"type": "Relu"}]}), FormatError, r"^layer: .* Did you mean 'ReLU'\?"),
    (
        lambda: Graph.from_config(
            {"layers": [], "input_shape": [4], "nodes": [{"name": "a", "layer": 0, "inputs": ["input"]}], "output": "a"}
        ),
        FormatError,
        r"^network config: .* IndexError",
    ),
]


@pytest.mark.parametrize(
    ("call", "error", "message"), LAYERS + GRAPHS, ids=lambda value: value[:30] if isinstance(value, str) else None
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
    assert isinstance(caught.value, FovealError)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None, "a user would see two tracebacks"


def test_layers_that_learn_nothing_have_no_weight():
    assert not hasattr(ReLU(), "weight")
    assert not hasattr(MaxPool(2), "dw")
