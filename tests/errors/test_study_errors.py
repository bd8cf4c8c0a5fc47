"""Bad studies: the call and the command line, each with its class and message."""

import json
import re

import numpy as np
import pytest

from foveal import data, models
from foveal.cli import main
from foveal.errors import (
    DataError,
    DTypeError,
    FormatError,
    FovealError,
    GeometryError,
    ParameterError,
    ShapeError,
    StorageError,
)
from foveal.study import ParameterStudy, architecture, overfit, record
from foveal.training import optimizers

X, T = np.zeros((4, 1, 28, 28), np.uint8), np.arange(4)


def study(**given):
    return ParameterStudy(data.load("mnist-5k"), **given)


def learn(*, x=X, t=T, **given):
    return overfit(models.MLP(), x, t, **given)


CALLS = {
    "model": (lambda: study(models=["convolutoin"]), ParameterError, "models: .*Did you mean 'convolution'"),
    "model twice": (lambda: study(models=["mlp", "mlp"]), ParameterError, "models: .*each once, got mlp, mlp"),
    "no model": (lambda: study(models=[]), ParameterError, "models: expected one or more, each once, got none"),
    "width 0": (lambda: study(widths=[4, 0]), ParameterError, "widths: .*at least 1, got 0"),
    "width twice": (lambda: study(widths=[4, 4]), ParameterError, "widths: .*each once, got 4, 4"),
    "half a width": (lambda: study(widths=[4.5]), DTypeError, r"widths: .*got 4\.5"),
    "size 0": (lambda: study(sizes=[0]), ParameterError, "sizes: .*at least 1, got 0"),
    "size too large": (
        lambda: study(sizes=[100, 4001]),
        ParameterError,
        "sizes: expected at most the 4,000 training images of .*, got 4,001",
    ),
    "seeds 0": (lambda: study(seeds=0), ParameterError, "seeds: .*got 0"),
    "steps 0": (lambda: study(steps=0), ParameterError, "steps: .*got 0"),
    "architecture": (lambda: architecture("MLP", 3), ParameterError, "model: .*'MLP'. Did you mean 'mlp'"),
    "architecture's width": (lambda: architecture("mlp", 0), ParameterError, "width: .*got 0"),
    "tiny images": (lambda: architecture("convolution", 3, (1, 4, 4)), GeometryError, "kernel"),
    "optimizer": (lambda: learn(optimizer="adam"), DTypeError, "optimizer: .*got 'adam'"),
    "below 0": (lambda: learn(below=0.0), ParameterError, "below: expected a positive number, got 0.0"),
    "below NaN": (lambda: learn(below=float("nan")), ParameterError, "below: .*got nan"),
    "below yes": (lambda: learn(below=True), ParameterError, "below: .*got True"),
    "no steps": (lambda: learn(steps=0), ParameterError, "steps: .*got 0"),
    "no batch": (lambda: learn(batch_size=0), ParameterError, "batch_size: .*got 0"),
    "never": (lambda: learn(every=0), ParameterError, "every: .*got 0"),
    "seed": (lambda: learn(seed=-1), ParameterError, "seed: .*got -1"),
    "pictures": (lambda: learn(x=X[:, 0]), ShapeError, r"x: expected shape \(N, 1, 28, 28\)"),
    "no pictures": (lambda: learn(x=X[:0], t=T[:0]), DataError, "x: expected at least one image"),
    "labels": (lambda: learn(t=T + 7), DataError, "t: expected labels from 0 to 9, got 10"),
    "divergence": (
        lambda: learn(x=X + 1.0, optimizer=optimizers.SGD(1e30)),
        DataError,
        r"overfit, step [2-9]: expected a finite loss, got .*Try a tenth of the learning rate, which is 1e\+30",
    ),
}

