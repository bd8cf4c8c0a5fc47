"""What float32 may get wrong of batch norm: a few roundings of the terms that its formulas add up."""

import numpy as np

from foveal import reference
from tests.support.oracles import U32


class BatchNormTerms:
    """What the formula gives for the statistics of a batch, in float64, and the size of the terms that it adds up.

    An error of the sums is one of their terms, rounded; these are differences from the first number of the channel.
    """

    def __init__(self, x, dy, scale, shift, epsilon):
        each, axes = (1, -1, *(1,) * (x.ndim - 2)), (0, *range(2, x.ndim))
        x, dy, scale, shift = (np.asarray(v, np.float64) for v in (x, dy, scale, shift))
        self.n = x.size // x.shape[1]
        self.mean, self.variance = reference.batch_statistics(x)
        from_first = np.abs(x - x[(0, slice(None), *(0,) * (x.ndim - 2))].reshape(each))
        self.mean_size, self.variance_size = from_first.mean(axes), (from_first**2).mean(axes)
        deviation = np.sqrt(self.variance + epsilon).reshape(each)
        off = self.mean_size.reshape(each) / deviation
        z = np.abs(x - self.mean.reshape(each)) / deviation
        steep = np.abs(scale.reshape(each))
        self.y = reference.batch_norm(x, scale, shift, epsilon=epsilon)
        self.y_size = steep * (z * (1 + off**2) + off) + np.abs(shift).reshape(each)
        self.dx, self.dscale, self.dshift = reference.batch_norm_grad(x, scale, dy, epsilon=epsilon)
        self.dshift_size = np.abs(dy).sum(axes)
        self.dscale_size = (np.abs(dy) * (z * (1 + off**2) + off)).sum(axes)
        mean_dy, mean_dy_z = (v.reshape(each) / self.n for v in (self.dshift_size, self.dscale_size))
        self.dx_size = steep / deviation * (np.abs(dy) + mean_dy + (z + off) * mean_dy_z) * (1 + off**2)


def assert_few_roundings(found, exact, size, count=4.0):
    """Hold that `found` is wrong by no more than a few roundings of terms of this size."""
    error = np.abs(np.asarray(found, np.float64) - exact)
    bound = count * U32 * np.asarray(size, np.float64) + 2.0**-126
    assert (error <= bound).all(), f"{(error / bound).max() * count:.3g} roundings"
