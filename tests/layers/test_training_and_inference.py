"""Layers that do something else while a network learns: batch norm against PyTorch's modules, dropout, buffers."""

import numpy as np
import pytest

from foveal import reference
from foveal.layers import BatchNorm, Dropout, Layer, ReLU
from foveal.reference import dropout_mask
from foveal.reference.random import derive
from tests.support.oracles import require

SHAPES = [(5,), (5, 7), (5, 4, 3), (5, 2, 3, 4)]


@pytest.mark.parametrize("input_shape", SHAPES)
@pytest.mark.parametrize("options", [{}, {"epsilon": 1e-2, "momentum": 0.3}], ids=repr)
def test_batch_norm_agrees_with_pytorch_over_steps_of_training_and_then_inference(input_shape, options):
    torch, axes = require("torch"), max(len(input_shape) - 1, 1)
    names = {"epsilon": "eps", "momentum": "momentum"}
    theirs = getattr(torch.nn, f"BatchNorm{axes}d")(5, **{names[k]: v for k, v in options.items()}).double()
    layer, rng = BatchNorm(**options), np.random.default_rng(0)
    layer.initialise(input_shape, rng)
    layer.scale, layer.shift = np.arange(1, 6) / 4, np.arange(5) - 2
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(layer.scale))
        theirs.bias.copy_(torch.tensor(layer.shift))
    state = {name: np.float64(array) for name, array in layer.state.items()}
    for step in range(4):
        x, dy = rng.standard_normal((6, *input_shape)) * 2 + 3, rng.standard_normal((6, *input_shape))
        if step < 3:
            y, backward, new = layer.run_training(reference, x, state, step)
            state |= new
        else:
            theirs.eval()
            y, backward = layer.run(reference, x, state)
        theirs.zero_grad()
        tx = torch.tensor(x, requires_grad=True)
        ty = theirs(tx)
        ty.backward(torch.tensor(dy))
        np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-10, atol=1e-11)
        dx, gradients = backward(dy)
        np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(gradients["scale"], theirs.weight.grad.numpy(), rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(gradients["shift"], theirs.bias.grad.numpy(), rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(state["running_mean"], theirs.running_mean.numpy(), rtol=1e-12)
        np.testing.assert_allclose(state["running_variance"], theirs.running_var.numpy(), rtol=1e-11)


def test_batch_norm_alone_follows_the_batches_and_uses_them_afterwards():
    layer, rng = BatchNorm(momentum=0.5), np.random.default_rng(1)
    for _ in range(60):
        layer.forward(rng.standard_normal((500, 2)) * [1.0, 3.0] + [10.0, -5.0])
    np.testing.assert_allclose(layer.running_mean, [10, -5], atol=0.5)
    np.testing.assert_allclose(layer.running_variance, [1, 9], rtol=0.3)
    layer.training = False
    kept = {name: array.copy() for name, array in layer.buffers.items()}
    x = np.array([[10.0, -5.0]])
    np.testing.assert_allclose(
        layer.forward(x), (x - kept["running_mean"]) / np.sqrt(kept["running_variance"]), atol=1e-4
    )
    for name, array in layer.buffers.items():
        np.testing.assert_array_equal(array, kept[name])


def test_one_number_per_channel_gives_its_shift_and_a_finite_variance():
    layer = BatchNorm()
    np.testing.assert_array_equal(layer.forward([[7.0, 8.0]]), [[0, 0]])
    np.testing.assert_allclose(layer.running_variance, [0.9, 0.9], rtol=1e-6)


def test_initialising_again_fills_the_same_arrays():
    layer = BatchNorm()
    layer.forward(np.random.default_rng(2).standard_normal((4, 3)))
    mean, buffers = layer.running_mean, layer.buffers
    layer.initialise((3,), np.random.default_rng(0))
    assert layer.buffers is buffers
    assert layer.running_mean is mean
    assert not mean.any()
    layer.running_mean = [1, 2, 3]  # a buffer is written like a parameter
    np.testing.assert_array_equal(mean, [1, 2, 3])


def test_buffers_are_not_parameters():
    layer = BatchNorm()
    layer.initialise((3, 4, 4), np.random.default_rng(0))
    assert list(layer.parameters) == ["scale", "shift"]
    assert list(layer.buffers) == ["running_mean", "running_variance"]
    assert dict(layer.state).keys() == {*layer.parameters, *layer.buffers}
    assert not ReLU().buffers


def test_dropout_draws_again_in_each_step_and_the_same_again_from_the_start():
    x = np.ones((2, 50))
    first, second = Dropout(0.5), Dropout(0.5)
    runs = [first.forward(x) for _ in range(3)]
    for y in runs:
        np.testing.assert_array_equal(second.forward(x), y)
        np.testing.assert_array_equal(second.backward(x), y)
    assert (runs[0] != runs[1]).any()
    assert (runs[1] != runs[2]).any()


def test_the_masks_of_dropout():
    x = np.ones((4, 3, 5))
    y, backward, buffers = Dropout(0.25).run_training(reference, x, {}, 9)
    keep = dropout_mask(x.shape, 0.25, seed=9)
    np.testing.assert_array_equal(y, keep / 0.75)
    np.testing.assert_array_equal(backward(x * 3)[0], keep * 3 / 0.75)
    assert buffers == {}
    own = Dropout(0.25, seed=2)
    assert own.mask_seed(9) == derive(2, 9)
    y, _, _ = own.run_training(reference, x, {}, 9)
    np.testing.assert_array_equal(y, dropout_mask(x.shape, 0.25, seed=derive(2, 9)) / 0.75)


def test_dropout_does_nothing_when_training_is_over():
    layer = Dropout(0.9)
    layer.training = False
    x = np.random.default_rng(3).standard_normal((3, 4))
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)


def test_a_users_layer_with_run_alone_can_be_trained():
    class Twice(Layer):
        kind = "twice"

        def run(self, ops, x, p):
            return 2 * x, lambda dy: (2 * dy, {})

        def output_shape(self, input_shape):
            return tuple(input_shape)

    del Layer.types["Twice"]  # the tables of known layers are tested elsewhere
    np.testing.assert_array_equal(Twice().forward([[1.0, 2.0]]), [[2, 4]])
    y, backward, buffers = Twice().run_training(reference, np.ones((1, 2)), {}, 0)
    assert y.tolist() == backward(np.ones((1, 2)))[0].tolist() == [[2, 2]]
    assert buffers == {}
