"""foveal evaluate"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import _common as common
from foveal.errors import ParameterError, explain, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.table import Table

_WIDEST = 20  # classes; a wider confusion matrix is not readable on a terminal


def evaluate(
    model: common.Model,
    data: common.Data = "mnist-5k",
    part: Annotated[str, typer.Option(help="Which images: test or train.")] = "test",
    size: common.Size = None,
    json: common.Json = False,
) -> None:
    """Measure a trained network: accuracy, confusion matrix, precision and recall of each class.

    \b
    Examples:
      foveal evaluate runs/first/model.safetensors
      foveal evaluate runs/first/model.safetensors --data mnist --json
    """
    if part not in ("test", "train"):
        raise ParameterError(
            explain("--part", expected="test or train", got=repr(part), fix=nearest(part, ("test", "train")))
        )
    from foveal import network

    net = network.load(model)
    dataset = common.load_data(data, size)
    common.check_classes(net, dataset.classes)
    x, t = getattr(dataset, part)
    result = measure(t, net.predict(x).argmax(axis=1), dataset.classes)
    if json:
        common.print_json({"model": model, "data": dataset.name, "part": part, **result})
        return
    print(
        f"{model} on {dataset.name}, {len(x):,} {part} {dataset.kind}: accuracy {common.percent(result['accuracy'])}\n"
    )
    _print(result, dataset.classes)


def measure(t: NDArray[Any], predicted: NDArray[Any], classes: tuple[str, ...]) -> dict[str, Any]:
    """Count how often each class was taken for each class.

    Parameters
    ----------
    t, predicted : ndarray of shape (N,), int
        True and predicted class indices.
    classes : tuple of str
        Their names.

    Returns
    -------
    dict
        ``accuracy`` 0 to 1; ``confusion[i][j]``, how many images of class i were taken for class j; and for each of
        ``classes`` its name, count, precision and recall (None where nothing was predicted, or there is no image).

    Examples
    --------
    >>> import numpy as np
    >>> result = measure(np.array([0, 0, 1]), np.array([0, 1, 1]), ("no", "yes"))
    >>> result["confusion"], result["classes"][1]
    ([[1, 1], [0, 1]], {'name': 'yes', 'count': 1, 'precision': 0.5, 'recall': 1.0})
    """
    import numpy as np

    k = len(classes)
    confusion = np.bincount(t * k + predicted, minlength=k * k).reshape(k, k)
    right, true, said = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    each = [
        {
            "name": name,
            "count": int(true[i]),
            "precision": float(right[i] / said[i]) if said[i] else None,
            "recall": float(right[i] / true[i]) if true[i] else None,
        }
        for i, name in enumerate(classes)
    ]
    accuracy = float(right.sum() / max(1, len(t)))
    return {"count": len(t), "accuracy": accuracy, "classes": each, "confusion": confusion.tolist()}


def _print(result: dict[str, Any], classes: tuple[str, ...]) -> None:
    from rich.console import Console

    console = Console(width=None if Console().is_terminal else 200)
    if len(classes) <= _WIDEST:
        console.print(_confusion(result["confusion"], classes))
    else:
        console.print(f"{len(classes)} classes: the confusion matrix is in --json.")
    console.print(_classes(result["classes"]))


def _confusion(confusion: list[list[int]], classes: tuple[str, ...]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Confusion: rows are true, columns predicted", title_justify="left", box=None)
    table.add_column("")
    for name in classes:
        table.add_column(Text(name), justify="right")
    for i, row in enumerate(confusion):
        styles = ["bold green" if i == j else "red" if n else "dim" for j, n in enumerate(row)]
        cells = [Text(f"{n or '.'}", style) for n, style in zip(row, styles, strict=True)]
        table.add_row(Text(classes[i], "bold"), *cells)
    return table


def _classes(classes: list[dict[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Classes", title_justify="left", box=None)
    table.add_column("class")
    for name in ("precision", "recall", "images"):
        table.add_column(name, justify="right")
    for row in classes:
        shares = common.percent(row["precision"]), common.percent(row["recall"])
        table.add_row(Text(row["name"], "bold"), *shares, f"{row['count']:,}")
    return table
