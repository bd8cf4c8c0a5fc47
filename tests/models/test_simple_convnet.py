"""SimpleConvNet is the notes' network: their constructor, their names, their 433,890 parameters."""

import numpy as np
import pytest

import foveal as fv
from foveal.errors import DTypeError, FovealError, GeometryError, ParameterError, ShapeError
from foveal.models import SimpleConvNet

SHAPES = {"W1": (30, 1, 5, 5), "b1": (30,), "W2": (4320, 100), "b2": (100,), "W3": (100, 10), "b3": (10,)}
TINY = {"input_dim": (1, 6, 6), "conv_param": {"filter_num": 2, "filter_size": 3, "pad": 0, "stride": 1},
        "hidden_size": 3, "output_size": 4, "weight_init_std": 0.5}  # fmt: skip


def test_the_notes_count():
    net = SimpleConvNet()
    assert net.parameter_count == 433_890 == 30 * 25 + 30 + 4320 * 100 + 100 + 100 * 10 + 10
    assert {name: array.shape for name, array in net.params.items()} == SHAPES
    assert list(net.params) == list(SHAPES)
    assert net.input_shape == (1, 28, 28)
    assert net.output_size == 10
    assert [node.name for node in net.graph.nodes] == ["conv1", "relu1", "pool1", "affine1", "relu2", "affine2"]


def test_initial_values():
    net = SimpleConvNet(weight_init_std=0.03, seed=4)
    for name, array in net.params.items():
        assert array.dtype == np.float32
        if name.startswith("b"):
            assert not array.any()
        else:
            spread = 5 / np.sqrt(2 * array.size)  # five standard errors of a standard deviation
            assert array.std() == pytest.approx(0.03, rel=spread)
            assert abs(array.mean()) < 5 * 0.03 / np.sqrt(array.size)
    again, other = SimpleConvNet(weight_init_std=0.03, seed=4), SimpleConvNet(weight_init_std=0.03, seed=5)
    np.testing.assert_array_equal(net.params["W1"], again.params["W1"])
    assert not np.array_equal(net.params["W1"], other.params["W1"])


def test_every_argument():
    conv = {"filter_num": 7, "filter_size": 3, "pad": 1, "stride": 2}
    net = SimpleConvNet((3, 16, 12), conv, hidden_size=20, output_size=5)
    assert net.parameters == {
        "conv1.weight": (7, 3, 3, 3), "conv1.bias": (7,), "affine1.weight": (7 * 4 * 3, 20), "affine1.bias": (20,),
        "affine2.weight": (20, 5), "affine2.bias": (5,),
    }  # fmt: skip
    x = np.random.default_rng(0).standard_normal((4, 3, 16, 12))
    np.testing.assert_allclose(net.predict(x), net.reference_scores(x), rtol=1e-4, atol=1e-6)
    part = SimpleConvNet(conv_param={"filter_size": 3})
    assert part.params["W1"].shape == (30, 1, 3, 3), "what is not given has the notes' value"


def test_the_formula_of_the_notes():
    """im2col is not needed to say it: loops over windows, then two matrix products, in NumPy and float64."""
    net = SimpleConvNet(**TINY)
    rng = np.random.default_rng(1)
    for name in ("b1", "b2", "b3"):
        net.params[name] = rng.standard_normal(net.params[name].shape)
    p = {k: v.astype(np.float64) for k, v in net.params.items()}
    x = rng.standard_normal((5, 1, 6, 6)).astype(np.float32)
    maps = np.empty((5, 2, 4, 4))
    for i, j in np.ndindex(4, 4):
        maps[:, :, i, j] = np.einsum("ncrs,kcrs->nk", x[:, :, i : i + 3, j : j + 3].astype(float), p["W1"]) + p["b1"]
    pooled = np.maximum(maps, 0).reshape(5, 2, 2, 2, 2, 2).max(axis=(3, 5))
    hidden = np.maximum(pooled.reshape(5, -1) @ p["W2"] + p["b2"], 0)
    np.testing.assert_allclose(net.predict(x), hidden @ p["W3"] + p["b3"], rtol=1e-5, atol=1e-6)


