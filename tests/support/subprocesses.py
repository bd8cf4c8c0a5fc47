"""Python in another process: what must hold for a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap


def python(source: str, timeout: float = 240, **environment: str) -> str:
    """Run `source` in a new interpreter with warnings as errors; return what it printed."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(source)],
        capture_output=True, text=True, timeout=timeout, env=os.environ | environment, check=False,
    )  # fmt: skip
    assert run.returncode == 0, f"exit code {run.returncode}\n{run.stdout}\n{run.stderr}"
    return run.stdout
