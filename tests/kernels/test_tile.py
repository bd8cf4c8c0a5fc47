"""Every register tile that the table can ask for, called alone, against float64; and its machine code."""

import re

import llvmlite.binding as llvm
import numpy as np
import pytest

from foveal.kernels import panels, tile, tiles
from foveal.kernels.assembler import assembly
from foveal.kernels.isa import named
from tests.support.machine import RUNNABLE, X86, bits, call
from tests.support.oracles import assert_close_to_reference

POINTERS = {"x", "w", "taps", "init", "y"}
NONE = -np.inf


def outer_shapes(name):
    return tiles.outer_candidates(named(name))


def inner_shapes(name):
    """Every tile that `table` can ask of a chosen one: fewer rows, fewer columns."""
    isa = named(name)
    largest = [(R, C) for R in range(1, 6) for C in range(1, 6) if isa.registers - (not isa.fma) >= R * C + R + 1]
    return sorted({(r, c) for R, C in largest for r in range(1, R + 1) for c in range(1, C + 1)})


EVERY_OUTER = [pytest.param(name, R, C, id=f"{name}-{R}x{C}") for name in RUNNABLE for R, C in outer_shapes(name)]
EVERY_INNER = [pytest.param(name, R, C, id=f"{name}-{R}x{C}") for name in RUNNABLE for R, C in inner_shapes(name)]

# T taps of a run of K; how x and w are walked; M tiles downwards; how y starts; the floor.
OUTER_CASES = [
    {"T": 1, "K": 1, "xk": 1, "M": 1, "init": "zeros", "floor": NONE},
    {"T": 3, "K": 5, "xk": 1, "M": 2, "init": "bias", "floor": 0.0},
    {"T": 2, "K": 4, "xk": 9, "M": 3, "init": "y", "floor": NONE},
    {"T": 4, "K": 2, "xk": 3, "M": 1, "init": "y", "floor": 0.0},
    {"T": 1, "K": 17, "xk": 1, "M": 2, "init": "bias", "floor": NONE},
]


class Outer:
    """Operands of an outer tile in guarded, unaligned memory, and what must come out."""

    def __init__(self, isa, R, C, case, tail):
        rng = np.random.default_rng([R, C, tail, case["T"], case["K"]])
        V, T, K, M, self.xk = isa.lanes, case["T"], case["K"], case["M"], case["xk"]
        self.columns, self.tail, self.case, self.rows = C * V, tail, case, R * M
        self.xs, self.wk, self.ys = K * self.xk + 3, self.columns + 5, self.columns + 7
        self.x_taps = rng.permutation(4 * T)[:T] * 13
        self.w_taps = rng.permutation(T) * (K * self.wk + 11)
        self.x = rng.standard_normal(self.rows * self.xs + K * self.xk + 60 * T).astype(np.float32)[1:]
        self.w = rng.standard_normal(T * (K * self.wk + 11) + 3).astype(np.float32)[3:]
        self.bias = rng.standard_normal(self.columns + 1).astype(np.float32)[1:]
        self.memory = rng.standard_normal((self.rows + 2) * self.ys + 5).astype(np.float32)
        if case["init"] != "y":
            self.memory[:] = np.nan  # a tile that reads what it should overwrite shows it
        self.y = self.memory[self.ys + 5 :]
        self.written = np.zeros(self.memory.size, bool)
        self.view(self.written[self.ys + 5 :])[:, : self.columns - V + tail] = True
        self.M, self.T, self.K = M, T, K

    def view(self, memory):
        return np.lib.stride_tricks.as_strided(
            memory, (self.rows, self.columns), (self.ys * memory.itemsize, memory.itemsize)
        )

    def expected(self):
        """Return the sums and the sums of absolute values, (rows, columns)."""
        r, t, k, c = np.ix_(range(self.rows), range(self.T), range(self.K), range(self.columns))
        x = self.x[r * self.xs + self.x_taps[t] + k * self.xk][..., 0].astype(np.float64)
        w = self.w[self.w_taps[t] + k * self.wk + c][0].astype(np.float64)
        start = {
            "zeros": np.zeros(self.columns), "bias": self.bias.astype(np.float64), "y": self.view(self.y).astype(float),
        }[self.case["init"]]  # fmt: skip
        return tuple(start_ + np.einsum("rtk,tkc->rc", a, b) for start_, a, b in
                     ((start, x, w), (abs(start), abs(x), abs(w))))  # fmt: skip

    def run(self, address):
        taps = np.stack([self.x_taps, self.w_taps], 1).astype(np.int64)
        init, stride = {
            "zeros": (np.zeros(self.columns, np.float32), 0), "bias": (self.bias, 0), "y": (self.y, self.ys),
        }[self.case["init"]]  # fmt: skip
        call(
            address, tile.OUTER, POINTERS, x=self.x, xs=self.xs, xk=self.xk, w=self.w, wk=self.wk, taps=taps, T=self.T,
            K=self.K, init=init, y=self.y, ys=self.ys, floor=self.case["floor"], tail=self.tail, M=self.M,
            N=1, xn=0, yn=0, **{"is": stride},
            ahead=1 << 30, soon=self.x, pace=1 << 20,  # far outside all memory: what is fetched is never read
        )  # fmt: skip


