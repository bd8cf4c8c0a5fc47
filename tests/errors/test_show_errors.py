"""Bad signals, grids and pictures: the call and the command line, each with its class and message."""

import re
import struct

import numpy as np
import pytest

from foveal import show
from foveal.cli import main
from foveal.errors import (
    DataError,
    DTypeError,
    FormatError,
    FovealError,
    GeometryError,
    MissingDependencyError,
    ParameterError,
    ShapeError,
    StorageError,
)
from foveal.show.number_grid import steps
from foveal.show.signals import Samples, parse, read_numbers, sample
from foveal.show.sliding import slide

SQUARE = np.ones((3, 3))


def animation():
    return show.convolution("box", "box", frames=2)


CALLS = {
    "signal name": (
        lambda: slide("bx", "box"),
        ParameterError,
        "signal: expected a known shape.*'bx'.*Did you mean 'box'",
    ),
    "kernel name": (lambda: slide("box", "gausian"), ParameterError, "kernel: .*Did you mean 'gaussian'"),
    "operation": (
        lambda: slide("box", "box", operation="both"),
        ParameterError,
        "operation: .*got 'both'. Known: conv",
    ),
    "operation of the picture": (
        lambda: show.convolution(operation="convolve"),
        ParameterError,
        "Did you mean 'convolution'",
    ),
    "no dx": (lambda: slide("box", [1, 2]), ParameterError, "dx: expected a distance.*'box' is a function of t"),
    "dx 0": (lambda: slide("box", "box", dx=0), ParameterError, "dx: expected a positive number, got 0"),
    "dx NaN": (lambda: slide([1], [1], dx=float("nan")), ParameterError, "dx: .*got nan"),
    "dx text": (lambda: slide([1], [1], dx="1"), ParameterError, "dx: .*got '1'"),
    "dx coarse": (
        lambda: slide("box", "box", dx=0.5),
        ParameterError,
        "dx: expected 4 to 4,000 samples of 'box', got 2",
    ),
    "dx fine": (lambda: sample("gaussian", 1e-4), ParameterError, "got 80,000 with dx=0.0001. Try dx=0.01"),
    "other dx": (
        lambda: slide(Samples(np.ones(3), 0, 1, ""), Samples(np.ones(3), 0, 0.5, "")),
        ParameterError,
        "kernel: expected samples dx=1 apart, as the signal, got 0.5",
    ),
    "table as signal": (lambda: slide(SQUARE, [1]), ShapeError, r"signal: expected one row.*got shape \(3, 3\)"),
    "number as signal": (lambda: slide(3, [1]), ShapeError, r"signal: .*got shape \(\)"),
    "no samples": (
        lambda: slide([1], []),
        ShapeError,
        r"kernel: expected one row of 1 to 4,000 numbers, got shape \(0,\)",
    ),
    "too many samples": (lambda: slide(np.ones(4001), [1]), ShapeError, r"got shape \(4001,\)"),
    "ragged": (lambda: slide([[1, 2], [3]], [1]), ShapeError, "signal: expected rows of one length"),
    "complex": (lambda: slide([1j], [1]), DTypeError, "signal: expected real numbers, got complex128"),
    "objects": (lambda: slide([None], [1]), DTypeError, "signal: expected real numbers, got object"),
    "NaN": (lambda: slide([1, np.nan], [1]), DataError, "signal: expected finite numbers, got nan"),
    "infinite": (lambda: slide([1], [np.inf]), DataError, "kernel: expected finite numbers, got inf"),
    "one frame": (lambda: show.convolution(frames=1), ParameterError, "frames: .*at least 2, got 1"),
    "frames": (lambda: show.convolution(frames=501), ParameterError, "frames: expected a whole number from 2 to 500"),
    "half a frame": (lambda: show.convolution(frames=2.5), DTypeError, "frames: .*got 2.5"),
    "fps": (lambda: show.convolution(fps=0), ParameterError, "fps: expected 0.1 to 50.*got 0"),
    "grid fps": (lambda: show.grid(SQUARE, [[1]], fps=99), ParameterError, "fps: "),
    "grid operation": (lambda: steps(SQUARE, SQUARE, operation="both"), ParameterError, "operation: "),
    "map rank": (
        lambda: steps(np.ones((2, 2, 2)), SQUARE),
        ShapeError,
        r"map: expected a table.*got shape \(2, 2, 2\)",
    ),
    "empty map": (lambda: steps(np.ones((0, 3)), SQUARE), ShapeError, r"map: .*got shape \(0, 3\)"),
    "large map": (
        lambda: steps(np.ones((3, 11)), SQUARE),
        ShapeError,
        r"1 to 10 rows and columns, got shape \(3, 11\)",
    ),
    "large padding": (lambda: steps(np.ones((9, 9)), SQUARE, padding=1), ShapeError, "at most 10 cells.*got 11x11"),
    "large kernel": (lambda: steps(np.ones((9, 9)), np.ones((6, 6))), ShapeError, "kernel: .*1 to 5"),
    "kernel does not fit": (lambda: steps(np.ones((2, 2)), SQUARE), GeometryError, "kernel"),
    "stride": (lambda: steps(SQUARE, SQUARE, stride=0), GeometryError, "stride"),
    "negative padding": (lambda: steps(SQUARE, SQUARE, padding=-1), GeometryError, "padding"),
    "map of text": (lambda: steps([["a"]], SQUARE), DTypeError, "map: expected real numbers"),
    "kernel NaN": (lambda: steps(SQUARE, [[np.nan]]), DataError, "kernel: expected finite"),
    "rows": (lambda: parse("1 2; 3", "map"), ShapeError, "map: expected rows of one length, got rows of 2, 1 numbers"),
    "ending": (
        lambda: animation().save("a.gfi"),
        ParameterError,
        "'a.gfi': expected a known ending.*Did you mean 'gif'",
    ),
    "no ending": (lambda: animation().save("a"), ParameterError, "got no ending"),
    "dpi": (lambda: animation().save("a.gif", dpi=10), ParameterError, "dpi: expected 30 to 400"),
    "missing folder": (
        lambda: animation().save("none/a.gif", dpi=30),
        StorageError,
        "none/a.gif: .*folder does not exist",
    ),
}


