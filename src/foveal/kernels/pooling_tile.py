"""Pooling of n outputs of a row, as LLVM IR: forward and backward, maximum and mean, in 1D to 3D, any window.

Backward is written like forward: for each number of dx the windows that read it are its taps in dy, as the positions of
a window are the taps of an output. So all four are one walk over taps,

``maximum``       y = max over taps of x                     code = the place of the first maximum in its window
``maximum_grad``  dx = sum over taps of dy where code = place
``mean``          y = share * sum over taps of x             share = 1 / count of the window
``mean_grad``     dx = sum over taps of share * dy

Taps are (plane, row, column) with fixed strides; a *place* is the number of a position in the window, and it changes by
fixed steps from tap to tap, too. Each output of the pooling has *marks*: the codes of its channels, or its share. They
are written or read with the outputs in forward, read with the taps in backward.

Vectors hold neighbouring channels; B of them share the work of a tap. Registers: B sums, or B maxima and B codes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from foveal.kernels.isa import ISA
from foveal.kernels.lanes import store_channels, vectors_of
from foveal.kernels.tile import F32, I8, I64, Emitter

WALK = ("x", "sx", "marks", "sm", "place", "sp", "y", "sy", "n", "A", "R", "T", "taps", "init", "db")
"""Arguments of a tile.

