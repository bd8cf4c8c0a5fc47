"""The networks of the papers, trained with their recipes on whole data sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from foveal.bench import command

NETWORKS = (
    ("lenet5", "mnist"),
    ("lenet5-modern", "mnist"),
    ("deepconvnet", "mnist"),
    ("resnet20", "cifar10"),
)


def measure(seeds: int, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return accuracy, seconds and memory of `foveal train`, by network and seed."""
    runs = []
    for model, data in NETWORKS:
        for seed in range(seeds):
            runs.append({"model": model, "data": data, "seed": seed, **command.train(model, data, seed)})
            tell(str(runs[-1]))
    return runs
