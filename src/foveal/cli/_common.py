"""What commands share: options, the table of models, and how results are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.errors import FovealError, ParameterError, explain, nearest

if TYPE_CHECKING:
    from foveal.data import Dataset
    from foveal.network import Network

# Name on the command line -> class in foveal.models, built with input_dim, output_size, seed, and its ARGUMENTS.
MODELS = {
    "simple": "SimpleConvNet",
    "deepconvnet": "DeepConvNet",
    "mlp": "MLP",
    "lenet5": "LeNet5",
    "lenet5-modern": "LeNet5",
    "alexnet": "AlexNet",
    "alexnet-one-tower": "AlexNet",
    "googlenet": "GoogLeNet",
    "googlenet-bn": "GoogLeNet",
    "inception-small": "InceptionSmall",
    "squeezenet": "SqueezeNet",
    "mobilenet": "MobileNetV1",
    "resnet18-small": "ResNet",
    "audio1d": "Audio1D",
    "voxel3d": "Voxel3D",
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "lenet5-modern": {"variant": "modern"},
    "alexnet-one-tower": {"variant": "one-tower"},
    "googlenet-bn": {"batch_norm": True},
    "resnet18-small": {"depth": 18, "stem": "3x3"},
}
for _class, _depths in {"VGG": (11, 13, 16, 19), "ResNet": (18, 20, 32, 34, 44, 50, 56, 101, 110, 152)}.items():
    MODELS |= {f"{_class.lower()}{depth}": _class for depth in _depths}
    ARGUMENTS |= {f"{_class.lower()}{depth}": {"depth": depth} for depth in _depths}

Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="mnist-5k, mnist, cifar10, imagenet-samples, imagenet-samples-64, spoken-digits, voxel-mnist, or a folder "
        "with one subfolder of images per class.",
    ),
]
Size = Annotated[str | None, typer.Option("--size", help="Resize a folder's images: 32, or 32x48 (height x width).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model.safetensors that `foveal train` wrote.")]


def build_model(name: str, data: Dataset, seed: int) -> Network:
    """Make the network of that name for these data.

    Raises
    ------
    ParameterError
        If there is no such model, or the seed is negative.
    """
    from foveal import models
    from foveal._checks import check_count

    check_model(name)
    check_count(seed, "--seed", minimum=0)
    make = getattr(models, MODELS[name])
    arguments = ARGUMENTS.get(name, {})
    net: Network = make(input_dim=data.input_shape, output_size=len(data.classes), seed=seed, **arguments)
    net.classes = data.classes
    return net


def check_model(name: str) -> None:
    """Refuse unknown names of models before data are loaded."""
    if name not in MODELS:
        raise ParameterError(explain("--model", expected="a known name", got=repr(name), fix=nearest(name, MODELS)))


def load_data(name: str, size: str | None) -> Dataset:
    """Load the data that --data and --size name."""
    from foveal import data

    return data.load(name, size=parse_size(size))


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Read "32" or "32x48".

    Raises
    ------
    ParameterError
        If it is neither.

    Examples
    --------
    >>> parse_size("32"), parse_size("32x48"), parse_size(None)
    ((32, 32), (32, 48), None)
    """
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise ParameterError(explain("--size", expected="pixels such as 32 or 32x48", got=repr(text)))
    return int(parts[0]), int(parts[-1])


def print_json(value: Any) -> None:
    """Print JSON on stdout."""
    print(json.dumps(value, indent=1, allow_nan=False))


def print_table(rows: Iterable[tuple[str, str]]) -> None:
    """Print names and values in two columns."""
    pairs = list(rows)
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        print(f"{name:<{width}}  {value}")


def percent(share: float | None) -> str:
    """Write a share of 1 in percent.

    Examples
    --------
    >>> percent(0.98125), percent(None)
    ('98.12 %', '-')
    """
    return "-" if share is None else f"{100 * share:.2f} %"


def note(text: str) -> None:
    """Tell the user something on stderr, where it does not disturb --json."""
    print(text, file=sys.stderr)


def check_classes(net: Network, classes: tuple[str, ...]) -> None:
    """Check that a network was trained on these classes, as far as its file says.

    Raises
    ------
    ParameterError
        If their names or number differ.
    """
    mine = net.classes
    if (mine is not None and tuple(mine) != classes) or net.output_size != len(classes):
        got, expected = _names(classes), _names(mine) if mine else f"{net.output_size} classes"
        fix = "Give the data that the model was made for."
        raise ParameterError(explain("--data", expected=f"the classes of the model, {expected}", got=got, fix=fix))


def _names(classes: Iterable[str]) -> str:
    names = list(classes)
    return ", ".join(names[:10]) + (f", ... ({len(names)})" if len(names) > 10 else "")


def located(error: FovealError, where: Mapping[str, str]) -> FovealError:
    """Say an argument's name as the command line spells it."""
    for name, option in where.items():
        if str(error).startswith(f"{name}: "):
            return type(error)(option + str(error)[len(name) :])
    return error
