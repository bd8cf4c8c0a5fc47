"""Image kernels on a photo of 1920x1080 pixels, RGB, uint8: Foveal beside OpenCV."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from foveal import images
from foveal.bench.harness import OURS, Contest, run

SHAPE = (1080, 1920, 3)


def rows(rounds: int, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure all contests beside OpenCV; each row has name, ms by contestant, best_peer and ratio."""
    import cv2

    return run(contests(cv2), rounds, tell)


def contests(cv2: Any | None) -> list[Contest]:
    """Return a contest for each image kernel; `cv2` is OpenCV's module, or None to measure alone.

    OpenCV gets its output array beforehand, ours is a new one each time. Results are compared first: they may differ by
    one level where the exact value is near a tie (OpenCV's Gaussian has weights of 8 bits: by one level anywhere).
    """
    from foveal.kernels.threads import pool

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, SHAPE, dtype=np.uint8)
    if cv2 is not None:
        cv2.setNumThreads(pool().size)
    cases: list[tuple[str, images.Kernel, tuple[str, tuple[Any, ...]] | None]] = [
        ("sharpen 3x3", images.kernel("sharpen"), None),
        ("emboss 3x3", images.kernel("emboss"), None),
        *((f"custom {n}x{n}", _custom(rng, n), None) for n in (3, 5, 7, 11, 15, 31)),
        ("Gaussian sigma 5", images.kernel("gaussian", sigma=5), ("GaussianBlur", ((31, 31), 5))),
        ("Gaussian sigma 1", images.kernel("gaussian", sigma=1), ("GaussianBlur", ((7, 7), 1))),
        ("Sobel 3x3", images.kernel("sobel-left"), None),
        ("box 15x15", images.kernel("box", size=15), ("blur", ((15, 15),))),
    ]
    return [_contest(cv2, x, name, kernel, special) for name, kernel, special in cases]


def _custom(rng: np.random.Generator, n: int) -> images.Kernel:
    """Return random weights, no product of a column and a row, whose results fit in 0 .. 255 mostly."""
    weights = rng.standard_normal((n, n))
    return images.kernel(weights / np.abs(weights).sum() * 2, offset=128)


def _contest(
    cv2: Any | None, x: Any, name: str, kernel: images.Kernel, special: tuple[str, tuple[Any, ...]] | None
) -> Contest:
    ours = images.apply(x, kernel)
    contestants: dict[str, Callable[[], Any]] = {OURS: lambda: images.apply(x, kernel)}
    for peer, work in _opencv(cv2, x, kernel, special).items() if cv2 is not None else ():
        difference = np.abs(ours.astype(int) - work())
        share = (difference > 0).mean()
        if difference.max() > 1 or share > (0.5 if peer == "GaussianBlur" else 0.01):
            raise AssertionError(f"{name}: {peer} differs by {difference.max()} in {share:.2%} of the samples")
        contestants[f"OpenCV {peer}"] = work
    return Contest(f"{name}, 1920x1080 RGB", contestants, iterations=5)


def _opencv(
    cv2: Any, x: Any, kernel: images.Kernel, special: tuple[str, tuple[Any, ...]] | None
) -> dict[str, Callable[[], Any]]:
    """Return what OpenCV has for this kernel: filter2D, or sepFilter2D for a product, and a function of its own."""
    works: dict[str, Callable[[], Any]] = {}
    edge, out, parts = cv2.BORDER_REFLECT_101, np.empty_like(x), kernel.separated
    if parts is None:
        weights = (kernel.array / kernel.scale).astype(np.float32)
        works["filter2D"] = lambda: cv2.filter2D(x, -1, weights, out, delta=kernel.offset, borderType=edge)
    else:
        column, row = parts[0] / kernel.scale, parts[1]
        works["sepFilter2D"] = lambda: cv2.sepFilter2D(x, -1, row, column, out, delta=kernel.offset, borderType=edge)
    if special:
        function, options = special
        works[function] = lambda: getattr(cv2, function)(x, *options, dst=out, borderType=edge)
    return works
