"""e^x and what is made of it, for float32 numbers: a few multiply-adds each, which loops turn into vector code.

Each function is branchless and calls nothing, so that a loop over an array computes a whole vector at a time, 16
numbers on AVX-512; the mathematical library would do one after the other. The errors below were measured over numbers
of every exponent, in ulps: units in the last place of the float32 result.

A result smaller than 2^-126, the smallest normal number, may be 0.

Source
------
Reduction: Cody and Waite, Software Manual for the Elementary Functions, 1980, chapter 6. The polynomials are minimax
ones, found by Lawson's iteration; beside each stands its largest error before any rounding.
"""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import helper
from foveal.kernels.intrinsics import bits_of, float_of, fused

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
f32 = np.float32
ZERO, ONE, TWO = f32(0), f32(1), f32(2)
LOG2_E = f32(1.4426950408889634)
LN2 = f32(0.6931471805599453)
LN2_HIGH, LN2_LOW = f32(0.693359375), f32(-2.12194440e-4)  # the first has 10 bits: n * LN2_HIGH is exact
SHIFT = f32(1.5 * 2**23 + 127)  # adding it rounds to whole numbers; the last bits are then an exponent, biased by 127
LARGEST = f32(88)  # e^88 is finite, and e^-88 < 2^-126
SATURATED = f32(20)  # tanh(10) rounds to 1

# (e^r - 1 - r) / r^2 for |r| <= ln(2)/2, error 3e-9 of e^r; of e^r - 1, error 1.3e-8
E2, E3, E4, E5, E6 = (f32(c) for c in (0.49999994, 0.16666520, 0.041668392, 0.0083687464, 0.0013814542))
M2, M3, M4, M5, M6 = (f32(c) for c in (0.49999998, 0.16666543, 0.041667201, 0.0083665483, 0.0013882518))
# log2(1 + f) / f for sqrt(1/2) <= 1 + f < sqrt(2), error 7e-9 of log2; (2^r - 1) / r for |r| <= 1/2, error 2e-9 of 2^r
L0, L1, L2, L3, L4 = (f32(c) for c in (1.4426949, -0.72134713, 0.48092253, -0.36072120, 0.28765664))
L5, L6, L7, L8 = (f32(c) for c in (-0.23851934, 0.21737959, -0.21030407, 0.12541280))
P0, P1, P2 = (f32(c) for c in (0.69314720, 0.24022648, 0.055503323))
P3, P4, P5 = (f32(c) for c in (0.0096184380, 0.0013398941, 1.5353312e-4))
LOWEST, HIGHEST = f32(-127), f32(127)  # exponents of 2
SQRT_HALF = np.int32(0x3F3504F3)  # the bits of sqrt(1/2)


@helper
def _reduced(x):
    """Return n + SHIFT and r, where x = n ln(2) + r and |r| <= ln(2)/2."""
    shifted = fused(x, LOG2_E, SHIFT)
    n = shifted - SHIFT
    return shifted, fused(n, -LN2_LOW, fused(n, -LN2_HIGH, x))


@helper
def _two_to(shifted):
    """Return 2^n for `shifted` = n + SHIFT: its last bits become the exponent. 0 for n = -127."""
    return float_of(np.int32(bits_of(shifted) << 23))


@helper
def _times_exp(scale, r):
    """Return scale * e^r for |r| <= ln(2)/2."""
    square = r * r
    tail = fused(square, fused(square, E6, fused(r, E5, E4)), fused(r, E3, E2))
    return fused(scale, fused(square, tail, r), scale)


@helper
def exp(x):
    """Return e^x for x <= 88, with an error below 1.1 ulp; e^88 for larger x."""
    x = -LARGEST if x < -LARGEST else x  # so written, NaN stays
    x = LARGEST if x > LARGEST else x
    shifted, r = _reduced(x)
    return _times_exp(_two_to(shifted), r)


@helper
def exp_difference(x, top):
    """Return e^(x - top) for x <= top, as if x - top were not rounded: its error, times e^(x - top), would be large."""
    d = x - top
    back = d - x
    lost = (x - (d - back)) - (top + back)  # x - top = d + lost exactly: Knuth's two-sum
    shifted, r = _reduced(d)
    return ZERO if d < -LARGEST else _times_exp(_two_to(shifted), r + lost)


@helper
def sigmoid(x):
    """Return 1 / (1 + e^-x), with an error below 2.5 ulp."""
    return ONE / (ONE + exp(-x))


@helper
def tanh(x):
    """Return the hyperbolic tangent, (e^2x - 1) / (e^2x + 1), with an error below 2.5 ulp.

    e^2x - 1 is computed without the 1 that would cancel: 2^n e^r - 1 = 2^n (e^r - 1) + (2^n - 1).
    """
    z = x + x
    z = SATURATED if z > SATURATED else z
    z = -SATURATED if z < -SATURATED else z
    shifted = fused(z, LOG2_E, SHIFT)
    n = shifted - SHIFT
    r = fused(n, -LN2, z)  # in one step: where n is large, the error of n ln(2) no longer counts
    scale, square = _two_to(shifted), r * r
    tail = fused(square, fused(square, M6, fused(r, M5, M4)), fused(r, M3, M2))
    less = fused(scale, fused(square, tail, r), scale - ONE)
    return less / (less + TWO)


@helper
def power(x, exponent):
    """Return x^exponent for x > 0, with an error below 1 + |exponent| ulp, if 2^-126 <= x^exponent < 2^127.

    With x = 2^e (1 + f) it is 2^(exponent e) 2^(exponent log2(1 + f)); the first exponent is kept in two parts.
    """
    e = np.int32(np.int32(bits_of(x) - SQRT_HALF) >> 23)
    f = float_of(np.int32(bits_of(x) - np.int32(e << 23))) - ONE
    square = f * f
    high = fused(square, fused(square, L8, fused(f, L7, L6)), fused(f, L5, L4))
    low = fused(square, fused(f, L3, L2), fused(f, L1, L0))
    whole = exponent * f32(e)
    part = fused(exponent, f * fused(square * square, high, low), fused(exponent, f32(e), -whole))
    sum_ = whole + part
    sum_ = LOWEST if sum_ < LOWEST else sum_
    sum_ = HIGHEST if sum_ > HIGHEST else sum_
    shifted = sum_ + SHIFT
    r = (whole - (shifted - SHIFT)) + part
    square = r * r
    tail = fused(square, fused(square, fused(r, P5, P4), fused(r, P3, P2)), fused(r, P1, P0))
    scale = _two_to(shifted)
    return x if x != x else fused(scale, r * tail, scale)