@pytest.mark.parametrize("case", CALLS)
def test_calls(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, kind, message = CALLS[case]
    with pytest.raises(FovealError, match=message) as caught:
        call()
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_no_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match=r"a\.mp4': expected the program ffmpeg, got none on the PATH"):
        animation().save(tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def npy(header):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


FILES = {
    "words.csv": (b"one,two\n", "expected numbers, row by row"),
    "empty.txt": (b"", "expected numbers, row by row"),
    "ragged.csv": (b"1,2\n3\n", "rows of one length"),
    "binary.csv": (b"\xff\xfe\x00", "expected an array of numbers"),
    "text.npy": (b"1,2,3", "expected an array of numbers"),
    "nothing.npy": (b"", "expected an array of numbers"),
    "short.npy": (npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (9,), }\n"), "expected an array of numbers"),
}


@pytest.mark.parametrize("name", FILES)
def test_files(name, tmp_path):
    content, message = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises((FormatError, ShapeError), match=f"{name}: {message}|{name}: expected {message}"):
        read_numbers(tmp_path / name)


def test_a_pickle_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    np.save(tmp_path / "evil.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError, match=r"evil\.npy: expected an array of numbers.*[Oo]bject arrays"):
        read_numbers(tmp_path / "evil.npy")
    assert not (tmp_path / "made").exists()


def test_no_such_file(tmp_path):
    with pytest.raises(StorageError, match=r"none\.csv: expected to read it"):
        read_numbers(tmp_path / "none.csv")


COMMANDS = {
    "nothing to show": (["convolve"], "No such command 'convolve'. Did you mean 'convolution'|No such command"),
    "signal": (["convolution", "--signal", "bx"], "--signal: expected a shape, numbers.*'bx'. Did you mean 'box'"),
    "signal file": (["convolution", "--signal", "{folder}/none.npy"], "none.npy: expected to read it"),
    "bad file": (["convolution", "--kernel", "{folder}/words.csv"], "words.csv: expected numbers"),
    "table": (["convolution", "--signal", "1 2;3 4", "--kernel", "1"], r"--signal: expected one row.*\(2, 2\)"),
    "ragged": (["grid", "--map", "1 2;3"], "--map: expected rows of one length"),
    "operation": (["convolution", "--operation", "conv"], "--operation: .*Did you mean 'convolution'"),
    "dx": (["convolution", "--dx", "0"], "--dx: expected a positive"),
    "no dx": (["convolution", "--signal", "1,2"], "--dx: expected a distance"),
    "frames": (["convolution", "--frames", "1"], "--frames: "),
    "fps": (["grid", "--fps", "0"], "--fps: "),
    "dpi": (["grid", "--dpi", "5"], "--dpi: "),
    "map": (["grid", "--map", "words"], "--map: expected numbers such as 1 2; 3 4, or a file.*got 'words'"),
    "stride": (["grid", "--stride", "a"], "--stride: expected a whole number, or two"),
    "strides": (["grid", "--stride", "1,1,1"], "--stride: expected a whole number, or two"),
    "stride 0": (["grid", "--stride", "0"], "--stride: expected a positive integer, got 0"),
    "padding": (["grid", "--padding", "-1"], "--padding"),
    "kernel fits nowhere": (["grid", "--map", "1 2", "--kernel", "1 2 3"], "kernel"),
    "ending": (["grid", "-o", "{folder}/a.jpg"], "a.jpg': expected a known ending"),
    "out below a file": (["grid", "-o", "{folder}/words.csv/a.gif"], "a folder to write to"),
    "out is a folder": (["grid", "-o", "{folder}/folder.gif"], "folder.gif: expected to write it"),
}


@pytest.mark.parametrize("json", [False, True])
@pytest.mark.parametrize("case", COMMANDS)
def test_one_line_and_exit_code_2(case, json, tmp_path, monkeypatch, capsys):
    arguments, message = COMMANDS[case]
    (tmp_path / "in" / "folder.gif").mkdir(parents=True)
    (tmp_path / "in" / "words.csv").write_text("a,b")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(SystemExit) as exit:
        main(["show", *(a.format(folder=tmp_path / "in") for a in arguments), *["--json"] * json])
    out, err = capsys.readouterr()
    assert exit.value.code == 2
    assert out == ""
    assert re.fullmatch(f"error: .*({message}).*\n", err), err
    assert list((tmp_path / "here").iterdir()) == []
    assert sorted(p.name for p in (tmp_path / "in").rglob("*")) == ["folder.gif", "words.csv"]
