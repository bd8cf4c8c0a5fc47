"""The commands, run in this process through `main`, and once each as a real process."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from foveal import data
from foveal.cli import main
from foveal.cli.evaluate import measure
from foveal.cli.predict import convert
from foveal.training import Checkpoint, History


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The folder of a short training run."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    with pytest.raises(SystemExit) as exit:
        main(["train", "--out", str(folder), "--epochs", "2", "--quiet"])
    assert exit.value.code == 0
    return folder


def test_train_writes_everything(first):
    assert sorted(p.name for p in first.iterdir()) == [
        "checkpoint.safetensors",
        "filters.png",
        "history.json",
        "history.png",
        "model.safetensors",
    ]
    history = History.from_json((first / "history.json").read_text())
    assert len(history.loss) == 2 * 40
    assert len(history.epochs) == 2
    assert history.test_accuracy > 0.8
    for name in ("filters.png", "history.png"):
        assert data.read_image(first / name).shape[1] > 600


def test_train_reports_in_a_table_and_in_json(foveal, tmp_path):
    code, out, err = foveal("train", "--out", tmp_path / "a", "--epochs", 1)
    assert code == 0
    assert "test accuracy" in out
    assert str(tmp_path / "a" / "model.safetensors") in out
    assert err.startswith("epoch 1/1  loss ")
    code, out, err = foveal("train", "--out", tmp_path / "b", "--epochs", 1, "--json", "--quiet")
    report = json.loads(out)
    assert (code, err, report["epochs"], report["steps"], report["interrupted"]) == (0, "", 1, 40, False)
    assert report["files"]["model"] == str(tmp_path / "b" / "model.safetensors")


def test_train_resume_gives_the_same_model(foveal, tmp_path, first):
    assert foveal("train", "--out", tmp_path, "--epochs", 1, "--quiet")[0] == 0
    assert foveal("train", "--out", tmp_path, "--epochs", 2, "--quiet", "--resume")[0] == 0
    ours, whole = (Checkpoint.load(p / "checkpoint.safetensors") for p in (tmp_path, first))
    for name, array in whole.parameters.items():
        np.testing.assert_array_equal(ours.parameters[name], array)
    assert ours.history.loss == whole.history.loss


def test_train_on_a_folder(foveal, tmp_path):
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(10):
            pixels = np.random.default_rng(i).integers(level - 30, level + 30, (32, 32, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    options = ["--data", tmp_path / "photos", "--size", 28, "--out", tmp_path / "run", "--epochs", 5, "--batch-size", 4]
    code, out, _ = foveal("train", *options, "--schedule", "cosine", "--json", "--quiet")
    assert code == 0
    assert json.loads(out)["train_images"] == 16
    model = tmp_path / "run" / "model.safetensors"
    code, out, _ = foveal("predict", model, tmp_path / "photos" / "dark" / "0.png", "--json")
    prediction = json.loads(out)["images"][0]
    assert {choice["class"] for choice in prediction["top"]} == {"dark", "light"}
    assert prediction["conversion"] == ["32x32 colour", "scaled to 28x28"]
    code, out, _ = foveal("evaluate", model, "--data", tmp_path / "photos", "--size", "28x28", "--part", "train")
    assert code == 0
    assert "16 train images" in out


def test_evaluate(foveal, first):
    code, out, _ = foveal("evaluate", first / "model.safetensors", "--json")
    report = json.loads(out)
    confusion = np.array(report["confusion"])
    assert code == 0
    assert confusion.shape == (10, 10)
    assert confusion.sum(axis=1).tolist() == [100] * 10
    assert report["accuracy"] == pytest.approx(confusion.trace() / 1000)
    assert report["accuracy"] == History.from_json((first / "history.json").read_text()).test_accuracy
    code, out, _ = foveal("evaluate", first / "model.safetensors")
    assert code == 0
    assert "Confusion: rows are true, columns predicted" in out
    assert "precision" in out


def test_measure_against_counting():
    rng = np.random.default_rng(0)
    t, p = rng.integers(0, 3, 50), rng.integers(0, 2, 50)
    result = measure(t, p, ("a", "b", "c"))
    for i, row in enumerate(result["classes"]):
        assert row["count"] == (t == i).sum()
        assert row["recall"] == pytest.approx(((p == i) & (t == i)).sum() / (t == i).sum())
        expected = ((p == i) & (t == i)).sum() / max(1, (p == i).sum())
        assert row["precision"] == (pytest.approx(expected) if i < 2 else None)
        for j in range(3):
            assert result["confusion"][i][j] == ((t == i) & (p == j)).sum()


def test_predict_says_how_it_read_the_picture(foveal, first, tmp_path):
    digit = 255 - data.load("mnist-5k").test[0][0, 0]
    Image.fromarray(digit).resize((280, 350)).convert("RGB").save(tmp_path / "scan.png")
    code, out, _ = foveal("predict", first / "model.safetensors", tmp_path / "scan.png")
    assert code == 0
    steps = "280x350 colour, made grey, inverted (light background), scaled to 22x28, padded to 28x28"
    assert steps in out
    assert out.count("%") == 3


def test_predict_takes_an_image_of_the_data_as_it_is(foveal, first, tmp_path):
    x, t = data.load("mnist-5k").test
    paths = [tmp_path / f"{i}.png" for i in range(20)]
    for image, path in zip(x, paths, strict=False):
        Image.fromarray(image[0]).save(path)
    code, out, _ = foveal("predict", first / "model.safetensors", *paths, "--json", "--top", 10)
    images = json.loads(out)["images"]
    assert code == 0
    assert all(image["conversion"] == ["28x28 grey"] for image in images)
    assert sum(int(image["top"][0]["class"]) == label for image, label in zip(images, t, strict=False)) >= 14
    for image in images:
        assert sum(choice["probability"] for choice in image["top"]) == pytest.approx(1, abs=1e-5)


def test_convert_keeps_the_aspect_and_pads_with_the_background():
    pixels = np.full((10, 40), 30, np.uint8)
    pixels[4:6, 10:30] = 220
    x, steps = convert(pixels, (1, 20, 20), "light")
    assert x.shape == (1, 1, 20, 20)
    assert (x[0, 0, :7] == 30).all()
    assert (x[0, 0, 13:] == 30).all()
    assert x[0, 0, 9, 6:14].min() > 150
    assert steps == ["40x10 grey", "scaled to 20x5", "padded to 20x20"]


def test_convert_inverts_only_light_backgrounds_unless_told():
    light = np.full((4, 4), 250, np.uint8)
    assert convert(light, (1, 4, 4), "light")[0].max() == 5
    assert convert(255 - light, (1, 4, 4), "light")[0].max() == 5
    assert convert(light, (1, 4, 4), "no")[0].max() == 250
    assert convert(255 - light, (1, 4, 4), "yes")[0].max() == 250


def test_convert_grey_for_a_colour_network():
    x, steps = convert(np.arange(16, dtype=np.uint8).reshape(4, 4), (3, 4, 4))
    assert x.shape == (1, 3, 4, 4)
    assert (x[0, 0] == x[0, 2]).all()
    assert "red, green and blue" in steps[-1]


@pytest.mark.parametrize("command", [(), ("train",), ("evaluate",), ("predict",)])
def test_help_has_examples(foveal, command):
    code, out, _ = foveal(*command, "--help")
    assert code == 0
    assert "Examples:\n" in out
    assert out.count("  foveal ") >= 2


def test_no_command_shows_the_help(foveal):
    code, out, _ = foveal()
    assert code == 0
    assert "train" in out


def command(*arguments, **options):
    return [sys.executable, "-c", "from foveal.cli import main; main()", *map(str, arguments)]


def test_the_version_is_told_without_heavy_imports():
    heavy = "print(sorted({'numba', 'matplotlib', 'torch', 'PIL', 'rich'} & set(sys.modules)))"
    code = f"import sys, atexit; atexit.register(lambda: {heavy}); from foveal.cli import main; main(['--version'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, imported = done.stdout.splitlines()
    assert version.startswith("foveal ")
    assert imported == "[]"


def test_a_real_process_fails_in_one_line(tmp_path):
    done = subprocess.run(command("evaluate", tmp_path / "none.safetensors"), capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_ctrl_c_in_a_real_process_keeps_the_work(tmp_path):
    process = subprocess.Popen(
        command("train", "--out", tmp_path, "--epochs", 100000),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stderr.readline()  # the first epoch is done
        assert line.startswith("epoch ")
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted after step" in err
    assert "Traceback" not in err
    assert "test accuracy" in out
    history = History.from_json((tmp_path / "history.json").read_text())
    assert history.interrupted
    assert Checkpoint.load(tmp_path / "checkpoint.safetensors").step == len(history.loss)
