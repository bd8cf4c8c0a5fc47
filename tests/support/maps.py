"""Channels-last maps for tests of kernels: with borders, and with NaN wherever something must be written."""

from __future__ import annotations

from typing import Any

import numpy as np

from foveal.kernels.buffers import Border, Map

BORDERS = {
    "bare": Border(),
    "bordered": Border(top=1, bottom=2, left=1, right=0),
}  # of 2D maps; what a border does to planes is tested where planes are


def filled(values: Any, border: Border = BORDERS["bare"]) -> Map:
    """Return a map that holds an array (N, C, *spatial)."""
    made = Map(len(values), np.shape(values)[1:], border)
    made.view[...] = values
    return made


def unwritten(shape: tuple[int, ...], border: Border = BORDERS["bare"]) -> Map:
    """Return a map for an array of shape (N, C, *spatial), all NaN."""
    return filled(np.full(shape, np.nan, np.float32), border)


def ulps(found: Any, exact: Any) -> Any:
    """Return the errors of float32 numbers in units of the last place of the exact result, float64.

    Below 2^-126, where kernels may take a number for 0, the unit is 2^-126.
    """
    unit = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    return np.abs(np.asarray(found, np.float64) - exact) / np.where(np.abs(exact) < 2.0**-126, 2.0**-126, unit)
