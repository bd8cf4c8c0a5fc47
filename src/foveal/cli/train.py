"""foveal train"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import _common as common
from foveal.errors import FovealError, ParameterError, explain

if TYPE_CHECKING:
    from foveal.data import Dataset
    from foveal.network import Network
    from foveal.training import History

FILES = {
    "model": "model.safetensors",
    "history": "history.json",
    "curves": "history.png",
    "filters": "filters.png",
    "checkpoint": "checkpoint.safetensors",
}
PLAIN = {"epochs": 20, "batch_size": 100, "optimizer": "adam", "lr": None, "schedule": "none"}


def train(
    model: Annotated[str, typer.Option(help="Name of the network: " + ", ".join(common.MODELS) + ".")] = "simple",
    data: common.Data = "mnist-5k",
    out: Annotated[Path | None, typer.Option(help="Folder for the results. Default: runs/MODEL-DATA.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training data; with --resume, in all. Default: 20.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples in a step. Default: 100.")] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="sgd, momentum, nesterov, adagrad, rmsprop, adam or adamw. Default: adam.")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate. Default: the optimizer's, 0.001 for adam.")] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Of the learning rate: none, cosine, onecycle or step. Default: none.")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Pull of the weights to zero. Default: 0.")] = None,
    seed: Annotated[int, typer.Option(help="Of the initial weights and the order of the images.")] = 0,
    size: common.Size = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")] = False,
    json: common.Json = False,
) -> int:
    """Train a network and write model, history and figures to a folder.

    Ctrl-C keeps the work: everything is written, and --resume goes on from there, bit for bit. A model may bring a
    recipe, other defaults of epochs, batch size, learning rate and schedule, that suits it; audio1d does.

    \b
    Examples:
      foveal train --out runs/first
      foveal train --data mnist --epochs 5 --optimizer momentum --lr 0.05 --schedule cosine
      foveal train --data photos/ --size 64 --out runs/photos
      foveal train --model audio1d --data spoken-digits
      foveal train --out runs/first --epochs 40 --resume
    """
    from foveal import training
    from foveal._files import output_folder
    from foveal.training import optimizers, schedules

    common.check_model(model)
    how = settled(model, epochs=epochs, batch_size=batch_size, optimizer=optimizer, lr=lr, schedule=schedule)
    chosen = optimizers.by_name(how.pop("optimizer"), lr=how.pop("lr"), weight_decay=weight_decay)
    schedules.by_name(how["schedule"], 1.0, 1)
    folder = output_folder(out or Path("runs") / f"{model}-{Path(data).name}", make=False)
    _check_not_a_data_folder(folder, data)
    dataset = common.load_data(data, size)
    net = common.build_model(model, dataset, seed)
    before = first_filters(net)
    checkpoint = folder / FILES["checkpoint"]
    try:
        history = training.fit(
            net, *dataset.train, **how, optimizer=chosen, validation=dataset.test, seed=seed, progress=not quiet,
            checkpoint=checkpoint, resume=checkpoint if resume else None,
        )  # fmt: skip
    except FovealError as error:
        raise common.located(error, {"epochs": "--epochs", "batch_size": "--batch-size"}) from error
    _write(folder, net, history, before, f"{type(net).__name__} on {dataset.name}")
    _report(folder, net, dataset, history, json)
    return 130 if history.interrupted else 0


def settled(model: str, **given: Any) -> dict[str, Any]:
    """What was asked for; else what the model's recipe says, else the plain values.

    A rate of the recipe belongs to the recipe's optimizer: with another one it is left out.

    Examples
    --------
    >>> settled("simple", epochs=5, batch_size=None, optimizer=None, lr=None, schedule=None)
    {'epochs': 5, 'batch_size': 100, 'optimizer': 'adam', 'lr': None, 'schedule': 'none'}
    """
    from foveal import models

    recipe = PLAIN | getattr(getattr(models, common.MODELS[model]), "recipe", {})
    if given["optimizer"] not in (None, recipe["optimizer"]):
        recipe["lr"] = None
    return recipe | {name: value for name, value in given.items() if value is not None}


def first_filters(net: Network) -> Any:
    """The weights of the first convolution (K, C, R, S), copied; None if there is none."""
    # Not layer.weight: who reads that may change it, so the engine would pack the weights again before each run.
    name = next((k for k, shape in net.parameters.items() if k.endswith(".weight") and len(shape) in (3, 4)), None)
    return None if name is None else net.arrays()[name].copy()


def _check_not_a_data_folder(folder: Path, data: str) -> None:
    if folder.exists() and Path(data).is_dir() and folder.samefile(data):
        raise ParameterError(explain("--out", expected="another folder than --data", got=str(folder)))


def _write(folder: Path, net: Network, history: History, before: Any, title: str) -> None:
    from foveal import show
    from foveal._files import output_folder, write_json

    output_folder(folder)
    net.save(folder / FILES["model"])
    write_json(folder / FILES["history"], history.to_dict())
    if history.loss:
        show.save(show.history(history, title=title), folder / FILES["curves"])
    if before is not None:
        figure = show.filters(before, first_filters(net), title=f"{title}: filters of the first layer")
        show.save(figure, folder / FILES["filters"])


def _report(folder: Path, net: Network, data: Dataset, history: History, json: bool) -> None:
    import math

    last = history.epochs[-1] if history.epochs else None
    files = {name: str(folder / file) for name, file in FILES.items() if (folder / file).exists()}
    facts: dict[str, Any] = {
        "network": type(net).__name__,
        "parameters": sum(math.prod(shape) for shape in net.parameters.values()),
        "data": data.name,
        "train_images": len(data.train[0]),
        "test_images": len(data.test[0]),
        "epochs": len(history.epochs),
        "steps": len(history.loss),
        "train_loss": last and last.train_loss,
        "train_accuracy": last and last.train_accuracy,
        "test_accuracy": last and last.test_accuracy,
        "seconds": history.seconds,
        "images_per_second": last and last.images_per_second,
        "interrupted": history.interrupted,
    }
    if json:
        common.print_json({**facts, "settings": history.settings, "files": files})
        return
    accuracies = {"train accuracy": facts["train_accuracy"], "test accuracy": facts["test_accuracy"]}
    rows = [
        ("network", f"{facts['network']}, {facts['parameters']:,} parameters"),
        ("data", f"{data.name}: {facts['train_images']:,} training and {facts['test_images']:,} test {data.kind}"),
        ("trained", f"{facts['epochs']} epochs, {facts['steps']:,} steps, {history.seconds:.2f} s of training"),
        *((name, common.percent(value)) for name, value in accuracies.items()),
        *files.items(),
    ]
    common.print_table(rows)
