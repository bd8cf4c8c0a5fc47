"""`foveal bench`: a failing command says why; what times are compared with."""

import numpy as np
import pytest

from foveal.bench import command
from foveal.bench.harness import LIMIT, OURS, Contest
from foveal.errors import FovealError
from foveal.kernels import peak
from foveal.kernels.buffers import Border, Map


def test_a_failed_run_says_why():
    with pytest.raises(FovealError, match=r"foveal train --model simple: .*exit code 2 .*got 'digits-of-nobody'"):
        command.train("simple", "digits-of-nobody", seed=0)


def test_a_contest_names_the_most_that_a_ratio_can_be():
    """Median of the rounds' own ratios, to ours and to reading alone; the limit is no contestant."""
    contest = Contest("job", {OURS: int, "slow": int, "quick": int}, limit=int)
    contest.times = {OURS: [[2.0], [4.0]], "slow": [[9.0], [9.0]], "quick": [[3.0], [6.0]], LIMIT: [[1.0], [2.0]]}
    found = contest.result()
    assert found["best_peer"] == "quick"
    assert (found["ratio"], found["ratio_at_most"], found["limit_ms"]) == (1.5, 3.0, 1500.0)
    assert set(found["ms"]) == {OURS, "slow", "quick"}
    for _ in range(2):
        contest.round(lambda: 1.0)
    assert [len(contest.times[name]) for name in (OURS, "slow", "quick", LIMIT)] == [4] * 4


def test_copying_copies_all():
    """But for what is no whole line of memory."""
    x, y = Map(3, (16, 7, 6)), Map(3, (16, 7, 6))
    x.data[:] = np.arange(x.data.size)
    peak.copying(x, y).run()
    np.testing.assert_array_equal(y.view, x.view)


def test_reading_reads_all():
    """Every number of every map once, border and all."""
    maps = Map(3, (5, 7, 6), Border(1, 1, 1, 1)), Map(2, (17,))
    for m in maps:
        m.data[:] = np.arange(m.data.size) % 7
    run = peak.reading(*maps)
    run.run()
    for m, kept in zip(maps, run.keep, strict=True):
        sums = next(a for a in kept if isinstance(a, np.ndarray) and a is not m.data)
        assert sums.sum() == m.data.sum()
