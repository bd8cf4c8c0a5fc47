"""What is too large for the caches: when it is fetched before it is read, and written past them, straight to memory.

A store brings the line that it changes into a cache first, though all of it will change, and drives out another: one
array written costs as much as two read. So what nobody reads soon is computed in some KB on the stack, which stay in
the first-level cache, and sent from there as whole lines, which are written and not read.
"""

from __future__ import annotations

from foveal.kernels.buffers import Map
from foveal.kernels.compiler import floats, helper
from foveal.kernels.intrinsics import LINE, STACK, store_past_caches

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
LARGE = 1 << 24  # bytes: twice as much as the second-level caches of a few cores; below, the next reader is faster


def is_large(*maps: Map) -> bool:
    """Return whether each of the maps is so large that it does not stay in a cache until it is read again."""
    return all(m.nbytes >= LARGE for m in maps)


def goes_past(size: int, piece: int, in_place: bool = False) -> bool:
    """Return whether a result of `size` floats, computed `piece` floats at a time, is better sent past the caches.

    in_place : whether it is written over what was read, so that its lines are in the caches anyway
    """
    return 4 * size >= LARGE and piece <= STACK and not in_place


def map_goes_past(y: Map, piece: int, *read: Map) -> bool:
    """Return whether map y is, computed from maps that are read."""
    return goes_past(y.nbytes // 4, piece, any(y.address == x.address for x in read))


@helper
def send(source, y, n):
    """Write n floats from one address to another, past the caches but for ends that are no whole lines.

    There is nothing to do where they have been computed in their place.
    """
    if source == y:
        return
    values, to = floats(source, n), floats(y, n)
    first = min(-(y // 4) % LINE, n)
    last = n - (n - first) % LINE
    to[:first] = values[:first]
    for i in range(first, last, LINE):
        store_past_caches(y + 4 * i, source + 4 * i)
    to[last:] = values[last:]
