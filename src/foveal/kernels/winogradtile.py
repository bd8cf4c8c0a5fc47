"""Winograd's minimal filtering along a row, as LLVM IR: m neighbouring outputs for m + S - 1 products, not m * S.

A row of S filter weights g meets a *patch* d of n = m + S - 1 neighbouring pixels. The product of the polynomials whose
coefficients they are is known from its values at n points, and its transpose gives the m correlations,

    y = A ((G g) * (B d))        F(m, S)

with A (m, n), G (n, S), B (n, n) and the product taken number by number (S. Winograd, Arithmetic Complexity of
Computations, 1980; A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, 2016, who also nest it for
both axes). A is linear, so it is applied once to the sums over channels and kernel rows:

    M[i] = sum_t sum_k U_t[k, i] * D_t[k, i]        y = A M

``transform`` makes U = G g and D = B d, ``multiply`` the rest. F(4, 3) needs half of the multiplications, F(3, 5) 7/15.
Along one axis only, the rounding errors are about those of the direct sum.

Registers of ``multiply``: R patches * n points * C vectors of sums, C of U, a number of D; and for each k (R + C) * n
loads for R * C * n multiply-adds.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from llvmlite import ir

from foveal.kernels.isa import ISA
from foveal.kernels.tile import F32, GROUP, I32, I64, PTR, Emitter, store_rows, tap_numbers

Matrix = tuple[tuple[Fraction, ...], ...]
MULTIPLY = (
    "x", "xs", "xp", "xk", "w", "taps", "T", "K", "init", "more", "y", "ys", "floor", "tail", "M", "N", "xn", "yn",
)  # fmt: skip
TRANSFORM = ("x", "xs", "xk", "y", "ys", "yk", "K", "M", "N", "xn", "yn")
_HALF = Fraction(1, 2)
_POINTS = (
    Fraction(0),
    Fraction(1),
    Fraction(-1),
    _HALF,
    -_HALF,
    Fraction(-2),
)  # and infinity: small numbers, both ways


@functools.cache
def matrices(m: int, S: int) -> tuple[Matrix, Matrix, Matrix]:
    """Return A (m, n), G (n, S) and B (n, n) of F(m, S): the Toom-Cook construction, exact.

    Examples
    --------
    >>> import numpy as np
    >>> A, G, B = (np.array(matrix, float) for matrix in matrices(2, 3))
    >>> g, d = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0, 7.0])
    >>> A @ ((G @ g) * (B @ d)), np.correlate(d, g)
    (array([32., 38.]), array([32., 38.]))
    """
    points = _POINTS[: m + S - 2]

    def powers(count: int) -> list[list[Fraction]]:  # row i: what the coefficients weigh at point i; infinity: the last
        return [[p**k for k in range(count)] for p in points] + [[Fraction(k == count - 1) for k in range(count)]]

    others = [[q for q in points if q != p] for p in points]
    scale = [_product(p - q for q in roots) for p, roots in zip(points, others, strict=True)] + [Fraction(1)]
    A = tuple(zip(*powers(m), strict=True))
    G = tuple(tuple(v / s for v in row) for row, s in zip(powers(S), scale, strict=True))
    B = tuple(_polynomial(roots, m + S - 1) for roots in [*others, list(points)])
    return A, G, B


def _product(factors: Any) -> Fraction:
    return functools.reduce(lambda a, b: a * b, factors, Fraction(1))


def _polynomial(roots: Sequence[Fraction], size: int) -> tuple[Fraction, ...]:
    """Return the coefficients of the product of (x - root), the constant first."""
    c = [Fraction(1)]
    for root in roots:
        c = [a - root * b for a, b in zip([Fraction(0), *c], [*c, Fraction(0)], strict=True)]
    return (*c, *[Fraction(0)] * (size - len(c)))


def _weighted(e: Emitter, weights: Sequence[Fraction], values: Sequence[Any]) -> Any:
    """Return the sum of the vectors, each times its weight; additions where that is 1 or -1."""
    total = None
    for weight, value in sorted(zip(weights, values, strict=True), key=lambda pair: pair[0] != 1):
        factor = ir.Constant(e.vector, [float(weight)] * e.V)
        if weight == 0:
            continue
        if total is None:
            total = value if weight == 1 else e.b.fmul(value, factor)
        elif abs(weight) == 1:
            total = e.b.fadd(total, value) if weight == 1 else e.b.fsub(total, value)
        else:
            total = e.fma(value, factor, total)
    return total


def _outputs(e: Emitter, A: Matrix, sums: list[Any]) -> list[Any]:
    """Return A times the sums. Points p and -p give even outputs their sum, odd ones their difference."""
    weights, values = [list(row) for row in A], list(sums)
    for i, p in enumerate(_POINTS[: len(sums) - 1]):
        if p > 0 and -p in _POINTS[: len(sums) - 1]:
            k = _POINTS.index(-p)
            values[i], values[k] = e.b.fadd(sums[i], sums[k]), e.b.fsub(sums[i], sums[k])
            for j, row in enumerate(weights):
                row[i], row[k] = (row[i], Fraction(0)) if j % 2 == 0 else (Fraction(0), row[i])
    return [_weighted(e, row, values) for row in weights]


def transform_name(isa: ISA, m: int, S: int, which: str) -> str:
    """Return the name of the function that `transform` makes."""
    return f"winograd_{which}_{isa.name}_{m}_{S}"


def transform(isa: ISA, m: int, S: int, which: str) -> str:
    """Return the IR of y[i*yk + k] = sum_j matrix[i, j] * x[j*xk + k] for K neighbouring k, M times and that N times.

    which : "filter", the matrix is G; "patch", it is B; "pixels", it is B, of maps of one channel (K, xk and yk are 1)

    xs and ys lie between the M, xn and yn between the N.
    """
    _, G, B = matrices(m, S)
    e = Emitter(isa, transform_name(isa, m, S, which), TRANSFORM)
    a, b, V, n = e.args, e.b, e.V, m + S - 1

    def some(_: Any, state: list[Any]) -> list[Any]:
        x, y = state
        values = [e.load(e.at(x, b.mul(a["xk"], I64(j)))) for j in range(S if which == "filter" else n)]
        for i, row in enumerate(G if which == "filter" else B):
            b.store(_weighted(e, row, values), e.at(y, b.mul(a["yk"], I64(i))), align=4)
        return [e.at(x, I64(V)), e.at(y, I64(V))]

    def patch(_: Any, state: list[Any]) -> list[Any]:
        e.loop(b.sdiv(b.add(a["K"], I64(V - 1)), I64(V)), [(PTR, p) for p in state], some)
        return [e.at(state[0], a["xs"]), e.at(state[1], a["ys"])]

    def line(_: Any, state: list[Any]) -> list[Any]:
        if which == "pixels":
            _patches_of_pixels(e, m, B, *state)
        else:
            e.loop(a["M"], [(PTR, p) for p in state], patch)
        return [e.at(state[0], a["xn"]), e.at(state[1], a["yn"])]

    e.loop(a["N"], [(PTR, a["x"]), (PTR, a["y"])], line)
    return e.finish()


def _patches_of_pixels(e: Emitter, m: int, B: Matrix, x: Any, y: Any) -> None:
    """Emit the patches of a row of one channel: a vector has the points of a patch, or of some neighbouring ones."""
    a, b, V, n = e.args, e.b, e.V, len(B)
    beside = max(1, min(V // n, (V - n) // m + 1)) if e.isa.permutes else 1

    def column(j: int, first: int) -> Any:
        weights = [float(row[j]) for _ in range(beside) for row in B][first : first + V]
        return ir.Constant(e.vector, weights + [0.0] * (V - len(weights)))

    def some(turn: Any, state: list[Any]) -> list[Any]:
        x, y = state
        left = b.mul(b.sub(a["M"], b.mul(turn, I64(beside))), I64(n))
        source = e.load(x) if e.isa.permutes else None
        for first in range(0, beside * n, V):
            total = e.zero
            for j in range(n):
                if source is None:
                    value = e.splat(b.load(e.at(x, I64(j)), typ=F32))
                else:
                    index = [lane // n % beside * m + j for lane in range(V)]
                    value = e.permute(source, ir.Constant(ir.VectorType(I32, V), index))
                total = e.fma(value, column(j, first), total)
            kept = b.select(b.icmp_signed("<", left, I64(beside * n)), left, I64(beside * n))
            e.store(total, e.at(y, I64(first)), e.below(b.sub(kept, I64(first))))
        return [e.at(x, b.mul(a["xs"], I64(beside))), e.at(y, b.mul(a["ys"], I64(beside)))]

    e.loop(b.sdiv(b.add(a["M"], I64(beside - 1)), I64(beside)), [(PTR, x), (PTR, y)], some)


def multiply_name(isa: ISA, m: int, S: int, R: int, C: int) -> str:
    """Return the name of the function that `multiply` makes."""
    return f"winograd_multiply_{isa.name}_{m}_{S}_{R}x{C}"


def multiply(isa: ISA, m: int, S: int, R: int, C: int) -> str:
    """Return the IR of R patches by C vectors, M times along a row of outputs, and that for each of N rows.

    x, xs, xp, xk : the first transformed patch, and floats to the next, to the next point, to the next channel
    w, taps, T, K : transformed filters (tap, channel, point, column), (X_t, W_t) of each tap, taps, channels
    more : 0, or 1 if the results are added to y, and not to the bias `init`
    init, y, ys, floor, tail, xn, yn : as in `tile.outer`; rows of y are m for each patch
    """
    A, _, _ = matrices(m, S)
    e = Emitter(isa, multiply_name(isa, m, S, R, C), MULTIPLY)
    a, b, V, n = e.args, e.b, e.V, m + S - 1
    one = _POINTS.index(Fraction(1))  # each output has the sum at this point once, so it begins with the bias
    strides = b.mul(a["xp"], I64(4)), b.mul(a["xp"], I64(12))
    groups = len(range(0, n, GROUP))

    def channel(_: Any, state: list[Any]) -> list[Any]:
        wp, xps, sums = state[0], state[1 : 1 + R * groups], state[1 + R * groups :]
        points = e.rows(xps, strides)
        new = list(sums)
        for i in range(n):
            us = [e.load(e.at(wp, I64((i * C + c) * V))) for c in range(C)]
            for r in range(R):
                d = e.splat(b.load(points[r * groups * GROUP + i], typ=F32))
                for c in range(C):
                    at = (r * n + i) * C + c
                    new[at] = e.fma(d, us[c], sums[at])
        return [e.at(wp, I64(n * C * V)), *(e.at(p, a["xk"]) for p in xps), *new]

    def unit(_: Any, pointers: list[Any]) -> list[Any]:
        x, y = pointers
        bias = [b.select(begun, e.zero, e.load(e.at(a["init"], I64(c * V)))) for c in range(C)]
        start = [bias[c] if i == one else e.zero for _ in range(R) for i in range(n) for c in range(C)]

        def tap(t: Any, sums: list[Any]) -> list[Any]:
            xt, wt = tap_numbers(e, t, 2)
            first = e.at(x, xt)
            bases = [e.at(first, b.add(b.mul(a["xs"], I64(r)), b.mul(a["xp"], I64(GROUP * g))))
                     for r in range(R) for g in range(groups)]  # fmt: skip
            carried = [(PTR, e.at(a["w"], wt)), *((PTR, p) for p in bases), *((e.vector, v) for v in sums)]
            return e.loop(a["K"], carried, channel)[1 + len(bases) :]

        sums = e.loop(a["T"], [(e.vector, v) for v in start], tap)
        columns = [[_outputs(e, A, sums[r * n * C + c : (r + 1) * n * C : C]) for c in range(C)] for r in range(R)]
        results = [columns[r][c][j] for r in range(R) for j in range(m) for c in range(C)]
        places = iter([e.at(y, b.add(b.mul(a["ys"], I64(i)), I64(c * V))) for i in range(R * m) for c in range(C)])
        results = e.unless(b.not_(begun), results, lambda value: b.fadd(value, e.load(next(places))))
        results = e.unless(unbounded, results, lambda value: e.max(value, floor))
        store_rows(e, [results[i : i + C] for i in range(0, len(results), C)], y)
        return [e.at(x, b.mul(a["xs"], I64(R))), e.at(y, b.mul(a["ys"], I64(R * m)))]

    def line(_: Any, pointers: list[Any]) -> list[Any]:
        e.loop(a["M"], [(PTR, p) for p in pointers], unit)
        return [e.at(pointers[0], a["xn"]), e.at(pointers[1], a["yn"])]

    floor, begun = e.splat(a["floor"]), b.icmp_signed("!=", a["more"], I64(0))
    unbounded = b.fcmp_ordered("==", a["floor"], ir.Constant(F32, float("-inf")))
    e.loop(a["N"], [(PTR, a["x"]), (PTR, a["y"])], line)
    return e.finish()
