"""The table of a paper beside the exact one: what is printed is data, what is exact is computed from the network.

Printed figures stand in `papers/`, with the paper, their exact place in it, and what is known about those that do not
fit. A row of a table is a set of nodes. Every node that learns is in a row, so the sums are those of the network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any

from foveal import layers as L
from foveal.accounting.account import HasGraph, account, graph_of
from foveal.accounting.columns import by
from foveal.accounting.render import Rendered, Table
from foveal.accounting.rows import Row
from foveal.errors import ParameterError, explain, nearest
from foveal.geometry import per_axis, volume
from foveal.graph import Graph

PAPERS = ("alexnet", "googlenet", "lenet5")
EQUAL, BINARY, ABOUT, MISPRINT, OFF = "equal", "K = 1024", "about", "misprint", "off"
_NEAR = 0.02  # how far "about 60M" may be from the truth


@dataclass(frozen=True)
class Figure:
    """A printed figure and the exact one.

    Attributes
    ----------
    printed : str
    exact : int or str
    verdict : {"equal", "K = 1024", "about", "misprint", "off"}
        Equal: rounded as it is printed. K = 1024: it is, up to 1 in the last digit, if a K is 1024. About: the paper
        says so, and it is near. Misprint: it does not follow from the layers that the paper describes. Off: the sum of
        such figures, where the paper prints no sum.
    off : float or None
        Printed over exact, less 1; K as the verdict takes it.
    note : str
        What is known about it.
    """

    printed: str
    exact: int | str
    verdict: str
    off: float | None = None
    note: str = ""


@dataclass(frozen=True)
class AuditRow:
    """A row of the paper: its nodes, and its figures by column."""

    name: str
    nodes: tuple[str, ...]
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Audit(Rendered):
    """A table of a paper, audited; `audit` makes it.

    Attributes
    ----------
    title, paper : str
    columns : tuple of str
        The paper's.
    rows : tuple of AuditRow
    sums : AuditRow
    remarks : tuple of str
    """

    title: str
    paper: str
    columns: tuple[str, ...]
    rows: tuple[AuditRow, ...]
    sums: AuditRow
    remarks: tuple[str, ...]

    @property
    def misprints(self) -> tuple[str, ...]:
        """The names of all rows with a misprint."""
        return tuple(r.name for r in self.rows if any(f.verdict == MISPRINT for f in r.figures.values()))

    def table(self, columns: Sequence[str] | None = None, *, exact: bool = False) -> Table:
        """Return the table: for each column of the paper what is printed, what is exact, and the verdict."""
        header = ["row", *(f"{name} {what}" for name in self.columns for what in ("printed", "exact", "verdict"))]
        rows = tuple(self._line(row) for row in self.rows)
        notes = [f"{row.name}, {name}: {f.note}" for row in self.rows for name, f in row.figures.items() if f.note]
        title = f"{self.title}: printed in {self.paper}"
        return Table(title, tuple(header), rows, self._line(self.sums), (*notes, *self.remarks))

    def _line(self, row: AuditRow) -> tuple[Any, ...]:
        cells: list[Any] = [row.name]
        for name in self.columns:
            figure = row.figures.get(name)
            cells += [None] * 3 if figure is None else [figure.printed, figure.exact, _said(figure)]
        return tuple(cells)

    def as_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return {
            "title": self.title,
            "paper": self.paper,
            "rows": [_described(row) for row in self.rows],
            "sums": _described(self.sums),
            "remarks": list(self.remarks),
        }


def audit(paper: str, net: HasGraph | Graph) -> Audit:
    """Compare the table of a paper with a network: the first output of it, without auxiliary heads.

    Parameters
    ----------
    paper : {"alexnet", "googlenet", "lenet5"}
        Whose table.
    net : Network or Graph
        The network that the paper describes.

    Raises
    ------
    ParameterError
        An unknown paper; a row for which the network has no node, or a node that learns and is in no row.
    """
    data = printed(paper)
    graph = graph_of(net)
    accounted = account(graph.only([next(iter(graph.outputs))]))
    found = [_nodes(entry, accounted.rows, data["title"]) for entry in data["rows"]]
    _check_complete(accounted.rows, found, data["title"])
    columns: dict[str, str] = data["columns"]
    rows = []
    for entry, nodes in zip(data["rows"], found, strict=True):
        notes = entry.get("notes", {})
        figures = {
            name: _figure(text, QUANTITIES[columns[name]](nodes), notes.get(name, ""))
            for name, text in entry["printed"].items()
        }
        rows.append(AuditRow(entry["name"], tuple(row.name for row in nodes), figures))
    every = [row for nodes in found for row in nodes]
    sums = {name: _figure(text, QUANTITIES[columns[name]](every)) for name, text in data["sums"].items()}
    if not data["sums_printed"]:
        sums = {n: replace(f, verdict=OFF) if f.verdict == MISPRINT else f for n, f in sums.items()}
    source, sums_row = f"{data['paper']} ({data['status']})", AuditRow("sum", (), sums)
    return Audit(data["title"], source, tuple(columns), tuple(rows), sums_row, tuple(data["remarks"]))


@cache
def printed(paper: str) -> dict[str, Any]:
    """Return what a paper prints, and which model it is about.

    Raises
    ------
    ParameterError
        There is no such paper here.

    Examples
    --------
    >>> printed("lenet5")["rows"][0]["printed"]
    {'trainable': '156', 'connections': '122,304'}
    """
    if paper not in PAPERS:
        fix = nearest(str(paper), PAPERS)
        raise ParameterError(explain("audit", expected="a paper", got=repr(paper), fix=fix))
    content = resources.files("foveal.accounting").joinpath("papers", f"{paper}.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(content)
    return data


def connections(row: Row) -> int:
    """Return the connections of a node as LeCun et al. count them: multiply-adds, biases, and inputs of subsampling.

    Examples
    --------
    >>> from foveal.layers import Convolution, Subsampling
    >>> [connections(r) for r in account(Graph.sequence([Convolution(6, 5), Subsampling()], (1, 32, 32))).rows]
    [122304, 5880]
    """
    numbers = volume(row.shape)
    if isinstance(row.layer, L.Subsampling):
        return (volume(per_axis(row.layer.kernel, len(row.shape) - 1, "kernel")) + 1) * numbers
    return row.work.macs.forward + (numbers if row.used_biases else 0)


QUANTITIES: dict[str, Callable[[Sequence[Row]], int | str]] = {
    "weights": lambda rows: int(sum(row.weights for row in rows)),
    "parameters": lambda rows: int(sum(row.weights + row.biases for row in rows)),
    "macs": lambda rows: int(sum(row.work.macs.forward for row in rows)),
    "connections": lambda rows: int(sum(connections(row) for row in rows)),
    "neurons": lambda rows: sum(volume(row.shape) for row in rows if row.parameters),
    "output": lambda rows: by(_spatial(rows[-1].shape)),
}


def _spatial(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape as papers write it, channels last; features are one position of an image."""
    return (*shape[1:], shape[0]) if len(shape) > 1 else (1, 1, *shape)


