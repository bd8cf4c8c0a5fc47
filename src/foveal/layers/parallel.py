"""Parallel: several branches read the same map, and their results are joined. Inception blocks are made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foveal.errors import ParameterError, explain, nearest
from foveal.layers.composite import Composite, Path, as_argument, as_path
from foveal.layers.join import Add, Concat, Join

if TYPE_CHECKING:
    from foveal.graph import GraphBuilder

JOINS: dict[str, type[Join]] = {"concat": Concat, "add": Add}


class Parallel(Composite):
    """``y = join(branch1(x), branch2(x), ...)``.

    In a network every layer of it is a node of its own: ``parallel1/branch2/conv1``, or ``inception3a/branch2/conv1``
    with ``name="inception3a"``. The join is ``parallel1/concat``.

    Parameters
    ----------
    *branches : Layer or list of Layer
        What reads x; an empty list hands x on.
    join : "concat" or "add"
        Channels one after the other, in the order of the branches, or the sum.
    name : str, optional
        What nodes of a graph are called after.

    Raises
    ------
    ParameterError, DTypeError
        No branches, an unknown join, something else than layers.

    Source
    ------
    Szegedy et al., Going deeper with convolutions, CVPR 2015, figure 2.

    Examples
    --------
    >>> from foveal.layers import Convolution, MaxPool
    >>> block = Parallel(Convolution(64, 1), [Convolution(96, 1), Convolution(128, 3, padding=1)], MaxPool(3, 1, 1))
    >>> block.output_shape((192, 28, 28))
    (384, 28, 28)
    >>> [node.name for node in block.graph((192, 28, 28)).nodes]
    ['branch1/conv1', 'branch2/conv1', 'branch2/conv2', 'branch3/pool1', 'concat']
    """

    kind = "parallel"

    def __init__(self, *branches: Path, join: str = "concat", name: str | None = None) -> None:
        super().__init__(name)
        self.branches = tuple(as_path(b, f"Parallel, branch {i}") for i, b in enumerate(branches, 1))
        if not self.branches:
            fix = "Parallel([Convolution(8, 1)], [MaxPool(3, 1, 1)]) has two."
            raise ParameterError(explain("Parallel", expected="at least one branch", got="none", fix=fix))
        if not isinstance(join, str) or join not in JOINS:
            fix = nearest(str(join), JOINS)
            raise ParameterError(explain("Parallel, join", expected="a known join", got=repr(join), fix=fix))
        self.join = join

    def expand(self, build: GraphBuilder, x: str) -> str:
        """Add the branches and their join; see `Composite.expand`."""
        ends = [build(branch, x, name=f"branch{i}") for i, branch in enumerate(self.branches, 1)]
        return build(JOINS[self.join](), *ends, name=self.join)

    def argument(self, name: str) -> Any:
        """Return the constructor's argument called `name`; a branch of one layer is that layer."""
        return [as_argument(b) for b in self.branches] if name == "branches" else super().argument(name)
