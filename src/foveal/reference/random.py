"""Random numbers that depend on a place, not on an order: the n-th one can be computed without those before it.

So they are the same on one thread and on many, in NumPy and in a kernel. All is 32-bit integers, which processors have
vectors of; the formulas work for Python's integers and for arrays of uint64 alike.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from foveal.errors import ParameterError, explain
from foveal.geometry import integer

Word = TypeVar("Word", int, NDArray[Any])
MASK = 0xFFFFFFFF


def mix32(x: Word) -> Word:
    """Return a 32-bit number in which every bit depends on every bit of the 32-bit `x`; no two x give the same.

    Source
    ------
    Chris Wellons, "lowbias32", Prospecting for hash functions, https://nullprogram.com/blog/2018/07/31/.

    Examples
    --------
    >>> hex(mix32(1)), hex(mix32(2))
    ('0x688990c0', '0xd1132181')
    """
    x = (x ^ (x >> 16)) * 0x7FEB352D & MASK
    x = (x ^ (x >> 15)) * 0x846CA68B & MASK
    mixed: Word = x ^ (x >> 16)
    return mixed


def keys(seed: int) -> tuple[int, int]:
    """Return the two 32-bit keys that `hash32` makes of a 64-bit seed.

    ``a = mix32(low(seed) + 0x9E3779B9)``, ``b = mix32(a ^ high(seed))``; without the constant, seed 0 would stay 0.

    Examples
    --------
    >>> keys(0) == keys(0), keys(0) == keys(1)
    (True, False)
    """
    a = mix32((seed & MASK) + 0x9E3779B9 & MASK)
    return a, mix32(a ^ seed >> 32)


def hash32(index: Word, seed: int) -> Word:
    """Return the random 32-bit number at place `index`, 0 to 2^64 - 1, of the sequence called `seed`.

    ``mix32(mix32(low(index) ^ a) + mix32(high(index) ^ b))`` with ``a, b = keys(seed)``: below 2^32 places the second
    term is one number for the whole sequence, so a kernel needs two rounds of `mix32` for each.

    Examples
    --------
    >>> numbers = hash32(np.arange(4, dtype=np.uint64), 7)
    >>> numbers.tolist() == [hash32(i, 7) for i in range(4)]
    True
    """
    a, b = keys(seed)
    return mix32(mix32(index & MASK ^ a) + mix32(index >> 32 ^ b) & MASK)


def derive(seed: int, *numbers: int) -> int:
    """Return another 64-bit seed for each step, layer or whatever else `numbers` count: unrelated sequences from one.

    ``seed = hash32(2*number, seed) + 2^32 * hash32(2*number + 1, seed)`` for one number after the other.

    Examples
    --------
    >>> len({derive(0), derive(0, 0), derive(0, 1), derive(1, 0), derive(0, 0, 1)})
    5
    """
    for number in numbers:
        seed = hash32(2 * number, seed) + (hash32(2 * number + 1, seed) << 32)
    return seed


def threshold(rate: float) -> int:
    """Return the 32-bit number that random ones are below with probability `rate`: rate * 2^32, rounded up.

    Examples
    --------
    >>> threshold(0.5) == 2**31, threshold(0.0)
    (True, 0)
    """
    return min(int(np.ceil(rate * 2.0**32)), MASK)


def check_seed(seed: Any, where: str) -> int:
    """Return `seed` if it is an integer from 0 to 2^64 - 1.

    Raises
    ------
    DTypeError, ParameterError

    Examples
    --------
    >>> check_seed(7, "dropout")
    7
    """
    number = integer(seed, "seed", least=-(2**64))
    if not 0 <= number < 2**64:
        raise ParameterError(explain(where, expected="a seed from 0 to 2^64 - 1", got=str(number)))
    return number
