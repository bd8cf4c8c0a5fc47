"""The nearest input that a network can take: where one is too small, the message says which works, found by trying."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

from foveal.errors import FovealError, GeometryError, ShapeError
from foveal.layers.shapes import Shape

T = TypeVar("T")
NEAR, FAR = 32, 13  # sizes that are tried one by one, then by powers of two up to 2^FAR
_inside: ContextVar[bool] = ContextVar("inside", default=False)


def hinted(build: Callable[[Shape], T], shape: Shape, what: str = "the network") -> T:
    """Return ``build(shape)``; where it fails and a larger input would do, the error says which.

    Only the outermost call looks for one: it knows the whole network, those inside it a part.

    what : what the input must fit, for the message
    """
    if _inside.get():
        return build(shape)
    token = _inside.set(True)
    try:
        return build(shape)
    except (GeometryError, ShapeError) as error:
        fit = nearest_fit(build, shape)
        if fit is None:
            raise
        hint = f"The smallest larger input that fits {what} is {fit}."
        raise type(error)(f"{str(error).rstrip('.')}. {hint}") from None
    finally:
        _inside.reset(token)


def nearest_fit(build: Callable[[Shape], object], shape: Shape) -> Shape | None:
    """Return the nearest input shape, not smaller on any axis, for which `build` succeeds, or None.

    Only the spatial axes grow. Windows move along each axis by itself, so each is searched by itself.

    Examples
    --------
    >>> from foveal.graph import Graph
    >>> from foveal.layers import Convolution, MaxPool
    >>> nearest_fit(lambda shape: Graph.sequence([Convolution(8, 5), MaxPool(3), Convolution(8, 3)], shape), (1, 7, 9))
    (1, 13, 13)
    """

    def fits(spatial: tuple[int, ...]) -> bool:
        try:
            build((channels, *spatial))
        except FovealError:
            return False
        return True

    channels, *rest = shape
    small = tuple(rest)
    near = (tuple(n + more for n in small) for more in range(1, NEAR))
    far = (tuple(max(n, 1 << power) for n in small) for power in range(2, FAR))
    found = next((large for large in itertools.chain(near, far) if fits(large)), None) if small else None
    if found is None:
        return None
    for axis, (low, high) in enumerate(zip(small, found, strict=True)):
        tries = ((*found[:axis], n, *found[axis + 1 :]) for n in range(low, high + 1))
        found = next(size for size in tries if fits(size))
    return channels, *found
