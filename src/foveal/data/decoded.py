"""Pictures that took long to decode, kept in the cache as they lie in memory.

A copy belongs to the content of an archive. A loader that decodes it differently must change the copy's name.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal._files import atomic_write, cache_folder, output_folder, storage_error
from foveal.errors import StorageError

Arrays = dict[str, NDArray[np.uint8]]


def fingerprint(path: Path) -> str:
    """The SHA-256 of a file: what is kept belongs to a content, not to a name or a date.

    Raises
    ------
    StorageError
        If it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise storage_error(path, "read", error) from error


def kept(name: str, key: str, parts: Iterable[str]) -> Arrays | None:
    """Read what `keep` has written for the same file; None if there is nothing, or it is of another file or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(_place(name), framework="numpy") as file:
            arrays = {part: file.get_tensor(part) for part in parts}
            whole = (file.metadata() or {}) == _label(key, arrays)
    except (SafetensorError, OSError):
        return None
    return arrays if whole else None


def keep(name: str, key: str, arrays: Arrays) -> None:
    """Write arrays into the cache; if that fails, say so on stderr and go on."""
    from safetensors.numpy import save

    path = _place(name)
    try:
        output_folder(path.parent)
        with atomic_write(path) as file:
            file.write(save(arrays, _label(key, arrays)))
    except StorageError as error:
        print(f"{name}: decoded again each time: {error}", file=sys.stderr)


def _place(name: str) -> Path:
    return cache_folder("data", f"{name}.safetensors")


def _label(key: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    """Whose arrays these are, and their checksums: safetensors notices a short file, not a changed byte."""
    sums = {part: zlib.crc32(np.ascontiguousarray(a).data) for part, a in sorted(arrays.items())}
    return {"sha256 of the archive": key, "crc32 of the arrays": json.dumps(sums)}
