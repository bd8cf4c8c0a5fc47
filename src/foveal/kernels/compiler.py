"""The loops around the tiles: Python functions that Numba turns into machine code, kept on disk.

A kernel is called with a pointer to its argument block, the address of its task counter and the number of the
thread. Blocks are records of addresses and sizes (`Kernel.block`), so that a kernel reads `a.rows`, not `a[7]`, and a
plan can print them. Numba's own cache knows only the file that a function stands in; `_Locator` stamps the compiled
code with the contents of this whole package, so that a change in one file is never run as its old self.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import carray, float32, int64, njit, uint8
from numba import types as nb
from numba.core import caching
from numba.core.ccallback import CFunc
from numba.core.compiler import Compiler
from numba.np.numpy_support import from_dtype
from numpy.typing import NDArray

from foveal._files import cache_folder
from foveal.kernels.intrinsics import f32_pointer, i64_pointer, pointer_to, u8_pointer

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
Function = Callable[..., Any]
_compiled: list[str] = []


def compiled() -> list[str]:
    """Return the names of the functions this process compiled instead of finding them in the cache."""
    return list(_compiled)


@functools.cache
def _announce() -> None:
    """Tell a person at a terminal, once, why nothing happens for a while."""
    if sys.stderr is not None and sys.stderr.isatty():
        place = cache_folder() / "kernels"
        print(f"foveal: compiling kernels for this machine, once, about 10 s (kept in {place})", file=sys.stderr)


@functools.cache
def _stamp() -> str:
    """Return a digest of every source file of this package."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class _Locator(caching._CacheLocator):
    """Where Numba keeps the code of a function of this package: a folder per state of the sources."""

    def __init__(self, py_func: Callable[..., Any]) -> None:
        self._place = f"{py_func.__module__}-{py_func.__code__.co_firstlineno}"  # kernels share a frame

    def get_cache_path(self) -> str:
        return str(cache_folder() / "kernels" / _stamp())

    def get_source_stamp(self) -> str:
        return _stamp()

    def get_disambiguator(self) -> str:
        return self._place

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _Locator | None:
        self = cls(py_func)
        try:
            self.ensure_cache_path()
        except OSError:  # a cache that cannot be written only costs time
            return None
        return self


class _Implementation(caching.CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012


class _Cache(caching.FunctionCache):
    _impl_class = _Implementation

    def load_overload(self, sig, target_context):
        found = super().load_overload(sig, target_context)
        if found is None:
            _announce()
        return found

    def save_overload(self, sig, data):
        _compiled.append(self._py_func.__name__)
        super().save_overload(sig, data)


def _cache(function: Callable[..., Any]) -> Any:
    try:
        return _Cache(function)
    except RuntimeError:  # no folder can be written: compile in every process
        return caching.NullCache()


class Kernel:
    """A compiled loop and the layout of its argument block.

    Attributes
    ----------
    name : str
        The name of the Python function.
    fields : numpy.dtype
        The argument block: int64 addresses, counts and strides; float64 where a name says so.
    """

    def __init__(self, function: Callable[..., None], fields: np.dtype[Any]) -> None:
        self.name = function.__name__
        self.fields = fields
        self.function = function
        self.__doc__ = inspect.getdoc(function)

    @functools.cached_property
    def address(self) -> int:
        """The address of the machine code; the first use in the first process compiles it."""
        arguments = (nb.CPointer(from_dtype(self.fields)), int64, int64)
        compiled: Any = CFunc(self.function, (arguments, nb.void), {}, {"error_model": "numpy"})
        compiled._cache = _cache(self.function)
        compiled.compile()
        self._keep = compiled
        address: int = compiled.address
        return address

    def block(self, **values: float) -> NDArray[np.void]:
        """Return an argument block, every field given."""
        return block_of(self.fields, self.name, **values)


def fields(integers: str, reals: str = "") -> np.dtype[Any]:
    """Return the layout of an argument block with these names.

    Examples
    --------
    >>> fields("x rows", "scale").names
    ('x', 'rows', 'scale')
    """
    return np.dtype([(n, np.int64) for n in integers.split()] + [(n, np.float64) for n in reals.split()])


def block_of(layout: np.dtype[Any], kernel: str, /, **values: float) -> NDArray[np.void]:
    """Return an argument block of this layout, every field given."""
    names = layout.names or ()
    if set(values) != set(names):
        raise TypeError(f"{kernel}: arguments {sorted(set(values) ^ set(names))} are missing or unknown")
    block = np.zeros(1, layout)
    for name, value in values.items():
        block[name] = value
    return block


def block_pointer(layout: np.dtype[Any]) -> Any:
    """Return what casts an address to a pointer to an argument block, for `arguments`."""
    return pointer_to(from_dtype(layout))


def helper(function: Callable[..., Any]) -> Any:
    """Compile a function that kernels call; it is inlined into them and kept with them."""
    return njit(error_model="numpy")(function)


def cached(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, without the GIL, and keep it on disk."""
    dispatcher: Any = njit(error_model="numpy", nogil=True)(function)
    dispatcher._cache = _cache(function)
    return dispatcher


class _Apart(Compiler):
    def define_pipelines(self):
        self.state.flags.noalias = True
        return super().define_pipelines()


def inlined(function: Function) -> Any:
    """Compile a helper into its callers, so that it calls nothing and loops over it become vector code."""
    return njit(error_model="numpy", forceinline=True)(function)


def reordered(function: Function) -> Any:
    """Compile a helper, as `inlined`, whose sums need no order: each lane of a vector has a sum of its own.

    A product that is added to something becomes a fused multiply-add.
    """
    return njit(error_model="numpy", forceinline=True, fastmath={"reassoc", "contract"})(function)


def apart(function: Function) -> Any:
    """Compile a helper, as `inlined`, whose arrays do not overlap: LLVM makes vector code without testing for it.

    A result may lie exactly where an operand lies, if each number is read before it is written. A product that is added
    to something becomes a fused multiply-add.
    """
    return njit(error_model="numpy", forceinline=True, fastmath={"contract"}, pipeline_class=_Apart)(function)


def rounded(function: Function) -> Any:
    """Compile a helper, as `apart`, but a product is rounded before it is added to something."""
    return njit(error_model="numpy", forceinline=True, pipeline_class=_Apart)(function)


def named_after(function: Function, frame: Function, prefix: str = "", **names: Any) -> Function:
    """Return the function `frame` with the name of another, behind `prefix`, and with `names` as globals.

    Numba finds such a function in its cache, by its name. It would never find a closure: what is in its cells would
    have to be the same object in the next process.
    """
    assert isinstance(frame, types.FunctionType)
    made = types.FunctionType(frame.__code__, {**frame.__globals__, **names}, prefix + function.__name__)
    made.__qualname__, made.__module__ = prefix + function.__qualname__, function.__module__
    made.__doc__ = function.__doc__
    return made


@helper
def arguments(pointer):
    """Read the argument block, by name."""
    return carray(pointer, 1)[0]


@helper
def floats(address, size):
    """See memory as float32 values."""
    return carray(f32_pointer(address), size, float32)


@helper
def bytes_(address, size):
    """See memory as uint8 values."""
    return carray(u8_pointer(address), size, uint8)


@helper
def integers(address, size):
    """See memory as int64 values."""
    return carray(i64_pointer(address), size, int64)
