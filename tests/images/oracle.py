"""Image kernels as SciPy computes them in float64, and how near to that a float32 sum must be."""

import numpy as np
from scipy import ndimage

from tests.support.oracles import gamma

MODES = {"reflect": "mirror", "replicate": "nearest", "wrap": "grid-wrap", "zero": "constant"}


def correlate(x, array, edge):
    """Return the correlation of each channel of an image (H, W, C), in float64."""
    planes = [ndimage.correlate(plane.astype(float), array, mode=MODES[edge]) for plane in np.moveaxis(x, -1, 0)]
    return np.stack(planes, -1)


def exact(x, kernel, edge):
    """Return what `kernel` gives on an image (H, W, C), and how far a float32 sum may be off.

    A product of column and row rounds twice for each weight; the factor 1/scale and the sum with the offset round three
    times more.
    """
    value = correlate(x, kernel.array, edge) / kernel.scale + kernel.offset
    size = correlate(np.abs(x.astype(float)), np.abs(kernel.array), edge) / abs(kernel.scale) + abs(kernel.offset)
    return value, gamma(2 * kernel.array.size + 4) * size


def assert_bytes(y, value, error):
    """Hold y to the rounded and clipped value; one level off is allowed within `error` of a tie."""
    wanted = np.clip(np.rint(value), 0, 255)
    near = np.abs(value - np.floor(value) - 0.5) <= error
    wrong = (y != wanted) & ~(near & (np.abs(y - wanted) <= 1))
    assert not wrong.any(), f"{wrong.sum()} of {y.size} wrong, first at {np.argwhere(wrong)[0]}"
    assert near.mean() < 0.5, "nearly everything would be allowed"


def clipped(value, error):
    """Return between which numbers of samples may be clipped."""
    return tuple(int(((value < -0.5 - e) | (value > 255.5 + e)).sum()) for e in (error, -error))