@pytest.mark.parametrize("name", RUNNABLE)
def test_lines_of_an_outer_tile(name):
    """N lines are N calls: x and y advance, the bias starts again, and between the lines nothing is written."""
    isa, R, K, lines = named(name), 3, 4, 3
    V, xn, yn = isa.lanes, 40, 2 * 3 * isa.lanes + 5
    rng = np.random.default_rng(11)
    x, w = rng.standard_normal(xn * lines + 60).astype(np.float32), rng.standard_normal(K * V).astype(np.float32)
    bias, y = rng.standard_normal(V).astype(np.float32), np.full(yn * lines + V, np.nan, np.float32)
    call(
        tiles.address("outer", isa, R, 1), tile.OUTER, POINTERS, x=x, xs=2, xk=1, w=w, wk=V, taps=np.zeros(2, np.int64),
        T=1, K=K, init=bias, y=y, ys=V, floor=NONE, tail=V, ahead=0, soon=x, pace=0, M=2, N=lines,
        xn=xn, yn=yn, **{"is": 0},
    )  # fmt: skip
    for n in range(lines):
        rows = np.stack([x[n * xn + 2 * r : n * xn + 2 * r + K] for r in range(2 * R)]).astype(np.float64)
        expected = bias + rows @ w.reshape(K, V)
        np.testing.assert_allclose(y[n * yn : n * yn + 2 * R * V].reshape(2 * R, V), expected, rtol=1e-5, atol=1e-5)
        assert np.isnan(y[n * yn + 2 * R * V : (n + 1) * yn]).all()


@pytest.mark.parametrize(("name", "R", "C"), EVERY_OUTER)
def test_outer_tile(name, R, C):
    isa = named(name)
    address = tiles.address("outer", isa, R, C)
    for tail in range(1, isa.lanes + 1):
        for case in OUTER_CASES:
            o = Outer(isa, R, C, case, tail)
            before, (expected, size) = o.memory.copy(), o.expected()
            o.run(address)
            stored = slice(0, o.columns - isa.lanes + tail)
            got, floored = o.view(o.y)[:, stored], np.maximum(expected, case["floor"])[:, stored]
            # T*K products and as many additions to the start: without FMA a product is rounded, too.
            assert_close_to_reference(got, floored, size[:, stored], n=o.T * o.K + 1)
            np.testing.assert_array_equal(
                bits(o.memory[~o.written]), bits(before[~o.written]), f"guards, {tail=} {case}"
            )


@pytest.mark.parametrize("kind", ["outer_x", "outer_w", "outer_soon"])
@pytest.mark.parametrize("name", RUNNABLE)
def test_fetching_changes_nothing(name, kind):
    isa = named(name)
    for R, C in {outer_shapes(name)[0], outer_shapes(name)[-1]}:
        for case in OUTER_CASES:
            plain, fetching = (Outer(isa, R, C, case, isa.lanes) for _ in range(2))
            plain.run(tiles.address("outer", isa, R, C))
            fetching.run(tiles.address(kind, isa, R, C))
            np.testing.assert_array_equal(bits(plain.memory), bits(fetching.memory))


def edge_shapes(name):
    """The first and last tiles of some rows, and small ones, that leave out the fewest and the most rows."""
    isa = named(name)
    chosen = [tiles.choose_outer(isa, rows, columns) for rows in (7, 13, 27) for columns in (6, 30, 64)]
    shapes = {(2, 1), (3, 2), *((t.R, t.C) for t in chosen)}
    return sorted({(R, C, most) for R, C in shapes for most in (1, min(panels.MOST, R - 1)) if R > 1})


