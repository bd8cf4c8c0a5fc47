"""How numbers are written in pictures."""

from __future__ import annotations


def short(value: float, digits: int = 4) -> str:
    """Write a number with at most so many significant digits, and a proper minus.

    Examples
    --------
    >>> short(3.0), short(-0.125), short(1 / 3)
    ('3', '\N{MINUS SIGN}0.125', '0.3333')
    """
    return minus(f"{value:.{digits}g}")


def bracketed(value: float, digits: int = 4) -> str:
    """Write a factor of a product: in brackets if it is negative.

    Examples
    --------
    >>> bracketed(2), bracketed(-1)
    ('2', '(\N{MINUS SIGN}1)')
    """
    text = short(value, digits)
    return f"({text})" if value < 0 else text


def minus(text: str) -> str:
    """Give a number its proper minus, and none to a zero."""
    positive = text.lstrip("-")
    return positive if not positive.strip("0.") else text.replace("-", "\N{MINUS SIGN}")