def verdict(text: str, exact: int) -> tuple[str, float]:
    """Return the verdict on a printed number, and how far off it is: printed / exact - 1.

    Examples
    --------
    >>> verdict("128M", 128_049_152)[0], verdict("112K", 114_688), verdict("73M", 73_608_192)[0]
    ('equal', ('K = 1024', 0.0), 'misprint')
    >>> verdict("about 60M", 60_965_224)[0]
    'about'
    """
    number, unit = _parse(text)
    scale = {"": 1, "K": 1000, "M": 1_000_000}[unit]
    decimals = len(number.partition(".")[2])
    value, step = float(number), 10**-decimals
    off = value * scale / exact - 1 if exact else 0.0
    if text.startswith("about"):
        return (ABOUT, off) if abs(off) <= _NEAR else (MISPRINT, off)
    if round(exact / scale, decimals) == value:
        return EQUAL, off
    if unit == "K":
        off = value * 1024 / exact - 1
        return (BINARY, off) if abs(exact / 1024 - value) <= step else (MISPRINT, off)
    return MISPRINT, off


def _parse(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"(?:about )?([\d,]+(?:\.\d+)?)([KM]?)", text)
    if match is None:
        raise ParameterError(explain("audit", expected="a number such as 2.7K", got=repr(text)))
    return match[1].replace(",", ""), match[2]


def _figure(text: str, exact: int | str, note: str = "") -> Figure:
    if isinstance(exact, str):
        return Figure(text, exact, EQUAL if text == exact else MISPRINT, None, note)
    return Figure(text, exact, *verdict(text, exact), note)


def _nodes(entry: Mapping[str, Any], rows: Sequence[Row], title: str) -> list[Row]:
    found = [row for row in rows if any(fnmatchcase(row.name.lower(), pattern) for pattern in entry["nodes"])]
    if not found:
        got = ", ".join(row.name for row in rows)
        expected = f"a node called {' or '.join(entry['nodes'])}"
        raise ParameterError(explain(f"audit of {title}, {entry['name']}", expected=expected, got=got))
    return found


def _check_complete(rows: Sequence[Row], found: Sequence[Sequence[Row]], title: str) -> None:
    taken = [row.name for nodes in found for row in nodes if row.parameters]
    learns = [row.name for row in rows if row.parameters]
    wrong = [name for name in learns if taken.count(name) != 1]
    if wrong:
        expected, why = "each node that learns in one row of the table", "so the sums would not be those of the network"
        raise ParameterError(explain(f"audit of {title}", expected=expected, got=", ".join(wrong), why=why))


def _said(figure: Figure) -> str:
    if figure.verdict == EQUAL or not figure.off:
        return figure.verdict
    return f"{figure.verdict} ({100 * figure.off:+.1f} %)"


def _described(row: AuditRow) -> dict[str, Any]:
    figures = {
        name: {"printed": f.printed, "exact": f.exact, "verdict": f.verdict, "off": f.off, "note": f.note}
        for name, f in row.figures.items()
    }
    return {"name": row.name, "nodes": list(row.nodes), "figures": figures}
