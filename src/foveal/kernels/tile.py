"""The register tile, as LLVM IR: the one loop that does the arithmetic of every pass.

Two forms share everything but the operand that x brings:

``outer``  acc[r][c] = init[r, c] + sum_t sum_k x[r*xs + X_t + k*xk] * w[W_t + k*wk + c]     x broadcast, w a vector
``inner``  acc[r][c] = init[r, c] + sum_k x[r*xs + k] . w[c*ws + k]                          both vectors along k

and both end with y[r, c] = max(acc[r][c], floor). All strides are in floats. `init` is a row of biases (row stride
0), the destination itself (so the tile accumulates) or zeros; `floor` is 0 for ReLU and -inf for none.

In channels-last memory a row of the im2col matrix is a run of S*C neighbouring floats for each of the R kernel rows,
so the matrix is never built: k walks the run and the table of taps (X_t, W_t) walks the rows. Convolution forward has
r = output pixels, k = (s, c), t = kernel rows; the weight gradient r = (s, c), k = the output pixels of a row, t =
rows; the input gradient is the forward with the flipped, transposed filter; affine layers have one tap.

``edge`` is ``outer`` at the ends of a row of pixels: a tap says how many rows at one end meet only padding, which are
left out. So it is as fast as if there were no padding.

Registers of ``outer``: R*C accumulators + C weights + 1 broadcast; a multiply-add needs (R + C) / (R*C) loads.
Registers of ``inner``: R*C accumulators + R + 1; its last step adds each accumulator up over its lanes.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from foveal.kernels.isa import ISA

F32, I8, I32, I64 = ir.FloatType(), ir.IntType(8), ir.IntType(32), ir.IntType(64)
PTR = ir.PointerType()
OUTER = (
    "x", "xs", "xk", "w", "wk", "taps", "T", "K", "init", "is", "y", "ys", "floor", "tail", "ahead", "soon", "pace",
    "M", "N", "xn", "yn",
)  # fmt: skip
INNER = ("x", "xs", "w", "ws", "K", "init", "is", "y", "ys", "floor", "M")
GROUP = 5
_POINTERS = {"x", "w", "taps", "init", "y", "rows", "marks", "db", "soon"}


def signature(names: Sequence[str]) -> ir.FunctionType:
    return ir.FunctionType(ir.VoidType(), [PTR if n in _POINTERS else F32 if n == "floor" else I64 for n in names])


class Emitter:
    """An IR builder that knows the vector width: loads, splats, multiply-adds, masks, loops."""

    def __init__(self, isa: ISA, name: str, arguments: Sequence[str]) -> None:
        self.isa, self.V = isa, isa.lanes
        self.module = ir.Module(name)
        self.function = ir.Function(self.module, signature(arguments), name)
        self.vector = ir.VectorType(F32, self.V)
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.args: dict[str, Any] = dict(zip(arguments, self.function.args, strict=True))
        for n in {"x", "w", "taps", "rows"} & set(arguments):
            self.args[n].add_attribute("noalias")
        self._opaque = ir.FunctionType(PTR, [PTR])
        self.zero = ir.Constant(self.vector, [0.0] * self.V)
        bits = ir.VectorType(ir.IntType(1), self.V)
        kind = ir.FunctionType(ir.VoidType(), [self.vector, PTR, I32, bits])
        self._masked_store = ir.Function(self.module, kind, f"llvm.masked.store.v{self.V}f32.p0")
        kind = ir.FunctionType(ir.VoidType(), [PTR, I32, I32, I32])
        self._prefetch = ir.Function(self.module, kind, "llvm.prefetch.p0")
        if isa.fma:
            kind = ir.FunctionType(self.vector, [self.vector] * 3)
            self._fma = ir.Function(self.module, kind, f"llvm.fma.v{self.V}f32")

    def at(self, pointer: Any, index: Any) -> Any:
        return self.b.gep(pointer, [index], source_etype=F32)

    def rows(self, pointers: list[Any], strides: tuple[Any, Any]) -> list[Any]:
        """Return the addresses of the GROUP rows below each of `pointers`, which they replace: one register a group.

        x86 and ARM address base + index * {1, 2, 4, 8}: with the stride and its triple in registers, rows 0, 1, 2, 3
        and 4 need no register of their own. LLVM would rather keep a running pointer for each row and spill them, so
        the base passes through an empty assembly statement that it cannot see through.
        """
        once, thrice = strides
        out = []
        for i, p in enumerate(pointers):
            q = pointers[i] = self.b.asm(self._opaque, "", "=r,0", [p], False)
            for offset in (None, once, self.b.shl(once, I64(1)), thrice, self.b.shl(once, I64(2))):
                out.append(q if offset is None else self.b.gep(q, [offset], source_etype=I8))
        return out

    def load(self, pointer: Any) -> Any:
        return self.b.load(pointer, typ=self.vector, align=4)

    def store(self, value: Any, pointer: Any, mask: Any) -> None:
        self.b.call(self._masked_store, [value, pointer, I32(4), mask])

    def store_past(self, value: Any, pointer: Any) -> None:
        """Store a vector at a multiple of its size, past the caches."""
        made = self.b.store(value, pointer, align=4 * self.V)
        made.set_metadata("nontemporal", self.module.add_metadata([I32(1)]))

    def prefetch(self, pointer: Any, level: int = 1) -> None:
        """Fetch what is at an address into the cache of this level, to be read soon."""
        self.b.call(self._prefetch, [pointer, I32(0), I32(4 - level), I32(1)])

    def splat(self, scalar: Any, kind: Any = F32) -> Any:
        undefined = ir.Constant(ir.VectorType(kind, self.V), ir.Undefined)
        mask = ir.Constant(ir.VectorType(I32, self.V), [0] * self.V)
        return self.b.shuffle_vector(self.b.insert_element(undefined, scalar, I32(0)), undefined, mask)

    def below(self, count: Any) -> Any:
        """Return the mask of the lanes whose number is below `count`."""
        lanes = ir.Constant(ir.VectorType(I32, self.V), list(range(self.V)))
        return self.b.icmp_signed("<", lanes, self.splat(self.b.trunc(count, I32), I32))

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        return self.b.call(self._fma, [a, b, c]) if self.isa.fma else self.b.fadd(self.b.fmul(a, b), c)

    def consecutive(self, vectors: Sequence[Any], first: int) -> Any:
        """Return the vector that begins at lane `first` of all lanes of `vectors`; undefined past their end."""
        q, lane = divmod(first, self.V)
        pair = vectors[q], vectors[min(q + 1, len(vectors) - 1)]
        return self.b.shuffle_vector(*pair, ir.Constant(ir.VectorType(I32, self.V), [lane + i for i in range(self.V)]))

    def permute(self, value: Any, index: Any) -> Any:
        """Return value[index[i]] in lane i; only where `isa.permutes`."""
        name = {16: "llvm.x86.avx512.permvar.sf.512", 8: "llvm.x86.avx2.permps"}[self.V]
        kind = ir.FunctionType(self.vector, [self.vector, index.type])
        function = self.module.globals.get(name) or ir.Function(self.module, kind, name)
        return self.b.call(function, [value, index])

    def max(self, value: Any, floor: Any) -> Any:
        return self.b.select(self.b.fcmp_ordered("<", value, floor), floor, value)  # a NaN in value stays

    def unless(self, condition: Any, values: Sequence[Any], change: Callable[[Any], Any]) -> list[Any]:
        """Return `values` if `condition` holds, else each as `change` makes it: work that costs nothing if skipped."""
        here, block, after = self.b.block, *(self.function.append_basic_block(n) for n in ("else", "joined"))
        self.b.cbranch(condition, after, block)
        self.b.position_at_end(block)
        made = [change(v) for v in values]
        self.b.branch(after)
        self.b.position_at_end(after)
        phis = [self.b.phi(v.type) for v in values]
        for phi, value, other in zip(phis, values, made, strict=True):
            phi.add_incoming(value, here)
            phi.add_incoming(other, block)
        return phis

    def choose(self, index: Any, bodies: Sequence[Callable[[], list[Any]]]) -> list[Any]:
        """Return what ``bodies[index]()`` returns: a jump to one of them."""
        blocks = [self.function.append_basic_block(f"case{i}") for i in range(len(bodies))]
        after = self.function.append_basic_block("chosen")
        jump = self.b.switch(index, blocks[0])
        ends = []
        for i, (block, body) in enumerate(zip(blocks, bodies, strict=True)):
            if i > 0:
                jump.add_case(I64(i), block)
            self.b.position_at_end(block)
            values = body()
            ends.append((values, self.b.block))
            self.b.branch(after)
        self.b.position_at_end(after)
        phis = [self.b.phi(v.type) for v in ends[0][0]]
        for values, block in ends:
            for phi, value in zip(phis, values, strict=True):
                phi.add_incoming(value, block)
        return phis

    def loop(self, count: Any, carried: Sequence[tuple[Any, Any]], body: Any) -> list[Any]:
        """Emit ``for i in range(count)`` (count >= 1). `body(i, values)` returns the values of the next turn."""
        before = self.b.block
        block, after = self.function.append_basic_block("loop"), self.function.append_basic_block("after")
        self.b.branch(block)
        self.b.position_at_end(block)
        i = self.b.phi(I64)
        i.add_incoming(I64(0), before)
        phis = [self.b.phi(kind) for kind, _ in carried]
        for phi, (_, start) in zip(phis, carried, strict=True):
            phi.add_incoming(start, before)
        results = body(i, phis)
        step = self.b.add(i, I64(1))
        i.add_incoming(step, self.b.block)
        for phi, value in zip(phis, results, strict=True):
            phi.add_incoming(value, self.b.block)
        self.b.cbranch(self.b.icmp_signed("<", step, count), block, after)
        self.b.position_at_end(after)
        return list(results)

    def finish(self) -> str:
        self.b.ret_void()
        return str(self.module)


def outer_name(isa: ISA, R: int, C: int, fetch: str = "", past: bool = False) -> str:
    """Return the name of the broadcast tile that `outer` makes."""
    return f"sgemm_outer{fetch and '_' + fetch}{past * '_past'}_{isa.name}_{R}x{C * isa.lanes}"


def outer(isa: ISA, R: int, C: int, fetch: str = "", past: bool = False) -> str:
    """Return the IR of the broadcast tile: R rows by C vectors, repeated M times downwards, and that N times.

    fetch : what is fetched into the first-level cache with each k: "x", what stands `ahead` floats behind it; "w", the
        same, one vector of a row of w in each tile; "soon", that of x, and `pace` bytes further each time what stands
        from address `soon` on
    past : write whole vectors of y past the caches

    Between the N lines x and y advance by xn and yn floats, and init starts again: lines are the rows of a map.

    `tail` says how many lanes of the last vector are stored (lanes for all): the others may hold anything.
    """
    e = Emitter(isa, outer_name(isa, R, C, fetch, past), OUTER)

    def tap(t: Any, done: Any, x: Any, acc: list[Any]) -> list[Any]:
        xt, wt = tap_numbers(e, t, 2)
        return _run(e, (R, C), range(R), e.at(x, xt), e.at(e.args["w"], wt), e.args["K"], acc, fetch, done)

    return _tiles(e, R, C, tap, past)


def edge_name(isa: ISA, R: int, C: int, most: int, past: bool = False) -> str:
    """Return the name of the tile that `edge` makes."""
    return f"sgemm_edge{most}{past * '_past'}_{isa.name}_{R}x{C}"


def edge(isa: ISA, R: int, C: int, most: int, past: bool = False) -> str:
    """Return the IR of a broadcast tile for the ends of a row: a tap is (X_t, W_t, K_t, case).

    case : 0 all rows; 1 ... most without so many rows at the beginning; most + 1 ... 2 most without rows at the end

    The arguments are those of `outer`, of which `K` and `ahead` are not read.
    """
    e = Emitter(isa, edge_name(isa, R, C, most, past), OUTER)

    def tap(t: Any, _: Any, x: Any, acc: list[Any]) -> list[Any]:
        xt, wt, K, case = tap_numbers(e, t, 4)
        spans = [range(R), *(range(n, R) for n in range(1, most + 1)), *(range(R - n) for n in range(1, most + 1))]
        x, w = e.at(x, xt), e.at(e.args["w"], wt)
        return e.choose(case, [functools.partial(_run, e, (R, C), rows, x, w, K, acc) for rows in spans])

    return _tiles(e, R, C, tap, past)


def tap_numbers(e: Emitter, t: Any, count: int) -> list[Any]:
    """Return the `count` numbers of tap t."""
    first = e.b.gep(e.args["taps"], [e.b.mul(t, I64(count))], source_etype=I64)
    return [e.b.load(e.b.gep(first, [I64(i)], source_etype=I64), typ=I64) for i in range(count)]


def _run(
    e: Emitter, shape: tuple[int, int], live: range, x: Any, w: Any, K: Any, acc: list[Any], fetch: str = "",
    done: Any = None,
) -> list[Any]:  # fmt: skip
    """Emit acc[r][c] += sum_k x[r*xs + k*xk] * w[k*wk + c] for the rows that are live, the runs before being `done`."""
    (R, C), a, b = shape, e.args, e.b
    strides = b.mul(a["xs"], I64(4)), b.mul(a["xs"], I64(12))
    groups = [g for g in range(0, R, GROUP) if set(live) & set(range(g, g + GROUP))]
    first = groups[0]
    ahead = a["ahead"] if fetch else None
    if fetch == "w":
        ahead = b.add(ahead, b.mul(b.urem(done, I64(C)), I64(e.V)))
    fetched = b.gep(a["soon"], [b.mul(b.mul(done, K), a["pace"])], source_etype=I8) if fetch == "soon" else None

    def step(k: Any, state: list[Any]) -> list[Any]:
        wp, xps, sums = state[0], state[1 : 1 + len(groups)], state[1 + len(groups) :]
        ws = [e.load(e.at(wp, I64(c * e.V))) for c in range(C)]
        if fetch:
            e.prefetch(e.at(wp if fetch == "w" else xps[0], ahead))
        if fetched:
            e.prefetch(b.gep(fetched, [b.mul(k, a["pace"])], source_etype=I8))
        rows = e.rows(xps, strides)
        new = []
        for i, r in enumerate(live):
            xv = e.splat(b.load(rows[r - first], typ=F32))
            new += [e.fma(xv, ws[c], sums[i * C + c]) for c in range(C)]
        return [e.at(wp, a["wk"]), *(e.at(p, a["xk"]) for p in xps), *new]

    bases = [(PTR, e.at(x, b.mul(a["xs"], I64(g)))) for g in groups]
    begin, stop = live.start * C, live.stop * C
    sums = e.loop(K, [(PTR, w), *bases, *((e.vector, v) for v in acc[begin:stop])], step)[1 + len(groups) :]
    return [*acc[:begin], *sums, *acc[stop:]]


def _tiles(e: Emitter, R: int, C: int, tap: Callable[[Any, Any, Any, list[Any]], list[Any]], past: bool = False) -> str:
    """Emit M tiles downwards in each of N lines, `tap(t, done, x, acc)` adding what a tap gives; `done` counts taps."""
    a, b = e.args, e.b
    floor = e.splat(a["floor"])
    unbounded = b.fcmp_ordered("==", a["floor"], ir.Constant(F32, float("-inf")))

    def tile(n: Any, m: Any, pointers: list[Any]) -> list[Any]:
        x, init, y = pointers
        start = [e.load(e.at(init, b.add(b.mul(a["is"], I64(r)), I64(c * e.V)))) for r in range(R) for c in range(C)]
        before = b.mul(b.add(b.mul(n, a["M"]), m), a["T"])
        acc = e.loop(a["T"], [(e.vector, v) for v in start], lambda t, acc: tap(t, b.add(before, t), x, acc))
        acc = e.unless(unbounded, acc, lambda v: e.max(v, floor))
        store_rows(e, [acc[r * C : (r + 1) * C] for r in range(R)], y, past)
        return [e.at(p, b.mul(a[s], I64(R))) for p, s in ((x, "xs"), (init, "is"), (y, "ys"))]

    def line(n: Any, pointers: list[Any]) -> list[Any]:
        x, y = pointers
        e.loop(a["M"], [(PTR, x), (PTR, a["init"]), (PTR, y)], functools.partial(tile, n))
        return [e.at(x, a["xn"]), e.at(y, a["yn"])]

    e.loop(a["N"], [(PTR, a["x"]), (PTR, a["y"])], line)
    return e.finish()


def store_rows(e: Emitter, acc: list[list[Any]], y: Any, past: bool = False) -> None:
    """Store whole vectors, but of the last column only `tail` lanes; `past`: whole ones past the caches."""
    b, V, C = e.b, e.V, len(acc[0])
    whole, partial, done = (e.function.append_basic_block(n) for n in ("whole", "partial", "done"))
    places = [[e.at(y, b.add(b.mul(e.args["ys"], I64(r)), I64(c * V))) for c in range(C)] for r in range(len(acc))]

    def put(value: Any, place: Any) -> None:
        e.store_past(value, place) if past else b.store(value, place, align=4)

    for values, targets in zip(acc, places, strict=True):
        for value, place in zip(values[:-1], targets[:-1], strict=True):
            put(value, place)
    b.cbranch(b.icmp_signed("<", e.args["tail"], I64(V)), partial, whole)
    b.position_at_end(whole)
    for values, targets in zip(acc, places, strict=True):
        put(values[-1], targets[-1])
    b.branch(done)
    b.position_at_end(partial)
    mask = e.below(e.args["tail"])
    for values, targets in zip(acc, places, strict=True):
        e.store(values[-1], targets[-1], mask)
    b.branch(done)
    b.position_at_end(done)


def inner(isa: ISA, R: int, C: int) -> str:
    """Return the IR of the dot-product tile: R rows of x by C rows of w, K vectors long, repeated M times downwards."""
    e = Emitter(isa, f"sgemm_inner_{isa.name}_{R}x{C}", INNER)
    a, b, V = e.args, e.b, isa.lanes
    floor = e.splat(a["floor"])
    x_strides = b.mul(a["xs"], I64(4)), b.mul(a["xs"], I64(12))
    w_strides = b.mul(a["ws"], I64(4)), b.mul(a["ws"], I64(12))
    step_size = I64(V)

    def tile(_: Any, pointers: list[Any]) -> list[Any]:
        x, init, y = pointers

        def step(_: Any, state: list[Any]) -> list[Any]:
            xp, wp, acc = [state[0]], [state[1]], state[2:]
            xs = [e.load(p) for p in e.rows(xp, x_strides)[:R]]
            new = [None] * (R * C)
            for c, place in enumerate(e.rows(wp, w_strides)[:C]):
                wv = e.load(place)
                for r in range(R):
                    new[r * C + c] = e.fma(xs[r], wv, acc[r * C + c])
            return [e.at(xp[0], step_size), e.at(wp[0], step_size), *new]

        acc = e.loop(a["K"], [(PTR, x), (PTR, a["w"]), *((e.vector, e.zero) for _ in range(R * C))], step)[2:]
        sums = [_lane_sums(e, acc[q : q + V]) for q in range(0, R * C, V)]
        for r, c in itertools.product(range(R), range(0, C, V)):
            row = e.consecutive(sums, r * C + c)
            total = b.fadd(row, e.load(e.at(init, b.add(b.mul(a["is"], I64(r)), I64(c)))))
            e.store(e.max(total, floor), e.at(y, b.add(b.mul(a["ys"], I64(r)), I64(c))), e.below(I64(C - c)))
        return [e.at(p, b.mul(a[s], I64(R))) for p, s in ((x, "xs"), (init, "is"), (y, "ys"))]

    e.loop(a["M"], [(PTR, a["x"]), (PTR, a["init"]), (PTR, a["y"])], tile)
    return e.finish()


def _lane_sums(e: Emitter, vectors: list[Any]) -> Any:
    """Return one vector whose lane i is the sum over the lanes of vectors[i]: a tree of log2(V) pairwise levels.

    A level adds neighbours (lanes whose numbers differ in one bit) of two vectors and packs both halves into one, so V
    vectors cost V - 1 additions instead of V * log2(V). Where the bit is 0 a sum is one of the first vector, where it
    is 1 of the second; so one operand needs no lane to move.
    """
    V = e.V
    level = [*vectors, *[e.zero] * (V - len(vectors))]
    distance = 1
    while len(level) > 1:
        places = [lane + (V if lane & distance else 0) for lane in range(V)]
        here, there = (ir.Constant(ir.VectorType(I32, V), [p ^ d for p in places]) for d in (0, distance))
        pairs = zip(level[::2], level[1::2], strict=True)
        level = [e.b.fadd(e.b.shuffle_vector(p, q, here), e.b.shuffle_vector(p, q, there)) for p, q in pairs]
        distance *= 2
    return level[0]