def test_gradient_equals_numerical_gradient():
    net = SimpleConvNet(**TINY)
    rng = np.random.default_rng(2)
    net.load_parameters({k: v + 0.1 * rng.standard_normal(v.shape) for k, v in net.arrays().items()})
    x, t = rng.standard_normal((6, 1, 6, 6)), rng.integers(0, 4, 6)
    exact, numeric = net.gradient(x, t), net.numerical_gradient(x.astype(np.float32), t)
    assert list(exact) == list(numeric) == list(net.parameters)
    for name, gradient in exact.items():
        np.testing.assert_allclose(gradient, numeric[name], rtol=1e-3, atol=1e-6, err_msg=name)
        assert np.abs(numeric[name]).max() > 1e-3, f"{name}: a zero gradient proves nothing"


def test_params_are_the_networks_arrays():
    net = SimpleConvNet(**TINY)
    x = np.random.default_rng(3).standard_normal((4, 1, 6, 6))
    first = net.predict(x)
    w = net.params["W3"]
    w *= 2
    np.testing.assert_allclose(net.predict(x), 2 * first, rtol=1e-5, atol=1e-7)
    net.params["b3"] = [1, 2, 3, 4]
    np.testing.assert_allclose(net.predict(x), 2 * first + [1, 2, 3, 4], rtol=1e-5, atol=1e-6)
    assert len(net.params) == 6
    assert "W4" not in net.params
    assert "W1: (2, 1, 3, 3)" in repr(net.params)
    fv.fit(net, x.astype(np.float32), np.arange(4), epochs=1, progress=False)
    assert net.params["W3"] is w or np.shares_memory(net.params["W3"], w)


def test_params_refuse():
    net = SimpleConvNet(**TINY)
    with pytest.raises(KeyError, match="W4"):
        net.params["W4"]
    with pytest.raises(KeyError, match="W4"):
        net.params["W4"] = 1
    with pytest.raises(ParameterError, match=r"^params: expected a read or a write, got del \['W1'\]"):
        del net.params["W1"]
    with pytest.raises(ShapeError, match=r"shape \(2,\), got \(3,\)"):
        net.params["b1"] = np.zeros(3)


WRONG = [
    (lambda: SimpleConvNet(conv_param={"filters": 3}), ParameterError, r"^conv_param: .* got 'filters'.*filter_num"),
    (lambda: SimpleConvNet(conv_param={"filter_size": 40}), GeometryError, r"conv1"),
    (lambda: SimpleConvNet(conv_param={"filter_num": 0}), GeometryError, r"filters"),
    (lambda: SimpleConvNet(conv_param={"stride": 0}), GeometryError, r"stride"),
    (lambda: SimpleConvNet(hidden_size=0), GeometryError, r"^Affine: units: expected a positive integer, got 0"),
    (lambda: SimpleConvNet(output_size=2.5), DTypeError, r"^Affine: units"),
    (lambda: SimpleConvNet(weight_init_std=-1), ParameterError, r"weight_std: .* got -1"),
    (lambda: SimpleConvNet(weight_init_std="he"), ParameterError, r"weight_std: .* got 'he'"),
    (lambda: SimpleConvNet(input_dim=(28, 28)), ShapeError, r"\(C, H, W\)"),
    (lambda: SimpleConvNet(seed=-1), ParameterError, r"^seed: expected a whole number of at least 0, got -1"),
    (lambda: SimpleConvNet(seed=1.5), DTypeError, r"^seed"),
]


@pytest.mark.parametrize(("make", "kind", "message"), WRONG)
def test_refusals(make, kind, message):
    with pytest.raises(FovealError, match=message) as error:
        make()
    assert type(error.value) is kind
