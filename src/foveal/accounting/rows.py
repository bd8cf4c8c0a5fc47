"""The rows of an account: what one node is and costs; and their sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from foveal._formula import Count
from foveal.accounting.field import Field
from foveal.accounting.operations import Work
from foveal.layers.base import Layer
from foveal.layers.shapes import Shape

BIASES = ("bias", "shift")  # parameters that are added; all others are weights


@dataclass(frozen=True)
class Row:
    """What one node is and costs, for one example.

    Attributes
    ----------
    name : str
    layer : Layer
    inputs : tuple of str
        Names of what it reads.
    given : tuple of shapes
        Of its inputs, without N.
    shape : tuple of int
        Of y, without N.
    size : str
        How the size of y comes about: ``(224 + 2*3 - 7)/2 + 1 = 112.5 -> 112``.
    parameters : mapping of str to Count
        How many numbers each parameter holds.
    shares : str
        The node whose parameters this one uses, "" if they are its own. They are counted there.
    work : Work
        Multiply-adds and other operations of each pass.
    field : tuple of Field, or None
        The receptive field on each axis of the input; of a flat result that of all features together. None: behind a
        layer that is not known.
    unread : int
        Cells of its input, channels aside, that no window reads.
    inference_bytes, training_bytes : int
        For y when the network predicts; for y and its gradient when it learns.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    given: tuple[Shape, ...]
    shape: Shape
    size: str
    parameters: Mapping[str, Count]
    shares: str
    work: Work
    field: tuple[Field, ...] | None
    unread: int
    inference_bytes: int
    training_bytes: int

    @property
    def used_weights(self) -> int:
        """Weights that the node uses, its own or those of another."""
        return sum(count for name, count in self.parameters.items() if name not in BIASES)

    @property
    def used_biases(self) -> int:
        """Biases that the node uses."""
        return sum(count for name, count in self.parameters.items() if name in BIASES)

    @property
    def weights(self) -> int:
        """Weights that are counted here; with their formula, if there is one parameter of that kind."""
        own = [c for name, c in self.parameters.items() if name not in BIASES and not self.shares]
        return own[0] if len(own) == 1 else sum(own)

    @property
    def biases(self) -> int:
        """Biases that are counted here."""
        return 0 if self.shares else self.used_biases


@dataclass(frozen=True)
class Totals:
    """Sums over all rows, for one example.

    Attributes
    ----------
    weights, biases : int
    work : Work
    peak_bytes : int
        The most that maps need at once when one example is predicted.
    training_bytes : int
        For all maps and gradients that are kept when it learns, with the input.
    unread : int or None
        Cells of the network's input, channels aside, that no output depends on; None where that is not known.
    """

    weights: int
    biases: int
    work: Work
    peak_bytes: int
    training_bytes: int
    unread: int | None

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weights + self.biases
