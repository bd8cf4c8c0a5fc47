"""The command line, called in this process."""

import pytest

from foveal.cli import main


@pytest.fixture
def foveal(capsys):
    """Call the command line; gives exit code, stdout and stderr."""

    def call(*arguments):
        with pytest.raises(SystemExit) as exit:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return exit.value.code, out, err

    return call
