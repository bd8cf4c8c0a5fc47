"""Two networks side by side: rows that correspond stand in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from foveal.accounting.account import Account
from foveal.accounting.columns import by
from foveal.accounting.render import Rendered, Table
from foveal.accounting.rows import Row

Pair = tuple[Row | None, Row | None]
_SHOWN = ("node", "output", "parameters", "MACs", "FLOPs")


@dataclass(frozen=True)
class Comparison(Rendered):
    """Two accounts, aligned; `compare` makes it.

    Attributes
    ----------
    first, second : Account
    pairs : tuple of (Row or None, Row or None)
        Rows that correspond; None where only one of the networks has such a row.
    """

    first: Account
    second: Account
    pairs: tuple[Pair, ...]

    def table(self, columns: Sequence[str] | None = None, *, exact: bool = False) -> Table:
        """Return both accounts in one table; its columns are fixed."""
        a, b = self.first, self.second
        header = tuple(f"{side} {name}" for side in ("A", "B") for name in _SHOWN)
        rows = tuple(_cells(one) + _cells(other) for one, other in self.pairs)
        title = f"A: {a.name}, input {by(a.input_shape)}; B: {b.name}, input {by(b.input_shape)}"
        return Table(title, header, rows, _sums(a) + _sums(b), tuple(self._notes()))

    def _notes(self) -> list[str]:
        return [f"{name}: {one:,} and {two:,}{_ratio(one, two)}" for name, (one, two) in self.totals.items()]

    @property
    def totals(self) -> dict[str, tuple[int, int]]:
        """What both cost: {name: (first, second)}."""
        a, b = self.first.totals, self.second.totals
        return {
            "parameters": (a.parameters, b.parameters),
            "MACs forward": (a.work.macs.forward, b.work.macs.forward),
            "MACs of a training step": (a.work.macs.training, b.work.macs.training),
            "FLOPs forward": (a.work.flops.forward, b.work.flops.forward),
            "bytes of maps to predict": (a.peak_bytes, b.peak_bytes),
            "bytes of maps to learn": (a.training_bytes, b.training_bytes),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return both accounts and which rows correspond, ready for JSON."""
        names = [[None if row is None else row.name for row in pair] for pair in self.pairs]
        totals = {name: list(both) for name, both in self.totals.items()}
        return {"a": self.first.as_dict(), "b": self.second.as_dict(), "pairs": names, "totals": totals}


def compare(first: Account, second: Account) -> Comparison:
    """Align two accounts: rows of the same kind of layer correspond, in order, those that are most alike.

    Of all ways to pair rows of one kind without crossing, that with the most points: 2 for a pair whose outputs have
    the same shape, 1 for the same name, and 1 for each pair.

    Examples
    --------
    >>> from foveal.accounting import account
    >>> from foveal.graph import Graph
    >>> from foveal.layers import Affine, Convolution, ReLU
    >>> one = account(Graph.sequence([Convolution(8, 3), ReLU(), Affine(10)], (1, 8, 8)))
    >>> two = account(Graph.sequence([Affine(32), ReLU(), Affine(10)], (1, 8, 8)))
    >>> [(a and a.name, b and b.name) for a, b in compare(one, two).pairs]
    [('conv1', None), (None, 'affine1'), ('relu1', 'relu1'), ('affine1', 'affine2')]
    """
    a, b = first.rows, second.rows
    likeness = [[_likeness(one, other) for other in b] for one in a]
    best = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]  # points of what begins at row i of a and j of b
    for i in reversed(range(len(a))):
        for j in reversed(range(len(b))):
            paired = likeness[i][j] and likeness[i][j] + best[i + 1][j + 1]
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    pairs: list[Pair] = []
    i = j = 0
    while i < len(a) and j < len(b):
        if likeness[i][j] and best[i][j] == likeness[i][j] + best[i + 1][j + 1]:
            pairs.append((a[i], b[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            pairs.append((a[i], None))
            i += 1
        else:
            pairs.append((None, b[j]))
            j += 1
    pairs += [(row, None) for row in a[i:]] + [(None, row) for row in b[j:]]
    return Comparison(first, second, tuple(pairs))


def _likeness(one: Row, other: Row) -> int:
    if one.layer.kind != other.layer.kind:
        return 0
    return 1 + 2 * (one.shape == other.shape) + (one.name == other.name)


def _cells(row: Row | None) -> tuple[Any, ...]:
    if row is None:
        return (None,) * len(_SHOWN)
    return row.name, by(row.shape), row.weights + row.biases, int(row.work.macs.forward), row.work.flops.forward


def _sums(account: Account) -> tuple[Any, ...]:
    t = account.totals
    return "sum", "", t.parameters, t.work.macs.forward, t.work.flops.forward


def _ratio(one: int, two: int) -> str:
    if not one:
        return ""
    return f", {two / one:,.0f} times" if two >= 100 * one else f", {two / one:.3g} times"
