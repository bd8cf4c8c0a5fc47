"""foveal study"""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import _common as common
from foveal.errors import FovealError, ParameterError, StorageError, explain

if TYPE_CHECKING:
    from foveal.study import Overfit, ParameterStudy, Recipe, Trained

app = typer.Typer(help="Experiments with a question: trainings whose result is a table and a picture.",
                  rich_markup_mode=None)  # fmt: skip

PHOTOGRAPHS, RESULTS = "imagenet-samples", "results.json"
PICTURES = {"parameters": "parameters.png", "overfit": "loss.png"}
QUICK: dict[str, Any] = {"data": "mnist-5k", "widths": (2, 4, 8, 15, 30), "seeds": 2, "steps": 200}

_OPTIONS = {
    name: "--" + name.replace("_", "-")
    for name in ("models", "widths", "sizes", "seeds", "steps", "below", "every", "batch_size", "seed", "size", "lr")
}
_Out = Annotated[
    Path | None, typer.Option(help="Folder for results.json and the picture. Default: runs/study-COMMAND.")
]
_Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")]


@app.command()
def parameters(
    data: Annotated[str | None, typer.Option(help="mnist, mnist-5k, or another data set. Default: mnist.")] = None,
    models: Annotated[str, typer.Option(help="convolution, mlp, or both.")] = "convolution,mlp",
    widths: Annotated[
        str | None, typer.Option(help="Filters of the convolutional networks. Default: 2,4,8,15,30,60.")
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Numbers of training images. Default: 1000,5000 and all that there are.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Networks of each kind. Default: 3.")] = None,
    steps: Annotated[int | None, typer.Option(help="Batches of 100 for each network. Default: 2400.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Other defaults: mnist-5k, 2,4,8,15,30 filters, 2 seeds, 200 steps.")
    ] = False,
    out: _Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the results in --out.")] = False,
    quiet: _Quiet = False,
    json: common.Json = False,
) -> int:
    """Draw train and test accuracy over the number of parameters, with a convolution and without.

    At each width, a convolutional network (SimpleConvNet's layers, so many filters) and an MLP of as many parameters
    learn from the same images, for the same number of steps, by the same recipe. Ctrl-C keeps every finished network,
    and --resume goes on.

    \b
    Examples:
      foveal study parameters --out runs/parameters
      foveal study parameters --quick
      foveal study parameters --sizes 300,1000 --widths 4,30 --seeds 5 --out runs/few
      foveal study parameters --out runs/parameters --resume
    """
    from foveal._files import output_folder
    from foveal.show import save
    from foveal.show.study import accuracy_over_parameters
    from foveal.study import ParameterStudy, record

    given = {"data": data, "widths": _numbers(widths, "--widths"), "seeds": seeds, "steps": steps}
    how = {"data": "mnist"} | (QUICK if quick else {}) | {k: v for k, v in given.items() if v is not None}
    how |= {"models": tuple(models.split(",")), "sizes": _numbers(sizes, "--sizes")}
    folder = output_folder(out or Path("runs") / "study-parameters", make=False)
    file = folder / RESULTS
    files = {"results": str(file), "picture": str(folder / PICTURES["parameters"])}
    if file.exists() and not resume:
        fix = "Go on with --resume, or choose another folder."
        raise StorageError(explain(str(file), expected="no results of an earlier run", got="a file", fix=fix))
    try:
        study = ParameterStudy(common.load_data(how.pop("data"), None), **how)
    except FovealError as error:
        raise common.located(error, _OPTIONS) from error
    networks = record.read(file, study.settings) if resume else []
    output_folder(folder)
    machine, interrupted = _machine(), False
    done = {net.cell for net in networks}
    total = len(done.union(study.cells))
    try:
        for net in study.run(done):
            networks.append(net)
            record.write(file, study, networks, machine)
            if not quiet:
                common.note(f"{len(networks)}/{total}  {net}")
    except KeyboardInterrupt:
        interrupted = True
        common.note(f"interrupted after {len(networks)} networks; go on with --resume")
    if networks:
        save(accuracy_over_parameters(networks, note=study.note(networks)), files["picture"])
    if json:
        common.print_json(record.describe(study, networks, machine) | {"interrupted": interrupted, "files": files})
    else:
        print(_table(study, networks))
        common.print_table(files.items())
    return 130 if interrupted else 0


def _table(study: ParameterStudy, networks: list[Trained]) -> str:
    from foveal.accounting.render import as_text
    from foveal.study import finding, same_maps, table

    widest = max((net.width for net in networks), default=0)
    sizes = sorted({net.images for net in networks})
    notes = [f"{size:,} images: {said}" for size in sizes if (said := finding(networks, size))]
    if widest:
        ours, theirs = same_maps(widest, study.data.input_shape)
        notes.append(
            f"the convolution of width {widest} has {ours:,} parameters; an affine layer that makes as many numbers "
            f"would have {theirs:,}"
        )
    return as_text(table(networks, f"Parameters and generalisation: {study.note(networks)}", notes)) + "\n"


@app.command()
def overfit(
    model: Annotated[list[str], typer.Option(help="Name of a network, as for foveal train; may be repeated.")],
    data: Annotated[str, typer.Option(help="imagenet-samples, or what foveal train takes.")] = "imagenet-samples",
    pictures: Annotated[int, typer.Option(help="The first so many of the training images.")] = 64,
    below: Annotated[float, typer.Option(help="Done when the loss over these pictures is below.")] = 0.1,
    steps: Annotated[int, typer.Option(help="Most steps.")] = 200,
    every: Annotated[int, typer.Option(help="Steps from one evaluation to the next.")] = 5,
    optimizer: Annotated[str | None, typer.Option(help="As for foveal train. Default: what suits the model.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate. Default: what suits the model.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures in a step. Default: what suits the model.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order and dropout.")] = 0,
    size: common.Size = None,
    out: _Out = None,
    quiet: _Quiet = False,
    json: common.Json = False,
) -> int:
    """Train a network on a few pictures until it knows them by heart, which proves its gradients end to end.

    The bound holds for the loss over all pictures as the network predicts: without dropout, and with the running
    statistics of batch norm. The loss of a step, with dropout, stays high and noisy. Exit code 1 if a network does not
    get there.

    \b
    Examples:
      foveal study overfit --model alexnet --model googlenet-bn --out runs/overfit
      foveal study overfit --model simple --data mnist-5k --pictures 16
      foveal study overfit --model resnet18 --optimizer momentum --lr 0.05
    """
    from foveal._checks import check_count
    from foveal._files import output_folder, write_json
    from foveal.show import save
    from foveal.show.study import loss_curves
    from foveal.study import recipe

    for name in model:
        common.check_model(name)
    check_count(pictures, "--pictures")
    folder = output_folder(out or Path("runs") / "study-overfit", make=False)
    how = {name: recipe(name, optimizer=optimizer, lr=lr, batch_size=batch_size) for name in model}
    bounds = {"below": below, "steps": steps, "every": every, "seed": seed}
    result: dict[str, Any] = {"study": "overfit", "machine": _machine(), "networks": []}
    found, files = {}, {"results": str(folder / RESULTS), "picture": str(folder / PICTURES["overfit"])}
    for name, chosen in how.items():
        try:
            facts, found[name] = _overfit(name, chosen, (data, pictures, size), bounds, quiet)
        except FovealError as error:
            raise common.located(error, _OPTIONS) from error
        result["networks"].append(facts | asdict(chosen) | asdict(found[name]))
        output_folder(folder)
        write_json(files["results"], result)
        title = f"Learning {pictures} pictures of {facts['data']} by heart"
        save(loss_curves(found, title=title), files["picture"])
    if json:
        common.print_json(result | {"files": files})
    else:
        common.print_table([*((name, str(run)) for name, run in found.items()), *files.items()])
    return 0 if all(run.reached for run in found.values()) else 1


def _overfit(
    name: str, how: Recipe, what: tuple[str, int, str | None], bounds: dict[str, Any], quiet: bool
) -> tuple[dict[str, Any], Overfit]:
    """Return the facts about a network and its pictures, and how it learned them."""
    from foveal.study import centred
    from foveal.study import overfit as learn
    from foveal.training import optimizers

    data, pictures, size = what
    optimizer = optimizers.by_name(how.optimizer, lr=how.lr)
    dataset = common.load_data(data, str(how.size) if size is None and data.startswith(PHOTOGRAPHS) else size)
    x, t = (part[:pictures] for part in dataset.train)
    if len(x) < pictures:
        expected = f"at most {len(x):,}, as {dataset.name} has"
        raise ParameterError(explain("--pictures", expected=expected, got=f"{pictures:,}"))
    net = common.build_model(name, dataset, bounds["seed"])

    def tell(step: int, loss: float, seen: float | None) -> None:
        common.note(f"{name}  step {step}  loss {loss:.4f}" + ("" if seen is None else f"  as it predicts {seen:.4f}"))

    run = learn(
        net, centred(x) if how.centred else x, t, optimizer=optimizer, batch_size=how.batch_size,
        tell=None if quiet else tell, **bounds,
    )  # fmt: skip
    facts = {
        "model": name, "parameters": net.parameter_count, "input": net.input_shape, "classes": net.output_size,
        "data": dataset.name, "pictures": pictures, "seed": bounds["seed"],
    }  # fmt: skip
    return facts, run


def _machine() -> dict[str, Any]:
    from foveal.bench.harness import machine

    return machine()


def _numbers(text: str | None, where: str) -> tuple[int, ...] | None:
    """Read "1000,5000"."""
    if text is None:
        return None
    if not re.fullmatch(r"[1-9]\d{0,8}(,[1-9]\d{0,8})*", text):
        raise ParameterError(explain(where, expected="numbers such as 4,8,15", got=repr(text)))
    return tuple(map(int, text.split(",")))
