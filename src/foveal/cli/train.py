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
PLAIN: dict[str, Any] = {
    "epochs": 20, "batch_size": 100, "optimizer": "adam", "lr": None, "weight_decay": None,
    "decay_biases": None, "schedule": "none", "warmup": 0, "augment": "none", "plain_epochs": 0,
    "label_smoothing": 0.0,
}  # fmt: skip
OPTIMIZERS_OWN = "lr", "weight_decay", "decay_biases"


def train(
    model: Annotated[str, typer.Option(help="Name of the network: " + ", ".join(common.MODELS) + ".")] = "simple",
    data: common.Data = "mnist-5k",
    out: Annotated[Path | None, typer.Option(help="Folder for the results. Default: runs/MODEL-DATA.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training data; with --resume, in all. Default: 20.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples in a step. Default: 100.")] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw or muon. Default: adam.")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate. Default: the optimizer's, 0.001 for adam.")] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Of the learning rate: none, cosine, onecycle or step. Default: none.")
    ] = None,
    warmup: Annotated[float | None, typer.Option(help="Epochs in which the rate rises at first. Default: 0.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Pull of the weights to zero. Default: 0.")] = None,
    decay_biases: Annotated[
        bool | None,
        typer.Option("--decay-biases/--no-decay-biases", help="Whether it pulls biases and batch norm. Default: yes."),
    ] = None,
    augment: Annotated[
        str | None, typer.Option(help="Changes of the images: shift=2,flip,crop=4,cutout=8, or none. Default: none.")
    ] = None,
    plain_epochs: Annotated[
        int | None, typer.Option(help="Last epochs, in which images are only mirrored, not moved or cut. Default: 0.")
    ] = None,
    label_smoothing: Annotated[
        float | None, typer.Option(help="Share of each label that is spread over all classes. Default: 0.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the initial weights, the order of the images and augmentation.")] = 0,
    size: common.Size = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")] = False,
    json: common.Json = False,
) -> int:
    """Train a network and write model, history and figures to a folder.

    Ctrl-C keeps the work: everything is written, and --resume goes on from there, bit for bit. A model may bring a
    recipe: defaults of the options from --epochs to --label-smoothing that suit it and the data. audio1d, deepconvnet,
    lenet5, lenet5-modern, inception-small and, on cifar10, resnet20 do.

    \b
    Examples:
      foveal train --out runs/first
      foveal train --data mnist --epochs 5 --optimizer momentum --lr 0.05 --schedule cosine
      foveal train --data photos/ --size 64 --augment flip,crop=8:reflect --out runs/photos
      foveal train --model audio1d --data spoken-digits
      foveal train --model resnet20 --data cifar10
      foveal train --model deepconvnet --data mnist --augment shift=2,cutout=6 --label-smoothing 0.1
      foveal train --model mlp --optimizer nesterov --lr 0.1 --schedule step --warmup 1 --weight-decay 0.0001
      foveal train --out runs/first --epochs 40 --resume
    """
    from foveal import training
    from foveal._files import output_folder
    from foveal.training import augmentation, optimizers, schedules

    common.check_model(model)
    how = settled(
        model, data, epochs=epochs, batch_size=batch_size, optimizer=optimizer, lr=lr, schedule=schedule, warmup=warmup,
        weight_decay=weight_decay, decay_biases=decay_biases, augment=augment, plain_epochs=plain_epochs,
        label_smoothing=label_smoothing,
    )  # fmt: skip
    chosen = optimizers.by_name(how.pop("optimizer"), **{name: how.pop(name) for name in OPTIMIZERS_OWN})
    schedules.by_name(how["schedule"], 1.0, 1)
    how["augment"] = augmentation.parse(how["augment"])
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
        raise common.located(error, {name: "--" + name.replace("_", "-") for name in PLAIN}) from error
    _write(folder, net, history, before, f"{type(net).__name__} on {dataset.name}")
    _report(folder, net, dataset, history, json)
    return 130 if history.interrupted else 0


def settled(model: str, data: str, **given: Any) -> dict[str, Any]:
    """What was asked for; else what the model's recipe says, for these data or for any; else the plain values.

    Rate and weight decay of the recipe belong to the recipe's optimizer: with another one they are left out.

    Examples
    --------
    >>> how = settled("resnet20", "cifar10", epochs=5, optimizer=None)
    >>> how["epochs"], how["optimizer"], how["augment"]
    (5, 'muon', 'crop=2:reflect,flip')
    """
    from foveal import models

    recipes = getattr(getattr(models, common.MODELS[model]), "recipes", {})
    recipe: dict[str, Any] = PLAIN | recipes.get("any", {}) | recipes.get(Path(data).name, {})
    if given["optimizer"] not in (None, recipe["optimizer"]):
        recipe |= dict.fromkeys(OPTIMIZERS_OWN)
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