x, sx : the first tap of the first output, and floats to that of the next
marks, sm : of the first output, or of its first tap; bytes to those of the next
place, sp : of the first tap of the first output, and what the next one's is more
y, sy : the first output, and floats to the next
n : outputs
A, R, T : planes, rows and columns of taps, one at least
taps : what a plane, row, column more is in x (floats), marks (bytes) and place; the number of channels
init, db : numbers of each channel: coefficient and bias (`mean`, `mean_grad`)
"""


def name(kind: str, isa: ISA, B: int, *options: int) -> str:
    """Return the name of the function that the function `kind` of this module makes."""
    return "_".join([f"pooling_{kind}", isa.name, *map(str, (B, *map(int, options)))])


class _Walk:
    """A tile being written: the loops over outputs, channels and taps around what one kind of pooling does."""

    def __init__(self, name: str, isa: ISA, B: int) -> None:
        self.e, self.B, self.lanes = Emitter(isa, name, WALK), B, B * isa.lanes
        self.b, self.args = self.e.b, self.e.args
        steps = [self.b.load(self.b.gep(self.args["taps"], [I64(i)], source_etype=I64), typ=I64) for i in range(10)]
        self.steps = list(zip(*(steps[i : i + 3] for i in (0, 3, 6)), strict=True))  # of plane, row, column
        self.channels = steps[9]

    def vectors(self, pointer: Any, c: Any = None) -> list[Any]:
        """Load B vectors from `pointer`, or from channel c of it."""
        at = pointer if c is None else self.e.at(pointer, c)
        return [self.e.load(self.e.at(at, I64(i * self.e.V))) for i in range(self.B)]

    def splat(self, pointer: Any) -> Any:
        """Return the number at `pointer` in all lanes."""
        return self.e.splat(self.b.load(pointer, typ=F32))

    def bytes(self, pointer: Any, offset: Any) -> Any:
        """Return the pointer `offset` bytes on."""
        return self.b.gep(pointer, [offset], source_etype=I8)

    def emit(
        self,
        start: Callable[[Any], Sequence[Any]],
        tap: Callable[[Any, Any, Any, Any, list[Any]], list[Any]],
        finish: Callable[[Any, Any, list[Any]], list[Any]],
        past: bool,
    ) -> str:
        """Return the IR of v = start(place), v = tap(x, marks, place, c, v) for each tap, y = finish(marks, c, v).

        c is the first channel of a group and x its number; `marks` are the tap's, and at the end the output's.
        """
        a, b, e = self.args, self.b, self.e

        def output(_: Any, at: list[Any]) -> list[Any]:
            def group(g: Any, _: list[Any]) -> list[Any]:
                c = b.mul(g, I64(self.lanes))

                def taps(axis: int, at: list[Any], values: list[Any]) -> list[Any]:
                    if axis == 3:
                        return tap(at[0], at[1], at[2], c, values)
                    dx, dm, dp = self.steps[axis]

                    def one(_: Any, state: list[Any]) -> list[Any]:
                        x, marks, place = state[:3]
                        values = taps(axis + 1, state[:3], state[3:])
                        return [e.at(x, dx), self.bytes(marks, dm), b.add(place, dp), *values]

                    carried = [(v.type, v) for v in (*at, *values)]
                    return e.loop(a["ART"[axis]], carried, one)[3:]

                values = taps(0, [e.at(x, c), marks, place], list(start(place)))
                pixel = finish(marks, c, values), e.at(y, c)
                store_channels(e, [pixel], b.sub(self.channels, c), past)
                return []

            x, marks, place, y = at
            e.loop(vectors_of(e, self.channels, self.B), [], group)
            return [e.at(x, a["sx"]), self.bytes(marks, a["sm"]), b.add(place, a["sp"]), e.at(y, a["sy"])]

        e.loop(a["n"], [(a[k].type, a[k]) for k in ("x", "marks", "place", "y")], output)
        return e.finish()


def _codes(w: _Walk, place: Any, bits: int) -> Any:
    """Return `place` in all lanes."""
    return w.e.splat(w.b.trunc(place, ir.IntType(bits)), ir.IntType(bits))


def _code_at(w: _Walk, marks: Any, c: Any, i: int, bits: int) -> tuple[Any, Any]:
    """Return the address and the type of vector i of the codes of channel c on."""
    index = w.b.add(c, I64(i * w.e.V))
    return w.b.gep(marks, [index], source_etype=ir.IntType(bits)), ir.VectorType(ir.IntType(bits), w.e.V)


def maximum(isa: ISA, B: int, bits: int, past: bool) -> str:
    """Return the IR of the maxima, and of their codes of so many bits, if they are not 0.

    Comparisons are true for a NaN, unless there was one before: the first one stays.
    """
    w = _Walk(name("maximum", isa, B, bits, past), isa, B)
    b, remember = w.b, bits > 0
    lowest = ir.Constant(w.e.vector, [float("-inf")] * isa.lanes)

    def start(place: Any) -> list[Any]:
        return [lowest] * B + [_codes(w, place, 32)] * (B * remember)

    def tap(x: Any, marks: Any, place: Any, c: Any, values: list[Any]) -> list[Any]:
        best, codes = values[:B], values[B:]
        found = w.vectors(x)
        first = [b.fcmp_ordered("ord", v, v) for v in best]
        larger = [b.and_(b.fcmp_unordered(">", v, o), f) for v, o, f in zip(found, best, first, strict=True)]
        here = _codes(w, place, 32)
        return [b.select(m, v, o) for m, v, o in zip(larger, found, best, strict=True)] + [
            b.select(m, here, o) for m, o in zip(larger, codes, strict=False)
        ]

    def finish(marks: Any, c: Any, values: list[Any]) -> list[Any]:
        for i, code in enumerate(values[B:]):
            at, kind = _code_at(w, marks, c, i, bits)
            b.store(b.trunc(code, kind) if bits < 32 else code, at, align=1)
        return values[:B]

    return w.emit(start, tap, finish, past)


def maximum_grad(isa: ISA, B: int, bits: int, past: bool) -> str:
    """Return the IR of the gradient of the maximum from codes of so many bits; x and y are dy and dx."""
    w = _Walk(name("maximum_grad", isa, B, bits, past), isa, B)
    b = w.b

    def tap(dy: Any, marks: Any, place: Any, c: Any, sums: list[Any]) -> list[Any]:
        here, new = _codes(w, place, bits), []
        for i, (value, total) in enumerate(zip(w.vectors(dy), sums, strict=True)):
            at, kind = _code_at(w, marks, c, i, bits)
            same = b.icmp_unsigned("==", b.load(at, typ=kind, align=1), here)
            new.append(b.select(same, b.fadd(total, value), total))
        return new

    return w.emit(lambda _: [w.e.zero] * B, tap, lambda marks, c, sums: sums, past)


def mean(isa: ISA, B: int, affine: bool, past: bool) -> str:
    """Return the IR of share * sum; `affine`: times a coefficient of the channel, plus its bias."""
    w = _Walk(name("mean", isa, B, affine, past), isa, B)

    def tap(x: Any, marks: Any, place: Any, c: Any, sums: list[Any]) -> list[Any]:
        return [w.b.fadd(s, v) for s, v in zip(sums, w.vectors(x), strict=True)]

    def finish(marks: Any, c: Any, sums: list[Any]) -> list[Any]:
        share = w.splat(marks)
        means = [w.b.fmul(share, s) for s in sums]
        if not affine:
            return means
        numbers = zip(means, w.vectors(w.args["init"], c), w.vectors(w.args["db"], c), strict=True)
        return [w.e.fma(m, coefficient, bias) for m, coefficient, bias in numbers]

    return w.emit(lambda _: [w.e.zero] * B, tap, finish, past)


def mean_grad(isa: ISA, B: int, affine: bool, past: bool) -> str:
    """Return the IR of the gradient of `mean`; x and y are dy and dx."""
    w = _Walk(name("mean_grad", isa, B, affine, past), isa, B)

    def tap(dy: Any, marks: Any, place: Any, c: Any, sums: list[Any]) -> list[Any]:
        share = w.splat(marks)
        return [w.e.fma(share, v, s) for v, s in zip(w.vectors(dy), sums, strict=True)]

    def finish(marks: Any, c: Any, sums: list[Any]) -> list[Any]:
        if not affine:
            return sums
        return [w.b.fmul(s, coefficient) for s, coefficient in zip(sums, w.vectors(w.args["init"], c), strict=True)]

    return w.emit(lambda _: [w.e.zero] * B, tap, finish, past)
