"""The parameter study trains what it says, on the images it says, and says what came out."""

import dataclasses
import json

import numpy as np
import pytest

import foveal as fv
from foveal.data import Dataset
from foveal.study import ParameterStudy, Trained, architecture, parameters, record, same_maps
from foveal.training import History, fit, optimizers

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def data():
    """Squares, and squares upside down: easy, so that a few steps learn something."""
    t = RNG.integers(0, 2, 320)
    x = RNG.integers(0, 60, (320, 1, 12, 12), np.uint8)
    x[t == 0, :, 1:5, 2:10] += 180
    x[t == 1, :, 7:11, 2:10] += 180
    return Dataset((x[:240], t[:240]), (x[240:], t[240:]), ("up", "down"), "squares")


def make(data, **given):
    return ParameterStudy(data, **{"widths": (2, 3), "sizes": (40, 150), "seeds": 2, "steps": 6} | given)


def by_heart(net):
    """A result without the time that it took."""
    return dataclasses.replace(net, seconds=0.0)


def test_the_convolutional_network_of_width_30_is_the_notes():
    ours, theirs = architecture("convolution", 30), fv.models.SimpleConvNet()
    assert parameters.count(ours) == theirs.parameter_count == 433_890
    assert ours.parameters() == theirs.parameters
    assert [type(node.layer) for node in ours.nodes] == [type(node.layer) for node in theirs.graph.nodes]


