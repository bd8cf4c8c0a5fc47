"""The command line: ``foveal train | evaluate | predict | ...``, one file for each command.

Bad input gives one line on stderr and exit code 2, never a traceback; Ctrl-C gives 130. What is heavy (NumPy, Numba,
matplotlib) is imported inside the commands, so that ``--help`` and ``--version`` answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from foveal.cli import audit, bench, evaluate, filter, predict, show, study, summary, train
from foveal.errors import FovealError

# Plain help: rich would join the lines of the examples, and costs 0.2 s.
app = typer.Typer(add_completion=False, rich_markup_mode=None)
for command in (train.train, evaluate.evaluate, predict.predict, summary.summary, audit.audit, bench.bench):
    app.command()(command)
app.command("filter")(filter.filter_)
app.add_typer(show.app, name="show")
app.add_typer(study.app, name="study")


def _print_version(wanted: bool) -> None:
    if wanted:
        from foveal._version import __version__

        print(f"foveal {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Convolutional networks in sharp focus: train, evaluate and look into them.

    \b
    Examples:
      foveal train --out runs/first
      foveal evaluate runs/first/model.safetensors
      foveal predict runs/first/model.safetensors digit.png
      foveal filter photo.jpg --kernel emboss -o out.png
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 0, 2 for bad input, 130 for Ctrl-C.

    Parameters
    ----------
    arguments : sequence of str
        Default: those of the process. None at all shows the help.

    Raises
    ------
    SystemExit
        Always.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(given or ["--help"], prog_name="foveal", standalone_mode=False)
    except FovealError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:
        # Usage errors of typer (which brings its own click, or the click package, by version) know how they read.
        if not hasattr(error, "format_message"):
            raise
        _fail(error.format_message())
    raise SystemExit(code if isinstance(code, int) else 0)


def _fail(message: str) -> None:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    raise SystemExit(2)
