"""Parallel and Residual alone: what they compute, whose the parameters are, and that a network computes the same."""

from __future__ import annotations

import numpy as np
import pytest

import foveal as fv
from foveal import reference
from foveal.layers import Affine, BatchNorm, Convolution, Dropout, Flatten, MaxPool, Parallel, ReLU, Residual
from tests.support.machine import bits

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4, 6, 5))


@pytest.fixture(autouse=True)
def ops_are_the_reference(monkeypatch):
    monkeypatch.setattr(fv, "ops", reference, raising=False)


def test_parallel_is_its_branches_side_by_side():
    one, two = Convolution(2, 1), Convolution(5, 3, padding=1)
    block = Parallel(one, [ReLU(), two], [])
    y = block.forward(X)
    np.testing.assert_array_equal(y, np.concatenate([one.forward(X), two.forward(np.maximum(X, 0)), X], axis=1))
    dy = RNG.standard_normal(y.shape)
    dx = block.backward(dy)
    expected = one.backward(dy[:, :2]) + (X > 0) * two.backward(dy[:, 2:7]) + dy[:, 7:]
    np.testing.assert_allclose(dx, expected, rtol=1e-12, atol=1e-14)


def test_residual_is_a_sum():
    main, shortcut = Convolution(2, 3, padding=1), Convolution(2, 1)
    y = Residual([main, ReLU()], shortcut).forward(X)
    np.testing.assert_array_equal(y, np.maximum(main.forward(X), 0) + shortcut.forward(X))
    same = Convolution(4, 3, padding=1)
    np.testing.assert_array_equal(Residual(same).forward(X), same.forward(X) + X)


def test_parameters_are_those_of_the_parts():
    one, two = Convolution(2, 1), Convolution(2, 3, padding=1, bias=False)
    block = Parallel(one, Residual(two, Convolution(2, 1)), join="add")
    assert dict(block.parameters) == {}
    block.initialise((4, 6, 5), np.random.default_rng(3))
    names = ["branch1/conv1.weight", "branch1/conv1.bias", "branch2/residual1/conv1.weight"]
    assert list(block.parameters)[:3] == names
    assert block.parameters.shapes == block.parameter_shapes((4, 6, 5))
    assert block.parameters["branch1/conv1.weight"] is one.weight
    assert block.parameters.peek()["branch2/residual1/conv1.weight"] is two.weight
    block.parameters["branch1/conv1.bias"] = [7, 8]
    np.testing.assert_array_equal(one.bias, [7, 8])
    before = block.forward(X)
    block.parameters.update({"branch1/conv1.bias": [8, 9]})
    np.testing.assert_allclose(block.forward(X) - before, 1)
    y = block.forward(X)
    block.backward(np.ones_like(y))
    np.testing.assert_array_equal(one.dw, block.gradients["branch1/conv1.weight"])
    np.testing.assert_array_equal(two.dw, block.gradients["branch2/residual1/conv1.weight"])


def test_what_was_learned_is_kept():
    """A layer that has parameters is not drawn again when a block with it runs alone."""
    conv = Convolution(4, 1)
    fv.Network([conv, ReLU()], (4, 6, 5), seed=5)
    kept = conv.weight.copy()
    Residual([conv, Convolution(4, 1)]).forward(X)
    np.testing.assert_array_equal(conv.weight, kept)


def test_buffers_follow_while_training_is_on():
    norm = BatchNorm(momentum=0.5)
    block = Residual([norm, Dropout(0.5)])
    first, second = block.forward(X), block.forward(X)
    assert (first != second).any(), "another mask for each call"
    np.testing.assert_allclose(norm.running_mean, 0.75 * X.mean((0, 2, 3)), rtol=1e-5)
    assert list(block.buffers) == ["batchnorm1.running_mean", "batchnorm1.running_variance"]
    block.training = False
    np.testing.assert_array_equal(block.forward(X), block.forward(X))


def test_a_shared_layer_learns_from_both_places():
    shared = Affine(3)
    x = RNG.standard_normal((5, 3))
    block = Parallel(shared, [ReLU(), shared])
    y = block.forward(x)
    assert list(block.parameters) == ["branch1/affine1.weight", "branch1/affine1.bias"]
    dy = RNG.standard_normal(y.shape)
    block.backward(dy)
    np.testing.assert_allclose(shared.dw, x.T @ dy[:, :3] + np.maximum(x, 0).T @ dy[:, 3:], rtol=1e-12)


