"""Every optimizer against PyTorch's, which is the definition of its formula."""

import numpy as np
import pytest

from foveal.errors import ParameterError
from foveal.training import optimizers as fo

torch = pytest.importorskip("torch")

CASES = {
    "sgd": (fo.SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "sgd-decay": (fo.SGD(0.1, weight_decay=0.2), lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.2)),
    "momentum": (
        fo.Momentum(0.1, 0.8, weight_decay=0.2),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.8, weight_decay=0.2),
    ),
    "nesterov": (
        fo.Nesterov(0.1, 0.8, weight_decay=0.2),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.8, nesterov=True, weight_decay=0.2),
    ),
    "adagrad": (fo.AdaGrad(0.1, weight_decay=0.2), lambda p: torch.optim.Adagrad(p, 0.1, weight_decay=0.2)),
    "rmsprop": (fo.RMSProp(0.1, 0.9, weight_decay=0.2), lambda p: torch.optim.RMSprop(p, 0.1, 0.9, weight_decay=0.2)),
    "adam": (
        fo.Adam(0.1, 0.8, 0.9, 1e-3, 0.2),
        lambda p: torch.optim.Adam(p, 0.1, (0.8, 0.9), 1e-3, weight_decay=0.2),
    ),
    "adamw": (
        fo.AdamW(0.1, 0.8, 0.9, 1e-3, 0.2),
        lambda p: torch.optim.AdamW(p, 0.1, (0.8, 0.9), 1e-3, weight_decay=0.2),
    ),
    "default-adam": (fo.Adam(), lambda p: torch.optim.Adam(p)),
    "default-adamw": (fo.AdamW(), lambda p: torch.optim.AdamW(p)),
    "default-adagrad": (fo.AdaGrad(), lambda p: torch.optim.Adagrad(p)),
    "default-rmsprop": (fo.RMSProp(), lambda p: torch.optim.RMSprop(p)),
}


def five_steps(start, gradients, optimizer):
    p = {name: a.copy() for name, a in start.items()}
    for g in gradients:
        optimizer.update(p, g)
    return p


@pytest.mark.parametrize("case", CASES)
def test_five_steps_equal_torch(case):
    ours, make = CASES[case]
    rng = np.random.default_rng(3)
    start = {"a": rng.normal(size=(4, 3)), "b": rng.normal(size=5)}
    gradients = [{name: rng.normal(size=a.shape) for name, a in start.items()} for _ in range(5)]
    mine = five_steps(start, gradients, ours.with_rate(ours.lr))
    theirs = {name: torch.nn.Parameter(torch.tensor(a)) for name, a in start.items()}
    optimizer = make(list(theirs.values()))
    for g in gradients:
        for name, p in theirs.items():
            p.grad = torch.tensor(g[name])
        optimizer.step()
    for name in start:
        np.testing.assert_allclose(mine[name], theirs[name].detach().numpy(), rtol=1e-12, atol=1e-14)


def test_muon_of_matrices_equals_torch_which_rounds_to_bfloat16():
    rng = np.random.default_rng(3)
    for shape in ((4, 12), (9, 4), (5, 5)):  # (in, out) here, (out, in) in PyTorch
        start, ours = rng.normal(size=shape), fo.Muon(0.1, 0.8, 0.2)
        theirs = torch.nn.Parameter(torch.tensor(start.T, dtype=torch.float32))
        optimizer = torch.optim.Muon([theirs], 0.1, 0.2, 0.8)
        mine = {"fc.weight": start.copy()}
        for _ in range(5):
            g = rng.normal(size=shape)
            ours.update(mine, {"fc.weight": g})
            theirs.grad = torch.tensor(g.T, dtype=torch.float32)
            optimizer.step()
        moved = np.abs(mine["fc.weight"] - start).max()
        np.testing.assert_allclose(mine["fc.weight"].T, theirs.detach().numpy(), rtol=0, atol=0.05 * moved)


def test_muon_moves_all_directions_alike():
    """A gradient with singular values from 1 to 100 moves a filter bank by 0.68 to 1.21 rates in each direction."""
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.normal(size=(n, 6)))[0] for n in (6, 50))
    g = ((u * np.geomspace(1, 100, 6)) @ v.T).reshape(6, 2, 5, 5)
    p = {"conv1.weight": np.zeros((6, 2, 5, 5)), "conv1.bias": np.zeros(6)}
    fo.Muon(0.5).update(p, {"conv1.weight": g, "conv1.bias": np.full(6, 2.0)})
    moved = p["conv1.weight"].reshape(6, 50)
    assert ((np.linalg.svd(moved)[1] > 0.5 * 0.68) & (np.linalg.svd(moved)[1] < 0.5 * 1.21)).all()
    np.testing.assert_allclose((u.T @ moved @ v) * (1 - np.eye(6)), 0, atol=1e-12)
    np.testing.assert_allclose(p["conv1.bias"], -0.5 * (2 + 0.95 * 2))


def test_muon_decays_matrices_only():
    with pytest.raises(ParameterError, match="only matrices decay"):
        fo.Muon(decay_biases=True)
    p = {"a.weight": np.ones((3, 3)), "a.scale": np.ones(3)}
    fo.Muon(0.5, weight_decay=0.2).update(p, {k: np.zeros_like(v) for k, v in p.items()})
    np.testing.assert_allclose(p["a.weight"], 0.9)
    np.testing.assert_array_equal(p["a.scale"], 1)


