"""Files are written whole or not at all."""

import errno
import os
import stat
import subprocess
from pathlib import Path

import pytest

from foveal._files import atomic_write, cache_folder, output_folder, write_json
from foveal.errors import StorageError


@pytest.fixture
def kept(tmp_path):
    """A file with earlier content, alone in its folder."""
    path = tmp_path / "kept.bin"
    path.write_bytes(b"before")
    return path


def assert_untouched(path):
    assert path.read_bytes() == b"before"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_replaces_the_whole_file(kept):
    with atomic_write(kept) as file:
        file.write(b"after, and longer")
        assert kept.read_bytes() == b"before"
    assert kept.read_bytes() == b"after, and longer"
    assert len(list(kept.parent.iterdir())) == 1


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_write(tmp_path / "ours"):
        pass
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_link_is_followed(kept, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(kept)
    with atomic_write(link) as file:
        file.write(b"after")
    assert link.is_symlink()
    assert kept.read_bytes() == b"after"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_an_error_in_the_block_leaves_the_file(kept, error):
    def write():
        with atomic_write(kept) as file:
            file.write(b"half")
            raise error

    with pytest.raises(StorageError if error is OSError else error):
        write()
    assert_untouched(kept)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk_at_the_end_leaves_the_file(kept, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(StorageError, match=r"kept\.bin.*disk is full.*another disk"), atomic_write(kept) as file:
        file.write(b"half")
    monkeypatch.undo()
    assert_untouched(kept)


def test_really_full_disk(tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a tiny disk needs root")
    try:
        path = folder / "kept.bin"
        path.write_bytes(b"before")
        with pytest.raises(StorageError, match="disk is full"), atomic_write(path) as file:
            file.write(bytes(1 << 20))
        assert_untouched(path)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_nan_is_not_json_and_leaves_the_file(kept):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(kept, {"loss": float("nan")})
    assert_untouched(kept)


def test_output_folder_check_leaves_nothing(tmp_path):
    assert output_folder(tmp_path / "a" / "b", make=False) == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []
    assert output_folder(tmp_path / "a" / "b").is_dir()
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_output_folder_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert output_folder("runs/first").is_dir()
    assert (tmp_path / "runs" / "first").is_dir()


def test_cache_folder_follows_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path))
    assert cache_folder("data") == tmp_path / "data"
    monkeypatch.delenv("FOVEAL_CACHE")
    assert cache_folder().name == "foveal"
    assert cache_folder() != Path(tmp_path)
