"""Image kernels from text and files."""

from __future__ import annotations

import json
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from foveal._files import storage_error
from foveal.errors import FormatError, FovealError, ParameterError, explain
from foveal.images.kernels import Kernel


def parse_numbers(text: str, where: str = "kernel") -> list[list[float]]:
    """Read rows of numbers.

    Numbers are separated by spaces or commas, rows by semicolons or lines. In a text of several lines, where each line
    is a row, semicolons separate numbers as well, as some spreadsheets write them. A number may be a fraction. What
    follows # is a comment.

    Parameters
    ----------
    text : str
        The rows.
    where : str
        How the message names the text.

    Raises
    ------
    ParameterError
        If something is no number, or the rows differ in length.

    Examples
    --------
    >>> parse_numbers("0 -1 0; -1 5 -1; 0 -1 0")
    [[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]]
    >>> parse_numbers("1/4, 1/2, 1/4")
    [[0.25, 0.5, 0.25]]
    """
    lines = [line.split("#")[0].strip().rstrip(";,") for line in text.splitlines()]
    lines = [line for line in lines if line]
    rows = [row for row in lines[0].split(";") if row.strip()] if len(lines) == 1 else lines
    numbers = [[_number(word, where) for word in re.split(r"[\s,;]+", row.strip())] for row in rows]
    if len({len(row) for row in numbers}) != 1:
        got = "no numbers" if not numbers else "rows of " + ", ".join(str(len(row)) for row in numbers[:8])
        fix = 'Write rows with semicolons between them: "0 -1 0; -1 5 -1; 0 -1 0".'
        raise ParameterError(explain(where, expected="rows of equally many numbers", got=got, fix=fix))
    return numbers


def _number(word: str, where: str) -> float:
    try:
        return float(Fraction(word))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise ParameterError(explain(where, expected="numbers such as 2, -0.5 or 1/9", got=repr(word[:40]))) from None


def read_kernel(path: str | os.PathLike[str]) -> Kernel:
    """Read an image kernel from a file.

    Parameters
    ----------
    path : path
        ``.npy``, a matrix; ``.json``, rows of numbers, or an object with "array" and, if wanted, "scale", "offset" and
        "name"; anything else is text as `parse_numbers` takes it (CSV too).

    Returns
    -------
    Kernel
        Named after the file, if the file does not say otherwise.

    Raises
    ------
    StorageError
        If the file cannot be read.
    FormatError
        If it is damaged, or holds no matrix of numbers.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "ridge.csv"
    >>> _ = path.write_text("-1,2,-1\\n-1,2,-1\\n")
    >>> print(read_kernel(path))
    ridge 2x3
      -1   2  -1
      -1   2  -1
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise storage_error(path, "read", error) from error
    try:
        values = _values(file, content)
        return Kernel(**{"name": file.stem, **values})
    except FormatError:
        raise
    except FovealError as error:
        raise FormatError(f"{path}: {error}") from error
    except (ValueError, TypeError, EOFError, RecursionError, OverflowError, MemoryError) as error:
        got = repr(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise FormatError(explain(str(path), expected="a matrix of numbers", got=got)) from error


def _values(file: Path, content: bytes) -> dict[str, Any]:
    if file.suffix.lower() == ".npy":
        import io

        return {"array": np.load(io.BytesIO(content), allow_pickle=False)}
    text = content.decode("utf-8-sig")
    if file.suffix.lower() != ".json":
        return {"array": parse_numbers(text, "numbers")}
    value = json.loads(text)
    if not isinstance(value, dict):
        return {"array": value}
    known = {"array", "scale", "offset", "name"}
    if "array" not in value or set(value) - known:
        got = ", ".join(repr(key) for key in value) or "an empty object"
        raise FormatError(explain(str(file), expected='"array", and perhaps "scale", "offset", "name"', got=got))
    return value