@pytest.mark.parametrize("kind", sorted(set(fo.OPTIMIZERS) - {"muon"}))
def test_decay_of_weights_only_equals_two_groups_of_torch(kind):
    ours = fo.OPTIMIZERS[kind](0.1, weight_decay=0.2, decay_biases=False)
    name = {"sgd": "SGD", "momentum": "SGD", "nesterov": "SGD", "adagrad": "Adagrad", "rmsprop": "RMSprop",
            "adam": "Adam", "adamw": "AdamW"}[kind]  # fmt: skip
    more = {"momentum": {"momentum": 0.9}, "nesterov": {"momentum": 0.9, "nesterov": True}}.get(kind, {})
    rng = np.random.default_rng(3)
    start = {
        "conv1.weight": rng.normal(size=(4, 3)),
        "conv1.bias": rng.normal(size=5),
        "norm.scale": rng.normal(size=5),
    }
    gradients = [{name: rng.normal(size=a.shape) for name, a in start.items()} for _ in range(5)]
    mine = five_steps(start, gradients, ours)
    theirs = {name: torch.nn.Parameter(torch.tensor(a)) for name, a in start.items()}
    weight, *others = theirs.values()
    groups = [{"params": [weight], "weight_decay": 0.2}, {"params": others, "weight_decay": 0.0}]
    optimizer = getattr(torch.optim, name)(groups, lr=0.1, **more)
    for g in gradients:
        for k, p in theirs.items():
            p.grad = torch.tensor(g[k])
        optimizer.step()
    for k in start:
        np.testing.assert_allclose(mine[k], theirs[k].detach().numpy(), rtol=1e-12, atol=1e-14, err_msg=k)


def test_whether_biases_decay_is_said_where_it_matters():
    assert "decay_biases" not in repr(fo.Adam())
    assert repr(fo.SGD(0.1, 0.2, decay_biases=False)) == "SGD(lr=0.1, weight_decay=0.2, decay_biases=False)"
    assert "decay_biases=False" in repr(fo.Adam(decay_biases=False).with_rate(0.5))


# What a fused kernel does with nothing but `coefficients` and its own state arrays.
RULES = {
    "sgd": lambda p, g, s, lr, wd: p - lr * (g + wd * p),
    "momentum": lambda p, g, s, lr, wd, mu: p - lr * s[0],
    "adam": lambda p, g, s, lr, wd, b1, b2, eps, c1, c2: p - lr / c1 * s[0] / (np.sqrt(s[1] / c2) + eps),
}


@pytest.mark.parametrize("kind", sorted(fo.OPTIMIZERS))
def test_coefficients_have_the_length_the_kernels_read(kind):
    lengths = {"sgd": 2, "momentum": 3, "nesterov": 3, "adagrad": 3, "rmsprop": 4, "adam": 7, "adamw": 7, "muon": 3}
    states = {"sgd": 0, "momentum": 1, "nesterov": 1, "adagrad": 1, "rmsprop": 1, "adam": 2, "adamw": 2, "muon": 1}
    optimizer = fo.OPTIMIZERS[kind]()
    assert (len(optimizer.coefficients(1)), optimizer.states) == (lengths[kind], states[kind])
    assert all(type(c) is float for c in optimizer.coefficients(1))


@pytest.mark.parametrize("kind", sorted(RULES))
def test_coefficients_give_the_same_step_as_update(kind):
    optimizer = fo.OPTIMIZERS[kind](weight_decay=0.0)
    rng = np.random.default_rng(0)
    p = {"p": rng.normal(size=6)}
    for step in (1, 2, 3):
        before, g = p["p"].copy(), rng.normal(size=6)
        optimizer.update(p, {"p": g})
        expected = RULES[kind](before, g, optimizer.state["p"], *optimizer.coefficients(step))
        np.testing.assert_allclose(p["p"], expected, rtol=1e-12)


def test_adam_coefficients_at_step_3():
    expected = (0.1, 0.2, 0.8, 0.9, 1e-3, 1 - 0.8**3, 1 - 0.9**3)
    assert fo.Adam(0.1, 0.8, 0.9, 1e-3, 0.2).coefficients(3) == expected


def test_update_keeps_float32_and_works_in_place():
    for cls in fo.OPTIMIZERS.values():
        p = np.ones(3, np.float32)
        optimizer = cls(weight_decay=0.1)
        optimizer.update({"p": p}, {"p": np.ones(3, np.float32)})
        assert all(s.dtype == np.float32 for s in optimizer.state["p"])
        assert (p < 1).all()


def test_schedule_drives_the_rate():
    optimizer = fo.SGD(lr=lambda step: 10.0**-step)
    assert optimizer.coefficients(2) == (0.01, 0.0)
    p = np.array([1.0])
    optimizer.update({"p": p}, {"p": np.array([1.0])})
    optimizer.update({"p": p}, {"p": np.array([1.0])})
    np.testing.assert_allclose(p, 1 - 0.1 - 0.01)


def test_with_rate_is_fresh_and_leaves_the_original():
    first = fo.Momentum(0.5, momentum=0.7)
    first.update({"p": np.ones(1)}, {"p": np.ones(1)})
    second = first.with_rate(0.1)
    assert (second.steps, second.state, second.momentum, second.lr) == (0, {}, 0.7, 0.1)
    assert (first.steps, first.lr) == (1, 0.5)
