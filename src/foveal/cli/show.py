"""foveal show convolution | grid: pictures that explain the operation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import _common as common
from foveal.cli import coverage
from foveal.errors import FovealError, ParameterError, explain, nearest

if TYPE_CHECKING:
    from foveal.show.animation import Animation

app = typer.Typer(rich_markup_mode=None)
app.command()(coverage.coverage)

_ENDINGS = (".npy", ".csv", ".txt")
_PRINTED = 16  # numbers of a result that a line can hold

Out = Annotated[Path, typer.Option("--out", "-o", help="The picture: .gif, .mp4 (needs ffmpeg) or .png (key frames).")]
Fps = Annotated[float | None, typer.Option(help="Places of the kernel per second. Default: a comfortable pace.")]
Dpi = Annotated[int, typer.Option(help="Pixels per inch; 100 gives a picture about 640 pixels wide.")]
Title = Annotated[str, typer.Option(help="Above the picture. Default: what it shows.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")]


@app.callback(invoke_without_command=True)
def show(context: typer.Context) -> None:
    """Draw what convolution does: a kernel that moves over a signal, or over a grid of numbers.

    \b
    Examples:
      foveal show convolution --signal box --kernel box -o box.gif
      foveal show grid --map "1 2 3; 4 5 6; 7 8 9" --kernel "1 0; 0 -1" -o grid.gif
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def convolution(
    out: Out = Path("convolution.gif"),
    signal: Annotated[str, typer.Option(help="A shape, numbers such as 1,2,3, or a file (.npy, .csv, .txt).")] = "box",
    kernel: Annotated[str, typer.Option(help="The same for the kernel that moves.")] = "box",
    operation: Annotated[str, typer.Option(help="convolution, correlation or both.")] = "convolution",
    dx: Annotated[
        float | None, typer.Option(help="Distance between samples. Default: 0.01 for shapes, 1 for numbers.")
    ] = None,
    frames: Annotated[int, typer.Option(help="Places of the kernel that are drawn, 2 to 500.")] = 90,
    fps: Fps = None,
    dpi: Dpi = 100,
    title: Title = "",
    quiet: Quiet = False,
    json: common.Json = False,
) -> None:
    """Slide a kernel over a signal: the area under their product is shaded, and traced as the result.

    Shapes: box, spike, triangle, ramp, gaussian, exponential, step, sine, edge. The kernel is flipped in a convolution,
    and not in a correlation; --operation both shows them side by side. Shapes are integrated on a grid of --dx.

    \b
    Examples:
      foveal show convolution --signal box --kernel box -o box.gif
      foveal show convolution --signal spike --kernel ramp --operation both -o flip.gif
      foveal show convolution --signal 1,2,3,1 --kernel 1,0,-1 -o numbers.gif
      foveal show convolution --signal speech.npy --kernel gaussian --dx 0.02 -o smooth.png
    """
    from foveal.show import moving_kernel
    from foveal.show.animation import check_target
    from foveal.show.signals import SHAPES
    from foveal.show.sliding import OPERATIONS, check_operation, slide

    where = {"signal": "--signal", "kernel": "--kernel", "operation": "--operation", "dx": "--dx", "frames": "--frames",
             "fps": "--fps", "dpi": "--dpi"}  # fmt: skip
    try:
        check_target(out, dpi)
        check_operation(operation, (*OPERATIONS, "both"))
        f, g = (
            text if text in SHAPES else _numbers(text, option, ("a shape", "1,2,3"), SHAPES)
            for text, option in ((signal, "--signal"), (kernel, "--kernel"))
        )
        shown = OPERATIONS if operation == "both" else (operation,)
        slides = [slide(f, g, operation=each, dx=dx) for each in shown]
        animation = moving_kernel.convolution(f, g, operation=operation, dx=dx, frames=frames, fps=fps, title=title)
        _save(animation, out, dpi, quiet)
    except FovealError as error:
        raise common.located(error, where) from error
    results = [
        {
            "operation": each.operation,
            "call": each.call,
            "start": each.result.start,
            "dx": each.result.dx,
            "values": each.result.values.tolist(),
        }
        for each in slides
    ]
    rows = [(r["operation"], f"{_list(r['values'])}   (as {r['call']})") for r in results]
    _report(animation, out, {"signal": signal, "kernel": kernel, "results": results}, rows, json)


