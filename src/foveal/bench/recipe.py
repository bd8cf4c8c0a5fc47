"""The book's recipe on full MNIST, 20 epochs, Adam 1e-3, batch 100, on both sides with several seeds; a better one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from foveal import data
from foveal.bench import command
from foveal.models import SimpleConvNet

EPOCHS, BATCH, LR = 20, 100, 1e-3
BETTER = ("--schedule", "onecycle", "--optimizer", "adamw", "--lr", "0.003", "--weight-decay", "0.05")


def measure(torch: Any | None, seeds: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return accuracy of the last epoch and seconds of the whole command, by seed and side."""
    ours, better, peers = [], [], []
    for seed in range(seeds):
        ours.append(_command(seed))
        tell(f"foveal, seed {seed}: {ours[-1]}")
        better.append(_command(seed, *BETTER))
        tell(f"foveal with {' '.join(BETTER)}, seed {seed}: {better[-1]}")
        if torch is not None:
            peers.append(_torch(torch, seed))
            tell(f"torch, seed {seed}: {peers[-1]}")
    out: dict[str, Any] = {"book": ours, "better": better, "better_recipe": " ".join(BETTER)}
    out["book_mean_accuracy"] = round(statistics.mean(r["accuracy"] for r in ours), 5)
    out["better_mean_accuracy"] = round(statistics.mean(r["accuracy"] for r in better), 5)
    if peers:
        out["torch"], out["torch_mean_accuracy"] = peers, round(statistics.mean(r["accuracy"] for r in peers), 5)
    return out


def _command(seed: int, *options: str) -> dict[str, Any]:
    plain = () if options else ("--optimizer", "adam", "--lr", str(LR))
    return command.train("simple", "mnist", seed, "--epochs", str(EPOCHS), "--batch-size", str(BATCH), *plain, *options)


def _torch(torch: Any, seed: int) -> dict[str, Any]:
    """Train PyTorch's network from the same initial parameters, with the same batches."""
    from foveal.bench.simple import _model

    digits = data.load("mnist")
    torch.manual_seed(seed)
    x = torch.from_numpy(digits.train[0]).float().div(255).contiguous(memory_format=torch.channels_last)
    t = torch.from_numpy(digits.train[1])
    xt = torch.from_numpy(digits.test[0]).float().div(255).contiguous(memory_format=torch.channels_last)
    begin = time.perf_counter()
    model = _model(torch, SimpleConvNet(seed=seed)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), LR, fused=True)
    for epoch in range(EPOCHS):
        order = torch.from_numpy(np.random.default_rng((seed, epoch + 1)).permutation(len(x)))
        for rows in order.split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(model(x[rows]), t[rows]).backward()
            optimizer.step()
    seconds = time.perf_counter() - begin
    with torch.inference_mode():
        scores = torch.cat([model(part) for part in xt.split(1000)])
    accuracy = float((scores.argmax(1).numpy() == digits.test[1]).mean())
    return {"accuracy": accuracy, "seconds": round(seconds, 2)}
