"""Every refusal of image kernels: the call, the class, and what the message must say; and on the command line."""

import re

import numpy as np
import pytest
from PIL import Image

from foveal import images
from foveal.cli import main
from foveal.errors import DataError, DTypeError, FormatError, ParameterError, ShapeError, StorageError
from foveal.images.files import Picture, read_picture, write_picture

X = np.zeros((4, 5, 3), np.uint8)
BAD = np.zeros((4, 5), np.float32)
BAD[1, 2] = np.nan
LARGE = np.ones((4, 5)) * 1e300

CALLS = [
    # images
    (lambda: images.apply(np.zeros(5, np.uint8), "box"), ShapeError, r"^image: expected shape \(H, W\).*got \(5,\)"),
    (lambda: images.apply(np.zeros((2, 4, 5, 3)), "box"), ShapeError, r"got \(2, 4, 5, 3\).*One image at a time"),
    (lambda: images.apply(np.zeros((3, 40, 50)), "box"), ShapeError, r"got \(3, 40, 50\).*x\.transpose\(1, 2, 0\)"),
    (lambda: images.apply(np.zeros((4, 5, 0), np.uint8), "box"), ShapeError, r"got \(4, 5, 0\)"),
    (lambda: images.apply(X.astype(np.uint16), "box"), DTypeError, r"^image: expected uint8 or .*uint16.*// 257"),
    (lambda: images.apply(X.astype(int), "box"), DTypeError, r"got int64"),
    (lambda: images.apply(X.astype(bool), "box"), DTypeError, r"got bool"),
    (lambda: images.apply(X.astype(complex), "box"), DTypeError, r"got complex128"),
    (lambda: images.apply([["a"]], "box"), DTypeError, r"^image: expected uint8"),
    (lambda: images.apply(BAD, "box"), DataError, r"^image: expected finite float32 .*nan at row 1, column 2"),
    (lambda: images.apply(BAD, np.random.default_rng(0).standard_normal((301, 301))), DataError, r"nan at row 1, col"),
    (lambda: images.apply(LARGE, "box"), DataError, r"inf at row 0, column 0"),
    # how
    (lambda: images.apply(X, "box", edge="relfect"), ParameterError, r"^edge: .*Did you mean 'reflect'"),
    (lambda: images.apply(X, "box", scale=0), ParameterError, r"^kernel 'box': scale: expected a number other than 0"),
    (lambda: images.apply(X, "box", scale=1e-50), ParameterError, r"scale: .*got 1e-50"),
    (lambda: images.apply(X, "box", scale="2x"), DTypeError, r"scale: expected a number, got '2x'"),
    (lambda: images.apply(X, "box", offset=float("nan")), ParameterError, r"offset: expected a finite number"),
    # kernels
    (lambda: images.kernel("embos"), ParameterError, r"^kernel: .*Did you mean 'emboss'"),
    (lambda: images.kernel("emboss", sigma=2), ParameterError, r"^kernel 'emboss': expected no options, got 'sigma'"),
    (lambda: images.kernel("gaussian", size=3, sgima=2), ParameterError, r"the options sigma, size, got 'sgima'"),
    (lambda: images.kernel([[1]], sigma=2), ParameterError, r"options with a name only, got sigma"),
    (lambda: images.kernel([1, 2, 1]), ShapeError, r"^kernel 'custom': expected a matrix .*shape \(3,\)"),
    (lambda: images.kernel([]), ShapeError, r"shape \(0,\)"),
    (lambda: images.kernel(np.zeros((0, 3))), ShapeError, r"shape \(0, 3\)"),
    (lambda: images.kernel(np.zeros((1, 4096))), ShapeError, r"at most|1 to 4095 .*\(1, 4096\)"),
    (lambda: images.kernel([[1, 2], [3]]), DTypeError, r"rows of equally many numbers, got \[\[1, 2\], \[3\]\]"),
    (lambda: images.kernel([["a"]]), DTypeError, r"rows of equally many numbers"),
    (lambda: images.kernel([[1j]]), DTypeError, r"rows of equally many numbers"),
    (lambda: images.kernel([[np.nan]]), ParameterError, r"finite numbers whose sum"),
    (lambda: images.kernel([[1e39]]), ParameterError, r"finite numbers whose sum fits float32"),
    (lambda: images.kernel("box", size=0), ParameterError, r"^size: .*at least 1, got 0"),
    (lambda: images.kernel("box", size=2.5), DTypeError, r"^size: expected a whole number"),
    (lambda: images.kernel("box", size=5000), ParameterError, r"^size: .*at most 4095.*5000"),
    (lambda: images.kernel("box", size=(3, 3, 3)), DTypeError, r"^size: expected a whole number"),
    (lambda: images.kernel("gaussian", sigma=0), ParameterError, r"^sigma: expected at least 0\.01, got 0"),
    (lambda: images.kernel("gaussian", sigma=-1), ParameterError, r"^sigma: .*got -1"),
    (lambda: images.kernel("gaussian", sigma=float("inf")), ParameterError, r"^sigma: expected a finite number"),
    (lambda: images.kernel("gaussian", sigma=1e9), ParameterError, r"^sigma: .*at most 4095"),
    (lambda: images.kernel("gaussian", sigma="big"), DTypeError, r"^sigma: expected a number, got 'big'"),
    (lambda: images.kernel("gaussian", size=4), ParameterError, r"^size: expected an odd number, got 4"),
    (lambda: images.kernel("log", sigma=0), ParameterError, r"^sigma: "),
    (lambda: images.kernel("motion", length=0.5), ParameterError, r"^length: expected at least 1, got 0\.5"),
    (lambda: images.kernel("motion", length=1e12), ParameterError, r"^length: .*at most 4095"),
    (lambda: images.kernel("motion", angle=float("nan")), ParameterError, r"^angle: expected a finite number"),
    # text
    (lambda: images.parse_numbers("1 2; 3"), ParameterError, r"^kernel: .*got rows of 2, 1\..*semicolons"),
    (lambda: images.parse_numbers(" ; "), ParameterError, r"got no numbers"),
    (lambda: images.parse_numbers("# nothing\n"), ParameterError, r"got no numbers"),
    (lambda: images.parse_numbers("1 2 x"), ParameterError, r"numbers such as .*got 'x'"),
    (lambda: images.parse_numbers("1/0"), ParameterError, r"got '1/0'"),
    (lambda: images.parse_numbers("nan"), ParameterError, r"got 'nan'"),
    (lambda: images.parse_numbers("1e999"), ParameterError, r"got '1e999'"),
]


