"""foveal summary"""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import _common as common
from foveal.errors import FovealError, ParameterError, explain, nearest

if TYPE_CHECKING:
    from foveal.accounting.render import Rendered
    from foveal.graph import Graph

ENDING = ".safetensors"
FORMATS = ("json", "csv", "markdown", "latex", "html")
_WHERE = {"convention": "--convention", "columns": "--columns", "batch": "--plan"}

Input = Annotated[str | None, typer.Option("--input", help="Shape of one input: 3x224x224. Default: the network's.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print the table as CSV: all columns, formulas apart from numbers.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")]
Latex = Annotated[bool, typer.Option("--latex", help="Print the table as LaTeX.")]
Html = Annotated[bool, typer.Option("--html", help="Print the table as HTML.")]


def summary(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="simple, vgg16..., a saved file, or module:function.")],
    input: Input = None,
    compare: Annotated[str | None, typer.Option(metavar="MODEL", help="A second network, row beside row.")] = None,
    convention: Annotated[
        str | None, typer.Option(help="Count as torchinfo, fvcore, ptflops or paper does, and explain the gap.")
    ] = None,
    columns: Annotated[str | None, typer.Option(help="Columns, apart by commas; 'all' for every one.")] = None,
    plan: Annotated[
        int | None, typer.Option(metavar="BATCH", help="Make the plans for such batches, and measure their memory.")
    ] = None,
    json: common.Json = False,
    csv: Csv = False,
    markdown: Markdown = False,
    latex: Latex = False,
    html: Html = False,
) -> None:
    """Account for a network: sizes, parameters, multiply-adds, bytes and receptive fields, with their formulas.

    MODEL is the name of a model, a file that was saved, or module:function, which is imported and called without
    arguments. There is a row for every node that runs. Numbers are for one input.

    \b
    Columns: node, layer, reads, output, size, weights, biases, parameters, share-parameters, macs, dx-macs, dw-macs,
    share-macs, flops, dx-flops, dw-flops, bytes, training-bytes, field, jump, start, unread.

    \b
    Examples:
      foveal summary simple
      foveal summary runs/first/model.safetensors --input 1x32x32 --markdown
      foveal summary simple --convention ptflops
      foveal summary simple --columns node,macs,share-macs,field,jump,start
      foveal summary simple --compare nets.py:mlp --json
    """
    style = check_format(json=json, csv=csv, markdown=markdown, latex=latex, html=html)
    if compare is not None and (convention or columns or plan is not None):
        got = "--convention" if convention else "--columns" if columns else "--plan"
        raise ParameterError(explain("--compare", expected="no other view of the table", got=got))
    from foveal.accounting import account
    from foveal.accounting import compare as aligned
    from foveal.accounting.columns import NAMES, check
    from foveal.network import Network

    try:
        names = list(NAMES) if columns == "all" else check(columns.split(",")) if columns else None
        title, graph = find_graph(model, input)
        if compare is not None:
            other, second = find_graph(compare, input, "--compare")
            show(aligned(account(graph, name=title), account(second, name=other)), style)
            return
        net = graph if plan is None else Network(graph)
        show(account(net, name=title, convention=convention, batch=plan), style, names)
    except FovealError as error:
        raise common.located(error, _WHERE) from error


def check_format(**wanted: bool) -> str:
    """Return the format that was asked for; "text" if none was.

    Raises
    ------
    ParameterError
        There were several.
    """
    asked = [name for name in FORMATS if wanted[name]]
    if len(asked) > 1:
        got = " and ".join(f"--{name}" for name in asked)
        raise ParameterError(explain("output", expected="one format", got=got))
    return asked[0] if asked else "text"


def show(what: Rendered, style: str, columns: list[str] | None = None) -> None:
    """Print an account, a comparison or an audit."""
    if style == "json":
        print(what.to_json())
    else:
        print(getattr(what, f"to_{style}")(columns))


def find_graph(text: str, shape: str | None = None, where: str = "MODEL") -> tuple[str, Graph]:
    """Return the name and the graph of the network that `text` names, for inputs of `shape`.

    Parameters
    ----------
    text : str
        A model (``simple``, ``vgg16``), a file that was saved, or ``module:function``.
    shape : str, optional
        Such as ``3x224x224``; without it that of the network.
    where : str
        How messages call the argument.

    Raises
    ------
    ParameterError, ShapeError, GeometryError
        Nothing of that name; something else than a network; an input that does not fit.
    FormatError, StorageError
        The file.
    """
    from foveal.graph import Graph

    wanted = None if shape is None else parse_shape(shape)
    if text.lower() in _models():
        return _model(text.lower(), wanted)
    graph = _called(text, where) if ":" in text else _saved(text, where)
    if wanted in (None, graph.input_shape):
        return text, graph
    return text, Graph.from_config(graph.config() | {"input_shape": list(wanted or ())})


def parse_shape(text: str, where: str = "--input", example: str = "3x224x224") -> tuple[int, ...]:
    """Read "3x224x224".

    Raises
    ------
    ParameterError
        It is no shape.

    Examples
    --------
    >>> parse_shape("3x224x224"), parse_shape("784")
    ((3, 224, 224), (784,))
    """
    parts = text.lower().split("x")
    if not all(re.fullmatch(r"[1-9]\d{0,8}", part) for part in parts):
        raise ParameterError(explain(where, expected=f"a shape such as {example}", got=repr(text)))
    return tuple(map(int, parts))


def _models() -> dict[str, str]:
    """Return {name on the command line: class in foveal.models}."""
    from foveal import models

    return {name.lower(): name for name in models.__all__} | common.MODELS


def _model(name: str, shape: tuple[int, ...] | None) -> tuple[str, Graph]:
    """Return a model's class and graph; where the class gives its architecture alone, no parameters are drawn."""
    from foveal import models

    model = getattr(models, _models()[name])
    given: dict[str, Any] = common.ARGUMENTS.get(name, {}) | ({} if shape is None else {"input_dim": shape})
    title = model.__name__ + "".join(f", {key} {value}" for key, value in common.ARGUMENTS.get(name, {}).items())
    return title, model.architecture(**given) if hasattr(model, "architecture") else model(**given).graph


def _saved(text: str, where: str) -> Graph:
    expected = f"a model, a {ENDING} file, or module:function"
    if not text.endswith(ENDING) and not os.path.exists(text):
        raise ParameterError(explain(where, expected=expected, got=repr(text), fix=nearest(text, _models())))
    if text.endswith(".py"):
        fix = f"Name a function of it: {text}:FUNCTION."
        raise ParameterError(explain(where, expected=expected, got=repr(text), fix=fix))
    from foveal.network import load

    return load(text).graph


def _called(text: str, where: str) -> Graph:
    """Import a module, also one in this folder, and call its function."""
    from foveal.graph import Graph

    module, _, function = text.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        net = getattr(importlib.import_module(module.removesuffix(".py").replace("/", ".")), function)()
    except FovealError:
        raise
    except Exception as error:
        expected, why = "module:function, to be called without arguments", f"{type(error).__name__}: {error}"
        raise ParameterError(explain(where, expected=expected, got=repr(text), why=why)) from None
    graph = getattr(net, "graph", net)
    if not isinstance(graph, Graph):
        expected, got = "a function that makes a foveal.Network", f"{text}, which makes a {type(net).__name__}"
        raise ParameterError(explain(where, expected=expected, got=got))
    return graph
