"""The steps of a convolution, all channels or each apart, against the float64 reference, in poisoned memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from foveal import reference
from foveal.kernels.buffers import Border, Map
from foveal.kernels.convolution_steps import NONE, Correlation
from foveal.kernels.depthwise_steps import Depthwise
from foveal.kernels.steps import program
from tests.support.geometries import Case
from tests.support.machine import bits
from tests.support.maps import MARGIN, assert_untouched, poisoned
from tests.support.oracles import assert_close_to_reference
from tests.support.packed import gradient_memory, packed, unpacked

SEAM = Border(0, 1, 1, 0)
MARGINS = SEAM, MARGIN  # around what is read, beyond what the window needs, and around what is written


def images(g: Correlation | Depthwise, case: Case, x: Any, border: Border = SEAM) -> Map:
    """Return a map of x for the steps of `g`."""
    m = Map(case.x_shape[0], g.shape, g.x_border | border)
    poisoned(m, x)
    return m


def gradient(g: Correlation | Depthwise, case: Case) -> Any:
    """Return dy."""
    rng = np.random.default_rng(case.seed + 1)
    return rng.standard_normal((case.x_shape[0], *g.y_shape)).astype(np.float32)


def of_a_patch(size: Any) -> Any:
    """Return the sums of absolute values that bound the errors of Winograd's algorithm: a result has those of others.

    It is made of numbers that neighbours in the row have in common, up to eight times as large.
    """
    return np.broadcast_to(8 * size.max(-1, keepdims=True), size.shape)


def check_forward(
    g: Correlation | Depthwise, case: Case, floor: float = NONE, margins: tuple[Border, Border] = MARGINS,
    magnitude: Any = lambda size: size,
) -> None:  # fmt: skip
    """Hold y, and that nothing else is written."""
    x, w, b = case.arrays(np.float32)
    y, xm = Map(len(x), g.y_shape, margins[1]), images(g, case, x, margins[0])
    before, kept = poisoned(y), xm.data.copy()
    program(g.forward("test", xm, packed(w, g.weight_index), packed(b, g.bias_index), y, floor)).run()
    expected = np.maximum(reference.correlate(x, w, b, **case.options), floor)
    size = reference.correlate(abs(x), abs(w), abs(b), **case.options)
    assert_close_to_reference(y.view, expected, magnitude(size), n=w[0].size + 2)
    assert_untouched(y, before)
    np.testing.assert_array_equal(bits(xm.data), bits(kept), "x was written")


def check_gradients(
    g: Correlation | Depthwise, case: Case, margins: tuple[Border, Border] = MARGINS,
    magnitude: Any = lambda size: size,
) -> None:  # fmt: skip
    """Hold dx, dw and db, and that nothing else is written."""
    x, w, _ = case.arrays(np.float32)
    dy, dym = gradient(g, case), Map(len(x), g.y_shape, g.dy_border)
    poisoned(dym, dy)
    dx = Map(len(x), g.shape, margins[1])
    before = poisoned(dx)
    dw, db = gradient_memory(g.weight_size), gradient_memory(g.bias_size)
    steps = g.weight_gradient("test", images(g, case, x, margins[0]), dym, dw, db)
    program(steps + g.input_gradient("test", dym, packed(w, g.weight_index), dx)).run()
    expected = reference.correlate_grad(x, w, dy, **case.options)
    dx_size, *sizes = reference.correlate_grad(abs(x), abs(w), abs(dy), **case.options)
    got = dx.view, unpacked(dw, g.weight_index, w.shape), unpacked(db, g.bias_index, (g.K,))
    terms = w.size // case.groups, dy.size // g.K, dy.size // g.K
    for ours, theirs, size, n in zip(got, expected, (magnitude(dx_size), *sizes), terms, strict=True):
        assert_close_to_reference(ours, theirs, size, n + 2)
    assert_untouched(dx, before)
