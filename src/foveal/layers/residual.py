"""Residual: what layers find is added to what they read, so that a deep network begins as a shallow one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foveal.errors import ParameterError, explain
from foveal.layers.composite import Composite, Path, as_argument, as_path
from foveal.layers.join import Add

if TYPE_CHECKING:
    from foveal.graph import GraphBuilder


class Residual(Composite):
    """``y = main(x) + shortcut(x)``, or ``main(x) + x``.

    In a network every layer of it is a node of its own: ``residual1/conv1``, ``residual1/shortcut/conv1`` and the sum
    ``residual1/add``, or ``stage2/...`` with ``name="stage2"``.

    Parameters
    ----------
    main : Layer or list of Layer
        What is learned.
    shortcut : Layer or list of Layer, optional
        Where main changes the shape of x, what changes x in the same way, such as ``Convolution(128, 1, stride=2)``.
    name : str, optional
        What nodes of a graph are called after.

    Raises
    ------
    ParameterError, DTypeError
        Nothing in main, something else than layers.

    Source
    ------
    He et al., Deep residual learning for image recognition, CVPR 2016, eq. 1 and 2.

    Examples
    --------
    >>> from foveal.layers import Convolution, ReLU
    >>> main = [Convolution(8, 3, padding=1), ReLU(), Convolution(8, 3, padding=1)]
    >>> [node.name for node in Residual(main).graph((8, 14, 14)).nodes]
    ['conv1', 'relu1', 'conv2', 'add']
    >>> Residual(main).output_shape((4, 14, 14))
    Traceback (most recent call last):
    foveal.errors.ShapeError: Add 'add': expected inputs of one shape, got 'conv2' (8, 14, 14) and 'input' (4, 14, 14).
    A Convolution(8, 1) makes 'input' (8, 14, 14).
    """

    kind = "residual"

    def __init__(self, main: Path, shortcut: Path | None = None, *, name: str | None = None) -> None:
        super().__init__(name)
        self.main = as_path(main, "Residual, main")
        self.shortcut = as_path([] if shortcut is None else shortcut, "Residual, shortcut")
        if not self.main:
            raise ParameterError(explain("Residual, main", expected="at least one layer", got="none"))

    def expand(self, build: GraphBuilder, x: str) -> str:
        """Add both ways and their sum; see `Composite.expand`."""
        y = build(self.main, x)
        return build(Add(), y, build(self.shortcut, x, name="shortcut"), name="add")

    def argument(self, name: str) -> Any:
        """Return the constructor's argument called `name`; a way of one layer is that layer, the identity None."""
        if name == "name":
            return self.name
        return as_argument(getattr(self, name)) or None
