"""The networks of the papers compute: scores and gradients are those of the formulas, and files keep them."""

import math

import numpy as np
import pytest

import foveal as fv
from foveal import reference
from foveal.errors import FovealError, GeometryError, ParameterError, ShapeError
from foveal.layers import Parallel, Residual
from foveal.models import (
    MLP,
    VGG,
    AlexNet,
    DeepConvNet,
    GoogLeNet,
    InceptionSmall,
    LeNet5,
    MobileNetV1,
    ResNet,
    SqueezeNet,
)
from tests.support.oracles import U32

SMALL = {
    "lenet5": lambda: LeNet5(seed=1),
    "lenet5, 28x28": lambda: LeNet5((1, 28, 28), 7, seed=1),
    "lenet5 modern": lambda: LeNet5(variant="modern", seed=1),
    "deepconvnet": lambda: DeepConvNet(seed=1),
    "mlp": lambda: MLP(hidden_sizes=(30, 20), seed=1),
    "resnet8": lambda: ResNet(8, (3, 12, 12), seed=1),
    "mobilenet": lambda: MobileNetV1((3, 20, 20), 10, width=0.1, seed=1),
}
LARGER = {
    "resnet20": lambda: ResNet(20, seed=1),
    "resnet14 B": lambda: ResNet(14, (3, 16, 16), shortcut="B", seed=1),
    "squeezenet": lambda: SqueezeNet((3, 64, 64), 10, seed=1),
    "squeezenet 1.1": lambda: SqueezeNet((3, 64, 64), 10, "1.1", seed=1),
    "inception small": lambda: InceptionSmall((3, 16, 16), seed=1),
    "googlenet bn": lambda: GoogLeNet((3, 47, 47), 10, batch_norm=True, seed=1),
}
small = pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
every = pytest.mark.parametrize("make", (SMALL | LARGER).values(), ids=SMALL | LARGER)


def moved(net):
    """Give biases, shifts and statistics values that show; they begin as 0 and 1."""
    rng = np.random.default_rng(5)
    new = {}
    for name, array in net.arrays().items():
        part = name.split(".")[1]
        new[name] = array if part == "weight" else array + rng.uniform(0, 0.2, array.shape)
    net.load_parameters(new)
    return net


def images(net, n=2):
    return np.random.default_rng(0).uniform(0, 1, (n, *net.input_shape)).astype(np.float32)


def roundings(net):
    """Roundings of a sum of n terms grow like sqrt(n); each layer adds its own.

    Source: Higham and Mary, A new approach to probabilistic rounding error analysis, SIAM J. Sci. Comput. 2019.
    """
    fan_ins = [s[0] if len(s) == 2 else math.prod(s[1:]) for k, s in net.parameters.items() if k.endswith(".weight")]
    return U32 * sum(1 + math.sqrt(n) for n in fan_ins)


@every
def test_scores_are_those_of_the_formulas(make):
    net = moved(make())
    x = images(net)
    expected = net.reference_scores(x)
    assert expected.shape == (2, net.output_size)
    assert np.ptp(expected, axis=1).min() > 1e-3, "scores that are all alike prove nothing"
    np.testing.assert_allclose(net.predict(x), expected, rtol=0, atol=4 * roundings(net) * np.abs(expected).max())


def exact_gradient(net, x, t):
    """The gradient of the mean loss in float64, by the formulas, and a function that gives the loss for parameters."""
    arrays = {k: v.astype(np.float64) for k, v in net.arrays().items()}

    def run(p):
        computed = net.graph.run(reference, x.astype(np.float64), p)
        return computed, computed.values[net.graph.output].reshape(len(x), -1)

    computed, y = run(arrays)
    dy = reference.cross_entropy_grad(y, t).reshape(computed.values[net.graph.output].shape)
    gradients = computed.backward({net.graph.output: dy})[1]
    return arrays, gradients, lambda p: float(reference.cross_entropy(run(p)[1], t))