QUICK = ["parameters", "--data", "mnist-5k"]
COMMANDS = {
    "command": (["paramters"], "paramters"),
    "models": ([*QUICK, "--models", "convolution,mpl"], "--models: .*'mpl'. Did you mean 'mlp'"),
    "no numbers": ([*QUICK, "--sizes", "1000,all"], "--sizes: expected numbers such as 4,8,15, got '1000,all'"),
    "size 0": ([*QUICK, "--sizes", "0"], "--sizes: .*got '0'"),
    "sizes": ([*QUICK, "--sizes", "1000,5000"], "--sizes: expected at most the 4,000 training images .*got 5,000"),
    "widths": ([*QUICK, "--widths", "4;8"], "--widths: .*got '4;8'"),
    "width twice": ([*QUICK, "--widths", "4,4"], "--widths: .*each once"),
    "seeds": ([*QUICK, "--seeds", "0"], "--seeds: .*at least 1, got 0"),
    "steps": ([*QUICK, "--steps", "-1"], "--steps: .*at least 1, got -1"),
    "data": (["parameters", "--data", "mnist5k"], "data: .*Did you mean 'mnist-5k'"),
    "out is a file": ([*QUICK, "--out", "{text}"], "a folder to write to, got a file"),
    "out is taken": ([*QUICK, "--out", "{done}"], "results.json: expected no results of an earlier run.*--resume"),
    "nothing to resume": ([*QUICK, "--out", "{empty}", "--resume"], "results.json: expected to read it"),
    "resume no JSON": ([*QUICK, "--out", "{broken}", "--resume"], "results.json: .*parameter study.*no JSON"),
    "resume something": ([*QUICK, "--out", "{other}", "--resume"], "results.json: .*got something else"),
    "resume another recipe": (
        [*QUICK, "--out", "{done}", "--resume", "--steps", "9"],
        "results.json: expected steps 9, got steps 5. Give the same options, or choose another folder",
    ),
    "no model": (["overfit"], "Missing option '--model'"),
    "model": (["overfit", "--model", "alexnett"], "--model: .*Did you mean 'alexnet'"),
    "second model": (["overfit", "--model", "mlp", "--model", "alexnit"], "--model: .*Did you mean 'alexnet'"),
    "pictures 0": (["overfit", "--model", "mlp", "--pictures", "0"], "--pictures: .*at least 1, got 0"),
    "pictures": (
        ["overfit", "--model", "mlp", "--data", "mnist-5k", "--pictures", "4001"],
        "--pictures: expected at most 4,000, as .* has, got 4,001",
    ),
    "optimizer": (["overfit", "--model", "mlp", "--optimizer", "adma"], "Did you mean 'adam'"),
    "rate": (["overfit", "--model", "mlp", "--lr", "-1"], "--lr: .*got -1"),
    "bound": (["overfit", "--model", "mlp", "--data", "mnist-5k", "--below", "0"], "--below: .*got 0"),
    "every": (["overfit", "--model", "mlp", "--data", "mnist-5k", "--every", "0"], "--every: .*got 0"),
    "overfit steps": (["overfit", "--model", "mlp", "--data", "mnist-5k", "--steps", "0"], "--steps: .*got 0"),
    "batch": (["overfit", "--model", "mlp", "--data", "mnist-5k", "--batch-size", "0"], "--batch-size: .*got 0"),
    "overfit out": (["overfit", "--model", "mlp", "--out", "{text}"], "a folder to write to, got a file"),
    "overfit size": (["overfit", "--model", "mlp", "--size", "big"], "--size: .*got 'big'"),
}


@pytest.mark.parametrize("case", CALLS)
def test_calls(case):
    call, kind, message = CALLS[case]
    with pytest.raises(FovealError, match=message) as error:
        call()
    assert type(error.value) is kind


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    root = tmp_path_factory.mktemp("bad")
    found = {name: root / name for name in ("done", "empty", "broken", "other", "text")}
    for name in ("done", "empty", "broken", "other"):
        found[name].mkdir()
    found["text"].write_text("no folder")
    record.write(found["done"] / "results.json", study(steps=5), [], {})
    (found["broken"] / "results.json").write_text("{")
    (found["other"] / "results.json").write_text(json.dumps({"study": "overfit", "networks": []}))
    return found


@pytest.mark.parametrize("case", COMMANDS)
def test_one_line_and_exit_code_2(case, places, tmp_path, monkeypatch, capsys):
    arguments, message = COMMANDS[case]
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_text() for path in places["empty"].parent.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as exit:
        main(["study", *(argument.format(**places) for argument in arguments)])
    out, err = capsys.readouterr()
    assert (exit.value.code, out) == (2, "")
    assert re.fullmatch(f"error: .*{message}.*\n", err), err
    assert list(tmp_path.iterdir()) == []
    assert {path: path.read_text() for path in places["empty"].parent.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("content", "why"), [
    ("[]", "TypeError"), ('{"settings": {}}', "'networks'"), ('{"settings": {}, "networks": [{"model": "m"}]}', "Type"),
])  # fmt: skip
def test_a_file_of_something_else(tmp_path, content, why):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(FormatError, match=f"the results of a parameter study, got something else.*{why}"):
        record.read(tmp_path / "a.json", {})


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(StorageError, match=r"a\.json: expected to read it"):
        record.read(tmp_path / "a.json", {})