@pytest.mark.parametrize("x", [np.ones((2, 7)), np.ones((2, 7, 9)), np.ones((1, 7, 3, 4, 5))])
def test_inputs_of_every_rank(x):
    block = Residual(ReLU(), Parallel([], [ReLU()], join="add"))
    np.testing.assert_array_equal(block.forward(x), 3 * x)


def test_a_network_computes_what_the_block_does_alone():
    block = Parallel(Convolution(3, 3), [MaxPool(3, 1), Residual([Convolution(4, 1), ReLU()])])
    net = fv.Network([block, Flatten()], (4, 6, 5))
    x = X.astype(np.float32)
    alone = block.forward(x).reshape(3, -1)
    np.testing.assert_allclose(net.predict(x), alone, rtol=1e-5, atol=1e-5 * np.abs(alone).max())
    assert list(net.parameters) == [f"parallel1/{name}" for name in block.parameters]
    net.layers[0].bias = [1, 2, 3]
    np.testing.assert_array_equal(bits(block.parameters["branch1/conv1.bias"]), bits([1, 2, 3]))


def test_repr_makes_the_block_again():
    block = Residual([Convolution(4, 1), Parallel([], ReLU(), join="add")], [ReLU()], name="block")
    assert repr(block) == (
        "Residual((Convolution(4, 1), Parallel((), ReLU(), join='add')), shortcut=ReLU(), name='block')"
    )
    assert repr(eval(repr(block))) == repr(block)


REFUSALS = [
    (lambda: Parallel(), fv.ParameterError, r"^Parallel: expected at least one branch, got none\. Parallel\(\[Conv"),
    (lambda: Parallel(ReLU(), join="mul"), fv.ParameterError, r"^Parallel, join: .* got 'mul'\. Known: add, concat"),
    (lambda: Parallel(ReLU(), join="Concat"), fv.ParameterError, r"Did you mean 'concat'\?"),
    (lambda: Parallel(ReLU(), 5), fv.errors.DTypeError, r"^Parallel, branch 2: expected a layer or a list .* got 5"),
    (lambda: Parallel(ReLU), fv.errors.DTypeError, r"branch 1: .* got <class .*ReLU'>"),
    (lambda: Parallel([ReLU]), fv.errors.DTypeError, r"branch 1: .*Write ReLU\(\.\.\.\)"),
    (lambda: Parallel("relu"), fv.errors.DTypeError, r"branch 1: .* got 'relu'"),
    (lambda: Parallel(ReLU(), name="a.b"), fv.ParameterError, r"^Parallel: expected a name without '\.', got 'a\.b'"),
    (lambda: Parallel(ReLU(), name=""), fv.ParameterError, r"expected a name without"),
    (lambda: Residual([]), fv.ParameterError, r"^Residual, main: expected at least one layer, got none"),
    (lambda: Residual(None), fv.errors.DTypeError, r"^Residual, main: expected a layer or a list of layers, got None"),
    (lambda: Residual(ReLU(), 5), fv.errors.DTypeError, r"^Residual, shortcut: expected a layer or a list"),
    (
        lambda: Residual(Convolution(8, 1)).forward(X),
        fv.ShapeError,
        r"^Add 'add': .* 'conv1' \(8, 6, 5\) and 'input' \(4, 6, 5\)\. A Convolution\(8, 1\) makes 'input' \(8, 6, 5\)",
    ),
    (
        lambda: Parallel(ReLU(), Convolution(3, 3)).forward(X),
        fv.ShapeError,
        r"^Concat 'concat': .* 'branch2/conv1' \(3, 4, 3\)",
    ),
    (
        lambda: Residual(Convolution(4, 9)).forward(X),
        fv.GeometryError,
        r"^Convolution 'conv1' \(4 filters 9x9\) on input \(4, 6, 5\)",
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), REFUSALS)
def test_refused(call, kind, message):
    with pytest.raises(kind, match=message) as error:
        call()
    assert type(error.value) is kind


def test_a_block_keeps_to_the_size_that_it_was_made_for():
    block = Residual(Affine(3))
    block.forward(np.ones((2, 3)))
    with pytest.raises(fv.ShapeError, match=r"^Add 'add': .* 'affine1' \(3,\) and 'input' \(5,\)"):
        block.forward(np.ones((2, 5)))
    norm = Parallel(Affine(3))
    norm.forward(np.ones((2, 3)))
    with pytest.raises(fv.ShapeError, match=r"expected x for a weight of shape \(3, 3\), got x of shape \(2, 5\)"):
        norm.forward(np.ones((2, 5)))
