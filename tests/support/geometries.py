"""Random convolution geometries for hypothesis: small, every argument away from its default, always one that fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

Pair = tuple[int, int]


@dataclass(frozen=True)
class Case:
    """A convolution: shapes of x and w, its keyword arguments, and the seed of its numbers."""

    x_shape: tuple[int, ...]
    w_shape: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[Pair, ...]
    dilation: tuple[int, ...]
    groups: int
    seed: int

    @property
    def options(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}

    def arrays(self, dtype: type = np.float64) -> tuple[Any, Any, Any]:
        """Return x, w and bias."""
        rng = np.random.default_rng(self.seed)
        shapes = (self.x_shape, self.w_shape, self.w_shape[:1])
        x, w, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
        return x, w, b


@st.composite
def cases(draw: st.DrawFn, *, axes: int = 2, symmetric: bool = False, max_batch: int = 3) -> Case:
    """Draw a case on so many axes; `symmetric` gives each the same padding before and after, as PyTorch wants it."""
    small = st.integers(1, 3)
    n, c, k, groups = draw(st.integers(1, max_batch)), draw(small), draw(small), draw(st.integers(1, 2))
    spatial, kernel, stride, dilation, padding = [], [], [], [], []
    for _ in range(axes):
        r, s, d = draw(st.integers(1, 4 if axes < 3 else 3)), draw(small), draw(small)
        before = draw(st.integers(0, 3))
        after = before if symmetric else draw(st.integers(0, 3))
        least = max(1, d * (r - 1) + 1 - before - after)
        spatial.append(draw(st.integers(least, least + 5)))
        kernel.append(r)
        stride.append(s)
        dilation.append(d)
        padding.append((before, after))
    return Case(
        x_shape=(n, c * groups, *spatial),
        w_shape=(k * groups, c, *kernel),
        stride=tuple(stride),
        padding=tuple(padding),
        dilation=tuple(dilation),
        groups=groups,
        seed=draw(st.integers(0, 2**16)),
    )
