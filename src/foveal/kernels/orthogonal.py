"""Muon's update of weight matrices: momentum, made orthogonal by five Newton-Schulz iterations of matrix products.

A matrix z (rows, columns), gathered from where the layer has packed it, has its shorter side as columns, padded with
zeros to whole vectors. With the polynomial's a, b, c an iteration is

    gram = z^T z,    z = z (a I + b gram + c gram gram)

three products of the register tile. The formula stands in `foveal.reference.orthogonal`.
"""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import arguments, block_pointer, fields, floats, helper, integers
from foveal.kernels.convolution import deal, tile_rows
from foveal.kernels.tasks import per_task
from foveal.reference.orthogonal import ITERATIONS, POLYNOMIAL, SMALLEST

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
f32 = np.float32
A, B, C = (f32(v) for v in POLYNOMIAL)

_TILES = "columns width lanes main last rows_tile small_main small_last small_tile taps zeros"
MATRIX = fields(f"p g m size index rows z next_z gram square {_TILES}", "steepness")
matrix_block = block_pointer(MATRIX)


@helper
def product(a, main, last, R, x, xs, xk, w, K, y, rows):
    """y = x w, of so many rows; w (K, columns) and y are dense, x has any strides."""
    for start in range(0, a.columns, a.width):
        table = last if start + a.width >= a.columns else main
        tile_rows(table, deal(rows, R), x, xs, xk, w + 4 * start, a.columns, a.taps, 1, K, a.zeros, 0, y + 4 * start,
                  a.columns, -np.inf, a.lanes)  # fmt: skip


@helper
def iterate(a, z, next_z):
    """next_z = z (A I + B gram + C gram gram)"""
    product(a, a.small_main, a.small_last, a.small_tile, z, 1, a.columns, z, a.rows, a.gram, a.columns)
    product(a, a.small_main, a.small_last, a.small_tile, a.gram, a.columns, 1, a.gram, a.columns, a.square, a.columns)
    gram, square = floats(a.gram, a.columns * a.columns), floats(a.square, a.columns * a.columns)
    for i in range(gram.size):
        square[i] = B * gram[i] + C * square[i]
    for i in range(a.columns):
        square[i * a.columns + i] += A
    product(a, a.main, a.last, a.rows_tile, z, a.columns, 1, a.square, a.columns, next_z, a.rows)


@per_task(fields("matrices count", "c0 c1 c2 c3 c4 c5 c6"), lambda a: a.count)
def muon_matrices(a, task, thread):
    """m = mu m + g;  p = (1 - lr decay) p - lr steepness orthogonal(g + mu m). A task is a matrix."""
    lr, mu, shrink = a.c0, f32(a.c2), f32(1 - a.c0 * a.c1)
    one = arguments(matrix_block(integers(a.matrices, a.count)[task]))
    p, g, m = floats(one.p, one.size), floats(one.g, one.size), floats(one.m, one.size)
    for i in range(one.size):
        m[i] = mu * m[i] + g[i]
    count = one.rows * one.columns
    index, z, norm = integers(one.index, count), floats(one.z, count), 0.0
    for i in range(count):
        z[i] = g[index[i]] + mu * m[index[i]] if index[i] >= 0 else f32(0)
        norm += np.float64(z[i]) * z[i]
    factor = f32(1 / max(np.sqrt(norm), SMALLEST))
    for i in range(count):
        z[i] *= factor
    now, then = one.z, one.next_z
    for _ in range(ITERATIONS):
        iterate(one, now, then)
        now, then = then, now
    rate, z = f32(lr * one.steepness), floats(now, count)
    for i in range(count):
        if index[i] >= 0:
            p[index[i]] = shrink * p[index[i]] - rate * z[i]