@small
def test_gradients(make):
    """The formulas against differences of the loss, and the engine against the formulas."""
    net = moved(make())
    x, t = images(net, 3), np.array([0, 3, 6])
    arrays, gradients, loss = exact_gradient(net, x, t)
    rng = np.random.default_rng(2)
    for name in gradients:
        v = rng.standard_normal(arrays[name].shape)
        v /= np.linalg.norm(v)
        step = 1e-6 * max(1.0, float(np.abs(arrays[name]).max()))
        ends = [loss(arrays | {name: arrays[name] + sign * step * v}) for sign in (1, -1)]
        exact = float(np.vdot(gradients[name], v))
        noise = 1e-15 * max(abs(ends[0]), 1) * 100 / step  # roundings of both losses, over the step
        scale = float(np.linalg.norm(gradients[name]))
        assert abs((ends[0] - ends[1]) / (2 * step) - exact) <= 1e-5 * scale + noise, name
    engine = net.gradient(x, t)
    assert list(engine) == list(gradients)
    for name, gradient in gradients.items():
        bound = 40 * roundings(net) * np.abs(gradient).max() + 1e-9
        np.testing.assert_allclose(engine[name], gradient, rtol=0, atol=bound, err_msg=name)


@small
def test_files_keep_them(make, tmp_path):
    net = moved(make())
    x = images(net)
    net.save(tmp_path / "net.safetensors")
    again = fv.load(tmp_path / "net.safetensors")
    assert type(again) is type(net)
    assert [node.name for node in again.graph.nodes] == [node.name for node in net.graph.nodes]
    np.testing.assert_array_equal(again.predict(x), net.predict(x))


def test_lenet5_begins_as_the_paper_says():
    """Appendix A: U(-2.4/F, 2.4/F), F the numbers that a unit reads, by its row of table I in C3."""
    arrays = LeNet5(seed=3).arrays()
    fan_ins = {"C1/conv1": 25, "C3/sparseconv1": np.repeat([75, 100, 150], [18, 36, 6])[:, None, None],
               "C5/conv1": 400, "F6/affine1": 120}  # fmt: skip
    for name, fan_in in fan_ins.items():
        uniform = arrays[f"{name}.weight"] * fan_in / 2.4
        assert np.abs(uniform).max() <= 1 + 1e-6, name
        assert (uniform**2).mean() == pytest.approx(1 / 3, rel=5 * math.sqrt(4 / 5 / uniform.size)), name
    assert not any(array.any() for name, array in arrays.items() if name.endswith(".bias"))
    assert (arrays["S2/subsampling1.coefficient"] == 0.25).all()


def test_alexnet_begins_as_the_paper_says():
    net = AlexNet((3, 67, 67), 5, seed=3)
    arrays = net.arrays()
    ones = {name.split(".")[0] for name, array in arrays.items() if name.endswith(".bias") and array.all()}
    assert ones == {"conv2", "conv4", "conv5", "affine1", "affine2"}
    for name, array in arrays.items():
        if name.endswith(".weight"):
            assert array.std() == pytest.approx(0.01, rel=5 / math.sqrt(2 * array.size)), name
        else:
            assert set(np.unique(array)) <= {0, 1}
    x = images(net)
    expected = net.reference_scores(x)
    np.testing.assert_allclose(net.predict(x), expected, rtol=0, atol=4 * roundings(net) * np.abs(expected).max())
    one = AlexNet((3, 63, 63), 5, "one-tower", seed=3)
    assert not any(array.any() for name, array in one.arrays().items() if name.endswith(".bias"))


def test_googlenet_trains_with_its_heads():
    net = GoogLeNet((3, 79, 79), 4, heads=True, seed=1)
    assert net.output_weights == {"scores": 1.0, "aux1": 0.3, "aux2": 0.3}
    x, t = images(net), np.array([0, 3])
    outputs = net.reference_outputs(x)
    losses = {name: float(reference.cross_entropy(y.reshape(2, -1), t)) for name, y in outputs.items()}
    assert net.loss(x, t) == pytest.approx(losses["scores"] + 0.3 * (losses["aux1"] + losses["aux2"]), rel=1e-4)
    gradient = net.gradient(x, t)
    assert all(np.abs(array).max() > 0 for name, array in gradient.items() if name.startswith(("aux", "conv1")))


def test_random_numbers_come_from_the_seed():
    for make in (
        LeNet5,
        DeepConvNet,
        lambda seed: ResNet(8, seed=seed),
        lambda seed: LeNet5(variant="modern", seed=seed),
    ):
        first, again, other = (make(seed=seed).arrays() for seed in (4, 4, 5))
        name = next(iter(first))
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])


