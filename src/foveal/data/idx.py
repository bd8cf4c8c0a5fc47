"""The IDX format, in which MNIST is distributed."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal._files import storage_error
from foveal.errors import FormatError, explain

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Read a file, uncompressed if it is gzip (by its content, whatever its name).

    Raises
    ------
    StorageError
        If it cannot be read.
    FormatError
        If the gzip data are damaged or end too early.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise storage_error(path, "read", error) from error
    return unzip(data, str(path))


def unzip(data: bytes, where: str) -> bytes:
    """Uncompress gzip data; anything else is returned as it is."""
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        fix = "It is truncated or damaged: get it again."
        raise FormatError(explain(where, expected="complete gzip data", got=repr(str(error)), fix=fix)) from error


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an IDX file, compressed with gzip or not.

    The header is two zero bytes, the type, the number of dimensions d, and d sizes of 4 bytes, big-endian.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    ndarray
        In the machine's byte order; MNIST images have shape (N, 28, 28), labels (N,), both uint8.

    Raises
    ------
    StorageError
        If the file cannot be read.
    FormatError
        If it is no IDX file, or shorter or longer than its header says.

    Source
    ------
    Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", file formats.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    >>> read_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    return parse_idx(read_bytes(path), str(path))


def parse_idx(data: bytes, where: str) -> NDArray[Any]:
    """Read IDX data; `where` is how a message names them."""
    header = 4 + 4 * data[3] if len(data) >= 4 else 4
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES:
        expected = "an IDX file (0, 0, type 8-14, dimensions)"
        raise FormatError(explain(where, expected=expected, got=f"first bytes {list(data[:4])}"))
    if data[3] == 0 or len(data) < header:
        got = f"{data[3]} dimensions in {len(data)} bytes"
        raise FormatError(explain(where, expected="an IDX header with the size of each dimension", got=got))
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", data[3], 4))
    kind = np.dtype(_TYPES[data[2]])
    size = header + kind.itemsize * int(np.prod(shape, dtype=object))
    if len(data) != size:
        expected = f"{size} bytes for shape {shape}"
        fix = "It is truncated or damaged: get it again."
        raise FormatError(explain(where, expected=expected, got=f"{len(data)} bytes", fix=fix))
    return np.frombuffer(data, kind, offset=header).reshape(shape).astype(kind.newbyteorder("="))