@pytest.mark.parametrize(("name", "shape"), [(n, s) for n in RUNNABLE for s in edge_shapes(n)])
@pytest.mark.parametrize("floor", [NONE, 0.0])
def test_edge_tile(name, shape, floor):
    """A tap adds its own number of products to the rows that its case leaves, and to no others, in each line."""
    (R, C, most), isa, lines = shape, named(name), 2
    V, xs, xn = isa.lanes, 9, 9 * R + 4
    cases = range(2 * most + 1)
    lengths = [1 + case % 3 for case in cases]
    rng = np.random.default_rng([R, C, most])
    x = rng.standard_normal(lines * xn + 40).astype(np.float32)
    w = rng.standard_normal(sum(lengths) * C * V).astype(np.float32)
    bias = rng.standard_normal(C * V).astype(np.float32)
    ys, yn, tail = C * V + 3, R * (C * V + 3) + 7, V - 1
    memory = np.full(lines * yn + ys, np.nan, np.float32)
    starts = np.cumsum([0, *lengths[:-1]]) * C * V
    offsets = rng.permutation(len(cases))
    taps = np.array([offsets, starts, lengths, cases], np.int64).T.copy()
    call(
        tiles.edge_address(isa, R, C, most), tile.OUTER, POINTERS, x=x, xs=xs, xk=2, w=w, wk=C * V, taps=taps,
        T=len(cases), K=1 << 30, init=bias, y=memory, ys=ys, floor=floor, tail=tail, ahead=0, soon=x,
        pace=0, M=1, N=lines, xn=xn, yn=yn, **{"is": 0},
    )  # fmt: skip
    written = np.zeros(memory.size, bool)
    for line in range(lines):
        expected = np.tile(bias.astype(np.float64), (R, 1))
        size = abs(expected)
        for offset, start, length, case in taps:
            rows = range(case, R) if case <= most else range(R - (case - most))
            for r in rows:
                xr = x[line * xn + r * xs + offset :][: 2 * length : 2].astype(np.float64)
                wr = w[start : start + length * C * V].reshape(length, -1)
                expected[r] += xr @ wr
                size[r] += abs(xr) @ abs(wr)
        for r in range(R):
            at = slice(line * yn + r * ys, line * yn + r * ys + (C - 1) * V + tail)
            width = at.stop - at.start
            written[at] = True
            assert_close_to_reference(memory[at], np.maximum(expected[r], floor)[:width], size[r][:width], 20)
    assert np.isnan(memory[~written]).all()


@pytest.mark.parametrize("name", RUNNABLE)
def test_outer_keeps_nan_above_the_floor(name):
    """ReLU of NaN is NaN: a diverged network must not look like a dead one."""
    isa = named(name)
    o = Outer(isa, 2, 1, {"T": 1, "K": 2, "xk": 1, "M": 1, "init": "zeros", "floor": 0.0}, isa.lanes)
    o.x[o.x_taps[0] + o.xs] = np.nan
    o.run(tiles.address("outer", isa, 2, 1))
    got = o.view(o.y)
    assert np.isnan(got[1]).all()
    assert (got[0] >= 0).all()


INNER_CASES = [
    {"K": 1, "M": 1, "init": "zeros", "floor": NONE},
    {"K": 3, "M": 2, "init": "bias", "floor": 0.0},
    {"K": 2, "M": 3, "init": "y", "floor": NONE},
    {"K": 7, "M": 1, "init": "y", "floor": 0.0},
]


