"""fit against a fake engine: what it visits, records, keeps and refuses, without a kernel being compiled."""

import importlib
import os
import signal
import threading

import numpy as np
import pytest
from fake_network import FakeNetwork, Run, fake_training, toy

from foveal.errors import DataError
from foveal.training import Checkpoint, History, fit
from foveal.training.optimizers import SGD, Adam, Momentum


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    module = importlib.import_module("foveal.training.fit")

    def start(job):
        return fake_training(job.net, job.x, job.t, batch_size=job.batch_size, optimizer=job.optimizer)

    monkeypatch.setattr(module, "_training", start)
    monkeypatch.setattr(fake_training, "runs", [])


def press_ctrl_c_in_step(monkeypatch, number):
    """Send SIGINT while step `number` runs, as a terminal does."""
    plain, count = Run.step, iter(range(1, 10_000))

    def step(self, rows):
        if next(count) == number:
            os.kill(os.getpid(), signal.SIGINT)
        return plain(self, rows)

    monkeypatch.setattr(Run, "step", step)


def test_every_image_once_an_epoch_in_a_seeded_order():
    x, t = toy(50)
    fit(FakeNetwork(), x, t, epochs=2, batch_size=16, seed=7, progress=False)
    rows = np.concatenate([rows for run in fake_training.runs for rows in run.visited])
    np.testing.assert_array_equal(rows[:50], np.random.default_rng((7, 1)).permutation(50))
    np.testing.assert_array_equal(rows[50:], np.random.default_rng((7, 2)).permutation(50))
    assert [len(r) for r in fake_training.runs[0].visited[:4]] == [16, 16, 16, 2]


def test_history_and_learning():
    x, t = toy(50)
    net = FakeNetwork()
    history = fit(net, x, t, epochs=60, batch_size=16, optimizer=Adam(0.1), validation=(x, t), progress=False)
    assert len(history.loss) == 60 * 4
    assert [e.epoch for e in history.epochs] == list(range(1, 61))
    assert history.test_accuracy == net.accuracy(x, t) > 0.9
    assert history.epochs[-1].train_loss < 0.5 * history.epochs[0].train_loss
    assert all(e.seconds > 0 and e.images_per_second > 0 for e in history.epochs)
    assert not history.interrupted
    last = np.average(history.loss[-4:], weights=[16, 16, 16, 2])
    assert history.epochs[-1].train_loss == pytest.approx(last)


def test_train_accuracy_is_of_the_batches_seen():
    x, t = toy(10)
    net = FakeNetwork()
    expected = net.accuracy(x, t)
    history = fit(net, x, t, epochs=1, batch_size=10, progress=False)
    assert history.epochs[0].train_accuracy == pytest.approx(expected)


def test_optimizer_of_the_caller_is_not_changed():
    x, t = toy()
    optimizer = Momentum(0.1)
    fit(FakeNetwork(), x, t, epochs=1, optimizer=optimizer, schedule="cosine", progress=False)
    assert (optimizer.lr, optimizer.steps, optimizer.state) == (0.1, 0, {})


def test_schedule_by_name_covers_the_run():
    x, t = toy(50)
    fit(FakeNetwork(), x, t, epochs=3, batch_size=16, optimizer=SGD(0.1), schedule="cosine", progress=False)
    assert repr(fake_training.runs[0].optimizer.lr) == "Cosine(lr=0.1, steps=12, warmup=0, final=0.0)"


def test_warmup_is_in_epochs():
    x, t = toy(50)
    options = {"epochs": 3, "batch_size": 16, "optimizer": SGD(0.1), "progress": False}
    fit(FakeNetwork(), x, t, schedule="cosine", warmup=1, **options)
    fit(FakeNetwork(), x, t, warmup=0.5, **options)
    fit(FakeNetwork(), x, t, schedule="step", warmup=1.3, **options)
    assert [repr(run.optimizer.lr) for run in fake_training.runs] == [
        "Cosine(lr=0.1, steps=12, warmup=4, final=0.0)",
        "Constant(lr=0.1, warmup=2)",
        "Step(lr=0.1, steps=4, factor=0.1, warmup=5)",
    ]


def test_one_hot_labels_and_float_images():
    x, t = toy(20)
    first, second = FakeNetwork(), FakeNetwork()
    fit(first, x, t, epochs=1, batch_size=8, progress=False)
    fit(second, (x / np.float32(255)).astype(np.float32), np.eye(3)[t], epochs=1, batch_size=8, progress=False)
    np.testing.assert_allclose(first.w, second.w, rtol=1e-6)


