"""Schedules against PyTorch's."""

import warnings

import numpy as np
import pytest

from foveal.training.schedules import SCHEDULES, Constant, Cosine, OneCycle, Step, by_name

torch = pytest.importorskip("torch")
lr_scheduler = torch.optim.lr_scheduler


def torch_rates(make, steps, lr=0.1):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr)
    scheduler = make(optimizer)
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about a scheduler stepped once too often
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return rates


PAIRS = {
    "cosine": (Cosine(0.1, 20, final=0.01), lambda o: lr_scheduler.CosineAnnealingLR(o, 20, 0.01)),
    "step": (Step(0.1, 6, 0.5), lambda o: lr_scheduler.StepLR(o, 6, 0.5)),
    "milestones": (Step(0.1, (3, 4, 17), 0.5), lambda o: lr_scheduler.MultiStepLR(o, [3, 4, 17], 0.5)),
    "warmup": (Constant(0.1, warmup=5), lambda o: lr_scheduler.LinearLR(o, 1 / 5, 1, 4)),
    "onecycle": (
        OneCycle(0.1, 20, rise=0.25, start=10, final=100),
        lambda o: lr_scheduler.OneCycleLR(o, 0.1, 20, pct_start=0.25, div_factor=10, final_div_factor=100),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_equals_torch(name):
    ours, make = PAIRS[name]
    steps = 20 if name == "onecycle" else 21
    rates = [ours(step) for step in range(1, steps + 1)]
    np.testing.assert_allclose(rates, torch_rates(make, steps), rtol=1e-12)


def test_warmup_is_linear_then_cosine():
    rate = Cosine(1.0, steps=14, warmup=4)
    np.testing.assert_allclose([rate(s) for s in (1, 2, 3, 4)], [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose([rate(4 + s) for s in range(1, 11)], [Cosine(1.0, 10)(s) for s in range(1, 11)])


def test_warmup_of_steps_counts_as_other_steps():
    plain, warm = Step(1.0, (3, 6), 0.5), Step(1.0, (3, 6), 0.5, warmup=4)
    np.testing.assert_allclose([warm(s) for s in range(1, 6)], [0.25, 0.5, 0.75, 0.5, 0.5])
    assert [warm(s) for s in range(4, 12)] == [plain(s) for s in range(4, 12)]


@pytest.mark.parametrize("name", sorted({*SCHEDULES} - {"onecycle"}))
def test_by_name_with_warmup(name):
    rates = [by_name(name, 0.1, 30, warmup=5)(step) for step in range(1, 6)]
    np.testing.assert_allclose(rates, [0.02, 0.04, 0.06, 0.08, 0.1])


@pytest.mark.parametrize("name", SCHEDULES)
def test_by_name_is_positive_in_the_run_and_safe_after_it(name):
    rate = by_name(name, 0.1, 30)
    assert all(0 < rate(step) <= 0.1 for step in range(1, 31))
    assert 0 <= rate(31) <= 0.1
    assert rate == eval(repr(rate), {"Constant": Constant, "Cosine": Cosine, "OneCycle": OneCycle, "Step": Step})


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_runs_of_very_few_steps(steps):
    for name in SCHEDULES:
        rate = by_name(name, 0.1, steps)
        assert all(0 <= rate(step) <= 0.1 for step in range(1, steps + 2))
