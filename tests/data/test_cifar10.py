"""cifar10: the pictures, their order, the decoded copy in the cache, and a network that learned from them."""

import io
import json
import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from foveal.cli import main
from foveal.data import cifar10, decoded, load
from foveal.data.cifar10 import CLASSES, SOURCE
from foveal.models import SimpleConvNet
from tests.support.archives import few_cifar, pack, picture, put
from tests.support.oracles import require_data

FILES = few_cifar()


@pytest.fixture
def own(tmp_path, monkeypatch):
    """$FOVEAL_DATA, empty, an empty cache, and a CIFAR-10 of 3 and 2 pictures of each class."""
    monkeypatch.setattr(cifar10, "COUNTS", {"train": 3, "test": 2})
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FOVEAL_DATA", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


@pytest.fixture
def archive(own):
    return pack(own / SOURCE.archive, FILES, "cifar10/")


def kept(tmp_path):
    return tmp_path / "cache" / "data" / "cifar10-jpeg.safetensors"


def assert_pictures(data, files=FILES):
    """Each image is the one of its place in the sorted names, as Pillow decodes it."""
    for part, (x, t) in (("train", data.train), ("test", data.test)):
        names = sorted(name for name in files if name.startswith(part))
        assert len(names) == len(x)
        for image, label, name in zip(x, t, names, strict=True):
            assert name.split("/")[1] == data.classes[label]
            pixels = np.asarray(Image.open(io.BytesIO(files[name])))
            np.testing.assert_array_equal(image, pixels.transpose(2, 0, 1))


def test_the_archive(archive, capsys, tmp_path):
    data = load("cifar10")
    assert (data.train[0].shape, data.test[0].shape) == ((30, 3, 32, 32), (20, 3, 32, 32))
    assert (data.train[0].dtype, data.train[1].dtype) == (np.uint8, np.int64)
    assert (data.classes, data.name) == (CLASSES, "CIFAR-10 (JPEG)")
    assert data.train[0].flags.c_contiguous
    assert_pictures(data)
    assert capsys.readouterr().err == f"cifar10: decoding 50 JPEG pictures of {archive}\n"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept(tmp_path), archive]


@pytest.mark.parametrize("folder", ["cifar10", "CIFAR-10-images"])
def test_the_folder(own, folder, tmp_path):
    put(own / folder, dict(reversed(FILES.items())) | {"README.md": b"no picture", "train/cat/0000.png": b""})
    data = load("cifar10")
    assert_pictures(data)
    assert not kept(tmp_path).exists()


def test_the_order_in_the_archive_does_not_matter(own):
    pack(own / SOURCE.archive, dict(reversed(FILES.items())), "./somewhere/")
    assert_pictures(load("cifar10"))


def test_own_data_before_the_cache(own, tmp_path):
    other = {name: picture(32, 32, 1000 + i) for i, name in enumerate(FILES)}
    pack(tmp_path / "cache" / "data" / SOURCE.archive, other)
    assert_pictures(load("cifar10"), other)
    put(own / "cifar10", FILES)
    assert_pictures(load("cifar10"))


def test_a_grey_picture_becomes_colour(own):
    put(own / "cifar10", FILES | {"train/cat/0001.jpg": picture(32, 32, 5, grey=True)})
    x = load("cifar10").train[0][3 * CLASSES.index("cat") + 1]
    np.testing.assert_array_equal(x[0], x[1])
    np.testing.assert_array_equal(x[0], x[2])


def no_decoding(*_):
    raise AssertionError("decoded again")


def test_the_decoded_copy_is_used(archive, monkeypatch, capsys):
    first = load("cifar10")
    monkeypatch.setattr(cifar10, "_decode", no_decoding)
    capsys.readouterr()
    again = load("cifar10")
    assert_pictures(again)
    np.testing.assert_array_equal(again.train[1], first.train[1])
    assert capsys.readouterr().err == ""
    again.train[0][:] = 0  # the arrays are the caller's
    assert_pictures(load("cifar10"))


def test_the_decoded_copy_belongs_to_the_archive(archive, tmp_path):
    load("cifar10")
    other = {name: picture(32, 32, 1000 + i) for i, name in enumerate(FILES)}
    times = archive.stat()
    pack(archive, other)
    os.utime(archive, ns=(times.st_atime_ns, times.st_mtime_ns))  # content counts, not a date
    assert_pictures(load("cifar10"), other)


