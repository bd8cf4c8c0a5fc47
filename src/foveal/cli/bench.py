"""foveal bench: Foveal beside its peers and the machine's peak."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Subject(StrEnum):
    """What is measured."""

    simple = "simple"
    ops = "ops"
    recipe = "recipe"
    papers = "papers"


class Peer(StrEnum):
    """Whom it is measured against."""

    torch = "torch"
    none = "none"


def bench(
    subject: Annotated[
        Subject,
        typer.Argument(
            help="simple: times of SimpleConvNet. ops: single operations. recipe: full MNIST, 20 epochs. "
            "papers: LeNet-5, DeepConvNet, ResNet-20 and a small Inception, trained with their recipes; 45 minutes."
        ),
    ],
    against: Annotated[Peer, typer.Option(help="The peer; torch must be installed.")] = Peer.torch,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contestant.")] = 15,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of the recipe on each side.")] = 3,
    models: Annotated[str | None, typer.Option(help="Of papers: only these, as lenet5,resnet20.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the results to this file.")] = None,
) -> None:
    """Measure Foveal beside its peers and the FMA peak, in one run, after checking that the results agree.

    Contestants take turns; times are medians, ratios the median of what ran side by side.

    \b
    Examples:
      foveal bench simple
      foveal bench simple --against torch --json --out benchmarks/results/simple.json
      foveal bench ops --rounds 5 --json
      foveal bench recipe --seeds 3
      foveal bench papers --seeds 1 --out benchmarks/results/papers.json
      foveal bench papers --seeds 3 --models lenet5-modern,deepconvnet
    """
    import json

    from foveal._files import output_folder, write_json

    if out is not None:
        output_folder(out.parent, make=True)
    torch = _torch() if against is Peer.torch and subject is not Subject.papers else None
    measure = {
        Subject.simple: lambda: _simple(torch, rounds),
        Subject.ops: lambda: _ops(torch, rounds),
        Subject.recipe: lambda: _recipe(torch, seeds),
        Subject.papers: lambda: _papers(seeds, models),
    }
    result = measure[subject]()
    if out is not None:
        write_json(out, result)
    if as_json:
        print(json.dumps(result, indent=1))
    else:
        _show(result)


def _tell(text: str) -> None:
    typer.echo(text, err=True)


def _torch() -> Any:
    from foveal.errors import MissingDependencyError, explain
    from foveal.kernels.threads import pool

    try:
        import torch
    except ImportError:
        fix = "Install it with pip install torch==2.13.0, or measure alone with --against none."
        raise MissingDependencyError(explain("bench", expected="torch", got="no such package", fix=fix)) from None
    torch.set_num_threads(pool().size)
    return torch


def _simple(torch: Any, rounds: int) -> dict[str, Any]:
    from foveal.bench import harness, layers, simple, start

    _tell("starting: import, first and second training")
    begun = start.measure(torch is not None)
    results = harness.run([*simple.contests(torch), *layers.contests(torch)], rounds, _tell)
    return {"bench": "simple", "machine": harness.machine(), "rounds": rounds, "contests": results, "start": begun}


def _ops(torch: Any, rounds: int) -> dict[str, Any]:
    from foveal.bench import harness, operations

    results = harness.run(operations.contests(torch, _opencv() if torch is not None else None), rounds, _tell)
    _tell("the kernel size from which on a Fourier transform pays")
    return {
        "bench": "ops", "machine": harness.machine(), "rounds": rounds, "contests": results,
        "large_kernel_memory": operations.large_kernel_memory(), "crossover": operations.crossover(),
    }  # fmt: skip


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        _tell("OpenCV is missing (pip install opencv-python-headless): image kernels are measured alone")
        return None
    return cv2


def _recipe(torch: Any, seeds: int) -> dict[str, Any]:
    from foveal.bench import harness, recipe

    return {"bench": "recipe", "machine": harness.machine(), **recipe.measure(torch, seeds, _tell)}


def _papers(seeds: int, models: str | None) -> dict[str, Any]:
    from foveal.bench import harness, papers

    chosen = papers.NETWORKS if models is None else models.split(",")
    return {"bench": "papers", "machine": harness.machine(), "runs": papers.measure(seeds, _tell, chosen)}


def _show(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console, where = Console(), result["machine"]
    console.print(f"{where['cpu']}, {where['isa']}, {where['threads']} threads, {where['versions']}", highlight=False)
    table = Table("what", "foveal ms", "best peer ms", "which", "ratio", "of peak")
    for c in result.get("contests", ()):
        best = c.get("best_peer", "")
        share = f"{c['share_of_peak']:.0%}" if "share_of_peak" in c else ""
        most = f", at most {c['ratio_at_most']:.2f}" if "ratio_at_most" in c else ""
        ratio = f"{c['ratio']:.2f}{most}" if best else ""
        peer = f"{c['ms'][best]:.3f}" if best else ""
        table.add_row(c["name"], f"{c['ms']['foveal']:.3f}", peer, best.removeprefix("torch "), ratio, share)
    if table.row_count:
        console.print(table)
    if "crossover" in result:
        table = Table("x", "filters", "kernel", "direct ms", "fft ms", "auto takes", "and loses")
        for row in result["crossover"]:
            direct, fft = (f"{row['ms'][name]:.2f}" for name in ("direct", "fft"))
            numbers = (str(row["filters"]), str(row["kernel"]), direct, fft)
            table.add_row("x".join(map(str, row["x"])), *numbers, row["auto"], f"{row['lost'] - 1:.0%}")
        console.print(table)
    told = ("machine", "bench", "contests", "rounds", "crossover", "start")
    facts = result.get("start", {}) | {k: v for k, v in result.items() if k not in told}
    for key, value in facts.items():
        console.print(f"{key}: {value}", highlight=False)