def test_an_mlp_of_any_depth():
    assert MLP((784,), ()).parameters == {"affine1.weight": (784, 10), "affine1.bias": (10,)}
    assert MLP((3, 4, 5), (7,), 2).parameter_count == 60 * 7 + 7 + 7 * 2 + 2


def test_the_blocks_are_layers():
    from foveal.models.googlenet import inception
    from foveal.models.squeezenet import fire

    assert isinstance(inception(1, 2, 3, 4, 5, 6), Parallel)
    x = np.random.default_rng(0).standard_normal((2, 4, 6, 5))
    assert inception(1, 2, 3, 4, 5, 6).forward(x).shape == (2, 15, 6, 5)
    assert Residual(fire(2, 2, 2)).forward(x).shape == (2, 4, 6, 5)


WRONG = [
    (lambda: LeNet5(variant="moden"), ParameterError, r"^LeNet5: variant: .* got 'moden'\. Did you mean 'modern'\?"),
    (lambda: LeNet5(output_size=12), ParameterError, r"^LeNet5: output_size: expected 1 to 10 .* variant='modern'"),
    (lambda: LeNet5(output_size=2.5), ParameterError, r"^LeNet5: output_size"),
    (lambda: LeNet5((28, 28)), ShapeError, r"^LeNet5: expected input_dim \(C, H, W\), got \(28, 28\)"),
    (lambda: LeNet5(seed=-1), ParameterError, "^seed"),
    (lambda: AlexNet(variant=2012), ParameterError, r"^AlexNet: variant: expected '2012' or 'one-tower', got 2012"),
    (lambda: AlexNet((3, 32, 32)), GeometryError, r"pool2.*The smallest larger input .* \(3, 67, 67\)"),
    (lambda: AlexNet((3, 32, 32), variant="one-tower"), GeometryError, r"\(3, 63, 63\)"),
    (lambda: GoogLeNet((3, 32, 32)), GeometryError, r"\(3, 47, 47\)"),
    (
        lambda: GoogLeNet((3, 64, 64), heads=True),
        GeometryError,
        r"^AvgPool 'aux1/pool1' \(5x5, stride 3\) on input \(512, 4, 4\)",
    ),
    (lambda: VGG(17), ParameterError, r"^VGG: depth: expected 11, 13, 16 or 19, got 17"),
    (lambda: VGG("16"), ParameterError, r"got '16'"),
    (lambda: VGG(11, (3, 28, 28)), GeometryError, r"\(3, 32, 32\)"),
    (lambda: ResNet(19), ParameterError, r"^ResNet: depth: expected 18, 34, 50, 101, 152, or 6n \+ 2 layers, got 19"),
    (lambda: ResNet(2), ParameterError, "^ResNet: depth"),
    (lambda: ResNet("18"), ParameterError, r"^ResNet: depth: .* got '18'"),
    (lambda: ResNet(20, stem="7x7"), ParameterError, r"^ResNet\(20\): stem: expected '3x3', got '7x7'"),
    (lambda: ResNet(18, stem="5x5"), ParameterError, r"^ResNet\(18\): stem: expected '7x7' or '3x3'"),
    (lambda: ResNet(18, shortcut="C"), ParameterError, r"^ResNet\(18\): shortcut: expected 'A' or 'B', got 'C'"),
    (lambda: ResNet(20, output_size=0), GeometryError, "units"),
    (lambda: SqueezeNet(version="2"), ParameterError, r"^SqueezeNet: version: expected '1\.0' or '1\.1', got '2'"),
    (lambda: SqueezeNet((3, 28, 28)), GeometryError, "^MaxPool 'pool3'"),
    (lambda: MobileNetV1(width=0), ParameterError, r"^MobileNetV1: width: expected a number above 0, got 0"),
    (lambda: MobileNetV1(width="thin"), ParameterError, r"^MobileNetV1: width"),
    (lambda: DeepConvNet((28,)), ShapeError, "conv1"),
    (lambda: MLP(hidden_sizes=100), ParameterError, r"^MLP: hidden_sizes: .* got 100\. One layer of 100 is \(100,\)"),
    (lambda: MLP(hidden_sizes=(0,)), GeometryError, "units"),
]


@pytest.mark.parametrize(("make", "kind", "message"), WRONG)
def test_refusals(make, kind, message):
    with pytest.raises(FovealError, match=message) as error:
        make()
    assert isinstance(error.value, kind)
