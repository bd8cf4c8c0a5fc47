"""Layers with several inputs: the sum of maps, and their channels side by side."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike

from foveal.errors import ShapeError, explain
from foveal.layers.base import Array, Backward, Gradients, Layer
from foveal.layers.shapes import Shape, positive_shape

JoinBackward = Callable[[Array], tuple[list[Array], Gradients]]


class Join(Layer):
    """A layer with several inputs; a subclass says `joined_shape` and `run_joined` where others say `output_shape`
    and `run`, which here are the join of a single input.

    Alone, ``forward([a, b])`` returns y and ``backward(dy)`` the gradients [da, db].
    """

    def joined_shape(self, shapes: Sequence[Shape], names: Sequence[str] = ()) -> Shape:
        """Return the shape of y for inputs of `shapes`, all without N.

        names : what messages call the inputs; without them "input 1", "input 2"...
        """
        raise NotImplementedError

    def run_joined(self, ops: ModuleType, xs: Sequence[Array], p: Mapping[str, Array]) -> tuple[Array, JoinBackward]:
        """Return y and its backward, ``dy -> ([dx of each input], gradients)``; as pure as `Layer.run`."""
        raise NotImplementedError

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of y for one input."""
        return self.joined_shape([input_shape])

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y of one input and its backward; see `Layer.run`."""
        y, backward_of_all = self.run_joined(ops, [x], p)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            (dx,), gradients = backward_of_all(dy)
            return dx, gradients

        return y, backward

    def forward(self, x: Iterable[ArrayLike]) -> Array:  # type: ignore[override]  # several inputs
        """Return y of the arrays in x, and remember what `backward` needs."""
        from foveal import ops

        xs = [np.asarray(a) for a in x]
        self.joined_shape([a.shape[1:] for a in xs])
        if len({len(a) for a in xs}) > 1:
            got = " and ".join(str(len(a)) for a in xs)
            raise ShapeError(explain(self.title(), expected="as many examples in each input", got=got))
        y, self._backward = self.run_joined(ops, xs, self.state)  # type: ignore[assignment]
        return y

    def _checked(self, shapes: Sequence[Shape], names: Sequence[str]) -> tuple[list[Shape], list[str]]:
        if not shapes:
            raise ShapeError(explain(self.title(), expected="at least one input", got="none"))
        named = [repr(n) for n in names] or [f"input {i}" for i in range(1, len(shapes) + 1)]
        return [positive_shape(s, f"{self.title()}, {n}") for s, n in zip(shapes, named, strict=True)], named


class Add(Join):
    """``y = x1 + x2 + ...``, all of one shape; every input gets dy.

    Source: He et al., Deep residual learning for image recognition, CVPR 2016, eq. 1.

    Examples
    --------
    >>> Add().forward([[[1.0, 2.0]], [[10.0, 20.0]]])
    array([[11., 22.]])
    >>> Add().joined_shape([(64, 28, 28), (128, 14, 14)], ["input", "conv2"])
    Traceback (most recent call last):
    foveal.errors.ShapeError: Add: expected inputs of one shape, got 'input' (64, 28, 28) and 'conv2' (128, 14, 14). A
    Convolution(128, 1, stride=2) makes 'input' (128, 14, 14).
    """

    kind = "add"

    def run_joined(self, ops: ModuleType, xs: Sequence[Array], p: Mapping[str, Array]) -> tuple[Array, JoinBackward]:
        """Return y and its backward; see `Join.run_joined`."""
        y = functools.reduce(operator.add, xs)

        def backward(dy: Array) -> tuple[list[Array], Gradients]:
            return [dy for _ in xs], {}

        return y, backward

    def joined_shape(self, shapes: Sequence[Shape], names: Sequence[str] = ()) -> Shape:
        """Return the shape that all inputs have."""
        known, named = self._checked(shapes, names)
        if len(set(known)) > 1:
            got = " and ".join(f"{n} {s}" for n, s in zip(named, known, strict=True))
            fix = _made_equal(known, named)
            raise ShapeError(explain(self.title(), expected="inputs of one shape", got=got, fix=fix))
        return known[0]


class Concat(Join):
    """The channels of all inputs, one after the other: ``y[n] = [x1[n,0], ..., x1[n,C1-1], x2[n,0], ...]``.

    Maps must be of one size; rows of features are put one behind the other.

    Source: Szegedy et al., Going deeper with convolutions, CVPR 2015, figure 2.

    Examples
    --------
    >>> Concat().joined_shape([(64, 28, 28), (128, 28, 28), (32, 28, 28)])
    (224, 28, 28)
    >>> Concat().joined_shape([(64, 28, 28), (128, 26, 26)], ["branch1/conv1", "branch2/conv1"])
    Traceback (most recent call last):
    foveal.errors.ShapeError: Concat: expected inputs of one size, got 'branch1/conv1' (64, 28, 28) and 'branch2/conv1'
    (128, 26, 26). Pad the windows on the way to 'branch2/conv1' (padding="same"), and its size stays (28, 28).
    """

    kind = "concat"

    def run_joined(self, ops: ModuleType, xs: Sequence[Array], p: Mapping[str, Array]) -> tuple[Array, JoinBackward]:
        """Return y and its backward; see `Join.run_joined`."""
        y = np.concatenate(xs, axis=1)
        ends = np.cumsum([x.shape[1] for x in xs])[:-1]

        def backward(dy: Array) -> tuple[list[Array], Gradients]:
            return np.split(dy, ends, axis=1), {}

        return y, backward

    def joined_shape(self, shapes: Sequence[Shape], names: Sequence[str] = ()) -> Shape:
        """Return the shape of y: the sum of all channels, and the size that all inputs have."""
        known, named = self._checked(shapes, names)
        if len({s[1:] for s in known}) > 1:
            got = " and ".join(f"{n} {s}" for n, s in zip(named, known, strict=True))
            fix = _made_equal([(1, *s[1:]) for s in known], named, size_only=True)
            raise ShapeError(explain(self.title(), expected="inputs of one size", got=got, fix=fix))
        return sum(s[0] for s in known), *known[0][1:]


def _made_equal(shapes: Sequence[Shape], names: Sequence[str], size_only: bool = False) -> str:
    """Return what makes the first two inputs that differ equal: the nearest fix of a join."""
    other = next(i for i, s in enumerate(shapes) if s != shapes[0])
    first, second = (shapes[0], names[0]), (shapes[other], names[other])
    if len(first[0]) != len(second[0]):
        return "Put a Flatten() behind the map, or join before the map is flattened."
    if first[0][1:] == second[0][1:]:  # only the channels differ
        made = f"A Convolution({first[0][0]}, 1)" if len(first[0]) > 1 else f"An Affine({first[0][0]})"
        return f"{made} makes {second[1]} {first[0]}."
    (small, small_name), (large, large_name) = sorted([first, second], key=lambda pair: pair[0][1:])
    stride = -(-large[1] // small[1])
    if small[1:] == tuple((n - 1) // stride + 1 for n in large[1:]):  # the size that a 1x1 window leaves
        made = f"MaxPool(1, {stride})" if size_only else f"Convolution({small[0]}, 1, stride={stride})"
        return f"A {made} makes {large_name} {small[1:] if size_only else small}."
    return f'Pad the windows on the way to {small_name} (padding="same"), and its size stays {large[1:]}.'
