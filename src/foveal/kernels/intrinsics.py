"""The few instructions that Numba has no words for: calls by address, typed pointers, atomics.

Addresses are plain integers throughout the kernels; here they become pointers.
"""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from foveal.kernels import pooltile, winnertile, winogradtile
from foveal.kernels.tile import I64, INNER, OUTER, signature

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
_INDEX = types.int64


def tile_call(arguments: tuple[str, ...]) -> Any:
    """Return the signature and the code generator of a call to a tile: the address, then the tile's arguments."""
    kind = signature(arguments)

    def generate(context, b, sig, args):
        function = b.inttoptr(args[0], ir.PointerType())
        values = [
            b.inttoptr(value, wanted) if isinstance(wanted, ir.PointerType) else value
            for value, wanted in zip(args[1:], kind.args, strict=True)
        ]
        function.type = kind.as_pointer()  # llvmlite reads the signature of a call from the pointer's type
        b.call(function, values)
        return context.get_dummy_value()

    return types.void(_INDEX, *(types.float32 if a == "floor" else _INDEX for a in arguments)), generate


@intrinsic
def call_outer(
    typing, tile, x, xs, xk, w, wk, taps, T, K, init, i_s, y, ys, floor, tail, ahead, soon, pace, M, N, xn, yn
):
    """Call an outer tile by its address; the arguments are those of `tile.OUTER`."""
    return tile_call(OUTER)


@intrinsic
def call_inner(typing, tile, x, xs, w, ws, K, init, i_s, y, ys, floor, M):
    """Call an inner tile by its address; the arguments are those of `tile.INNER`."""
    return tile_call(INNER)


@intrinsic
def call_pool(typing, tile, rows, xs, sx, n, channels, y, ys, marks, ms, floor):
    """Call a max-pooling row by its address; the arguments are those of `pooltile.FORWARD`."""
    return tile_call(pooltile.FORWARD)


@intrinsic
def call_unpool(typing, tile, rows, ds, sd, n, channels, y, ys, marks, ms, db):
    """Call a max-unpooling row by its address; the arguments are those of `pooltile.BACKWARD`."""
    return tile_call(pooltile.BACKWARD)


@intrinsic
def call_winners(typing, tile, x, xr, xs, xn, y, ys, yn, marks, ms, mn, w, ws, wr, db, M, N):
    """Call a tile of winners by its address; the arguments are those of `winnertile.WINNERS`."""
    return tile_call(winnertile.WINNERS)


@intrinsic
def call_winograd(typing, tile, x, xs, xp, xk, w, taps, T, K, init, more, y, ys, floor, tail, M, N, xn, yn):
    """Call a tile of Winograd's products by its address; the arguments are those of `winogradtile.MULTIPLY`."""
    return tile_call(winogradtile.MULTIPLY)


@intrinsic
def call_transform(typing, tile, x, xs, xk, y, ys, yk, K, M, N, xn, yn):
    """Call one of Winograd's transforms by its address; the arguments are those of `winogradtile.TRANSFORM`."""
    return tile_call(winogradtile.TRANSFORM)


@intrinsic
def call_kernel(typing, kernel, block, counter, thread):
    """Call a kernel: the address of its argument block, of its task counter, and the number of this thread."""

    def generate(context, b, sig, args):
        kind = ir.FunctionType(ir.VoidType(), [I64] * 3)
        function = b.inttoptr(args[0], ir.PointerType())
        function.type = kind.as_pointer()
        b.call(function, list(args[1:]))
        return context.get_dummy_value()

    return types.void(*[_INDEX] * 4), generate


def pointer_to(kind: Any) -> Any:
    """Return what casts an address to a pointer to this Numba type."""

    @intrinsic
    def cast(typing, address):
        def generate(context, b, sig, args):
            return b.inttoptr(args[0], context.get_value_type(sig.return_type))

        return types.CPointer(kind)(_INDEX), generate

    return cast


f32_pointer = pointer_to(types.float32)
u8_pointer = pointer_to(types.uint8)
u32_pointer = pointer_to(types.uint32)
i64_pointer = pointer_to(types.int64)
f64_pointer = pointer_to(types.float64)


@intrinsic
def fetch_add(typing, address, value):
    """Add to the int64 at `address` atomically and return what was there before."""

    def generate(context, b, sig, args):
        pointer = b.inttoptr(args[0], I64.as_pointer())
        return b.atomic_rmw("add", pointer, args[1], "seq_cst")

    return _INDEX(_INDEX, _INDEX), generate


@intrinsic
def exchange(typing, address, value):
    """Put `value` at `address` atomically and return what was there before."""

    def generate(context, b, sig, args):
        return b.atomic_rmw("xchg", b.inttoptr(args[0], I64.as_pointer()), args[1], "seq_cst")

    return _INDEX(_INDEX, _INDEX), generate


@intrinsic
def compare_exchange(typing, address, expected, value):
    """If the int64 at `address` is `expected` put `value` there, atomically; return what was there before."""

    def generate(context, b, sig, args):
        pointer = b.inttoptr(args[0], I64.as_pointer())
        return b.extract_value(b.cmpxchg(pointer, args[1], args[2], "seq_cst", "seq_cst"), 0)

    return _INDEX(_INDEX, _INDEX, _INDEX), generate


@intrinsic
def load_acquire(typing, address):
    """Read the int64 at `address` so that what its writer wrote before is seen."""

    def generate(context, b, sig, args):
        return b.load_atomic(b.inttoptr(args[0], I64.as_pointer()), "acquire", 8)

    return _INDEX(_INDEX), generate