@app.command()
def grid(
    out: Out = Path("grid.gif"),
    map: Annotated[str, typer.Option(help="Numbers, rows apart by ';', or a file (.npy, .csv, .txt).")] = (
        "1 2 3; 4 5 6; 7 8 9"
    ),
    kernel: Annotated[str, typer.Option(help="The same for the kernel that moves.")] = "1 0; 0 -1",
    operation: Annotated[str, typer.Option(help="correlation, as in networks, or convolution.")] = "correlation",
    stride: Annotated[str, typer.Option(help="Cells from place to place: 2, or 2,1 (down, right).")] = "1",
    padding: Annotated[str, typer.Option(help="Zeros around the map: 1, or 1,0 (rows, columns), or same.")] = "0",
    fps: Fps = None,
    dpi: Dpi = 100,
    title: Title = "",
    quiet: Quiet = False,
    json: common.Json = False,
) -> None:
    """Step a kernel over a grid of numbers, with each product and the sum written out, and the result filling up.

    There is one frame for each number of the result. Correlation lays the kernel on the map as it is, convolution
    flips it first.

    \b
    Examples:
      foveal show grid --map "1 2 3; 4 5 6; 7 8 9" --kernel "1 0; 0 -1" -o grid.gif
      foveal show grid --map map.csv --kernel "0 1 0; 1 -4 1; 0 1 0" --padding 1 --stride 2 -o laplace.gif
      foveal show grid --operation convolution -o flipped.png
    """
    from foveal.show import number_grid
    from foveal.show.animation import check_target

    where = {name: f"--{name}" for name in ("map", "kernel", "operation", "stride", "padding", "fps", "dpi")}
    try:
        check_target(out, dpi)
        x, w = (_numbers(text, option, ("1 2; 3 4",)) for text, option in ((map, "--map"), (kernel, "--kernel")))
        around = padding if padding in ("same", "valid") else _axes(padding, "--padding")
        how: dict[str, Any] = {"operation": operation, "stride": _axes(stride, "--stride"), "padding": around}
        run = number_grid.steps(x, w, **how)
        animation = number_grid.grid(x, w, **how, fps=fps, title=title)
        _save(animation, out, dpi, quiet)
    except FovealError as error:
        raise common.located(error, where) from error
    result = {"operation": run.operation, "call": run.call, "values": run.result.tolist()}
    rows = [(run.operation, f"{run.result.shape[0]}x{run.result.shape[1]} numbers   (as {run.call})")]
    rows += [("", _list(row)) for row in run.result.tolist()]
    _report(animation, out, {"results": [result]}, rows, json)


def _numbers(text: str, option: str, examples: tuple[str, ...], names: Any = ()) -> Any:
    """Numbers that stand in the option, or in the file that it names."""
    from foveal.show.signals import parse, read_numbers

    parsed = parse(text, option)
    if parsed is not None:
        return parsed
    if Path(text).suffix.lower() in _ENDINGS or Path(text).is_file():
        return read_numbers(text)
    *shape, numbers = examples
    expected = ", ".join([*shape, f"numbers such as {numbers}"]) + f", or a file ({', '.join(_ENDINGS)})"
    raise ParameterError(explain(option, expected=expected, got=repr(text), fix=nearest(text, names) if names else ""))


def _axes(text: str, option: str) -> Any:
    """One whole number, or one for each axis."""
    parts = text.split(",")
    try:
        numbers = tuple(int(part) for part in parts)
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 2):
        raise ParameterError(explain(option, expected="a whole number, or two: 2,1", got=repr(text)))
    return numbers[0] if len(numbers) == 1 else numbers


def _save(animation: Animation, out: Path, dpi: int, quiet: bool) -> None:
    from foveal._files import output_folder

    output_folder(out.parent)
    animation.save(out, dpi=dpi, progress=not quiet and sys.stderr.isatty())


def _report(animation: Animation, out: Path, facts: dict[str, Any], rows: list[tuple[str, str]], json: bool) -> None:
    still = out.suffix.lower() == ".png"
    frames, size = len(animation.keys) if still else len(animation), out.stat().st_size
    if json:
        seconds = None if still else sum(animation.seconds)
        common.print_json({"file": str(out), "frames": frames, "seconds": seconds, "bytes": size, **facts})
        return
    length = "" if still else f", {sum(animation.seconds):.1f} s"
    common.print_table([*rows, ("file", f"{out}: {frames} frames{length}, {size / 1000:,.0f} kB")])


def _list(values: list[float]) -> str:
    if len(values) <= _PRINTED:
        return " ".join(f"{v:.6g}" for v in values)
    return f"{len(values):,} numbers from {min(values):.6g} to {max(values):.6g}"
