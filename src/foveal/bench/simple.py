"""SimpleConvNet beside PyTorch: one training step and the forward pass, the same numbers on both sides."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from foveal.bench.harness import OURS, Contest, Work
from foveal.engine import training
from foveal.models import SimpleConvNet
from foveal.training.optimizers import SGD

BATCH, LR = 100, 0.01
TOLERANCE = 2e-4  # of the largest value: both sides sum hundreds of products in float32, in different orders


def contests(torch: Any | None) -> list[Contest]:
    """Return the contests: training step, forward for a batch and for one image."""
    rng = np.random.default_rng(0)
    x = rng.random((BATCH, 1, 28, 28), dtype=np.float32)
    t = rng.integers(0, 10, BATCH)
    net = SimpleConvNet(weight_init_std=0.05)
    rows = np.arange(BATCH)
    macs = sum(node.layer.macs(net.graph.input_shapes(node.name)[0]) for node in net.graph.nodes)
    first = net.graph["conv1"].layer.macs(net.input_shape)
    step_flop = 2.0 * BATCH * (3 * macs - first)  # forward, dw, dx; nobody asks for the gradient of the images
    learner = training(net, x, t, batch_size=BATCH, optimizer=SGD(LR))
    steps: dict[str, Work] = {OURS: lambda: learner.step(rows)}
    batch: dict[str, Work] = {OURS: lambda: net.predict(x)}
    single: dict[str, Work] = {OURS: lambda: net.predict(x[:1])}
    if torch is not None:
        peers = _Peers(torch, net, x, t)
        peers.check(net, x, t)
        steps |= peers.steps
        batch |= peers.forwards(x)
        single |= peers.forwards(x[:1])
    return [
        Contest("SimpleConvNet training step, batch 100", steps, step_flop, 10),
        Contest("SimpleConvNet forward, batch 100", batch, 2.0 * BATCH * macs, 20),
        Contest("SimpleConvNet forward, batch 1", single, 2.0 * macs, 100),
    ]


class _Peers:
    """PyTorch's SimpleConvNet in each of its settings: eager or compiled, NCHW or channels-last; SGD fused."""

    def __init__(self, torch: Any, net: SimpleConvNet, x: Any, t: Any) -> None:
        self.torch = torch
        self.models: dict[str, Any] = {}
        self.steps: dict[str, Work] = {}
        for (mode, compile_), (layout, memory) in itertools.product(
            (("eager", lambda f: f), ("compile", torch.compile)),
            (("NCHW", torch.contiguous_format), ("channels_last", torch.channels_last)),
        ):
            name = f"torch {mode} {layout}"
            model = _model(torch, net).to(memory_format=memory)
            self.models[name] = model, compile_(model), memory
            self.steps[name] = self._step(model, compile_, memory, x, t)

    def _step(self, model: Any, compile_: Any, memory: Any, x: Any, t: Any) -> Work:
        torch = self.torch
        xt, tt = torch.from_numpy(x).contiguous(memory_format=memory), torch.from_numpy(t)
        optimizer = torch.optim.SGD(model.parameters(), LR, fused=True)
        loss = compile_(lambda: torch.nn.functional.cross_entropy(model(xt), tt))

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            loss().backward()
            optimizer.step()

        return step

    def forwards(self, x: Any) -> dict[str, Work]:
        """Return the forward pass in each setting."""
        torch = self.torch

        def one(model: Any, memory: Any) -> Work:
            xt = torch.from_numpy(x).contiguous(memory_format=memory)

            def run() -> None:
                with torch.inference_mode():
                    model(xt)

            return run

        return {name: one(compiled, memory) for name, (_, compiled, memory) in self.models.items()}

    def check(self, net: SimpleConvNet, x: Any, t: Any) -> None:
        """Compare scores, and parameters after one step, before anything is timed."""
        torch = self.torch
        ours = SimpleConvNet(weight_init_std=0.05)
        with torch.inference_mode():
            for name, (_, compiled, memory) in self.models.items():
                scores = compiled(torch.from_numpy(x).contiguous(memory_format=memory)).numpy()
                _close(ours.predict(x), scores, f"scores of {name}")
        with training(ours, x, t, batch_size=BATCH, optimizer=SGD(LR)) as run:
            run.step(np.arange(BATCH))
        for name, (model, _, _) in self.models.items():
            self.steps[name]()
            _close(ours.params["W1"], model[0].weight.detach().numpy(), f"filters after a step of {name}")
            _close(ours.params["W2"], model[4].weight.detach().numpy().T, f"weights after a step of {name}")


def _close(a: Any, b: Any, what: str) -> None:
    np.testing.assert_allclose(a, b, atol=TOLERANCE * float(np.abs(b).max()), rtol=0, err_msg=what)


def _model(torch: Any, net: SimpleConvNet) -> Any:
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 30, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4320, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )
    arrays = net.arrays()
    with torch.no_grad():
        for i, name, turn in ((0, "conv1", False), (4, "affine1", True), (6, "affine2", True)):
            weight = torch.from_numpy(arrays[f"{name}.weight"].copy())
            model[i].weight.copy_(weight.T if turn else weight)
            model[i].bias.copy_(torch.from_numpy(arrays[f"{name}.bias"].copy()))
    return model
