"""`foveal bench` runs commands of its own: a failing one says why."""

import pytest

from foveal.bench import command
from foveal.errors import FovealError


def test_a_failed_run_says_why():
    with pytest.raises(FovealError, match=r"foveal train --model simple: .*exit code 2 .*got 'digits-of-nobody'"):
        command.train("simple", "digits-of-nobody", seed=0)
