"""Accounts that balance: parameters, operations, memory, receptive fields and coverage, with their formulas."""

from foveal.accounting.account import Account, account
from foveal.accounting.compare import Comparison, compare
from foveal.accounting.conventions import CONVENTIONS, Convention
from foveal.accounting.coverage import Coverage, coverage
from foveal.accounting.rows import Row, Totals

__all__ = [
    "CONVENTIONS",
    "Account",
    "Comparison",
    "Convention",
    "Coverage",
    "Row",
    "Totals",
    "account",
    "compare",
    "coverage",
]
