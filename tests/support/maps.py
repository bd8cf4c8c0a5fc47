"""Channels-last maps for tests of kernels: with borders, and with NaN wherever nothing may be read or left."""

from __future__ import annotations

from typing import Any

import numpy as np

from foveal.kernels.buffers import Border, Map
from tests.support.machine import bits

BORDERS = {
    "bare": Border(),
    "bordered": Border(top=1, bottom=2, left=1, right=0),
}  # of 2D maps; what a border does to planes is tested where planes are
MARGIN = Border(1, 2, 3, 1)


def filled(values: Any, border: Border = BORDERS["bare"]) -> Map:
    """Return a map that holds an array (N, C, *spatial)."""
    made = Map(len(values), np.shape(values)[1:], border)
    made.view[...] = values
    return made


def unwritten(shape: tuple[int, ...], border: Border = BORDERS["bare"]) -> Map:
    """Return a map for an array of shape (N, C, *spatial), all NaN."""
    return filled(np.full(shape, np.nan, np.float32), border)


def poisoned(m: Map, values: Any = None) -> Any:
    """Fill a map: zeros where its border is, NaN in the gaps behind an image and in the slack; return its memory."""
    inside = np.zeros(m.data.size, bool)
    planes = m.border.front + m.D + m.border.back
    for n in range(m.n):
        inside[n * m.image : n * m.image + planes * m.plane] = True
    m.data[:] = np.where(inside, 0, np.nan).astype(np.float32)
    m.view[...] = np.nan if values is None else values
    return m.data.copy()


def assert_untouched(m: Map, before: Any) -> None:
    """Hold that nothing but the pixels of a map changed: not its border of zeros, not its gaps, not its slack."""
    outside = np.ones(m.data.size, bool)
    np.lib.stride_tricks.as_strided(
        outside[m.offset :], (m.n, m.C, m.D, m.H, m.W), (m.image, 1, m.plane, m.row, m.pixel)
    )[...] = False  # fmt: skip
    np.testing.assert_array_equal(bits(m.data[outside]), bits(before[outside]), "written outside the pixels")


def ulps(found: Any, exact: Any) -> Any:
    """Return the errors of float32 numbers in units of the last place of the exact result, float64.

    Below 2^-126, where kernels may take a number for 0, the unit is 2^-126.
    """
    unit = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    return np.abs(np.asarray(found, np.float64) - exact) / np.where(np.abs(exact) < 2.0**-126, 2.0**-126, unit)