@pytest.mark.parametrize("width", parameters.WIDTHS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_no_mlp_is_nearer_in_size(width, shape):
    wanted = parameters.count(architecture("convolution", width, shape, 7))
    graph = architecture("mlp", width, shape, 7)
    hidden = graph.parameters()["affine1.weight"][1]
    off = {
        h: abs(fv.models.MLP(shape, (h,), 7).parameter_count - wanted) for h in (hidden - 1, hidden, hidden + 1) if h
    }
    assert graph.parameters() == fv.models.MLP(shape, (hidden,), 7).parameters
    assert min(off, key=off.get) == hidden


def test_parameters_of_the_same_maps():
    assert same_maps(30) == (5 * 5 * 30 + 30, 784 * 30 * 24 * 24 + 30 * 24 * 24) == (780, 13_564_800)
    assert same_maps(4, (3, 10, 12)) == (5 * 5 * 3 * 4 + 4, 360 * 4 * 6 * 8 + 4 * 6 * 8)


def test_defaults_are_the_whole_question(data):
    study = ParameterStudy(data)
    assert (study.sizes, study.widths, study.models) == ((240,), (2, 4, 8, 15, 30, 60), ("convolution", "mlp"))
    x, t = np.zeros((6000, 1, 6, 6), np.uint8), np.zeros(6000, np.int64)
    many = Dataset((x, t), (x[:1], t[:1]), ("a",), "many")
    assert ParameterStudy(many).sizes == (1000, 5000, 6000)


def test_whole_curves_come_first(data):
    cells = make(data, sizes=(150, 40), widths=(3, 2)).cells
    assert cells[:4] == [(40, 0, 2, "convolution"), (40, 0, 2, "mlp"), (40, 0, 3, "convolution"), (40, 0, 3, "mlp")]
    assert [cell[:2] for cell in cells[::4]] == [(40, 0), (40, 1), (150, 0), (150, 1)]
    assert len(set(cells)) == len(cells) == 16


@pytest.mark.parametrize(("steps", "size", "epochs", "taken"), [
    (3000, 1000, 300, 3000), (3000, 60_000, 5, 3000), (10, 950, 1, 10), (14, 1000, 1, 10), (16, 1000, 2, 20),
    (1, 240, 1, 3), (5, 40, 5, 5),
])  # fmt: skip
def test_steps_are_whole_epochs(data, steps, size, epochs, taken):
    study = make(data, steps=steps)
    assert (study.epochs_on(size), study.steps_on(size)) == (epochs, taken)


def test_both_families_learn_from_the_same_images_as_often(data, monkeypatch):
    seen = {}

    def spy(net, x, t, **how):
        seen[how["seed"], len(x), len(net.layers)] = x, t, how | {"optimizer": repr(how["optimizer"])}
        return fit(net, x, t, **how)

    monkeypatch.setattr(parameters, "fit", spy)
    found = list(make(data, widths=(2,)).run())
    assert len(seen) == len(found) == 8
    for seed in (0, 1):
        for size in (40, 150):
            (x, t, how), (other, same, also) = seen[seed, size, 6], seen[seed, size, 3]
            np.testing.assert_array_equal(x, other)
            np.testing.assert_array_equal(t, same)
            assert how == also
            rows = [int(np.flatnonzero((data.train[0] == image).all((1, 2, 3)))[0]) for image in x]
            assert len(set(rows)) == size
            np.testing.assert_array_equal(t, data.train[1][rows])
        few, more = seen[seed, 40, 3][0], seen[seed, 150, 3][0]
        np.testing.assert_array_equal(few, more[:40])
    assert not np.array_equal(seen[0, 40, 3][0], seen[1, 40, 3][0])
    assert {net.steps for net in found if net.images == 40} == {6}
    assert {net.steps for net in found if net.images == 150} == {6}


@pytest.mark.parametrize("model", ["convolution", "mlp"])
def test_the_result_is_that_of_fit(data, model):
    study = make(data, steps=8)
    (x, t), net = data.train, fv.Network(architecture(model, 3, data.input_shape, 2), seed=1)
    rows = np.random.default_rng(1).permutation(240)[:150]
    fit(net, x[rows], t[rows], epochs=4, optimizer=optimizers.Adam(0.001), schedule="cosine", seed=1, progress=False)
    found = study.train(150, 1, 3, model)
    assert (found.model, found.width, found.images, found.seed, found.steps) == (model, 3, 150, 1, 8)
    assert found.parameters == net.parameter_count
    assert found.hidden == net.parameters["affine1.weight"][1]
    assert found.train_accuracy == net.accuracy(x[rows], t[rows])
    assert found.test_accuracy == net.accuracy(*data.test)
    assert by_heart(found) == by_heart(study.train(150, 1, 3, model))


def test_what_is_done_is_not_done_again(data):
    study = make(data, sizes=(40,))
    everything = list(study.run())
    rest = list(study.run({net.cell for net in everything[:3]}))
    assert [by_heart(net) for net in rest] == [by_heart(net) for net in everything[3:]]


def test_ctrl_c_ends_the_study(data, monkeypatch):
    monkeypatch.setattr(parameters, "fit", lambda *_, **__: History(loss=[1.0], interrupted=True))
    with pytest.raises(KeyboardInterrupt):
        next(make(data).run())


def test_a_reduced_run_says_so(data):
    whole = ParameterStudy(data)
    nets = [Trained(model, width, 1, 1, size, seed, 1, 0.5, 0.5, 0.1) for size, seed, width, model in whole.cells]
    assert whole.note(nets) == "squares, 2,400 steps of 100 images, mean of 3 seeds, shaded: lowest to highest"
    assert whole.note(nets[:-1]).startswith("reduced run: squares")
    assert ParameterStudy(data, steps=2399).is_reduced(nets)
    assert "mean of 2 to 3 seeds" in whole.note(nets[:-1])
    assert whole.note(nets[:2]).endswith("images, one seed")


def test_the_file_holds_everything(data, tmp_path):
    study = make(data, sizes=(40,), seeds=1)
    nets = list(study.run())
    record.write(tmp_path / "a.json", study, nets, {"cpu": "a"})
    assert record.read(tmp_path / "a.json", study.settings) == nets
    content = json.loads((tmp_path / "a.json").read_text())
    assert content["same_maps"]["3"] == dict(zip(("convolution", "affine"), same_maps(3, (1, 12, 12)), strict=True))
    assert (content["machine"], content["settings"]["steps"]) == ({"cpu": "a"}, 6)
