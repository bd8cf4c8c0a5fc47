"""Prints, at the end of a run, how many cases of others were compared with Foveal and how many were not."""

import pytest

from tests.conformance.tally import Tally

TALLY = pytest.StashKey[Tally]()


@pytest.fixture
def tally(request):
    return request.config.stash.setdefault(TALLY, Tally())


def pytest_terminal_summary(terminalreporter, config):
    lines = config.stash.get(TALLY, Tally()).lines()
    if lines:
        terminalreporter.section("conformance with others")
        for line in lines:
            terminalreporter.write_line(line)
