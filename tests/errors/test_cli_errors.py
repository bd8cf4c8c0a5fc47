"""Bad input on the command line: one line on stderr, exit code 2, nothing on stdout, nothing written."""

import re

import numpy as np
import pytest
from PIL import Image

from foveal.cli import main
from foveal.models import SimpleConvNet

CASES = {
    "command": (["trian"], "No such command 'trian'. Did you mean 'train'"),
    "option": (["train", "--epohcs", "3"], "--epohcs .*--epochs"),
    "missing argument": (["evaluate"], "Missing argument 'MODEL'"),
    "nearest of several": (["summary", "resnet2O"], "got 'resnet2O'. Did you mean 'resnet20'"),
    "no number": (["train", "--epochs", "many"], "--epochs.*valid int"),
    "model name": (["train", "--model", "simpel"], "--model: .*'simpel'. Did you mean 'simple'"),
    "data name": (["train", "--data", "mnist5k"], "data: .*Did you mean 'mnist-5k'"),
    "optimizer": (["train", "--optimizer", "adma"], "Did you mean 'adam'"),
    "schedule": (["train", "--schedule", "cosin"], "Did you mean 'cosine'"),
    "epochs 0": (["train", "--epochs", "0"], "--epochs: .*at least 1, got 0"),
    "batch size 0": (["train", "--batch-size", "0"], "--batch-size: .*at least 1, got 0"),
    "seed": (["train", "--seed", "-1"], "--seed: "),
    "rate": (["train", "--lr", "-1"], "lr: .*got -1"),
    "weight decay": (["train", "--weight-decay", "-1"], "weight_decay: "),
    "size": (["train", "--data", "{photos}", "--size", "big"], "--size: .*got 'big'"),
    "size 0": (["train", "--data", "{photos}", "--size", "0x3"], "--size: "),
    "size of named data": (["train", "--size", "3"], "size: .*folders"),
    "resume nothing": (["train", "--resume"], "checkpoint.safetensors: expected to read it"),
    "out is a file": (["train", "--out", "{model}"], "a folder to write to, got a file"),
    "out below a file": (["train", "--out", "{model}/a"], "which is a file"),
    "out not writable": (["train", "--out", "/proc/foveal"], "/proc: expected to write into it"),
    "out is the data": (["train", "--data", "{photos}", "--out", "{photos}"], "another folder than --data"),
    "empty folder": (["train", "--data", "{empty}"], "one subfolder for each class"),
    "no such model": (["evaluate", "{empty}/none.safetensors"], "none.safetensors: "),
    "model is text": (["evaluate", "{text}"], "note.txt: "),
    "model truncated": (["evaluate", "{short}"], "short.safetensors: "),
    "part": (["evaluate", "{model}", "--part", "tset"], "--part: .*Did you mean 'test'"),
    "other classes": (["evaluate", "{model}", "--data", "{photos}"], "classes of the model, 0, 1, 2.*got cat, dog"),
    "no such image": (["predict", "{model}", "{empty}/a.png"], "a.png: expected to read it"),
    "no image": (["predict", "{model}", "{text}"], "note.txt: .*got no image"),
    "image after a good one": (["predict", "{model}", "{photos}/cat/0.png", "{text}"], "note.txt: "),
    "predict without image": (["predict", "{model}"], "Missing argument 'IMAGE"),
    "top": (["predict", "{model}", "{photos}/cat/0.png", "--top", "0"], "--top: "),
    "bench models": (["bench", "papers", "--models", "lenet6"], "models: .*Did you mean 'lenet5'"),
    "invert": (["predict", "{model}", "{photos}/cat/0.png", "--invert", "yse"], "Did you mean 'yes'"),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    root = tmp_path_factory.mktemp("bad")
    places = {name: root / name for name in ("photos", "empty")}
    places["empty"].mkdir()
    for name in ("cat", "dog"):
        (places["photos"] / name).mkdir(parents=True)
        for i in range(2):
            Image.fromarray(np.full((28, 28), 90 * i, np.uint8)).save(places["photos"] / name / f"{i}.png")
    places |= {"model": root / "model.safetensors", "short": root / "short.safetensors", "text": root / "note.txt"}
    net = SimpleConvNet()
    net.classes = tuple("0123456789")
    net.save(places["model"])
    places["short"].write_bytes(places["model"].read_bytes()[:-100])
    places["text"].write_text("no network, no image")
    return places


@pytest.mark.parametrize("json", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_one_line_and_exit_code_2(case, json, places, tmp_path, monkeypatch, capsys):
    arguments, message = CASES[case]
    monkeypatch.chdir(tmp_path)
    arguments = [argument.format(**places) for argument in arguments]
    before = sorted(places["photos"].rglob("*"))
    with pytest.raises(SystemExit) as exit:
        main(arguments + ["--json"] * (json and len(arguments) > 1))
    out, err = capsys.readouterr()
    assert exit.value.code == 2
    assert out == ""
    assert re.fullmatch(f"error: .*{message}.*\n", err), err
    assert list(tmp_path.iterdir()) == []
    assert sorted(places["photos"].rglob("*")) == before


def test_full_disk_in_train(tmp_path, monkeypatch, capsys):
    def full(_):
        raise OSError(28, "No space left on device")

    (tmp_path / "model.safetensors").write_bytes(b"before")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SystemExit) as exit:
        main(["train", "--out", str(tmp_path), "--epochs", "1", "--quiet"])
    out, err = capsys.readouterr()
    assert (exit.value.code, out) == (2, "")
    assert re.fullmatch("error: .*disk is full.*\n", err), err
    assert (tmp_path / "model.safetensors").read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]
