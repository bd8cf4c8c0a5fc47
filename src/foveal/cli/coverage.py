"""foveal show coverage"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import _common as common
from foveal.cli import summary
from foveal.errors import FovealError, ParameterError, explain

if TYPE_CHECKING:
    from foveal.accounting import Coverage
    from foveal.layers import Layer

_WHERE = {name: f"--{name}" for name in ("kernel", "stride", "padding", "dilation", "position")}


def coverage(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="A network; without it one window.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture: .png, .svg or .pdf.")] = Path("coverage.png"),
    input: summary.Input = None,
    node: Annotated[str | None, typer.Option(help="Node of the network. Default: its output.")] = None,
    size: Annotated[str, typer.Option(help="Of the map that one window reads: 28, 28x28 or 8x8x8.")] = "12x12",
    kernel: Annotated[int, typer.Option(help="Taps of the window along each axis.")] = 3,
    stride: Annotated[int, typer.Option(help="Cells from place to place.")] = 1,
    padding: Annotated[int, typer.Option(help="Zeros around the map.")] = 0,
    dilation: Annotated[int, typer.Option(help="Cells from tap to tap.")] = 1,
    transposed: Annotated[bool, typer.Option("--transposed", help="A transposed convolution.")] = False,
    repeat: Annotated[int, typer.Option(help="How many such windows follow each other.")] = 1,
    position: Annotated[
        str | None, typer.Option(help="Count for one place of the result only: 3,4 (row, column), or middle.")
    ] = None,
    title: Annotated[str, typer.Option(help="Above the picture. Default: what it shows.")] = "",
    json: common.Json = False,
) -> None:
    """Draw how often each cell of a map is read, and how often each cell of the result is written.

    Cells that no window reaches are orange: where the stride does not divide, or, with --position, between the taps of
    dilation. A transposed convolution writes a chessboard if its stride does not divide its kernel.

    \b
    Examples:
      foveal show coverage --size 12x12 --kernel 3 --stride 2 -o unread.png
      foveal show coverage --kernel 3 --stride 2 --transposed -o chessboard.png
      foveal show coverage --kernel 3 --dilation 2 --repeat 2 --position middle -o grid.png
      foveal show coverage simple --node pool1 -o pool1.svg
    """
    from foveal._files import output_folder
    from foveal.show import coverage as draw
    from foveal.show import save

    if model is None and (node or input):
        got = "--node" if node else "--input"
        raise ParameterError(
            explain(got, expected="a MODEL", got="none", fix="foveal show coverage simple --node conv1")
        )
    from foveal._checks import check_count

    try:
        if model is None:
            window = {"stride": stride, "padding": padding, "dilation": dilation}
            layers = _windows(kernel, window, transposed, check_count(repeat, "--repeat"))
            counted = _count(layers, summary.parse_shape(size, "--size", "28, 28x28 or 8x8x8"), position)
        else:
            counted = _network(model, input, node, position)
    except FovealError as error:
        raise common.located(error, _WHERE) from error
    output_folder(out.parent)
    save(draw(counted, title=title), out)
    if json:
        facts = {"reads": counted.reads.tolist(), "writes": counted.writes.tolist(), "unread": counted.unread}
        common.print_json({"file": str(out), "what": counted.name, **facts})
        return
    common.print_table([("coverage", str(counted)), ("file", str(out))])


def _windows(kernel: int, window: dict[str, Any], transposed: bool, repeat: int) -> list[Layer]:
    from foveal.layers import Convolution, ConvTranspose

    make: Any = ConvTranspose if transposed else Convolution
    return [make(1, kernel, **window) for _ in range(repeat)]


def _count(layers: list[Layer], spatial: tuple[int, ...], position: str | None) -> Coverage:
    from foveal.accounting import coverage as count
    from foveal.graph import Graph

    counted = count(Graph.sequence(layers, (1, *spatial)), position=_place(position))
    times = f"{len(layers)} times " if len(layers) > 1 else ""
    at = f", position {position}" if position else ""
    return replace(counted, name=f"{times}{layers[0]!r} on {'x'.join(map(str, spatial))}{at}")


def _network(model: str, input: str | None, node: str | None, position: str | None) -> Coverage:
    from foveal.accounting import coverage as count

    name, graph = summary.find_graph(model, input)
    counted = count(graph, node=node, position=_place(position))
    at = f", position {position}" if position else ""
    return replace(counted, name=f"{name}, from the input to {node or graph.output}{at}")


def _place(text: str | None) -> tuple[int, ...] | str | None:
    if text is None or text == "middle":
        return text
    if not re.fullmatch(r"\d{1,9}(,\d{1,9}){0,2}", text):
        raise ParameterError(explain("--position", expected="a place such as 3,4, or middle", got=repr(text)))
    return tuple(map(int, text.split(",")))