@pytest.mark.parametrize("cut", [1, 3, 4, 5, 8, 11])
def test_ctrl_c_keeps_the_work_and_resume_gives_the_same_bits(tmp_path, monkeypatch, cut):
    x, t = toy(50)
    settings = {"epochs": 3, "batch_size": 16, "optimizer": Adam(0.05), "schedule": "cosine", "progress": False}
    whole, cut_net = FakeNetwork(), FakeNetwork()
    expected = fit(whole, x, t, validation=(x, t), **settings)
    path = tmp_path / "checkpoint.safetensors"
    with monkeypatch.context() as patch:
        press_ctrl_c_in_step(patch, cut)
        partial = fit(cut_net, x, t, validation=(x, t), checkpoint=path, **settings)
    assert partial.interrupted
    assert len(partial.loss) == cut == Checkpoint.load(path).step
    np.testing.assert_array_equal(Checkpoint.load(path).parameters["affine1.weight"], cut_net.w)

    resumed = FakeNetwork(seed=99)
    history = fit(resumed, x, t, validation=(x, t), checkpoint=path, resume=path, **settings)
    np.testing.assert_array_equal(resumed.w, whole.w)
    assert history.loss == expected.loss
    assert not history.interrupted
    for mine, theirs in zip(history.epochs, expected.epochs, strict=True):
        assert (mine.epoch, mine.train_loss, mine.train_accuracy, mine.test_accuracy) == (
            theirs.epoch,
            theirs.train_loss,
            theirs.train_accuracy,
            theirs.test_accuracy,
        )


def test_longer_run_from_a_finished_checkpoint(tmp_path):
    x, t = toy(50)
    path = tmp_path / "c.safetensors"
    whole, first, second = FakeNetwork(), FakeNetwork(), FakeNetwork(seed=5)
    fit(whole, x, t, epochs=4, batch_size=16, progress=False)
    fit(first, x, t, epochs=2, batch_size=16, checkpoint=path, progress=False)
    history = fit(second, x, t, epochs=4, batch_size=16, resume=path, progress=False)
    np.testing.assert_array_equal(second.w, whole.w)
    assert len(history.epochs) == 4


def test_nothing_to_do_after_the_last_epoch(tmp_path):
    x, t = toy(20)
    path = tmp_path / "c.safetensors"
    net = FakeNetwork()
    first = fit(net, x, t, epochs=2, checkpoint=path, progress=False)
    again = fit(FakeNetwork(seed=9), x, t, epochs=2, resume=path, progress=False)
    assert again.loss == first.loss


def test_second_ctrl_c_is_not_held_back(monkeypatch):
    x, t = toy(50)

    def step(self, rows):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return 0.0, 0

    monkeypatch.setattr(Run, "step", step)
    with pytest.raises(KeyboardInterrupt):
        fit(FakeNetwork(), x, t, epochs=1, batch_size=16, progress=False)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_in_the_last_step_is_a_finished_run(monkeypatch):
    x, t = toy(50)
    press_ctrl_c_in_step(monkeypatch, 4)
    history = fit(FakeNetwork(), x, t, epochs=1, batch_size=16, progress=False)
    assert not history.interrupted
    assert len(history.epochs) == 1


def test_in_another_thread():
    x, t = toy(50)
    results = []
    thread = threading.Thread(target=lambda: results.append(fit(FakeNetwork(), x, t, epochs=1, progress=False)))
    thread.start()
    thread.join()
    assert len(results[0].loss) == 1


def test_nan_stops_and_the_last_good_checkpoint_stays(tmp_path, monkeypatch):
    x, t = toy(50)
    path = tmp_path / "c.safetensors"
    plain, count = Run.step, iter(range(1, 100))
    monkeypatch.setattr(Run, "step", lambda self, rows: (float("nan"), 0) if next(count) == 6 else plain(self, rows))
    with pytest.raises(DataError, match=r"step 6 \(epoch 2\).*learning rate of 0.5.*c\.safetensors keeps"):
        fit(FakeNetwork(), x, t, epochs=3, batch_size=16, optimizer=SGD(0.5), checkpoint=path, progress=False)
    kept = Checkpoint.load(path)
    assert kept.step == 4
    assert np.isfinite(kept.parameters["affine1.weight"]).all()


def test_plain_lines_when_stderr_is_no_terminal(capsys):
    x, t = toy(50)
    fit(FakeNetwork(), x, t, epochs=2, validation=(x, t))
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2  loss ")
    assert "test " in lines[1]
    assert "images/s" in lines[1]


def test_silent(capsys):
    x, t = toy(50)
    fit(FakeNetwork(), x, t, epochs=1, progress=False)
    assert capsys.readouterr() == ("", "")


def test_bar_on_a_terminal(monkeypatch, capsys):
    progress = importlib.import_module("foveal.training.progress")
    x, t = toy(50)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    history = fit(FakeNetwork(), x, t, epochs=3)
    assert isinstance(history, History)
    assert "epoch 3/3" in capsys.readouterr().err


def test_where_an_interrupted_run_goes_on_is_told(tmp_path, monkeypatch, capsys):
    x, t = toy(50)
    press_ctrl_c_in_step(monkeypatch, 6)
    fit(FakeNetwork(), x, t, epochs=3, batch_size=16, checkpoint=tmp_path / "new" / "c.safetensors")
    assert "interrupted after step 6 (epoch 2)" in (err := capsys.readouterr().err)
    assert "c.safetensors" in err
