"""The inner loops of image kernels, as LLVM IR: a weighted sum of neighbouring samples, and the way back to bytes.

    y[r, i] = sum_t w[t, r] * x_t[i]                                                     ``weigh``
    y[i]    = the whole number nearest to x[i] * factor + offset, held to 0 .. 255       ``quantise``

A row of an image is a vector of samples, whatever its channels are, and a tap of an image kernel is such a row,
shifted. So a tap is an address x_t with weights, and neither the size of the image kernel nor the number of channels is
known here. R output rows are made at once, because an input row is needed by several of them; a tap then has R weights,
zero for the rows that it does not belong to.

Sums are float32, or int16 where all of them are known to fit: twice as many lanes, and no way to and from float32.

Registers of ``weigh``: R*C accumulators + C samples + 1 weight; a multiply-add needs (1 + C + R) / (R*C) loads.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from foveal.kernels.isa import ISA
from foveal.kernels.tile import F32, I8, I32, I64, PTR, Emitter

WEIGH = ("rows", "w", "T", "y", "ys", "M")
QUANTISE = ("x", "init", "y", "db", "M")
I16 = ir.IntType(16)
WHITE = 255.49998474121094  # the largest float32 that is rounded to 255
UNITS = 12582912.0  # 3 * 2^22: the last bit of a float32 near it counts 1, so adding it rounds, ties to even


class Sums:
    """A vector of sums, float32 or int16, and its arithmetic. Scalars are 4 bytes: an int16 stands there twice."""

    def __init__(self, e: Emitter, whole: bool) -> None:
        self.e, self.whole, self.lanes = e, whole, lanes(e.isa, whole)
        self.kind = I16 if whole else F32
        self.vector = ir.VectorType(self.kind, self.lanes)
        self.zero = self.all(0)

    def all(self, value: float) -> Any:
        """Return a constant vector."""
        return ir.Constant(self.vector, [value] * self.lanes)

    def at(self, pointer: Any, index: Any) -> Any:
        return self.e.b.gep(pointer, [index], source_etype=self.kind)

    def load(self, pointer: Any) -> Any:
        return self.e.b.load(pointer, typ=self.vector, align=self.kind.width // 8 if self.whole else 4)

    def scalar(self, pointer: Any, index: Any) -> Any:
        """Return scalar number `index` in all lanes."""
        value = self.e.b.load(self.e.at(pointer, index), typ=I32 if self.whole else F32)
        return self.e.b.bitcast(self.e.splat(value, I32), self.vector) if self.whole else self.e.splat(value)

    def add_product(self, x: Any, w: Any, total: Any) -> Any:
        return self.e.b.add(self.e.b.mul(x, w), total) if self.whole else self.e.fma(x, w, total)


def lanes(isa: ISA, whole: bool) -> int:
    """Return the sums in a vector."""
    return isa.lanes * (2 if whole else 1)


def weigh_name(isa: ISA, R: int, C: int, whole: bool = False) -> str:
    """Return the name of ``weigh``."""
    return f"filter_weigh_{'i16' if whole else 'f32'}_{isa.name}_{R}x{C * lanes(isa, whole)}"


def weigh(isa: ISA, R: int, C: int, whole: bool = False) -> str:
    """Return the IR of the weighted sum of T taps: R rows by C vectors, repeated M times along the row.

    rows, w : T addresses of samples; T*R weights
    ys : samples from an output row to the next
    """
    e = Emitter(isa, weigh_name(isa, R, C, whole), WEIGH)
    a, b, s = e.args, e.b, Sums(e, whole)
    V = s.lanes

    def block(m: Any, state: list[Any]) -> list[Any]:
        column = b.mul(m, I64(C * V))

        def tap(t: Any, acc: list[Any]) -> list[Any]:
            row = b.load(b.gep(a["rows"], [t], source_etype=I64), typ=I64)
            x = s.at(b.inttoptr(row, PTR), column)
            xs = [s.load(s.at(x, I64(c * V))) for c in range(C)]
            new = []
            for r in range(R):
                w = s.scalar(a["w"], b.add(b.mul(t, I64(R)), I64(r)))
                new += [s.add_product(xs[c], w, acc[r * C + c]) for c in range(C)]
            return new

        acc = e.loop(a["T"], [(s.vector, s.zero)] * (R * C), tap)
        for r in range(R):
            row = s.at(state[0], b.mul(a["ys"], I64(r)))
            for c in range(C):
                b.store(acc[r * C + c], s.at(row, I64(c * V)), align=2)
        return [s.at(state[0], I64(C * V))]

    e.loop(a["M"], [(PTR, a["y"])], block)
    return e.finish()


def quantise_name(isa: ISA, whole: bool = False) -> str:
    """Return the name of ``quantise``."""
    return f"filter_quantise_{'i16' if whole else 'f32'}_{isa.name}"


def quantise(isa: ISA, whole: bool = False) -> str:
    """Return the IR of the way from M vectors of sums to bytes; ties go to the even number.

    init : offset, factor; for int16 the offset alone
    db : an int64 to which the number of values that had to be held to 0 .. 255 is added; a NaN does not count, and its
        byte may be anything
    """
    e = Emitter(isa, quantise_name(isa, whole), QUANTISE)
    a, b, s = e.args, e.b, Sums(e, whole)
    V, bits = s.lanes, ir.IntType(s.lanes)
    popcount = ir.Function(e.module, ir.FunctionType(bits, [bits]), f"llvm.ctpop.i{V}")
    offset = s.scalar(a["init"], I64(0))
    black, white = (s.zero, s.all(255)) if whole else (s.all(-0.5), s.all(WHITE))
    compare = b.icmp_signed if whole else b.fcmp_ordered
    factor = None if whole else s.scalar(a["init"], I64(1))

    def vector(m: Any, clipped: list[Any]) -> list[Any]:
        i = b.mul(m, I64(V))
        x = s.load(s.at(a["x"], i))
        value = b.add(x, offset) if whole else e.fma(x, factor, offset)
        held = b.select(compare("<", value, black), black, value)
        held = b.select(compare(">", held, white), white, held)
        count = b.call(popcount, [b.bitcast(compare("!=", value, held), bits)])
        number = held if whole else b.bitcast(b.fadd(held, s.all(UNITS)), ir.VectorType(I32, V))
        b.store(b.trunc(number, ir.VectorType(I8, V)), b.gep(a["y"], [i], source_etype=I8), align=1)
        return [b.add(clipped[0], b.zext(count, I64))]

    (clipped,) = e.loop(a["M"], [(I64, b.load(a["db"], typ=I64))], vector)
    b.store(clipped, a["db"], align=8)
    return e.finish()
