"""foveal filter"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import _common as common
from foveal.errors import FovealError, ParameterError, StorageError, explain

if TYPE_CHECKING:
    from foveal.images import Kernel

_MANY = 0.05  # of the samples: when the clipping of edges deserves a hint


def filter_(
    source: Annotated[str | None, typer.Argument(metavar="IMAGE", help="A picture, or a folder of them.")] = None,
    out: Annotated[str | None, typer.Option("--out", "-o", help="The new picture; for a folder, a folder.")] = None,
    kernel: Annotated[str | None, typer.Option("--kernel", "-k", help="A name; --list shows them.")] = None,
    custom: Annotated[str | None, typer.Option(help='Your numbers: "0 -1 0; -1 5 -1; 0 -1 0".')] = None,
    kernel_file: Annotated[str | None, typer.Option(help="A file of numbers: text, CSV, JSON or .npy.")] = None,
    size: Annotated[str | None, typer.Option(help="box: 5, or 3x7 (height x width). gaussian, log: odd.")] = None,
    sigma: Annotated[float | None, typer.Option(help="gaussian, log: standard deviation in pixels.")] = None,
    length: Annotated[float | None, typer.Option(help="motion: length in pixels.")] = None,
    angle: Annotated[float | None, typer.Option(help="motion: degrees, counter-clockwise.")] = None,
    edge: Annotated[str, typer.Option(help="Around the picture: reflect, replicate, wrap or zero.")] = "reflect",
    offset: Annotated[float | None, typer.Option(help="Added to the result; 128 shows negative values.")] = None,
    scale: Annotated[float | None, typer.Option(help="Divides the sum. Default: the kernel's own.")] = None,
    flip: Annotated[bool, typer.Option("--flip", help="Turn the kernel by 180 degrees: a convolution.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the kernels with their numbers.")] = False,
    json: common.Json = False,
) -> int:
    """Blur, sharpen, emboss or outline pictures with an image kernel.

    Alpha, colour profile and EXIF data are kept; a rotated photo is turned upright. How many samples had to be clipped
    to 0-255 is reported. In a folder, a picture that fails does not stop the others; the exit code is then 2.

    \b
    Examples:
      foveal filter photo.jpg --kernel emboss -o out.png
      foveal filter photo.jpg --kernel gaussian --sigma 5 --edge replicate -o soft.jpg
      foveal filter photo.jpg --kernel sobel-left --offset 128 --scale 8 -o edges.png
      foveal filter photo.jpg --custom "0 -1 0; -1 5 -1; 0 -1 0" -o sharp.png
      foveal filter holiday/ --kernel motion --length 15 --angle 30 -o moved/
      foveal filter --list
    """
    if list_:
        return _list(json)
    given = {"size": _size(size, kernel), "sigma": sigma, "length": length, "angle": angle}
    options = {name: value for name, value in given.items() if value is not None}
    try:
        chosen = _choose(kernel, custom, kernel_file, options, scale, offset)
    except FovealError as error:
        where = {name: f"--{name}" for name in ("size", "sigma", "length", "angle", "kernel")}
        raise common.located(error, where) from error
    if source is None or out is None:
        missing = "IMAGE" if source is None else "--out"
        raise ParameterError(explain("filter", expected=f"{missing}", got="none", fix="See foveal filter --help."))
    from foveal._files import output_folder
    from foveal.images.edges import check_edge

    check_edge(edge, "--edge")
    jobs, folder = _jobs(Path(source), Path(out)), Path(source).is_dir()
    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    with _progress(len(jobs)) as advance:
        for picture, target in jobs:
            try:
                if folder:
                    output_folder(target.parent)
                done.append(_filter(picture, target, chosen, edge, flip))
            except FovealError as error:
                if not folder:
                    raise
                failed.append({"file": str(picture), "error": str(error)})
            advance()
    _report(chosen, edge, done, failed, json)
    return 2 if failed else 0


def _choose(
    name: str | None, custom: str | None, file: str | None, options: dict[str, Any], scale: float | None,
    offset: float | None,
) -> Kernel:  # fmt: skip
    """Return the one kernel that the options ask for."""
    from foveal import images

    given = [option for option, value in (("--kernel", name), ("--custom", custom), ("--kernel-file", file)) if value]
    if len(given) != 1:
        got = " and ".join(given) or "none"
        fix = "foveal filter --list shows the names."
        raise ParameterError(explain("filter", expected="one of --kernel, --custom, --kernel-file", got=got, fix=fix))
    if name:
        return images.kernel(name, scale=scale, offset=offset, **options)
    if options:
        got = ", ".join(f"--{option}" for option in options)
        raise ParameterError(explain(given[0], expected="no options of named kernels", got=got))
    what = images.read_kernel(file) if file else images.parse_numbers(custom or "", "--custom")
    return images.kernel(what, scale=scale, offset=offset)


def _size(text: str | None, name: str | None) -> int | tuple[int, int] | None:
    pair = common.parse_size(text)
    return pair[0] if pair and name != "box" and pair[0] == pair[1] else pair


def _jobs(source: Path, out: Path) -> list[tuple[Path, Path]]:
    """Return (picture, new picture) for each picture; everything that can be known to fail fails here."""
    from foveal._files import output_folder
    from foveal.images.files import pictures_in, writable

    if not source.is_dir():
        writable(out)
        if source.exists() and out.exists() and source.samefile(out):
            fix = "The picture would be lost: choose another name."
            raise StorageError(explain("--out", expected="another file than IMAGE", got=str(out), fix=fix))
        return [(source, out)]
    inside = out.resolve() == source.resolve() or source.resolve() in out.resolve().parents
    if inside:
        fix = "Choose a folder beside it."
        raise StorageError(explain("--out", expected="a folder outside of IMAGE", got=str(out), fix=fix))
    names = list(pictures_in(source))
    if not names:
        raise ParameterError(explain(str(source), expected="pictures in it or below", got="none"))
    output_folder(out)
    return [(source / name, out / name) for name in names]


def _filter(source: Path, target: Path, chosen: Kernel, edge: str, flip: bool) -> dict[str, Any]:
    """Filter one picture, and say how it went."""
    from foveal import images
    from foveal.images.files import Picture, read_picture, write_picture

    picture = read_picture(source)
    pixels, report = images.apply(picture.pixels, chosen, edge=edge, flip=flip, return_report=True)
    write_picture(target, Picture(pixels, picture.notes, picture.extras))
    return {
        "file": str(source), "output": str(target), "picture": picture.kind, "notes": picture.notes,
        "method": report.method, "samples": report.samples, "clipped": report.clipped, "clipped_share": report.share,
    }  # fmt: skip


@contextlib.contextmanager
def _progress(pictures: int) -> Iterator[Callable[[], None]]:
    """Show a bar for several pictures on a terminal; give what is called after each."""
    if pictures < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(
        *Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task("pictures", total=pictures)
        yield lambda: bar.advance(task)


def _report(chosen: Kernel, edge: str, done: list[dict[str, Any]], failed: list[dict[str, str]], json: bool) -> None:
    for one in failed:
        common.note(f"error: {' '.join(one['error'].split())}")
    if json:
        common.print_json({"kernel": _numbers(chosen), "edge": edge, "pictures": done, "failed": failed})
        return
    for one in done:
        print(f"{one['file']} -> {one['output']}: {', '.join([one['picture'], *one['notes']])}; {_clipped(one)}")
    samples, clipped = (sum(one[name] for one in done) for name in ("samples", "clipped"))
    kh, kw = chosen.array.shape
    made = f"{len(done)} picture{'s' * (len(done) != 1)}" + (f", {len(failed)} failed" if failed else "")
    print(f"{chosen.name} {kh}x{kw}, edges {edge}: {made}")
    if clipped > _MANY * samples and abs(chosen.gain) < 1e-6 and not chosen.offset:
        print("Much was clipped: --scale divides the result, --offset 128 shows what is below black.")


def _clipped(one: dict[str, Any]) -> str:
    return f"{one['clipped']:,} of {one['samples']:,} samples clipped ({common.percent(one['clipped_share'])})"


def _numbers(kernel: Kernel) -> dict[str, Any]:
    return {
        "name": kernel.name, "array": kernel.array.tolist(), "scale": kernel.scale, "offset": kernel.offset,
        "gain": kernel.gain,
    }  # fmt: skip


def _list(json: bool) -> int:
    """Print the catalogue."""
    from foveal.images.catalogue import CATALOGUE, describe

    kernels = {name: make() for name, make in CATALOGUE.items()}
    if json:
        common.print_json({name: {**_numbers(kernel), "about": describe(name)} for name, kernel in kernels.items()})
        return 0
    for name, kernel in kernels.items():
        head, *rows = str(kernel).splitlines()
        shown = rows if len(rows) <= 7 else ["  (its numbers are in --json)"]
        print("\n".join([f"{head}: {describe(name)}", *shown, ""]))
    return 0
