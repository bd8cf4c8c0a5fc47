"""Depthwise convolution of a few pixels of a row, as LLVM IR: every channel has a filter of its own.

A vector holds neighbouring channels of one pixel, so no value is broadcast and nothing is summed over lanes:

``forward``          y[q, :] = max(floor, bias + sum_t sum_s x[X_t + q*stride + s*dilation, :] * w[W_t + s, :])
``weight_gradient``  dw[r, s, :] += sum_q x[X_r + q*stride + s*dilation, :] * dy[q, :],    db += sum_q dy[q, :]

A tap t or r is a row of the kernel: X is where it begins in x, W in the packed filter (`taps`, as in `tile.outer`).
Neighbouring outputs read mostly the same pixels, so each pixel is loaded once for all the multiply-adds that need it.

Registers of ``forward``: Q sums + S weights + 1 pixel; a multiply-add needs (Q*stride + S) / (Q*S) loads at most.
Registers of ``weight_gradient``: R*S + 1 sums + Q gradients + 1 pixel; its sums wait in memory between tiles.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from foveal.kernels.isa import ISA
from foveal.kernels.lanes import Pixels, fetch, store_channels, vectors_of
from foveal.kernels.tile import F32, I64, PTR, Emitter

_PLACES = ("channels", "M", "N", "xn", "yn")
FORWARD = ("x", "xs", "w", "ws", "taps", "T", "init", "y", "ys", "floor", *_PLACES)
GRADIENT = ("x", "xs", "rows", "y", "ys", "w", "ws", "db", *_PLACES)


def forward_name(isa: ISA, Q: int, S: int, stride: int, dilation: int, past: bool) -> str:
    """Return the name of the function that `forward` makes."""
    return f"depthwise_{isa.name}_{Q}_{S}_{stride}_{dilation}_{int(past)}"


def forward(isa: ISA, Q: int, S: int, stride: int, dilation: int, past: bool) -> str:
    """Return the IR of Q neighbouring outputs of all channels, repeated M times along N rows.

    xs, ys : floats from a pixel to the next
    ws : floats from a weight of a kernel row to the next, negative if the kernel is flipped
    xn, yn : floats from a row to the next one
    past : write y past the caches, and fetch the pixels of the next tile ahead
    """
    e = Emitter(isa, forward_name(isa, Q, S, stride, dilation, past), FORWARD)
    a, b, V = e.args, e.b, isa.lanes
    floor = e.splat(a["floor"])
    unbounded = b.fcmp_ordered("==", a["floor"], ir.Constant(F32, float("-inf")))
    meets = _meets(Q, S, stride, dilation)
    pixels = Pixels(e, a["xs"], max(meets) + 1)
    vectors = vectors_of(e, a["channels"])

    def tile(x: Any, y: Any) -> None:
        def channels(v: Any, _: list[Any]) -> list[Any]:
            c = b.mul(v, I64(V))
            xc, yc, wc = (e.at(p, c) for p in (x, y, a["w"]))

            def row(t: Any, acc: list[Any]) -> list[Any]:
                pair = b.gep(a["taps"], [b.mul(t, I64(2))], source_etype=I64)
                xt = e.at(xc, b.load(pair, typ=I64))
                wt = e.at(wc, b.load(b.gep(pair, [I64(1)], source_etype=I64), typ=I64))
                weights = [e.load(e.at(wt, b.mul(a["ws"], I64(s)))) for s in range(S)]
                places, acc = pixels.of(xt), list(acc)
                for p, users in meets.items():
                    value = e.load(places[p])
                    for q, s in users:
                        acc[q] = e.fma(value, weights[s], acc[q])
                return acc

            if past:  # of the rows that a tile reads, only the last one is new to the rows above
                newest = b.load(b.gep(a["taps"], [b.sub(b.mul(a["T"], I64(2)), I64(2))], source_etype=I64), typ=I64)
                fetch(e, pixels.of(e.at(xc, newest))[: Q * stride], b.mul(a["xs"], I64(Q * stride)))
            start = e.load(e.at(a["init"], c))
            acc = e.loop(a["T"], [(e.vector, start)] * Q, row)
            acc = e.unless(unbounded, acc, lambda value: e.max(value, floor))
            to = [e.at(yc, b.mul(a["ys"], I64(q))) for q in range(Q)]
            store_channels(e, [([v], p) for v, p in zip(acc, to, strict=True)], b.sub(a["channels"], c), past)
            return []

        e.loop(vectors, [], channels)

    _walk(e, Q, stride, tile)
    return e.finish()


def gradient_name(isa: ISA, Q: int, R: int, S: int, stride: int, dilation: int, bias: bool, ahead: bool) -> str:
    """Return the name of the function that `weight_gradient` makes."""
    return f"depthwise_gradient_{isa.name}_{Q}_{R}x{S}_{stride}_{dilation}_{int(bias)}{int(ahead)}"


def weight_gradient(isa: ISA, Q: int, R: int, S: int, stride: int, dilation: int, bias: bool, ahead: bool) -> str:
    """Return the IR that adds the gradients of R kernel rows from Q neighbouring outputs, M times along N rows.

    y, w : here dy and dw
    rows : where the R kernel rows begin in x, in floats
    ws : floats from a weight of dw to the next; its rows follow each other
    bias : add dy to db, too
    ahead : fetch the pixels of the next tile
    """
    e = Emitter(isa, gradient_name(isa, Q, R, S, stride, dilation, bias, ahead), GRADIENT)
    a, b, V = e.args, e.b, isa.lanes
    meets = _meets(Q, S, stride, dilation)
    pixels, gradients = Pixels(e, a["xs"], max(meets) + 1), Pixels(e, a["ys"], Q)
    vectors = vectors_of(e, a["channels"])
    starts = [b.load(b.gep(a["rows"], [I64(r)], source_etype=I64), typ=I64) for r in range(R)]

    def tile(x: Any, dy: Any) -> None:
        def channels(v: Any, _: list[Any]) -> list[Any]:
            c = b.mul(v, I64(V))
            xc, dyc, dwc, db = (e.at(p, c) for p in (x, dy, a["w"], a["db"]))
            to = [e.at(dwc, b.mul(a["ws"], I64(i))) for i in range(R * S)]
            acc, dys = [e.load(p) for p in to], [e.load(p) for p in gradients.of(dyc)]
            rows = [pixels.of(e.at(xc, start)) for start in starts]
            if ahead:
                fetch(e, gradients.of(dyc), b.mul(a["ys"], I64(Q)))
                fetch(e, rows[-1][: Q * stride], b.mul(a["xs"], I64(Q * stride)))
            for p, users in meets.items():
                for r in range(R):
                    value = e.load(rows[r][p])
                    for q, s in users:
                        acc[r * S + s] = e.fma(value, dys[q], acc[r * S + s])
            if bias:
                total = e.load(db)
                for value in dys:
                    total = b.fadd(total, value)
                acc, to = [*acc, total], [*to, db]
            store_channels(e, [([v], p) for v, p in zip(acc, to, strict=True)], b.sub(a["channels"], c))
            return []

        e.loop(vectors, [], channels)

    _walk(e, Q, stride, tile)
    return e.finish()


def _meets(Q: int, S: int, stride: int, dilation: int) -> dict[int, list[tuple[int, int]]]:
    """Return, for each pixel of x that is read, the outputs and weights (q, s) that it meets, from left to right."""
    meets: dict[int, list[tuple[int, int]]] = {}
    for q in range(Q):
        for s in range(S):
            meets.setdefault(q * stride + s * dilation, []).append((q, s))
    return dict(sorted(meets.items()))


def _walk(e: Emitter, Q: int, stride: int, tile: Any) -> None:
    """Emit the loops around a tile: M times along the row, and at each place N rows, which share their pixels in L1."""
    a, b = e.args, e.b

    def line(_: Any, at: list[Any]) -> list[Any]:
        tile(*at)
        return [e.at(at[0], a["xn"]), e.at(at[1], a["yn"])]

    def column(_: Any, at: list[Any]) -> list[Any]:
        e.loop(a["N"], [(PTR, p) for p in at], line)
        return [e.at(at[0], b.mul(a["xs"], I64(Q * stride))), e.at(at[1], b.mul(a["ys"], I64(Q)))]

    e.loop(a["M"], [(PTR, a["x"]), (PTR, a["y"])], column)
