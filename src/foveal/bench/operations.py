"""Operations beside PyTorch, OpenCV and SciPy: convolutions on 1 to 3 axes, Fourier transforms, and the rest."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np

from foveal import ops
from foveal.bench import elementwise, images, layers, pooling
from foveal.bench.harness import OURS, Contest, Work
from foveal.bench.layers import Layer
from foveal.ops.method import choose_method

CONVOLUTIONS = (
    Layer("1D conv k9/4", (32, 64, 8000), (128, 64, 9), 4),
    Layer("3D conv 3^3", (4, 32, 32, 32, 32), (64, 32, 3, 3, 3), 1, 1),
    Layer("AlexNet conv2, dilation 2", (32, 64, 27, 27), (192, 64, 5, 5), 1, 4, dilation=2),
    Layer("AlexNet conv2, groups 4", (32, 64, 27, 27), (192, 16, 5, 5), 1, 2, groups=4),
    Layer("AlexNet conv2, stride 2", (32, 64, 27, 27), (192, 64, 5, 5), 2, 2),
    Layer("AlexNet conv3, dilation 2", (32, 192, 13, 13), (384, 192, 3, 3), 1, 2, dilation=2),
    Layer("AlexNet conv3, groups 4", (32, 192, 13, 13), (384, 48, 3, 3), 1, 1, groups=4),
    Layer("AlexNet conv3, stride 2", (32, 192, 13, 13), (384, 192, 3, 3), 2, 1),
)
IMAGE, KERNEL = 4096, 64
CROSSOVER = ((1, 1, 512, 512), 1, (3, 7, 11, 15, 23, 31)), ((4, 16, 128, 128), 16, (3, 9, 15, 23, 31)), (
    (16, 8, 16000), 8, (9, 65, 129, 257, 513))  # fmt: skip


def contests(torch: Any | None, cv2: Any | None) -> list[Contest]:
    """Return all contests: convolutions, a large kernel beside SciPy's transform, pooling, elementwise, photos."""
    return [
        *layers.contests(torch, CONVOLUTIONS), *_large_kernel(torch is not None), *pooling.contests(torch),
        *elementwise.contests(torch), *images.contests(cv2),
    ]  # fmt: skip


def _large_kernel(peers: bool) -> list[Contest]:
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal((1, 1, n, n), np.float32) for n in (IMAGE, KERNEL))
    contestants: dict[str, Work] = {OURS: lambda: ops.correlate(x, w)}
    if peers:
        from scipy import signal

        flipped = w[0, 0, ::-1, ::-1]
        contestants["scipy fftconvolve"] = lambda: signal.fftconvolve(x[0, 0], flipped, mode="valid")
        ours, theirs = ops.correlate(x, w)[0, 0], contestants["scipy fftconvolve"]()
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * float(np.abs(theirs).max()))
    return [Contest(f"correlate {IMAGE}^2 with {KERNEL}^2", contestants, iterations=1)]


def large_kernel_memory() -> dict[str, Any]:
    """Return the most memory that the large correlation takes beside its image, its result included."""
    x = np.ones((1, 1, IMAGE, IMAGE), np.float32)
    w = np.ones((1, 1, KERNEL, KERNEL), np.float32)
    tracemalloc.start()
    ops.correlate(x, w)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "image_mb": round(x.nbytes / 2**20, 1),
        "most_mb": round(most / 2**20, 1),
        "times": round(most / x.nbytes, 2),
    }


def crossover() -> list[dict[str, Any]]:
    """Return, for growing kernels, the time of the tile and of the transform, and what "auto" takes."""
    import time

    rng, rows = np.random.default_rng(0), []
    for shape, K, kernels in CROSSOVER:
        x = rng.standard_normal(shape, np.float32)
        for k in kernels:
            w = rng.standard_normal((K, shape[1], *(k,) * (len(shape) - 2)), np.float32)
            ms = {}
            for method in ("direct", "fft"):
                times = []
                for _ in range(4):
                    begin = time.perf_counter()
                    ops.correlate(x, w, method=method)
                    times.append(time.perf_counter() - begin)
                ms[method] = round(1e3 * min(times[1:]), 2)
            chosen = choose_method(shape, w.shape).method
            best = min(ms, key=lambda m: ms[m])
            rows.append({"x": shape, "filters": K, "kernel": k, "ms": ms, "auto": chosen,
                         "lost": round(ms[chosen] / ms[best], 2)})  # fmt: skip
    return rows
