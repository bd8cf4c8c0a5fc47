"""foveal audit"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli import _common as common
from foveal.cli import summary
from foveal.errors import ParameterError, explain, nearest

if TYPE_CHECKING:
    from foveal.graph import Graph


def audit(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="lenet5, alexnet or googlenet.")],
    json: common.Json = False,
    csv: summary.Csv = False,
    markdown: summary.Markdown = False,
    latex: summary.Latex = False,
    html: summary.Html = False,
) -> None:
    """Set the table of a paper beside the exact one, row by row, with a verdict on each printed figure.

    "equal": rounded as it is printed. "K = 1024": it is, if a K is 1024. "about": the paper says about, and it is near.
    "misprint": it does not follow from the layers that the paper describes.

    \b
    Examples:
      foveal audit googlenet
      foveal audit lenet5 --markdown
    """
    style = summary.check_format(json=json, csv=csv, markdown=markdown, latex=latex, html=html)
    from foveal.accounting.audit import PAPERS
    from foveal.accounting.audit import audit as audited

    if paper not in PAPERS:
        raise ParameterError(explain("PAPER", expected="a paper", got=repr(paper), fix=nearest(paper, PAPERS)))
    summary.show(audited(paper, model_of(paper)), style)


def model_of(paper: str) -> Graph:
    """Return the graph of the network that a paper describes.

    Examples
    --------
    >>> len(model_of("lenet5").nodes)
    13
    """
    from foveal import models
    from foveal.accounting.audit import printed

    model = printed(paper)["model"]
    graph: Graph = getattr(models, model["name"]).architecture(**model["arguments"])
    return graph
