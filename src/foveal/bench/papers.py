"""The networks of the papers, trained with their recipes on whole data sets."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from foveal.bench import command
from foveal.errors import ParameterError, explain, nearest

NETWORKS = {
    "lenet5": "mnist",
    "lenet5-modern": "mnist",
    "deepconvnet": "mnist",
    "resnet20": "cifar10",
    "inception-small": "cifar10",
}  # and their data


def measure(seeds: int, tell: Callable[[str], None], models: Collection[str]) -> list[dict[str, Any]]:
    """Return accuracy, seconds and memory of `foveal train`, by network and seed.

    Raises
    ------
    ParameterError
        If one of the models is not among NETWORKS.
    """
    for model in models:
        if model not in NETWORKS:
            fix = nearest(model, list(NETWORKS))
            raise ParameterError(explain("bench papers: models", expected="known networks", got=repr(model), fix=fix))
    runs = []
    for model in models:
        for seed in range(seeds):
            data = NETWORKS[model]
            runs.append({"model": model, "data": data, "seed": seed, **command.train(model, data, seed)})
            tell(str(runs[-1]))
    return runs
