"""From LLVM IR to a callable address: compiled once, kept on disk by its content.

The key of a cached object is the IR itself with the processor, its features and the LLVM version, so a stale object
cannot be found. `compiled()` counts what was really compiled in this process.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import threading
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm

from foveal._files import atomic_write, cache_folder
from foveal.errors import FovealError
from foveal.kernels.isa import ISA

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

_lock = threading.Lock()
_count = 0


def compiled() -> int:
    """Return how many functions this process compiled instead of finding them in the cache."""
    return _count


@functools.cache
def target_machine(isa: ISA) -> llvm.TargetMachine:
    """Return the code generator for `isa`: its own processor, or this machine's."""
    cpu = isa.cpu or llvm.get_host_cpu_name()
    features = isa.features if isa.cpu else llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(cpu=cpu, features=features, opt=3, jit=True, reloc="default")


@functools.cache
def _engine() -> llvm.ExecutionEngine:
    host = llvm.Target.from_default_triple().create_target_machine(jit=True)
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), host)


def optimised(ir: str, isa: ISA) -> llvm.ModuleRef:
    """Return the module of `ir` after LLVM's standard passes."""
    module = llvm.parse_assembly(ir)
    module.verify()
    machine = target_machine(isa)
    tuning = llvm.create_pipeline_tuning_options(speed_level=2)
    tuning.loop_unrolling = False  # the loops are written as they should run
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    return module


def assembly(ir: str, isa: ISA) -> str:
    """Return the machine code of `ir` as text, to look for spills."""
    text: str = target_machine(isa).emit_assembly(optimised(ir, isa))
    return text


def _object(ir: str, isa: ISA) -> bytes:
    global _count
    machine = target_machine(isa)
    here = "" if isa.cpu else llvm.get_host_cpu_name() + llvm.get_host_cpu_features().flatten()
    versions = [llvmlite.__version__, *map(str, llvm.llvm_version_info)]
    key = "\0".join([*versions, isa.cpu, here, ir])
    path: Path = cache_folder() / "tiles" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.o"
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        if hashlib.sha256(content[32:]).digest() == content[:32]:  # LLVM crashes on a damaged object
            return content[32:]
    code: bytes = machine.emit_object(optimised(ir, isa))
    _count += 1
    with contextlib.suppress(OSError, FovealError):  # a cache that cannot be written only costs time
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(hashlib.sha256(code).digest() + code)
    return code


def assemble(name: str, ir: str, isa: ISA) -> int:
    """Return the address of function `name` of `ir`, compiled for `isa`; it lives as long as the process."""
    with _lock:
        engine = _engine()
        engine.add_object_file(llvm.ObjectFileRef.from_data(_object(ir, isa)))
        engine.finalize_object()
        address: int = engine.get_function_address(name)
    if not address:
        raise RuntimeError(f"{name} was assembled but has no address")
    return address