def _of_llvm(name: str, arity: int, flags: tuple[str, ...] = ()) -> Any:
    """Return an operation of LLVM on float32 numbers, which loops over it turn into one on vectors."""

    def generate(context, b, sig, args):
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType()] * arity)
        function = cgutils.get_or_insert_function(b.module, kind, f"llvm.{name}.f32")
        return b.call(function, list(args), fastmath=flags)

    return types.float32(*[types.float32] * arity), generate


@intrinsic
def fused(typing, a, b, c):
    """Return a * b + c of float32 numbers, rounded once where the processor has FMA units."""
    return _of_llvm("fmuladd", 3)


@intrinsic
def larger(typing, a, b):
    """Return the larger of two float32 numbers, or NaN if one is; 0 and -0 are equal."""
    return _of_llvm("maximum", 2, ("nsz",))


@intrinsic
def bits_of(typing, x):
    """Return the int32 number whose bits are those of float32 `x`."""
    return types.int32(types.float32), lambda context, b, sig, args: b.bitcast(args[0], ir.IntType(32))


@intrinsic
def float_of(typing, bits):
    """Return the float32 number whose bits are those of int32 `bits`."""
    return types.float32(types.int32), lambda context, b, sig, args: b.bitcast(args[0], ir.FloatType())


@intrinsic
def wide_vectors(typing):
    """Let the loops of this function use 512-bit vectors, where the processor has them.

    LLVM keeps to 256 bits on processors whose first 512-bit units slowed the clock; arithmetic on numbers in the first
    caches gains up to twice by the wider ones. llvmlite does not know the attribute, hence `set.add`.
    """

    def generate(context, b, sig, args):
        set.add(b.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate


STACK = 1024  # floats of `on_stack`: 4 KB, a small part of the first-level cache


@intrinsic
def on_stack(typing):
    """Return the address of STACK floats on this thread's stack, at a cache line's boundary."""

    def generate(context, b, sig, args):
        place = cgutils.alloca_once(b, ir.ArrayType(ir.FloatType(), STACK))
        place.align = 64
        return b.ptrtoint(place, I64)

    return _INDEX(), generate


LINE = 16  # floats of a cache line


@intrinsic
def store_past_caches(typing, line, source):
    """Write LINE floats to an address at a cache line's boundary, and to memory at once: no cache keeps them.

    x86 orders such stores before an atomic operation of the same thread, not before a plain one.
    """

    def generate(context, b, sig, args):
        kind = ir.VectorType(ir.FloatType(), LINE)
        to, source = (b.inttoptr(place, kind.as_pointer()) for place in args)
        value = b.load(source, align=4)
        b.store(value, to, align=4 * LINE).set_metadata("nontemporal", b.module.add_metadata([ir.IntType(32)(1)]))
        return context.get_dummy_value()

    return types.void(_INDEX, _INDEX), generate


DENORMALS_ARE_ZERO = 0x8040  # of x86's control register: flush results, and read operands as zero


def _is_x86(b):
    return b.module.triple.startswith(("x86_64", "i686", "amd64"))


def _mode(b, name, place):
    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
    function = cgutils.get_or_insert_function(b.module, kind, f"llvm.x86.sse.{name}")
    b.call(function, [b.bitcast(place, ir.IntType(8).as_pointer())])


@intrinsic
def flush_denormals(typing):
    """Compute with denormal numbers (below 1e-38) as zeros from now on in this thread; return the mode before.

    Gradients of a network that is nearly always right are full of them, and some processors take a hundred times
    longer for each.
    """

    def generate(context, b, sig, args):
        if not _is_x86(b):
            return I64(0)
        place = cgutils.alloca_once(b, ir.IntType(32))
        _mode(b, "stmxcsr", place)
        before = b.load(place)
        b.store(b.or_(before, ir.IntType(32)(DENORMALS_ARE_ZERO)), place)
        _mode(b, "ldmxcsr", place)
        return b.zext(before, I64)

    return _INDEX(), generate


@intrinsic
def restore_mode(typing, mode):
    """Go back to the mode that `flush_denormals` returned."""

    def generate(context, b, sig, args):
        if _is_x86(b):
            place = cgutils.alloca_once(b, ir.IntType(32))
            b.store(b.trunc(args[0], ir.IntType(32)), place)
            _mode(b, "ldmxcsr", place)
        return context.get_dummy_value()

    return types.void(_INDEX), generate


@intrinsic
def give_way(typing):
    """Let another thread have this processor, where the system can be asked for it."""

    def generate(context, b, sig, args):
        if sys.platform != "win32":
            kind = ir.FunctionType(ir.IntType(32), [])
            b.call(cgutils.get_or_insert_function(b.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def pause(typing):
    """Tell the core that this loop only waits."""

    def generate(context, b, sig, args):
        triple = b.module.triple
        if triple.startswith(("x86_64", "i686", "amd64")):
            b.call(
                cgutils.get_or_insert_function(b.module, ir.FunctionType(ir.VoidType(), []), "llvm.x86.sse2.pause"), []
            )
        return context.get_dummy_value()

    return types.void(), generate


__all__ = [
    "LINE",
    "STACK",
    "bits_of",
    "call_inner",
    "call_kernel",
    "call_outer",
    "call_pool",
    "call_transform",
    "call_unpool",
    "call_winners",
    "call_winograd",
    "compare_exchange",
    "exchange",
    "f32_pointer",
    "f64_pointer",
    "fetch_add",
    "float_of",
    "flush_denormals",
    "fused",
    "give_way",
    "i64_pointer",
    "larger",
    "load_acquire",
    "on_stack",
    "pause",
    "pointer_to",
    "restore_mode",
    "store_past_caches",
    "tile_call",
    "u8_pointer",
    "u32_pointer",
    "wide_vectors",
]
