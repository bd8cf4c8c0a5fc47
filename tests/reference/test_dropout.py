"""Dropout: the mask's statistics, its independence of everything but seed and place, and the hash behind it."""

import numpy as np
import pytest

from foveal.reference import dropout, dropout_grad, dropout_mask
from foveal.reference.random import MASK, derive, hash32, keys, mix32, threshold
from tests.support.oracles import assert_adjoint

N = 1 << 16


def deviations(count, n, p):
    """How many standard deviations a binomial count lies from its mean."""
    return abs(count - n * p) / np.sqrt(n * p * (1 - p))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_the_share_that_is_kept(rate, seed):
    keep = dropout_mask((N,), rate, seed=seed)
    assert deviations(keep.sum(), N, 1 - rate) < 5  # once in two million masks by chance; this one is fixed
    both = keep[1:] & keep[:-1]  # neighbours know nothing of each other
    assert deviations(both.sum(), N - 1, (1 - rate) ** 2) < 5


def test_masks_of_neighbouring_seeds_know_nothing_of_each_other():
    masks = [dropout_mask((N,), 0.5, seed=s) for s in (0, 1, 2, 2**32, derive(0, 1), derive(0, 2), derive(1, 1))]
    for i, a in enumerate(masks):
        for b in masks[:i]:
            assert deviations((a == b).sum(), N, 0.5) < 5
            assert deviations((a[1:] == b[:-1]).sum(), N - 1, 0.5) < 5


def test_the_mask_depends_on_place_and_seed_only():
    flat = dropout_mask((24,), 0.5, seed=7)
    np.testing.assert_array_equal(dropout_mask((2, 3, 4), 0.5, seed=7).ravel(), flat)
    np.testing.assert_array_equal(dropout_mask((12,), 0.5, seed=7), flat[:12])
    assert (dropout_mask((24,), 0.5, seed=8) != flat).any()
    everywhere = dropout_mask((24,), 0.9, seed=7)
    assert not (everywhere & ~flat).any()  # a larger rate drops what a smaller one drops, and more


def test_values_and_gradient():
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    keep = dropout_mask(x.shape, 0.25, seed=3)
    y = dropout(x, 0.25, seed=3)
    np.testing.assert_array_equal(y, np.where(keep, x / 0.75, 0))
    np.testing.assert_array_equal(dropout_grad(x, 0.25, seed=3), y)
    assert_adjoint(lambda v: dropout(v, 0.25, seed=3), lambda v: dropout_grad(v, 0.25, seed=3), x, y + 1)
    np.testing.assert_array_equal(dropout(x, 0.0, seed=3), x)
    assert deviations(np.count_nonzero(dropout(np.ones(N), 0.3)), N, 0.7) < 5
    dropped = np.where(keep, 1.0, np.nan)  # what is dropped is 0, whatever it was
    np.testing.assert_array_equal(dropout(dropped, 0.25, seed=3), keep / 0.75)
    assert dropout(np.zeros((0, 3))).shape == (0, 3)


def test_mix32_is_the_function_of_its_source():
    """Against the C code, in wrapping 32-bit arithmetic; and no two numbers have one image."""
    x = np.arange(1 << 20, dtype=np.uint32)
    expected = x.copy()
    expected ^= expected >> np.uint32(16)
    expected *= np.uint32(0x7FEB352D)
    expected ^= expected >> np.uint32(15)
    expected *= np.uint32(0x846CA68B)
    expected ^= expected >> np.uint32(16)
    np.testing.assert_array_equal(mix32(x.astype(np.uint64)), expected)
    assert len(np.unique(expected)) == len(x)


def test_a_change_of_one_bit_changes_half_of_the_bits():
    x = np.random.default_rng(1).integers(0, 2**64, 4096, dtype=np.uint64)
    for bit in (0, 7, 31, 32, 40, 63):
        flips = hash32(x, 5) ^ hash32(x ^ np.uint64(1 << bit), 5)
        for position in range(32):
            assert deviations((flips >> np.uint64(position) & np.uint64(1)).sum(), len(x), 0.5) < 5


def test_all_bytes_are_equally_frequent():
    numbers = hash32(np.arange(N, dtype=np.uint64), 11)
    for shift in (0, 8, 16, 24):
        counts = np.bincount((numbers >> np.uint64(shift) & np.uint64(255)).astype(int), minlength=256)
        chi = ((counts - N / 256) ** 2 / (N / 256)).sum()
        assert abs(chi - 255) < 5 * np.sqrt(2 * 255)


def test_python_integers_and_arrays_give_the_same_numbers():
    places = [0, 1, MASK, 1 << 32, (1 << 32) + 1, 2**64 - 1]
    numbers = hash32(np.array(places, np.uint64), 2**63 + 5)
    assert numbers.tolist() == [hash32(i, 2**63 + 5) for i in places]
    assert len(set(numbers.tolist())) == len(places)
    assert all(0 <= key <= MASK for key in keys(2**64 - 1))


def test_thresholds():
    assert [threshold(r) for r in (0.0, 2.0**-32, 0.5, 1 - 2.0**-33)] == [0, 1, 2**31, MASK]
    assert threshold(0.1) == 429496730  # 0.1 * 2^32 = 429496729.6
    assert 0 <= derive(2**64 - 1, 2**63 - 1) < 2**64


def test_known_numbers_stay():
    """Masks are part of what a seed means: another formula would change every training that used dropout."""
    assert [hash32(i, 0) for i in range(3)] == [1716039760, 1448847245, 792072447]
    assert [hash32(i, 2**40 + 1) for i in (0, 2**33)] == [2769213018, 3526780384]
    assert derive(7, 1, 2) == 6652569061439603765
