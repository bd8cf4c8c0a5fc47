"""foveal study, run in this process through `main`, on slices."""

import json

import numpy as np
import pytest
from matplotlib.image import imread
from tests.support.oracles import require_data

from foveal.cli import study as commands
from foveal.data.imagenet_samples import SOURCE
from foveal.study import ParameterStudy, overfit, parameters

SLICE = ["parameters", "--data", "mnist-5k", "--widths", "2,4", "--sizes", "50,120", "--seeds", 1, "--steps", 4]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def results(folder):
    return json.loads((folder / "results.json").read_text())


def without_seconds(networks):
    return [{k: v for k, v in net.items() if k != "seconds"} for net in networks]


def test_parameters(foveal, tmp_path):
    code, out, err = foveal("study", *SLICE)
    folder = tmp_path / "runs" / "study-parameters"
    assert code == 0
    assert sorted(p.name for p in folder.iterdir()) == ["parameters.png", "results.json"]
    assert imread(folder / "parameters.png").shape[1] > 900
    found = results(folder)
    assert [(net["model"], net["width"], net["images"]) for net in found["networks"]] == [
        (model, width, images) for images in (50, 120) for width in (2, 4) for model in ("convolution", "mlp")
    ]
    assert {(net["images"], net["steps"]) for net in found["networks"]} == {(50, 4), (120, 4)}
    assert found["settings"] == {"data": "mnist-5k", "steps": 4, "batch_size": 100, "optimizer": "adam", "lr": 0.001,
                                 "schedule": "cosine"}  # fmt: skip
    assert found["same_maps"]["4"] == {"convolution": 104, "affine": 784 * 2304 + 2304}
    assert {"cpu", "isa", "threads", "versions"} <= set(found["machine"])
    assert out.startswith("Parameters and generalisation: reduced run: mnist-5k, 4 steps of 100 images, one seed\n")
    assert "7,745" in out
    assert "120 images: the best " in out
    assert "the convolution of width 4 has 104 parameters" in out
    assert [line.split()[0] for line in err.splitlines()] == [f"{i}/8" for i in range(1, 9)]


def test_ctrl_c_keeps_the_work_and_resume_goes_on(foveal, tmp_path, monkeypatch):
    train, seen = ParameterStudy.train, []

    def interrupted(self, *cell):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(cell)
        return train(self, *cell)

    with monkeypatch.context() as patch:
        patch.setattr(ParameterStudy, "train", interrupted)
        code, out, err = foveal("study", *SLICE, "--out", "a", "--json")
    assert code == 130
    assert json.loads(out)["interrupted"] is True
    assert "interrupted after 3 networks" in err
    assert [tuple(net[k] for k in ("images", "seed", "width", "model")) for net in results(tmp_path / "a")["networks"]
            ] == seen  # fmt: skip
    code, out, err = foveal("study", *SLICE, "--out", "a", "--resume", "--json", "--quiet")
    resumed = json.loads(out)
    assert (code, err, resumed["interrupted"], len(resumed["networks"])) == (0, "", False, 8)
    code, out, _ = foveal("study", *SLICE, "--out", "b", "--json", "--quiet")
    assert without_seconds(json.loads(out)["networks"]) == without_seconds(resumed["networks"])
    code, out, err = foveal("study", *SLICE, "--seeds", 2, "--sizes", 50, "--out", "b", "--resume", "--json")
    assert [line.split()[0] for line in err.splitlines()] == [f"{i}/12" for i in range(9, 13)]
    # more of the same may be asked for
    assert [net["seed"] for net in json.loads(out)["networks"]] == [0] * 8 + [1] * 4


def test_the_results_are_written_after_each_network(foveal, tmp_path, monkeypatch):
    written, train = [], ParameterStudy.train

    def look(self, *cell):
        file = tmp_path / "a" / commands.RESULTS
        written.append(len(json.loads(file.read_text())["networks"]) if file.exists() else 0)
        return train(self, *cell)

    monkeypatch.setattr(ParameterStudy, "train", look)
    assert foveal("study", *SLICE, "--out", "a", "--quiet")[0] == 0
    assert written == list(range(8))


def test_quick_gives_other_defaults(foveal, monkeypatch):
    made = {}

    def study(data, **how):
        made.update(how, data=data.name)
        raise KeyboardInterrupt

    monkeypatch.setattr(parameters.ParameterStudy, "__init__", lambda self, data, **how: study(data, **how))
    assert foveal("study", "parameters", "--quick", "--seeds", 5)[0] == 130
    assert made == {"data": "mnist-5k", "widths": (2, 4, 8, 15, 30), "seeds": 5, "steps": 200, "sizes": None,
                    "models": ("convolution", "mlp")}  # fmt: skip


def test_overfit(foveal, tmp_path):
    arguments = ["overfit", "--model", "simple", "--model", "mlp", "--data", "mnist-5k", "--pictures", 8, "--every", 4]
    code, out, err = foveal("study", *arguments, "--out", "a")
    assert code == 0
    assert out.count("learned by heart: loss 0.0") == 2
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["loss.png", "results.json"]
    assert imread(tmp_path / "a" / "loss.png").shape[1] > 900
    found = results(tmp_path / "a")
    assert [net["model"] for net in found["networks"]] == ["simple", "mlp"]
    for net in found["networks"]:
        steps = len(net["loss"])
        assert (net["pictures"], net["reached"], net["accuracy"], net["classes"]) == (8, True, 1.0, 10)
        assert net["predicted"][-1][0] == steps
        assert net["predicted"][-1][1] < 0.1
        assert err.count(f"{net['model']}  step ") == steps
        assert err.count("as it predicts") == sum(len(net["predicted"]) for net in found["networks"])
    code, out, err = foveal("study", *arguments, "--out", "b", "--json", "--quiet")
    assert (code, err) == (0, "")
    for ours, again in zip(found["networks"], json.loads(out)["networks"], strict=True):
        assert (ours["loss"], ours["predicted"]) == (again["loss"], again["predicted"])


def test_overfit_that_is_not_reached_is_exit_code_1(foveal):
    arguments = ["--data", "mnist-5k", "--pictures", 8, "--steps", 2, "--json", "--quiet"]
    code, out, _ = foveal("study", "overfit", "--model", "mlp", *arguments)
    (net,) = json.loads(out)["networks"]
    assert (code, net["reached"], len(net["loss"])) == (1, False, 2)


def test_overfit_passes_options_on(foveal, monkeypatch):
    require_data(SOURCE.archive)
    given = []

    def learn(net, x, t, **how):
        given.append((x, net.input_shape, repr(how["optimizer"]), how["batch_size"], how["below"], how["seed"]))
        return overfit(net, x, t, **how | {"steps": 1})

    monkeypatch.setattr("foveal.study.overfit", learn)
    options = ["--optimizer", "sgd", "--lr", 0.5, "--batch-size", 3, "--below", 0.7, "--seed", 4, "--size", 40]
    foveal("study", "overfit", "--model", "simple", "--pictures", 5, *options)
    ((x, shape, optimizer, *rest),) = given
    assert (x.shape, x.dtype, shape) == ((5, 3, 40, 40), np.uint8, (3, 40, 40))
    assert optimizer == "SGD(lr=0.5, weight_decay=0.0)"
    assert rest == [3, 0.7, 4]


@pytest.mark.parametrize("command", ["parameters", "overfit"])
def test_help_has_examples(foveal, command):
    code, out, _ = foveal("study", command, "--help")
    assert code == 0
    assert out.count(f"  foveal study {command}") >= 3
