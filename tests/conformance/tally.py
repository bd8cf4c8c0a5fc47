"""What was compared with others and what was not: counted while the tests run, printed when they are done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Row:
    """One operator of a suite: how many cases agree, and why the others were not compared."""

    agree: int = 0
    refused: int = 0
    others: Counter[str] = field(default_factory=Counter)


@dataclass
class Tally:
    """Rows by suite and operator."""

    suites: dict[str, dict[str, Row]] = field(default_factory=dict)

    def row(self, suite: str, operator: str) -> Row:
        return self.suites.setdefault(suite, {}).setdefault(operator, Row())

    def lines(self) -> list[str]:
        """Return a table for each suite: cases that agree, bad inputs that are refused, cases not compared and why.

        Examples
        --------
        >>> tally = Tally()
        >>> tally.row("their tests", "Conv").agree += 6
        >>> tally.row("their tests", "Conv").others["complex numbers"] += 2
        >>> tally.lines()
        ['their tests: 6 agree, 2 not compared', '  Conv  6 agree, 2 not compared: complex numbers (2)']
        """
        result = []
        for suite, rows in self.suites.items():
            total = Row()
            for row in rows.values():
                total.agree, total.refused = total.agree + row.agree, total.refused + row.refused
                total.others += row.others
            result.append(f"{suite}: {describe(total).split(': ')[0]}")
            width = max(map(len, rows))
            result += [f"  {name:{width}}  {describe(row)}" for name, row in sorted(rows.items())]
        return result


def describe(row: Row) -> str:
    """Return what happened to an operator's cases, the reasons last.

    Examples
    --------
    >>> describe(Row(agree=3, refused=1))
    '3 agree, 1 bad inputs refused'
    """
    parts = [f"{row.agree} agree"] if row.agree else []
    if row.refused:
        parts.append(f"{row.refused} bad inputs refused")
    if row.others:
        reasons = "; ".join(f"{reason} ({count})" for reason, count in sorted(row.others.items()))
        parts.append(f"{row.others.total()} not compared: {reasons}")
    return ", ".join(parts) or "nothing"
