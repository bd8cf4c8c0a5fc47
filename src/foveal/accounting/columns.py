"""What an account shows: its columns by name, its table, and the same as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from foveal._formula import Count, formula
from foveal.accounting.render import Table, written
from foveal.errors import ParameterError, explain, nearest

if TYPE_CHECKING:
    from foveal.accounting.account import Account
    from foveal.accounting.operations import Passes
    from foveal.accounting.rows import Row

USUAL = ("node", "layer", "output", "size", "weights", "biases", "macs", "field", "jump", "start")

# name -> value of a row, and of the sums
_Row = Callable[["Row"], Any]
_Sum = Callable[["Account"], Any]
_COLUMNS: dict[str, tuple[_Row, _Sum]] = {
    "node": (lambda r: r.name, lambda a: "sum"),
    "layer": (lambda r: _layer(r), lambda a: ""),
    "reads": (lambda r: ", ".join(r.inputs), lambda a: ""),
    "output": (lambda r: by(r.shape), lambda a: ""),
    "size": (lambda r: r.size, lambda a: ""),
    "weights": (lambda r: r.weights, lambda a: a.totals.weights),
    "biases": (lambda r: r.biases, lambda a: a.totals.biases),
    "parameters": (lambda r: r.weights + r.biases, lambda a: a.totals.parameters),
    "share-parameters": (lambda r: r.weights + r.biases, lambda a: 1.0),
    "macs": (lambda r: r.work.macs.forward, lambda a: a.totals.work.macs.forward),
    "dx-macs": (lambda r: int(r.work.macs.dx), lambda a: a.totals.work.macs.dx),
    "dw-macs": (lambda r: int(r.work.macs.dw), lambda a: a.totals.work.macs.dw),
    "share-macs": (lambda r: r.work.macs.forward, lambda a: 1.0),
    "flops": (lambda r: r.work.flops.forward, lambda a: a.totals.work.flops.forward),
    "dx-flops": (lambda r: r.work.flops.dx, lambda a: a.totals.work.flops.dx),
    "dw-flops": (lambda r: r.work.flops.dw, lambda a: a.totals.work.flops.dw),
    "bytes": (lambda r: r.inference_bytes, lambda a: None),
    "training-bytes": (lambda r: r.training_bytes, lambda a: a.totals.training_bytes),
    "field": (lambda r: _along(r, "size"), lambda a: None),
    "jump": (lambda r: _along(r, "jump"), lambda a: None),
    "start": (lambda r: _along(r, "start"), lambda a: None),
    "unread": (lambda r: r.unread, lambda a: None),
}
NAMES = tuple(_COLUMNS)
_FORMULAS = ("weights", "macs")  # have a column of their own where numbers stand alone
_SHARES = {"share-parameters": "parameters", "share-macs": "macs"}


def table(account: Account, columns: Sequence[str] | None, exact: bool) -> Table:
    """Return the account as a table with the columns of these names.

    Raises
    ------
    ParameterError
        A column is not known.
    """
    names = check(columns or (NAMES if exact else USUAL))
    parts = [_column(account, name, exact) for name in names]
    if exact:
        parts += [_formulas(account, name) for name in _FORMULAS if name in names]
    if account.convention is not None:
        parts.append(_counted(account))
    header, sums, values = zip(*((head, total, cells) for head, cells, total in parts), strict=True)
    title = f"{account.name}, input {by(account.input_shape)}"
    return Table(title, header, tuple(zip(*values, strict=True)), sums, tuple(notes(account)))


def check(names: Iterable[str]) -> list[str]:
    """Return the names of columns, if all are known."""
    given = list(names)
    for name in given:
        if name not in _COLUMNS:
            fix = nearest(str(name), _COLUMNS)
            raise ParameterError(explain("columns", expected="known names", got=repr(name), fix=fix))
    return given


def _column(account: Account, name: str, exact: bool) -> tuple[str, list[Any], Any]:
    value, total = _COLUMNS[name]
    cells, end = [value(row) for row in account.rows], total(account)
    if name in _SHARES:
        whole = _COLUMNS[_SHARES[name]][1](account)
        cells, end = [int(cell) / whole if whole else 0.0 for cell in cells], 1.0 if whole else 0.0
    if name == "layer" and not exact:  # LeNet's table of connections has 60 numbers
        cells = [textwrap.shorten(cell, 72, placeholder=" ...") for cell in cells]
    head = name if exact else name.replace("-", " ").replace("macs", "MACs").replace("flops", "FLOPs")
    return head, cells, end


def _formulas(account: Account, name: str) -> tuple[str, list[Any], Any]:
    cells = [_COLUMNS[name][0](row) for row in account.rows]
    return f"{name}-formula", [formula(c) if isinstance(c, Count) else "" for c in cells], ""


def _counted(account: Account) -> tuple[str, list[Any], Any]:
    convention = account.convention
    assert convention is not None
    cells = [convention.count(row) for row in account.rows]
    return f"{convention.name} {convention.unit}", cells, sum(cells)


def by(shape: Sequence[Any]) -> str:
    """Return a shape as people write it: ``3x224x224``."""
    return "x".join(map(str, shape))


def _layer(row: Row) -> str:
    return f"{row.layer!r}" + (f", parameters of {row.shares}" if row.shares else "")


def _along(row: Row, what: str) -> Any:
    """Return a number of the receptive field: one if all axes agree, else one for each."""
    if row.field is None:
        return "?"
    values = [getattr(field, what) for field in row.field]
    if not values:
        return None
    if len(set(values)) == 1:
        return _whole(values[0])
    return ", ".join(written(_whole(value)) or "-" for value in values)


def _whole(value: Any) -> Any:
    """Return a fraction that is a whole number as an int."""
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else str(value)
    return value


def notes(account: Account) -> list[str]:
    """Return the lines below the table: sums of all passes, memory, cells that are never read, the convention."""
    t, macs, flops = account.totals, account.totals.work.macs, account.totals.work.flops
    lines = [
        f"parameters: {t.parameters:,} = {t.weights:,} weights + {t.biases:,} biases, {4 * t.parameters:,} bytes",
        f"one image, MACs: {_passes(macs)}; FLOPs: {_passes(flops)}",
        f"one image, maps: {t.peak_bytes:,} bytes at most at once to predict, {t.training_bytes:,} to learn from it",
    ]
    if t.unread:
        cells = by(account.input_shape[1:])
        lines.append(f"{t.unread:,} of the {cells} cells of the input are never read")
    if account.plan is not None:
        for kind, predicted in account.plan.predicted.items():
            measured, batch = account.plan.measured[kind], account.plan.batch
            lines.append(
                f"plan for {kind}, batches of {batch}: {predicted:,} bytes predicted, {measured:,} measured"
                f" ({measured / predicted:.2f} times): "
                + ", ".join(f"{count:,} {what}" for what, count in account.plan.parts[kind].items())
            )
    return lines + _gap(account)


def _passes(passes: Passes) -> str:
    return f"forward {passes.forward:,}, dx {passes.dx:,}, parameters {passes.dw:,}"


def _gap(account: Account) -> list[str]:
    convention = account.convention
    if convention is None:
        return []
    parts, exact = account.gap, account.totals.work.macs.forward
    count = sum(parts.values())
    more = f"{abs(count - exact):,} {'more' if count >= exact else 'less'} than the {exact:,} MACs counted here"
    said = "the MACs counted here" if count == exact else more
    lines = [f"{convention.name}: {count:,} {convention.unit}, {said}"]
    lines += [f"  {number:>+18,}  {part}" for part, number in parts.items()]
    left_out = exact - parts.get("multiply-adds", 0)
    lines += [f"  {'':>18}  ({left_out:,} MACs of other layers left out)"] if left_out else []
    return [*lines, f"  rule: {convention.rule}", f"  source: {convention.source}"]


def as_dict(account: Account) -> dict[str, Any]:
    """Return the account, ready for JSON."""
    t = account.totals
    result: dict[str, Any] = {
        "network": account.name,
        "input": list(account.input_shape),
        "rows": [_row(row, account) for row in account.rows],
        "totals": {
            "parameters": t.parameters,
            "weights": t.weights,
            "biases": t.biases,
            "macs": _by_pass(t.work.macs),
            "flops": _by_pass(t.work.flops),
            "bytes": {"inference": t.peak_bytes, "training": t.training_bytes, "parameters": 4 * t.parameters},
            "unread": t.unread,
        },
    }
    if account.plan is not None:
        plan = account.plan
        result["plan"] = {"batch": plan.batch, "predicted": dict(plan.predicted), "measured": dict(plan.measured)}
        result["plan"]["parts"] = {kind: dict(parts) for kind, parts in plan.parts.items()}
    if account.convention is not None:
        c, parts = account.convention, account.gap
        described = {"name": c.name, "unit": c.unit, "rule": c.rule, "source": c.source}
        result["convention"] = {**described, "total": sum(parts.values()), "parts": parts}
    return result


def _row(row: Row, account: Account) -> dict[str, Any]:
    t = account.totals
    parameters = {n: {"count": int(c), "formula": c.formula} for n, c in row.parameters.items()}
    field = None
    if row.field is not None:
        field = {what: [_whole(getattr(f, what)) for f in row.field] for what in ("size", "jump", "start")}
    forward = row.work.macs.forward
    result = {
        "name": row.name,
        "layer": repr(row.layer),
        "inputs": list(row.inputs),
        "shape": list(row.shape),
        "size": row.size,
        "parameters": parameters,
        "shares": row.shares or None,
        "weights": int(row.weights),
        "biases": int(row.biases),
        "macs": {**_by_pass(row.work.macs), "formula": formula(forward) if forward else None},
        "flops": _by_pass(row.work.flops),
        "bytes": {"inference": row.inference_bytes, "training": row.training_bytes},
        "field": field,
        "unread": row.unread,
        "share": {
            "parameters": (row.weights + row.biases) / max(1, t.parameters),
            "macs": int(forward) / max(1, t.work.macs.forward),
        },
    }
    if account.convention is not None:
        result["counted"] = account.convention.count(row)
    return result


def _by_pass(passes: Passes) -> dict[str, int]:
    return {"forward": int(passes.forward), "dx": int(passes.dx), "parameters": int(passes.dw)}
