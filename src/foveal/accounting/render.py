"""Tables as text, CSV, Markdown, LaTeX and HTML; and what has them."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from foveal._formula import Count

WIDTH = 200  # characters of a line where no terminal says otherwise
SHORTEST = 20  # characters of a text that are never broken into lines


@dataclass(frozen=True)
class Table:
    """Values in rows and columns, before anything is decided about how they look.

    Attributes
    ----------
    title : str
    header : tuple of str
    rows : tuple of tuples
        Of text, numbers, counts with their formulas, or None.
    sums : tuple
        A last row, apart from the others; empty if there is none.
    notes : tuple of str
        Lines below it.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    sums: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def right(self) -> tuple[bool, ...]:
        """Whether a column holds numbers, which stand at the right."""
        columns = zip(*self.rows, strict=True) if self.rows else ((),) * len(self.header)
        return tuple(not any(isinstance(value, str) and value for value in column) for column in columns)

    def cells(self) -> tuple[tuple[str, ...], ...]:
        """Return all rows, and the sums, as people read them."""
        return tuple(tuple(map(written, row)) for row in (*self.rows, *([self.sums] if self.sums else [])))


def written(value: Any) -> str:
    """Return a value as people read it.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from foveal._formula import product
    >>> written(product(3, 3, 64)), written(1234), written(None), written(Fraction(1, 2)), written(0.125)
    ('3*3*64 = 576', '1,234', '', '1/2', '12.5 %')
    """
    if value is None:
        return ""
    if isinstance(value, Count):
        return value.explained
    if isinstance(value, float):  # a share of 1
        return f"{100 * value:.1f} %"
    return f"{value:,}" if isinstance(value, int) else str(value)


def as_text(table: Table, width: int | None = None) -> str:
    """Return a table in columns of characters, as wide as the terminal, or as `width`; wider if its numbers are."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    cells, terminal = table.cells(), Console()
    widths = _widths(table, cells, width or (terminal.width if terminal.is_terminal else WIDTH))
    drawn = RichTable(box=SIMPLE_HEAD, pad_edge=False, show_footer=False, padding=(0, 1, 0, 0))
    for name, right, wide in zip(table.header, table.right, widths, strict=True):
        drawn.add_column(Text(name), justify="right" if right else "left", overflow="fold", width=wide)
    for i, row in enumerate(cells):
        drawn.add_row(*map(Text, row), end_section=i == len(table.rows) - 1 and bool(table.sums))
    file = io.StringIO()
    console = Console(file=file, width=10_000, color_system=None, emoji=False, highlight=False, markup=False)
    console.print(Text(table.title))
    console.print(drawn)
    for note in table.notes:
        console.print(Text(note))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def _widths(table: Table, cells: Sequence[Sequence[str]], wanted: int) -> list[int]:
    """Return the widths of columns. To fit, headers are broken between words, then texts; numbers never."""
    body = [max((len(row[i]) for row in cells), default=0) for i in range(len(table.header))]
    heads, words = [len(name) for name in table.header], [max(map(len, name.split())) for name in table.header]
    longest = max(body)
    for least, limit in ((heads, longest), *((words, n) for n in range(longest, SHORTEST - 1, -1))):
        columns = zip(least, body, table.right, strict=True)
        widths = [max(head, wide if right else min(wide, limit)) for head, wide, right in columns]
        if sum(widths) + 2 * len(widths) <= wanted:
            break
    return widths


def as_csv(table: Table) -> str:
    """Return a table as CSV: numbers as they are; no title, sums or notes, which are no rows of data."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table.header)
    for row in table.rows:
        writer.writerow("" if value is None else int(value) if isinstance(value, int) else value for value in row)
    return file.getvalue().rstrip("\n")


def as_markdown(table: Table) -> str:
    """Return a table as Markdown."""
    cells = [[cell.replace("|", "\\|").replace("*", "\\*") for cell in row] for row in table.cells()]
    if table.sums:
        cells[-1] = [f"**{cell}**" if cell else "" for cell in cells[-1]]
    rule = ["---:" if right else ":---" for right in table.right]
    lines = ["| " + " | ".join(row) + " |" for row in (list(table.header), rule, *cells)]
    notes = [f"- {note.strip()}" for note in table.notes]
    return "\n\n".join([f"**{table.title}**", "\n".join(lines), *(["\n".join(notes)] if notes else [])])


def as_latex(table: Table) -> str:
    """Return a table as a LaTeX tabular; it needs no package."""
    columns = "".join("r" if right else "l" for right in table.right)
    rows = [" & ".join(map(_tex, row)) + r" \\" for row in table.cells()]
    if table.sums:
        rows.insert(-1, r"\hline")
    head = " & ".join(map(_tex, table.header)) + r" \\"
    lines = [f"% {table.title}", rf"\begin{{tabular}}{{{columns}}}", r"\hline", head, r"\hline", *rows, r"\hline"]
    return "\n".join([*lines, r"\end{tabular}", *(f"% {note}" for note in table.notes)])


def as_html(table: Table) -> str:
    """Return a table as HTML, without a page around it."""

    aligned = {True: ' align="right"', False: ""}

    def line(tag: str, row: Sequence[str]) -> str:
        cells = zip(row, table.right, strict=True)
        inner = (f"<{tag}{aligned[right]}>{html.escape(cell)}</{tag}>" for cell, right in cells)
        return f"<tr>{''.join(inner)}</tr>"

    rows = [line("td", row) for row in table.cells()]
    body, foot = (rows[:-1], rows[-1:]) if table.sums else (rows, [])
    lines = ["<table>", f"<caption>{html.escape(table.title)}</caption>"]
    lines += ["<thead>", line("th", table.header), "</thead>", "<tbody>", *body, "</tbody>"]
    lines += ["<tfoot>", *foot, "</tfoot>"] if foot else []
    return "\n".join([*lines, "</table>", *(f"<p>{html.escape(note)}</p>" for note in table.notes)])


_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$"}


def _tex(text: str) -> str:
    return "".join(_TEX.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in text).replace("-$>$", r"$\to$")


class Rendered:
    """What can be shown as a table: a subclass says `table` and `as_dict`."""

    def table(self, columns: Sequence[str] | None = None, *, exact: bool = False) -> Table:
        """Return the table; `exact` asks for what a program reads: all columns, formulas apart from numbers."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        raise NotImplementedError

    def to_text(self, columns: Sequence[str] | None = None, width: int | None = None) -> str:
        """Return a table for a terminal, `width` characters wide."""
        return as_text(self.table(columns), width)

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(self.as_dict(), indent=1, allow_nan=False)

    def to_csv(self, columns: Sequence[str] | None = None) -> str:
        """Return the table as CSV."""
        return as_csv(self.table(columns, exact=True))

    def to_markdown(self, columns: Sequence[str] | None = None) -> str:
        """Return the table as Markdown."""
        return as_markdown(self.table(columns))

    def to_latex(self, columns: Sequence[str] | None = None) -> str:
        """Return the table as LaTeX."""
        return as_latex(self.table(columns))

    def to_html(self, columns: Sequence[str] | None = None) -> str:
        """Return the table as HTML."""
        return as_html(self.table(columns))

    def __str__(self) -> str:
        return self.to_text()
