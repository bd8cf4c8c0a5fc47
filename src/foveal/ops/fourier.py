"""Correlation through the Fourier transform, block by block: the way for large kernels.

A transform turns a correlation into a product, ``F(y) = F(x) * conj(F(w))``, so that an output costs a logarithm of the
block's size where the sum over the kernel costs all its taps. Blocks overlap by the kernel (the *overlap-save* method):
transforms stay in the cache, and no padded copy of x and no transform of the whole of it ever exists. NumPy's
transforms keep float32 and release the GIL, so blocks run on several threads; which one does a block changes nothing.

Source: Oppenheim and Schafer, Discrete-time signal processing, 3rd ed., section 8.7; Mathieu, Henaff and LeCun, Fast
training of convolutional networks through FFTs, arXiv 1312.5851.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.geometry import Window

Array = NDArray[Any]

BLOCK = 1 << 18  # floats of a block: with its transform it fits in a second-level cache of 2 MB
STEP = 1.25  # between the sizes of blocks that are considered
START_FLOP = 3e5  # FLOP in the time that Python takes to begin a block


def correlate(x: Array, w: Array, window: Window, groups: int, threads: int) -> Array:
    """Return ``y[n,k] = sum_c x[n,c] (correlated with) w[k,c]`` in the type of x, float32 or float64.

    Parameters
    ----------
    x : ndarray of shape (N, C, *spatial)
        Feature maps.
    w : ndarray of shape (K, C/groups, *kernel)
        Filters, of the same type.
    window : Window
        Fitted to the rounding.
    groups : int
        Parts into which channels and filters are cut.
    threads : int
        How many blocks are computed at once.
    """
    from concurrent.futures import ThreadPoolExecutor  # takes its time to import, and few need it

    spatial, axes = x.shape[2:], tuple(range(-len(window.kernel), 0))
    extent, stride, output = window.extent, window.stride, window.output(spatial)
    everywhere = [
        (p - 1) * s + 1 for p, s in zip(output, stride, strict=True)
    ]  # outputs of stride 1 that are asked for
    block = block_size(tuple(everywhere), extent)
    steps = [max(s, (size - e + 1) // s * s) for size, e, s in zip(block, extent, stride, strict=True)]
    filters = np.conj(np.fft.rfftn(_dilated(w, window), block, axes)).reshape(groups, -1, *w.shape[1:2], *_half(block))
    y = np.empty((len(x), len(w), *output), x.dtype)

    def run(place: tuple[int, ...]) -> None:
        n, first = place[0], place[1:]
        spectrum = np.fft.rfftn(_block(x[n], first, block, window), axes=axes).reshape(groups, -1, *_half(block))
        product = np.einsum("gc...,gkc...->gk...", spectrum, filters).reshape(len(w), *_half(block))
        values = np.fft.irfftn(product, block, axes)
        counts = [min(step, size - at) for step, size, at in zip(steps, everywhere, first, strict=True)]
        spans = list(zip(first, stride, counts, strict=True))
        to: list[Any] = [slice(at // s, at // s + -(-count // s)) for at, s, count in spans]
        kept: list[Any] = [slice(0, count, s) for _, s, count in spans]
        y[n, :, *to] = values[:, *kept]

    starts = (range(0, size, step) for size, step in zip(everywhere, steps, strict=True))
    places = list(itertools.product(range(len(x)), *starts))
    with ThreadPoolExecutor(min(threads, max(1, len(places)))) as pool:
        list(pool.map(run, places))
    return y


@functools.lru_cache(maxsize=256)
def block_size(output: tuple[int, ...], extent: tuple[int, ...]) -> tuple[int, ...]:
    """Return the size of a block on each axis: the one with the least work for all outputs.

    Examples
    --------
    >>> block_size((4033, 4033), (64, 64))
    (480, 480)
    """
    choices = []
    for size, e in zip(output, extent, strict=True):
        most = smooth(size + e - 1)
        sizes = (smooth(math.ceil(e * STEP**i)) for i in itertools.count(1))
        choices.append([*itertools.takewhile(lambda n, most=most: n < most, sizes), most])  # type: ignore[misc]

    def work(block: tuple[int, ...]) -> float:
        beyond_cache = 1.5 if math.prod(block) > BLOCK else 1.0
        return _blocks(output, extent, block) * (_transform(block) * beyond_cache + START_FLOP)

    return min(itertools.product(*choices), key=work)


def flop(output: tuple[int, ...], window: Window, N: int, C: int, K: int, groups: int) -> float:
    """Return the floating-point operations of the transforms and of the products between them."""
    everywhere = tuple((p - 1) * s + 1 for p, s in zip(output, window.stride, strict=True))
    block = block_size(everywhere, window.extent)
    products = 4.0 * K * (C // groups) * math.prod(block)
    one = (C + K) * _transform(block) + products + START_FLOP
    return N * _blocks(everywhere, window.extent, block) * one + K * (C // groups) * _transform(block)


def _blocks(output: tuple[int, ...], extent: tuple[int, ...], block: tuple[int, ...]) -> int:
    """Return how many blocks cover the outputs; a last one that is nearly empty counts whole."""
    axes = zip(output, extent, block, strict=True)
    return math.prod(math.ceil(size / (n - e + 1)) for size, e, n in axes)


def _transform(block: tuple[int, ...]) -> float:
    """Return the floating-point operations of a real transform."""
    volume = math.prod(block)
    return 2.5 * volume * math.log2(max(volume, 2))


def smooth(n: int) -> int:
    """Return the smallest number of at least n whose only prime factors are 2, 3 and 5: transforms like those.

    Examples
    --------
    >>> smooth(97), smooth(4096)
    (100, 4096)
    """
    return next(m for m in _smooth_numbers() if m >= n)


@functools.cache
def _smooth_numbers() -> list[int]:
    powers = itertools.product(range(63), range(40), range(27))
    return sorted(m for a, b, c in powers if (m := 2**a * 3**b * 5**c) <= 1 << 62)


def _half(block: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a real transform, which stores half of its last axis."""
    return (*block[:-1], block[-1] // 2 + 1)


def _dilated(w: Array, window: Window) -> Array:
    """Return w with zeros between its taps."""
    if all(d == 1 for d in window.dilation):
        return w
    wide = np.zeros((*w.shape[:2], *window.extent), w.dtype)
    wide[:, :, *(slice(None, None, d) for d in window.dilation)] = w
    return wide


def _block(x: Array, first: tuple[int, ...], block: tuple[int, ...], window: Window) -> Array:
    """Return what the outputs from `first` on read of maps x (C, *spatial), zeros where that lies outside."""
    taken = np.zeros((len(x), *block), x.dtype)
    source, target = [], []
    for at, size, (before, _), n in zip(first, block, window.padding, x.shape[1:], strict=True):
        start, stop = max(at - before, 0), min(at - before + size, n)
        source.append(slice(start, max(stop, start)))
        target.append(slice(start - at + before, max(stop, start) - at + before))
    taken[:, *target] = x[:, *source]
    return taken
