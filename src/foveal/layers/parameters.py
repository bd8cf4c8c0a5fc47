"""A layer's parameter arrays, in the layout that users see, with hooks for an engine that keeps packed copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import DTypeError, ParameterError, ShapeError, explain, nearest

F32 = NDArray[np.float32]


class Parameters(MutableMapping[str, F32]):
    """Named float32 arrays: ``weight`` of shape (K, C/groups, R, S) or (in, out), ``bias`` of shape (K,) or (out,).

    Reading gives the array itself, so that it may be changed in place; writing copies into it, so that whoever holds it
    sees the change. Names and shapes are fixed.

    Attributes
    ----------
    refresh : callable or None
        Set by an engine that holds newer, packed values: called before every read and write, it writes them into the
        arrays in place.
    handed_out : bool
        An array was read, so a caller may have changed it in place: an engine must pack again before each run.
    version : int
        Grows with each write, so an engine sees that its packed copy is old.

    Examples
    --------
    >>> p = Parameters({"bias": np.zeros(2)})
    >>> p["bias"] = [1.0, 2.0]
    >>> p["bias"], p.version, p.handed_out
    (array([1., 2.], dtype=float32), 1, True)
    """

    def __init__(self, arrays: Mapping[str, ArrayLike] | None = None) -> None:
        self._arrays: dict[str, F32] = {k: np.array(v, np.float32, order="C") for k, v in (arrays or {}).items()}
        self.refresh: Callable[[], None] | None = None
        self.handed_out = False
        self.version = 0

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return {name: shape}, without touching the values."""
        return {name: array.shape for name, array in self._arrays.items()}

    def peek(self) -> dict[str, F32]:
        """Return the arrays as they are, without `refresh` and without `handed_out`: for engines."""
        return dict(self._arrays)

    def __getitem__(self, name: str) -> F32:
        array = self._arrays[name]  # KeyError first, as a mapping's get() and `in` need it
        self._pull()
        self.handed_out = True
        return array

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self._arrays:
            known = nearest(name, self._arrays) if self._arrays else "There are none."
            raise ParameterError(explain("parameters", expected="a known name", got=repr(name), fix=known))
        new, old = np.asarray(value), self._arrays[name]
        if new.dtype.kind not in "fiub":
            raise DTypeError(explain(f"parameter {name!r}", expected="real numbers", got=f"dtype {new.dtype}"))
        if new.shape != old.shape:
            raise ShapeError(explain(f"parameter {name!r}", expected=f"shape {old.shape}", got=str(new.shape)))
        self._pull()  # the engine's other, newer values must not be lost when it packs again
        old[...] = new
        self.version += 1

    def __delitem__(self, name: str) -> None:
        got, why = f"del [{name!r}]", "a layer's parameters are fixed"
        raise ParameterError(explain("parameters", expected="a read or a write", got=got, why=why))

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return f"Parameters({self.shapes})"

    def _pull(self) -> None:
        if self.refresh is not None:
            self.refresh()
