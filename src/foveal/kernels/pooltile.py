"""Max pooling of one row of windows and its backward, as LLVM IR: a vector of channels at a time, all in registers.

The window is known when the code is made, the sizes are not. Forward keeps for every output a code of one byte: which
place of the window held the maximum (the first one, if several do), or DEAD where the output is at its floor (ReLU's
zero), so that backward needs neither the map nor its maximum:

    y[q, c] = max(floor, max_p x_p[q, c])        dx_p[q, c] = dy[q, c] where code[q, c] == p, else 0
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from foveal.kernels.isa import ISA
from foveal.kernels.tile import I8, I64, PTR, Emitter

DEAD = 255
FORWARD = ("rows", "xs", "sx", "n", "channels", "y", "ys", "code", "cs", "floor")
BACKWARD = ("rows", "ds", "sd", "n", "channels", "y", "ys", "code", "cs", "db")


def _codes(e: Emitter, value: int) -> Any:
    return ir.Constant(ir.VectorType(I8, e.V), [value] * e.V)


def forward(isa: ISA, window: tuple[int, int], remember: bool) -> str:
    """Return the IR of ``max_pool_row``: n windows side by side over the rows whose addresses stand at `rows`.

    xs, sx : floats from a pixel to the next, and from a window to the next
    ys, cs : floats, bytes from an output pixel to the next; codes are stored in whole vectors
    remember : store the codes (training)
    """
    ph, pw = window
    e = Emitter(isa, f"max_pool_{isa.name}_{ph}x{pw}_{int(remember)}", FORWARD)
    a, b, V = e.args, e.b, isa.lanes
    floor = e.splat(a["floor"])
    rows = [b.load(b.gep(a["rows"], [I64(r)], source_etype=I64), typ=I64) for r in range(ph)]
    vectors = b.sdiv(b.add(a["channels"], I64(V - 1)), I64(V))

    def channels(v: Any, _: list[Any]) -> list[Any]:
        c = b.mul(v, I64(V))
        live = e.below(b.sub(a["channels"], c))
        starts = [e.at(b.inttoptr(r, PTR), c) for r in rows]
        y, code = e.at(a["y"], c), b.gep(a["code"], [c], source_etype=I8)

        def windows(q: Any, _: list[Any]) -> list[Any]:
            x = b.mul(q, a["sx"])
            best, index = None, _codes(e, 0)
            for p in range(ph * pw):
                value = e.load(e.at(starts[p // pw], b.add(x, b.mul(a["xs"], I64(p % pw)))))
                if best is None:
                    best = value
                    continue
                larger = b.or_(b.fcmp_ordered(">", value, best), b.fcmp_unordered("uno", value, value))  # a NaN stays
                best = b.select(larger, value, best)
                index = b.select(larger, _codes(e, p), index)
            if remember:
                alive = b.and_(b.fcmp_ordered(">", best, floor), live)
                index = b.select(alive, index, _codes(e, DEAD))
                b.store(index, b.gep(code, [b.mul(q, a["cs"])], source_etype=I8), align=1)
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
        y, code, db = e.at(a["y"], c), b.gep(a["code"], [c], source_etype=I8), e.at(a["db"], c)

        def windows(q: Any, sums: list[Any]) -> list[Any]:
            x = b.mul(q, a["sd"])
            dy = e.load(e.at(y, b.mul(q, a["ys"])))
            place = b.gep(code, [b.mul(q, a["cs"])], source_etype=I8)
            index = b.load(place, typ=ir.VectorType(I8, V), align=1)
            for p in range(ph * pw):
                target = e.at(starts[p // pw], b.add(x, b.mul(a["ds"], I64(p % pw))))
                value = b.select(b.icmp_unsigned("==", index, _codes(e, p)), dy, e.zero)
                b.store(value if disjoint else b.fadd(value, e.load(target)), target, align=4)
            dead = b.icmp_unsigned("==", index, _codes(e, DEAD))
            return [b.fadd(sums[0], b.select(dead, e.zero, dy))]

        (total,) = e.loop(a["n"], [(e.vector, e.load(db))], windows)
        b.store(total, db, align=4)
        return []

    e.loop(vectors, [], channels)
    return e.finish()
