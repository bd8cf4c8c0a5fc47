"""Data sets in an archive, or in the folder that it unpacks to: where they lie, and their files one by one."""

from __future__ import annotations

import lzma
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from foveal._files import cache_folder, storage_error
from foveal.errors import DataError, FormatError, explain


class Entry(NamedTuple):
    """One file of a data set: what its name says, its bytes, and how a message names it."""

    parts: tuple[str, ...]
    data: bytes
    where: str


@dataclass(frozen=True)
class Source:
    r"""A data set that lies on this machine as a tar archive or as a folder.

    Nothing is unpacked to the disk: a member of an archive is a name and bytes, and links are passed over.

    Parameters
    ----------
    title : str
        How a message names the data set.
    archive : str
        The name of the archive, compressed or not.
    folders : tuple of str
        Folders that hold the files instead, the first one first.
    glob : str
        The files in such a folder.
    name : str
        Regular expression of their names, relative to the folder. Its groups become an entry's parts. In an archive it
        matches the end of a name, after any folders.
    largest : int, bytes
        A larger file is refused before it is read.
    fix : str
        Where to get it, for the message that it is nowhere.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "pets" / "cat").mkdir(parents=True)
    >>> _ = (root / "pets" / "cat" / "7.txt").write_text("meow")
    >>> pets = Source("pets", "pets.tar", ("pets",), "*/*.txt", r"(\w+)/([0-9]+)\.txt", 1000, "")
    >>> [(entry.parts, entry.data) for entry in pets.read(pets.find([root]))]
    [(('cat', '7'), b'meow')]
    """

    title: str
    archive: str
    folders: tuple[str, ...]
    glob: str
    name: str
    largest: int
    fix: str

    def find(self, roots: list[Path] | None = None) -> Path:
        """Return the archive or the folder: the first that is there, in ``$FOVEAL_DATA`` and then in the cache.

        Raises
        ------
        DataError
            If there is none.
        """
        looked = search_roots() if roots is None else roots
        for root in looked:
            if (root / self.archive).is_file():
                return root / self.archive
            for folder in self.folders:
                if any(self._matches(root / folder)):
                    return root / folder
        expected, got = f"{self.archive} or the folder {self.folders[0]}/", " and ".join(str(root) for root in looked)
        raise DataError(explain(self.title, expected=expected, got=f"none in {got}", fix=self.fix))

    def read(self, place: Path) -> Iterator[Entry]:
        """Read the files one by one: of a folder sorted by name, of an archive in its order.

        Raises
        ------
        FormatError
            If the archive is truncated or damaged, or a file is too large.
        StorageError
            If something cannot be read.
        """
        return self._read_folder(place) if place.is_dir() else self._read_archive(place)

    def _matches(self, folder: Path) -> Iterator[tuple[Path, re.Match[str]]]:
        for path in sorted(folder.glob(self.glob)):
            matched = re.fullmatch(self.name, path.relative_to(folder).as_posix())
            if matched:
                yield path, matched

    def _read_folder(self, folder: Path) -> Iterator[Entry]:
        for path, matched in self._matches(folder):
            try:
                with open(path, "rb") as file:
                    data = file.read(self.largest + 1)
            except OSError as error:
                raise storage_error(path, "read", error) from error
            yield self._entry(matched, data, str(path))

    def _read_archive(self, path: Path) -> Iterator[Entry]:
        pattern = re.compile(rf"(?:.*/)?{self.name}")
        try:
            with tarfile.open(path) as archive:
                for member in archive:
                    matched = pattern.fullmatch(member.name)
                    file = archive.extractfile(member) if matched and member.isfile() else None
                    if matched and file:
                        yield self._entry(matched, file.read(self.largest + 1), f"{path}, {member.name}")
        except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
            kind = "".join(path.suffixes[-2:])
            fix = "It is truncated or damaged: get it again."
            raise FormatError(
                explain(str(path), expected=f"a complete {kind} archive", got=repr(str(error)), fix=fix)
            ) from error
        except OSError as error:
            if isinstance(error, FormatError):
                raise
            raise storage_error(path, "read", error) from error

    def _entry(self, matched: re.Match[str], data: bytes, where: str) -> Entry:
        if len(data) > self.largest:
            raise FormatError(explain(where, expected=f"a file of at most {self.largest:,} bytes", got="more"))
        return Entry(matched.groups(), data, where)


def search_roots() -> list[Path]:
    """The folders in which data sets may lie: ``$FOVEAL_DATA``, then ``data/`` in the cache."""
    chosen = os.environ.get("FOVEAL_DATA")
    own = [Path(chosen).expanduser()] if chosen else []
    return [*own, cache_folder("data")]