@pytest.mark.parametrize("fault", ["truncated", "byte", "text", "empty", "folder", "other arrays"])
def test_a_damaged_copy_is_made_again(archive, tmp_path, monkeypatch, fault):
    load("cifar10")
    path = kept(tmp_path)
    whole = path.read_bytes()
    damaged = {
        "truncated": whole[:-7],
        "byte": whole[:-100] + bytes([255 - whole[-100]]) + whole[-99:],
        "text": b"<html>not found</html>",
        "empty": b"",
    }
    path.unlink()
    if fault == "folder":
        path.mkdir()
    elif fault == "other arrays":
        decoded.keep("cifar10-jpeg", decoded.fingerprint(archive), {"train": np.zeros((1, 2), np.uint8)})
    else:
        path.write_bytes(damaged[fault])
    assert_pictures(load("cifar10"))
    if fault != "folder":  # which nobody may remove
        monkeypatch.setattr(cifar10, "_decode", no_decoding)
        assert_pictures(load("cifar10"))


def test_a_cache_that_cannot_be_written_costs_time_only(archive, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "file"))
    assert_pictures(load("cifar10"))
    note = f"cifar10-jpeg: decoded again each time: {tmp_path}/file/data: expected a folder to write to"
    assert capsys.readouterr().err.splitlines()[1].startswith(note)


def test_a_full_disk_leaves_nothing(archive, tmp_path, monkeypatch, capsys):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert_pictures(load("cifar10"))
    assert "disk is full" in capsys.readouterr().err
    assert list(kept(tmp_path).parent.iterdir()) == []


def test_nothing_is_unpacked_and_no_link_is_followed(own, tmp_path):
    outside = put(tmp_path / "outside", {"0000.jpg": picture(32, 32)})
    with tarfile.open(own / SOURCE.archive, "w:xz") as archive:
        for name, data in FILES.items():
            member = tarfile.TarInfo("../../" + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE):
            member = tarfile.TarInfo("cifar10/train/cat/7777.jpg")
            member.type, member.linkname = kind, str(outside / "0000.jpg")
            archive.addfile(member)
    assert_pictures(load("cifar10"))
    assert not [path for path in tmp_path.rglob("*.jpg") if path.parent != outside]


def test_evaluate_and_predict(tmp_path, monkeypatch, capsys):
    """A network for these data: --data cifar10 fits it, and a picture of any size is made to fit."""
    monkeypatch.setattr(cifar10, "COUNTS", {"train": 3, "test": 2})
    monkeypatch.setenv("FOVEAL_DATA", str(tmp_path))  # and the usual cache, which has the compiled kernels
    put(tmp_path / "cifar10", FILES)
    net = SimpleConvNet(input_dim=(3, 32, 32), output_size=10, seed=1)
    net.classes = CLASSES
    net.save(tmp_path / "net.safetensors")

    def foveal(*arguments):
        with pytest.raises(SystemExit) as exit:
            main([str(a) for a in arguments])
        assert exit.value.code == 0
        return json.loads(capsys.readouterr().out)

    result = foveal("evaluate", tmp_path / "net.safetensors", "--data", "cifar10", "--json")
    x, t = load("cifar10").test
    assert (result["data"], result["count"]) == ("CIFAR-10 (JPEG)", 20)
    assert result["accuracy"] == pytest.approx((net.predict(x).argmax(axis=1) == t).mean())
    pictures = {
        "as.jpg": (FILES["test/airplane/0000.jpg"], ["32x32 colour"]),
        "large.jpg": (picture(200, 100, 3), ["200x100 colour", "scaled to 32x16", "padded to 32x32"]),
        "small.jpg": (picture(8, 8, 3), ["8x8 colour", "scaled to 32x32"]),
        "grey.jpg": (picture(64, 64, 3, grey=True), [
            "64x64 grey", "grey used as red, green and blue", "scaled to 32x32"]),
    }  # fmt: skip
    put(tmp_path, {name: data for name, (data, _) in pictures.items()})
    paths = [tmp_path / name for name in pictures]
    answers = foveal("predict", tmp_path / "net.safetensors", *paths, "--json")["images"]
    assert [answer["conversion"] for answer in answers] == [steps for _, steps in pictures.values()]
    np.testing.assert_allclose(answers[0]["top"][0]["probability"], net.probabilities(x[:1]).max(), rtol=1e-6)


def test_the_real_pictures():
    """Sorted by class as the first 50 of 6,000; their mean colour is that of CIFAR-10, 0.491, 0.482, 0.447.

    The mean of a picture has a standard deviation of 0.12; of 1,200 pictures, 0.0035. Four of those are allowed.
    """
    require_data(SOURCE.archive)
    entries = sorted(SOURCE.read(SOURCE.find()))
    assert len(entries) == 60_000
    x = np.stack([cifar10._picture(entry) for entry in entries[::50]])
    np.testing.assert_allclose(x.mean(axis=(0, 1, 2)) / 255, (0.4914, 0.4822, 0.4465), atol=4 * 0.12 / 1200**0.5)
