"""The file of a parameter study: written after each network, so that it can be interrupted and go on."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from foveal._files import storage_error, write_json
from foveal.errors import FormatError, ParameterError, explain
from foveal.study.parameters import ParameterStudy, Trained, same_maps

StrPath = str | os.PathLike[str]


def describe(study: ParameterStudy, networks: Sequence[Trained], machine: dict[str, Any]) -> dict[str, Any]:
    """Return what the file holds, ready for JSON."""
    input_dim = study.data.input_shape
    maps = {str(width): dict(zip(("convolution", "affine"), same_maps(width, input_dim), strict=True))
            for width in sorted({net.width for net in networks})}  # fmt: skip
    return {
        "study": "parameters", "settings": study.settings, "machine": machine, "same_maps": maps,
        "networks": [asdict(net) for net in networks],
    }  # fmt: skip


def write(path: StrPath, study: ParameterStudy, networks: Sequence[Trained], machine: dict[str, Any]) -> None:
    """Write the file, atomically.

    Raises
    ------
    StorageError
        It cannot be written; the file that was there stays.
    """
    write_json(path, describe(study, networks, machine))


def read(path: StrPath, settings: dict[str, Any]) -> list[Trained]:
    """Return the networks in a file.

    Raises
    ------
    StorageError
        It cannot be read.
    FormatError
        It is not the file of such a study.
    ParameterError
        Its networks were trained on other data or by another recipe.
    """
    try:
        found = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise storage_error(path, "read", error) from None
    except ValueError as error:
        raise _another(path, f"no JSON: {error}") from None
    try:
        theirs, networks = dict(found["settings"]), [Trained(**net) for net in found["networks"]]
    except (KeyError, TypeError, ValueError) as error:
        raise _another(path, f"{type(error).__name__}: {error}") from None
    if theirs != settings:
        names = sorted(name for name in {*theirs, *settings} if theirs.get(name) != settings.get(name))
        expected, got = (", ".join(f"{k} {side.get(k)}" for k in names) for side in (settings, theirs))
        fix = "Give the same options, or choose another folder."
        raise ParameterError(explain(str(path), expected=expected, got=got, fix=fix))
    return networks


def _another(path: StrPath, why: str) -> FormatError:
    return FormatError(explain(str(path), expected="the results of a parameter study", got="something else", why=why))
