"""The weight gradient of a convolution of one channel in front of max pooling, as LLVM IR: winners only.

Of each window only the place of the maximum has a gradient, so only what stands there is multiplied,

    dw[r, s, c] += sum_q dy[q, c] * x[place(q, c) + (r, s)]

a fourth of the multiply-adds for windows of 2x2. A vector holds neighbouring channels, whose places differ: the pixels
that all of them may need for kernel row r, one run of each row of the window, lie in one register, and a permutation
takes out of it what each channel needs. The run of the next kernel column is the same register with indices one higher.

The places come from the marks of `pooltile`, whose first word says where dy counts. Registers: R*S sums, S indices, the
pixels, what is taken out of them, dy.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from foveal.kernels.isa import ISA
from foveal.kernels.pooltile import Marks
from foveal.kernels.tile import I8, I32, I64, PTR, Emitter

WINNERS = ("x", "xr", "xs", "xn", "y", "ys", "yn", "marks", "ms", "mn", "w", "ws", "wr", "db", "M", "N")


def fits(isa: ISA, S: int, window: tuple[int, int], stride: int) -> bool:
    """Return whether kernel rows of S columns behind windows of this size have a tile.

    stride : pixels of x from a place of a window to its neighbour in the row
    """
    ph, pw = window
    powers = ph & (ph - 1) == 0
    return isa.permutes and powers and (pw - 1) * stride + S <= isa.lanes // ph and rows(isa, S) > 0


def rows(isa: ISA, S: int) -> int:
    """Return how many kernel rows a tile does at once."""
    return (isa.registers - S - 2) // S


def winners_name(isa: ISA, R: int, S: int, window: tuple[int, int], stride: tuple[int, int]) -> str:
    """Return the name of the function that `winners` makes."""
    (ph, pw), (sh, sw) = window, stride
    return f"winners_{isa.name}_{R}x{S}_{ph}x{pw}_{sh}x{sw}"


def winners(isa: ISA, R: int, S: int, window: tuple[int, int], stride: tuple[int, int]) -> str:
    """Return the IR that adds to R kernel rows what N rows of M windows give to one vector of channels.

    x, xr, xs, xn : the first pixel, and floats to the next row, to that of the next window, of the next row of windows
    y, ys, yn : dy of the first window, and floats to the next, and to the next row
    marks, ms, mn : of the first window, and bytes to the next, and to the next row
    w, ws, wr : dw, floats to the next column and to the next row of the kernel
    db : the sum of dy is added there
    stride : pixels of x from a place of a window to the one below it and beside it
    """
    (ph, pw), (sh, sw), V = window, stride, isa.lanes
    run = V // ph
    e = Emitter(isa, winners_name(isa, R, S, window, stride), WINNERS)
    a, b, whole = e.args, e.b, ir.VectorType(I32, isa.lanes)
    part = ir.VectorType(e.vector.element, run)

    def number(value: int) -> Any:
        return ir.Constant(whole, [value] * V)

    def pixels(x: Any, r: int) -> Any:
        """Return the runs of the window's rows that kernel row r meets, one behind the other."""
        runs = [b.load(e.at(x, b.mul(a["xr"], I64(r + i * sh))), typ=part, align=4) for i in range(ph)]
        while len(runs) > 1:
            size = runs[0].type.count * 2
            both = ir.Constant(ir.VectorType(I32, size), list(range(size)))
            runs = [b.shuffle_vector(one, two, both) for one, two in zip(runs[::2], runs[1::2], strict=True)]
        return runs[0]

    def one(_: Any, state: list[Any]) -> list[Any]:
        x, y, marks, total, *sums = state
        found, index = Marks(e, marks), number(0)
        for p in range(1, ph * pw):
            index = b.select(found.read(p), number(p // pw * run + p % pw * sw), index)
        dy = b.select(found.read(0), e.load(y), e.zero)
        at = [b.add(index, number(s)) for s in range(S)]
        new = []
        for r in range(R):
            source = pixels(x, r)
            new += [e.fma(dy, e.permute(source, at[s]), sums[r * S + s]) for s in range(S)]
        return [e.at(x, a["xs"]), e.at(y, a["ys"]), b.gep(marks, [a["ms"]], source_etype=I8), b.fadd(total, dy), *new]

    def line(_: Any, state: list[Any]) -> list[Any]:
        x, y, marks, *sums = state
        carried = [(PTR, p) for p in (x, y, marks)] + [(e.vector, v) for v in sums]
        sums = e.loop(a["M"], carried, one)[3:]
        return [e.at(x, a["xn"]), e.at(y, a["yn"]), b.gep(marks, [a["mn"]], source_etype=I8), *sums]

    to = [e.at(a["w"], b.add(b.mul(a["wr"], I64(r)), b.mul(a["ws"], I64(s)))) for r in range(R) for s in range(S)]
    places = [a["db"], *to]
    carried = [(PTR, a[k]) for k in ("x", "y", "marks")] + [(e.vector, e.load(p)) for p in places]
    for value, place in zip(e.loop(a["N"], carried, line)[3:], places, strict=True):
        b.store(value, place, align=4)
    return e.finish()