@pytest.mark.parametrize(("call", "error", "message"), CALLS, ids=[str(i) for i in range(len(CALLS))])
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


FILES = {
    "none.txt": (None, StorageError, "expected to read it"),
    "words.txt": (b"blur it please", FormatError, "numbers such as .*'blur'"),
    "ragged.csv": (b"1,2\n3\n", FormatError, "rows of 2, 1"),
    "empty.csv": (b"", FormatError, "no numbers"),
    "latin.txt": (b"\xff\xfe1 2", FormatError, "matrix of numbers"),
    "broken.json": (b"[[1, 2", FormatError, "matrix of numbers"),
    "flat.json": (b"[1, 2]", FormatError, r"shape \(2,\)"),
    "text.json": (b'"box"', FormatError, "rows of equally many numbers"),
    "unknown.json": (b'{"array": [[1]], "divisor": 2}', FormatError, "\"array\".*'divisor'"),
    "scale.json": (b'{"array": [[1]], "scale": 0}', FormatError, "scale: expected a number other than 0"),
    "nan.json": (b"[[NaN]]", FormatError, "finite"),
    "noise.npy": (b"\x93NUMPY nonsense", FormatError, "matrix of numbers"),
    "text.npy": (b"0 1 0", FormatError, "matrix of numbers"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_numbers(name, tmp_path):
    content, error, message = FILES[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message) as caught:
        images.read_kernel(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_no_pickle_is_loaded(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError, match="matrix of numbers"):
        images.read_kernel(tmp_path / "objects.npy")


def test_a_cube_is_no_kernel(tmp_path):
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    with pytest.raises(FormatError, match=r"cube.npy: .*shape \(2, 2, 2\)"):
        images.read_kernel(tmp_path / "cube.npy")


def test_pictures_that_cannot_be(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(FormatError, match="floating point pixels"):
        read_picture(tmp_path / "float.tif")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(FormatError, match="got no image"):
        read_picture(tmp_path / "text.png")
    with pytest.raises(StorageError, match="expected to read it"):
        read_picture(tmp_path / "none.png")
    before = sorted(tmp_path.iterdir())
    for name, channels, message in (
        ("a.jpg", 4, "JPEG can hold, got 4x4 RGB and alpha.*Write a .png"),
        ("a.xyz", 3, "the name of an image, got '.xyz'"),
        ("a", 3, "the name of an image, got ''"),
        ("a.pdf", 3, "the name of an image"),
    ):
        with pytest.raises(FormatError, match=message):
            write_picture(tmp_path / name, Picture(np.zeros((4, 4, channels), np.uint8)))
    with pytest.raises(StorageError, match="folder does not exist"):
        write_picture(tmp_path / "no" / "a.png", Picture(X))
    assert sorted(tmp_path.iterdir()) == before


def test_an_enormous_picture_is_refused(tmp_path, monkeypatch):
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(FormatError, match="1600 pixels"):
        read_picture(tmp_path / "a.png")


COMMANDS = {
    "no kernel": (["{photo}", "-o", "{out}"], "one of --kernel, --custom, --kernel-file, got none"),
    "two kernels": (["{photo}", "-o", "{out}", "-k", "box", "--custom", "1"], "got --kernel and --custom"),
    "name": (["{photo}", "-o", "{out}", "-k", "embos"], "--kernel: .*Did you mean 'emboss'"),
    "no image": (["-k", "box"], "expected IMAGE"),
    "no output": (["{photo}", "-k", "box"], "expected --out"),
    "sigma": (["{photo}", "-o", "{out}", "-k", "gaussian", "--sigma", "-1"], "--sigma: expected at least"),
    "sigma of box": (["{photo}", "-o", "{out}", "-k", "box", "--sigma", "1"], "'box': .*options size, got 'sigma'"),
    "sigma of custom": (["{photo}", "-o", "{out}", "--custom", "1", "--sigma", "1"], "--custom: .*got --sigma"),
    "size": (["{photo}", "-o", "{out}", "-k", "box", "--size", "big"], "--size: .*got 'big'"),
    "even size": (["{photo}", "-o", "{out}", "-k", "gaussian", "--size", "4"], "--size: expected an odd number"),
    "length": (["{photo}", "-o", "{out}", "-k", "motion", "--length", "0"], "--length: "),
    "edge": (["{photo}", "-o", "{out}", "-k", "box", "--edge", "mirror"], "--edge: .*zero, reflect"),
    "scale": (["{photo}", "-o", "{out}", "-k", "box", "--scale", "0"], "scale: expected a number other than 0"),
    "numbers": (["{photo}", "-o", "{out}", "--custom", "1 2; 3"], "--custom: .*rows of 2, 1"),
    "file of numbers": (["{photo}", "-o", "{out}", "--kernel-file", "{text}"], "note.txt: .*'no'"),
    "no such file": (["{photo}", "-o", "{out}", "--kernel-file", "{empty}/k.csv"], "k.csv: expected to read it"),
    "no such picture": (["{empty}/a.png", "-o", "{out}", "-k", "box"], "a.png: expected to read it"),
    "no picture": (["{text}", "-o", "{out}", "-k", "box"], "note.txt: .*got no image"),
    "alpha into a jpeg": (["{alpha}", "-o", "{empty}/a.jpg", "-k", "box"], "a.jpg: .*JPEG.*Write a .png"),
    "output format": (["{photo}", "-o", "{empty}/a.doc", "-k", "box"], "a.doc: .*the name of an image"),
    "output is the picture": (["{photo}", "-o", "{photo}", "-k", "box"], "--out: expected another file"),
    "output folder": (["{photo}", "-o", "{empty}/no/a.png", "-k", "box"], "folder does not exist"),
    "empty folder": (["{empty}", "-o", "{out}", "-k", "box"], "expected pictures in it or below"),
    "folder into itself": (["{photos}", "-o", "{photos}", "-k", "box"], "--out: expected a folder outside of IMAGE"),
    "folder below itself": (["{photos}", "-o", "{photos}/out", "-k", "box"], "--out: expected a folder outside"),
    "folder into a file": (["{photos}", "-o", "{text}", "-k", "box"], "expected a folder to write to, got a file"),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    root = tmp_path_factory.mktemp("bad")
    places = {name: root / name for name in ("photos", "empty")}
    for folder in places.values():
        folder.mkdir()
    places |= {"photo": places["photos"] / "a.png", "alpha": root / "alpha.png", "text": root / "note.txt"}
    Image.fromarray(X).save(places["photo"])
    Image.fromarray(np.zeros((4, 5, 4), np.uint8)).save(places["alpha"])
    places["text"].write_text("no picture, no numbers")
    return places | {"root": root}


@pytest.mark.parametrize("json", [False, True])
@pytest.mark.parametrize("case", COMMANDS)
def test_one_line_and_exit_code_2(case, json, places, tmp_path, monkeypatch, capsys):
    arguments, message = COMMANDS[case]
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in sorted(places["root"].rglob("*"))}
    names = places | {"out": tmp_path / "out.png"}
    with pytest.raises(SystemExit) as exit:
        main(["filter", *(argument.format(**names) for argument in arguments), *["--json"] * json])
    out, err = capsys.readouterr()
    assert (exit.value.code, out) == (2, "")
    assert re.fullmatch(f"error: .*{message}.*\n", err), err
    assert list(tmp_path.iterdir()) == []
    assert {path: path.stat().st_mtime_ns for path in sorted(places["root"].rglob("*"))} == before
