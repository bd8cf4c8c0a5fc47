"""Layers with several inputs, alone: Add and Concat."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest

import foveal as fv
from foveal import reference
from foveal.layers import Add, Affine, Concat, Convolution, Layer
from tests.support.oracles import assert_gradient

RNG = np.random.default_rng(0)
SHAPES = [[(3, 5)], [(3, 5), (3, 5)], [(2, 4, 3)] * 3, [(2, 3, 4, 2)] * 2]
UNLIKE = [[(3,), (5,), (1,)], [(2, 4, 3), (5, 4, 3)], [(1, 2, 3, 2), (2, 2, 3, 2)]]


def arrays(shapes, n=2):
    return [RNG.standard_normal((n, *shape)) for shape in shapes]


@pytest.mark.parametrize("shapes", SHAPES)
def test_add(shapes):
    layer, xs = Add(), arrays(shapes)
    y = layer.forward(xs)
    np.testing.assert_array_equal(y, functools.reduce(np.add, xs))
    assert layer.joined_shape(shapes) == y.shape[1:] == layer.output_shape(shapes[0])
    dy = RNG.standard_normal(y.shape)
    dxs = layer.backward(dy)
    assert len(dxs) == len(xs)
    for dx in dxs:
        np.testing.assert_array_equal(dx, dy)


@pytest.mark.parametrize("shapes", SHAPES + UNLIKE)
def test_concat(shapes):
    layer, xs = Concat(), arrays(shapes)
    y = layer.forward(xs)
    np.testing.assert_array_equal(y, np.concatenate(xs, axis=1))
    assert layer.joined_shape(shapes) == y.shape[1:]
    dxs = layer.backward(y)
    for x, dx in zip(xs, dxs, strict=True):
        np.testing.assert_array_equal(x, dx)


@pytest.mark.parametrize("layer", [Add(), Concat()])
def test_gradients_agree_with_differences(layer):
    xs = arrays([(2, 4, 3)] * 3)
    y, backward = layer.run_joined(reference, xs, {})
    dy = RNG.standard_normal(y.shape)
    dxs, gradients = backward(dy)
    assert gradients == {}
    assert_gradient(lambda *xs: layer.run_joined(reference, xs, {})[0], xs, dxs, dy)


@pytest.mark.parametrize("layer", [Add(), Concat()])
def test_one_input_is_handed_on(layer):
    (x,) = arrays([(2, 4, 3)])
    y, backward = layer.run(reference, x, {})
    np.testing.assert_array_equal(y, x)
    dx, gradients = backward(2 * x)
    np.testing.assert_array_equal(dx, 2 * x)
    assert gradients == {}


@pytest.mark.parametrize("layer", [Add(), Concat()])
def test_contract(layer):
    assert repr(Layer.from_config(json.loads(json.dumps(layer.config())))) == repr(layer)
    assert (layer.parameter_shapes((2, 3)), layer.macs((2, 3))) == ({}, 0)
    xs = [x.astype(np.float32) for x in arrays([(2, 3)] * 2)]
    y = layer.forward(xs)
    assert {a.dtype for a in (y, *layer.backward(y))} == {np.dtype(np.float32)}


REFUSALS = [
    (lambda: Add().forward([]), r"^Add: expected at least one input, got none"),
    (lambda: Concat().joined_shape([]), r"^Concat: expected at least one input, got none"),
    (lambda: Add().forward([np.ones((2, 3)), np.ones((4, 3))]), r"^Add: expected as many examples .* got 2 and 4"),
    (lambda: Add().forward([np.ones(2)]), r"^Add, input 1: expected an input shape of positive integers"),
    (
        lambda: Add().joined_shape([(8, 5, 5), (4, 5, 5)], ["conv2", "input"]),
        r"'conv2' \(8, 5, 5\) and 'input' \(4, 5, 5\)\. A Convolution\(8, 1\) makes 'input' \(8, 5, 5\)\.$",
    ),
    (lambda: Add().joined_shape([(8,), (4,)], ["a", "b"]), r"An Affine\(8\) makes 'b' \(8,\)\.$"),
    (
        lambda: Add().joined_shape([(8, 13), (4, 25)]),
        r"A Convolution\(8, 1, stride=2\) makes input 2 \(8, 13\)\.$",
    ),
    (
        lambda: Add().joined_shape([(4, 25, 25), (4, 25, 25), (8, 9, 9)]),
        r"A Convolution\(8, 1, stride=3\) makes input 1 \(8, 9, 9\)\.$",
    ),
    (lambda: Add().joined_shape([(8, 5, 5), (8, 5)]), r"Put a Flatten\(\) behind the map"),
    (lambda: Concat().joined_shape([(8, 5, 5), (200,)]), r"Put a Flatten\(\) behind the map"),
    (lambda: Concat().joined_shape([(8, 5, 5), (2, 3, 3)]), r"A MaxPool\(1, 2\) makes input 1 \(3, 3\)\.$"),
    (
        lambda: Concat().joined_shape([(8, 28, 28), (2, 26, 26)], ["a", "b"]),
        r"the way to 'b' \(padding=\"same\"\), and its size stays \(28, 28\)\.$",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSALS)
def test_refused(call, message):
    with pytest.raises(fv.ShapeError, match=message):
        call()


PROPOSALS = [
    ([(8, 13), (4, 25)], Convolution(8, 1, stride=2)),
    ([(8, 9, 9), (4, 25, 25)], Convolution(8, 1, stride=3)),
    ([(8, 5, 7), (4, 5, 7)], Convolution(8, 1)),
    ([(8,), (4,)], Affine(8)),
]


@pytest.mark.parametrize(("shapes", "layer"), PROPOSALS)
def test_what_a_refusal_proposes_works(shapes, layer):
    with pytest.raises(fv.ShapeError) as error:
        Add().joined_shape(shapes)
    assert repr(layer) in str(error.value)
    assert Add().joined_shape([shapes[0], layer.output_shape(shapes[1])]) == shapes[0]
