"""Packed parameters and gradients for tests of kernels: NaN or a guard wherever nothing may be read or written."""

from __future__ import annotations

from typing import Any

import numpy as np

from foveal.kernels.buffers import zeros


def packed(values: Any, index: Any) -> Any:
    """Return parameters as kernels read them, by the index of each place in `values`, -1 for none; NaN behind."""
    flat = np.asarray(values, np.float32).ravel()
    data = zeros(index.size)
    data[: index.size] = np.where(index >= 0, flat[index], 0)
    data[index.size :] = np.nan
    return data


def gradient_memory(size: int) -> Any:
    """Return memory for a packed gradient: NaN where it must be written, a guard behind."""
    data = zeros(size)
    data[:size], data[size:] = np.nan, 7.0
    return data


def unpacked(data: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Return a packed gradient in the users' shape; its padding must be zero, so that an update leaves it zero."""
    assert (data[: index.size][index < 0] == 0).all(), "padding of a packed gradient is not zero"
    assert (data[index.size :] == 7.0).all(), "guard behind a gradient"
    values = np.empty(int(np.prod(shape)), np.float32)
    values[index[index >= 0]] = data[: index.size][index >= 0]
    return values.reshape(shape)
