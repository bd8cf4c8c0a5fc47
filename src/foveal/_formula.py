"""Numbers that remember how they were computed, so that a table can show the formula with the numbers in it."""

from __future__ import annotations


class Count(int):
    """A whole number with its formula; in everything else an int.

    Examples
    --------
    >>> weights = product(3, 3, 64, 192)
    >>> weights, weights.formula, weights.explained
    (110592, '3*3*64*192', '3*3*64*192 = 110,592')
    """

    formula: str

    def __new__(cls, value: int, formula: str = "") -> Count:
        count = super().__new__(cls, value)
        count.formula = formula or f"{value:,}"
        return count

    @property
    def explained(self) -> str:
        """The formula and what it gives; a number alone stays one."""
        number = f"{self:,}"
        return number if self.formula.replace(",", "") == str(int(self)) else f"{self.formula} = {number}"


def product(*factors: int) -> Count:
    """Return the product; the formula of a factor that has one becomes part of the whole.

    Examples
    --------
    >>> product(product(3, 3, 64, 192), 56, 56).explained
    '3*3*64*192*56*56 = 346,816,512'
    """
    value = 1
    for factor in factors:
        value *= factor
    return Count(value, "*".join(formula(factor) for factor in factors))


def quotient(dividend: int, divisor: int) -> Count:
    """Return a quotient without remainder; a division by 1 is not written.

    Examples
    --------
    >>> product(5, 5, quotient(96, 2), 256).explained
    '5*5*96/2*256 = 307,200'
    """
    return Count(dividend // divisor, formula(dividend) if divisor == 1 else f"{formula(dividend)}/{divisor}")


def total(*terms: int) -> Count:
    """Return the sum of all terms that are not 0.

    Examples
    --------
    >>> total(product(5, 5, 6), 0, 6).explained
    '5*5*6 + 6 = 156'
    """
    return Count(sum(terms), " + ".join(formula(term) for term in terms if term) or "0")


def formula(number: int) -> str:
    """Return the formula of a `Count`, or the number."""
    return number.formula if isinstance(number, Count) else str(number)
