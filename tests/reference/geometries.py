"""Random convolutions of signals, images and volumes for hypothesis: `tests.support.geometries` on 1 to 3 axes."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from foveal.geometry import Window
from tests.support import geometries
from tests.support.geometries import Case


@st.composite
def cases(draw: st.DrawFn, *, symmetric: bool = False, max_batch: int = 3) -> Case:
    """Draw a case on 1 to 3 axes; `symmetric` gives each the same padding before and after, as PyTorch wants it."""
    axes = draw(st.integers(1, 3))
    return draw(geometries.cases(axes=axes, symmetric=symmetric, max_batch=max_batch))


@st.composite
def transposed_cases(draw: st.DrawFn, *, symmetric: bool = False) -> Case:
    """Draw a case whose x is the y of another: what a transposed convolution with the same w takes."""
    case = draw(cases(symmetric=symmetric))
    window = Window(case.w_shape[2:], case.stride, case.padding, case.dilation)
    spatial = []
    for axis, size in enumerate(window.output(case.x_shape[2:])):
        cut = sum(case.padding[axis]) - window.extent[axis]  # (size - 1)*stride must be more than that
        spatial.append(max(size, cut // case.stride[axis] + 2))
    return replace(case, x_shape=(case.x_shape[0], case.w_shape[0], *spatial))


def output_padding(case: Case) -> tuple[int, ...]:
    """Return one number per axis, less than the stride or the dilation of the case."""
    most = zip(case.stride, case.dilation, strict=True)
    return tuple((case.seed >> 2 * axis) % max(pair) for axis, pair in enumerate(most))