@pytest.mark.parametrize(("name", "R", "C"), EVERY_INNER)
def test_inner_tile(name, R, C):
    isa = named(name)
    address = tiles.address("inner", isa, R, C)
    for case in INNER_CASES:
        rng = np.random.default_rng([R, C, case["K"]])
        k, rows = case["K"] * isa.lanes, R * case["M"]
        xs, ws, ys = k + 3, k + 5, C + 2
        x = rng.standard_normal(rows * xs + 1).astype(np.float32)[1:]
        w = rng.standard_normal(C * ws + 3).astype(np.float32)[3:]
        bias = rng.standard_normal(C + 1).astype(np.float32)[1:]
        memory = rng.standard_normal((rows + 2) * ys + 1).astype(np.float32)
        if case["init"] != "y":
            memory[:] = np.nan
        written, y = np.zeros(memory.size, bool), memory[ys + 1 :]
        view = np.lib.stride_tricks.as_strided(y, (rows, C), (4 * ys, 4))
        np.lib.stride_tricks.as_strided(written[ys + 1 :], (rows, C), (ys, 1))[...] = True
        xm = np.lib.stride_tricks.as_strided(x, (rows, k), (4 * xs, 4)).astype(np.float64)
        wm = np.lib.stride_tricks.as_strided(w, (C, k), (4 * ws, 4)).astype(np.float64)
        init, stride = {"zeros": (np.zeros(C, np.float32), 0), "bias": (bias, 0), "y": (y, ys)}[case["init"]]
        start = np.array(view if stride else init[:C], np.float64)
        before, expected, size = memory.copy(), start + xm @ wm.T, abs(start) + abs(xm) @ abs(wm).T
        call(
            address, tile.INNER, POINTERS, x=x, xs=xs, w=w, ws=ws, K=case["K"], init=init, y=y, ys=ys,
            floor=case["floor"], M=case["M"], **{"is": stride},
        )  # fmt: skip
        # A lane adds K products (each rounded without FMA), then log2(lanes) levels, then the start.
        n = case["K"] + isa.lanes.bit_length() + 1
        assert_close_to_reference(view, np.maximum(expected, case["floor"]), size, n)
        np.testing.assert_array_equal(bits(memory[~written]), bits(before[~written]), f"guards, {case}")


def chosen(name):
    """The tiles that networks of the notes and the papers run on."""
    isa = named(name)
    shapes = {
        tiles.choose_outer(isa, rows, columns) for rows in (6, 13, 24, 27, 56, 100) for columns in (6, 30, 64, 192)
    }
    return sorted({("outer", t.R, t.C) for t in shapes})


def chosen_inner(name):
    return sorted(
        {("inner", t.R, t.C) for t in (tiles.choose_inner(named(name), units) for units in (10, 84, 100, 512))}
    )


def inner_loops(text, product):
    """Return the code from a label to the jump back to it, with no label between, that holds products."""
    blocks = re.split(r"^(\.?L\w+):", text, flags=re.M)[1:]
    pairs = zip(blocks[::2], blocks[1::2], strict=True)
    loops = [re.split(rf"\bj\w+\s+{re.escape(label)}\b", body) for label, body in pairs]
    return [parts[0] for parts in loops if len(parts) > 1 and product in parts[0]]


CODE = [pytest.param(n, *c, id=f"{n}-{c[0]}-{c[1]}x{c[2]}") for n in ("avx512", "avx2", "sse", "neon")
        if n in RUNNABLE for c in chosen(n) + chosen_inner(n)]  # fmt: skip


@pytest.mark.skipif(not X86, reason="reads x86 assembly")
@pytest.mark.parametrize(("name", "kind", "R", "C"), CODE)
def test_chosen_tiles_do_not_spill(name, kind, R, C):
    isa = named(name)
    make = tile.outer if kind == "outer" else tile.inner
    fused = isa.fma and llvm.get_host_cpu_features().get("fma")
    product = "vfmadd" if fused else "mulps"
    loops = inner_loops(assembly(make(isa, R, C), isa), product)
    assert loops, f"no loop with {product} found"
    for body in loops:
        assert body.count(product) == R * C, f"{body.count(product)} products, not {R * C}"
        register = {16: "%zmm", 8: "%ymm", 4: "%xmm"}[isa.lanes]
        assert register in body, f"no {register} register"
        spills = [line for line in body.splitlines() if "(%rsp" in line]  # neither vectors nor addresses
        assert not spills, f"{kind} {R}x{C} on {name} spills:\n" + "\n".join(spills)


@pytest.mark.parametrize("kind", ["outer", "inner"])
def test_neon_tiles_assemble_for_arm(kind):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple("aarch64-unknown-linux-gnu")
    except RuntimeError as error:
        pytest.skip(f"this LLVM makes no code for ARM: {error}")
    isa = named("neon")
    shape = tiles.choose_outer(isa, 24, 30) if kind == "outer" else tiles.choose_inner(isa, 100)
    module = llvm.parse_assembly((tile.outer if kind == "outer" else tile.inner)(isa, shape.R, shape.C))
    module.verify()
    machine = target.create_target_machine(cpu="cortex-a72", features="", opt=3)
    tuning = llvm.create_pipeline_tuning_options(speed_level=2)
    tuning.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    text = machine.emit_assembly(module)
    assert text.count("fmla") >= shape.R * shape.C
    assert "v31" in text or shape.R * shape.C < 24  # 32 registers, not 16
