"""Files: written whole or not at all, and folders checked before any work is done.

A crash, a full disk or Ctrl-C never leaves half a file: everything goes to a temporary name in the same folder
(`os.replace` is atomic only within one file system) and is renamed when it is complete and on the disk.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from foveal.errors import StorageError, explain

_FIXES = {
    errno.ENOSPC: "The disk is full. Free some space, or choose a folder on another disk.",
    errno.EDQUOT: "Your disk quota is used up. Free some space, or choose a folder on another disk.",
    errno.ENOENT: "The folder does not exist. Make it, or choose another path.",
    errno.EISDIR: "Choose the name of a file in that folder.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}


def storage_error(path: str | os.PathLike[str], action: str, error: OSError) -> StorageError:
    """Turn the system's error into one that says where, what happened and what to do.

    Examples
    --------
    >>> print(storage_error("net.safetensors", "write", OSError(28, "No space left on device")))
    net.safetensors: expected to write it, got 'No space left on device'. The disk is full. Free some space, or ...
    """
    fix = _FIXES.get(error.errno or 0, "Check the path and its permissions, or choose another one.")
    if action == "read" and error.errno == errno.ENOENT:
        fix = "There is no such file. Check the path."
    reason = error.strerror or str(error) or type(error).__name__
    return StorageError(explain(str(path), expected=f"to {action} it", got=repr(reason), fix=fix))


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path`; when the block ends well, flush it to the disk and rename it to `path`.

    If anything goes wrong the temporary file is removed and what `path` held before is untouched.

    Parameters
    ----------
    path : path
        The file to write. Its folder must exist. A symbolic link is followed, not replaced.

    Yields
    ------
    binary file
        Open for writing.

    Raises
    ------
    StorageError
        If the file cannot be written: full disk, missing folder, no permission, a folder of that name.

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_write(folder / "note.txt") as file:
    ...     _ = file.write(b"whole")
    >>> (folder / "note.txt").read_bytes(), len(list(folder.iterdir()))
    (b'whole', 1)
    """
    target = Path(os.path.realpath(path))
    # Not tempfile.mkstemp: its files are readable by the owner only, and the renamed file would stay so.
    temporary = target.with_name(f".{target.name[:100]}.{os.urandom(6).hex()}.tmp")
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except StorageError:
        raise
    except OSError as error:
        raise storage_error(path, "write", error) from error
    finally:
        with suppress(OSError):  # below a file it cannot even be looked for
            temporary.unlink()


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as JSON, atomically. NaN and infinity are refused: they are not JSON.

    Parameters
    ----------
    path : path
        The file to write.
    value : dict, list, str, number, bool or None
        What `json.dumps` takes.

    Raises
    ------
    StorageError
        If the file cannot be written.

    Examples
    --------
    >>> target = Path(tempfile.mkdtemp()) / "a.json"
    >>> write_json(target, {"epochs": 20})
    >>> json.loads(target.read_text())
    {'epochs': 20}
    """
    text = json.dumps(value, indent=1, allow_nan=False)
    with atomic_write(path) as file:
        file.write(text.encode() + b"\n")


def output_folder(path: str | os.PathLike[str], *, make: bool = True) -> Path:
    """Check before any work that `path` is, or can be made, a folder that can be written to.

    Parameters
    ----------
    path : path
        The folder.
    make : bool
        Make it, with its parents. ``False`` checks only and leaves nothing behind.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    StorageError
        If it is a file, below a file, or not writable.

    Examples
    --------
    >>> output_folder(Path(tempfile.mkdtemp()) / "runs" / "first").is_dir()
    True
    """
    folder = Path(path)
    existing = next(p for p in [folder, *folder.absolute().parents] if os.path.lexists(p))
    if not existing.is_dir():
        what = "a file" if existing.exists() else "a link to nothing"
        got = what if existing == folder else f"{existing}, which is {what}"
        raise StorageError(explain(str(path), expected="a folder to write to", got=got, fix="Choose another folder."))
    try:
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        # Permission bits do not tell the truth for root, read-only mounts and network disks: try.
        with tempfile.TemporaryFile(dir=existing):
            pass
        if make:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(existing, "write into", error) from error
    return folder


def cache_folder(*parts: str) -> Path:
    """Where downloads and compiled kernels are kept: ``$FOVEAL_CACHE``, or the user's cache folder. Not made here.

    Examples
    --------
    >>> cache_folder("data", "mnist").parts[-2:]
    ('data', 'mnist')
    """
    chosen = os.environ.get("FOVEAL_CACHE")
    if chosen:
        return Path(chosen).expanduser().joinpath(*parts)
    from platformdirs import user_cache_path

    return user_cache_path("foveal", appauthor=False).joinpath(*parts)
