"""Max pooling of one row of windows and its backward, as LLVM IR: a vector of channels at a time, all in registers.

The window is known when the code is made, the sizes are not. Forward keeps the outcome of each comparison, one bit a
lane, so that backward needs neither the map nor its maximum: bit p says that place p beat all places before it, and
bit 0 that the maximum is above its floor (ReLU's zero), so that a gradient passes at all:

    y[q, c] = max(floor, max_p x_p[q, c])        dx_p[q, c] = dy[q, c] if p is the last that beat, else 0

These bits are the *marks* of a vector: for each place a word of as many bits as there are lanes, at least a byte.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from llvmlite import ir

from foveal.kernels.isa import ISA
from foveal.kernels.tile import I8, I64, PTR, Emitter

FORWARD = ("rows", "xs", "sx", "n", "channels", "y", "ys", "marks", "ms", "floor")
BACKWARD = ("rows", "ds", "sd", "n", "channels", "y", "ys", "marks", "ms", "db")


def mark_bytes(isa: ISA, window: tuple[int, ...]) -> int:
    """Return the bytes of the marks of one vector of outputs.

    Examples
    --------
    >>> from foveal.kernels.isa import named
    >>> mark_bytes(named("avx512"), (2, 2)), mark_bytes(named("sse"), (3, 3))
    (8, 9)
    """
    return math.prod(window) * max(isa.lanes // 8, 1)


class Marks:
    """The marks of the vector at `start`, written and read as whole words."""

    def __init__(self, e: Emitter, start: Any) -> None:
        self.e, self.start, self.word = e, start, ir.IntType(max(e.V, 8))

    def _place(self, p: int) -> Any:
        return self.e.b.gep(self.start, [I64(p)], source_etype=self.word)

    def write(self, p: int, mask: Any) -> None:
        bits = self.e.b.bitcast(mask, ir.IntType(self.e.V))
        self.e.b.store(self.e.b.zext(bits, self.word) if self.e.V < 8 else bits, self._place(p), align=1)

    def read(self, p: int) -> Any:
        word = self.e.b.load(self._place(p), typ=self.word, align=1)
        bits = self.e.b.trunc(word, ir.IntType(self.e.V)) if self.e.V < 8 else word
        return self.e.b.bitcast(bits, ir.VectorType(ir.IntType(1), self.e.V))


def forward(isa: ISA, window: tuple[int, int], remember: bool) -> str:
    """Return the IR of ``max_pool_row``: n windows side by side over the rows whose addresses stand at `rows`.

    xs, sx : floats from a pixel to the next, and from a window to the next
    ys, ms : floats, bytes from an output pixel to the next
    remember : store the marks (training)
    """
    ph, pw = window
    e = Emitter(isa, f"max_pool_{isa.name}_{ph}x{pw}_{int(remember)}", FORWARD)
    a, b, V = e.args, e.b, isa.lanes
    floor = e.splat(a["floor"])
    rows = [b.load(b.gep(a["rows"], [I64(r)], source_etype=I64), typ=I64) for r in range(ph)]
    vectors = b.sdiv(b.add(a["channels"], I64(V - 1)), I64(V))

    def exact(values: list[Any]) -> Any:
        """Return the maximum of values of which some are NaN: a NaN stays."""
        best = values[0]
        for value in values[1:]:
            larger = b.or_(b.fcmp_ordered(">", value, best), b.fcmp_unordered("uno", value, value))
            best = b.select(larger, value, best)
        return best

    def channels(v: Any, _: list[Any]) -> list[Any]:
        c = b.mul(v, I64(V))
        live = e.below(b.sub(a["channels"], c))
        starts = [e.at(b.inttoptr(r, PTR), c) for r in rows]
        y, first = e.at(a["y"], c), b.gep(a["marks"], [b.mul(v, I64(mark_bytes(isa, window)))], source_etype=I8)

        def windows(q: Any, _: list[Any]) -> list[Any]:
            x, marks = b.mul(q, a["sx"]), Marks(e, b.gep(first, [b.mul(q, a["ms"])], source_etype=I8))
            places = [b.add(x, b.mul(a["xs"], I64(s))) for s in range(pw)]
            values = [e.load(e.at(starts[p // pw], places[p % pw])) for p in range(ph * pw)]
            best, beats = values[0], [live]
            for value in values[1:]:
                beats.append(b.fcmp_ordered(">", value, best))
                best = b.select(beats[-1], value, best)  # one instruction, which forgets a NaN on either side
            pairs = zip(values[::2], [*values[1::2], values[-1]], strict=False)
            unordered = functools.reduce(b.or_, (b.fcmp_unordered("uno", one, two) for one, two in pairs))
            clean = b.icmp_unsigned("==", b.bitcast(unordered, ir.IntType(V)), ir.IntType(V)(0))
            (best,) = e.unless(clean, [best], lambda _: exact(values))
            if remember:
                beats[0] = b.and_(b.fcmp_ordered(">", best, floor), live)
                for p, mask in enumerate(beats):
                    marks.write(p, mask)
            e.store(e.max(best, floor), e.at(y, b.mul(q, a["ys"])), live)
            return []

        e.loop(a["n"], [], windows)
        return []

    e.loop(vectors, [], channels)
    return e.finish()


def backward(isa: ISA, window: tuple[int, int], disjoint: bool) -> str:
    """Return the IR of ``max_unpool_row``: spread n gradients over their windows and add them up for the bias.

    ds, sd : floats from a pixel to the next, and from a window to the next; pixels hold whole vectors
    db : the sum over the windows is added there
    disjoint : windows do not overlap: places are written, else added to
    """
    ph, pw = window
    e = Emitter(isa, f"max_unpool_{isa.name}_{ph}x{pw}_{int(disjoint)}", BACKWARD)
    a, b, V = e.args, e.b, isa.lanes
    rows = [b.load(b.gep(a["rows"], [I64(r)], source_etype=I64), typ=I64) for r in range(ph)]
    vectors = b.sdiv(b.add(a["channels"], I64(V - 1)), I64(V))

    def channels(v: Any, _: list[Any]) -> list[Any]:
        c = b.mul(v, I64(V))
        starts = [e.at(b.inttoptr(r, PTR), c) for r in rows]
        y, db = e.at(a["y"], c), e.at(a["db"], c)
        first = b.gep(a["marks"], [b.mul(v, I64(mark_bytes(isa, window)))], source_etype=I8)

        def windows(q: Any, sums: list[Any]) -> list[Any]:
            x = b.mul(q, a["sd"])
            dy = e.load(e.at(y, b.mul(q, a["ys"])))
            marks = Marks(e, b.gep(first, [b.mul(q, a["ms"])], source_etype=I8))
            alive = rest = marks.read(0)
            for p in reversed(range(ph * pw)):
                beats = marks.read(p) if p else rest
                target = e.at(starts[p // pw], b.add(x, b.mul(a["ds"], I64(p % pw))))
                value = b.select(b.and_(rest, beats), dy, e.zero)
                b.store(value if disjoint else b.fadd(value, e.load(target)), target, align=4)
                rest = b.and_(rest, b.not_(beats))
            return [b.fadd(sums[0], b.select(alive, dy, e.zero))]

        (total,) = e.loop(a["n"], [(e.vector, e.load(db))], windows)
        b.store(total, db, align=4)
        return []

    e.loop(vectors, [], channels)
    return e.finish()
