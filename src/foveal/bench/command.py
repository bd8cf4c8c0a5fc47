"""`foveal train` as a user runs it: accuracy, seconds and memory of the whole process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from foveal.errors import FovealError, explain

# A process inherits the peak memory of the one it was forked from: a small one stands between, and asks its child's.
WATCH = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def train(model: str, data: str, seed: int, *options: str) -> dict[str, Any]:
    """Train, and return the test accuracy of the last epoch, epochs, seconds and peak memory of the process.

    Raises
    ------
    FovealError
        If the command fails; the message ends with what it wrote last.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        arguments = ["--model", model, "--data", data, "--seed", str(seed), *options, "--out", str(out)]
        command = [sys.executable, "-m", "foveal", "train", *arguments]
        begin = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", WATCH, *command], capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - begin
        code, peak = (int(word) for word in done.stdout.split())
        if code:
            got = f"exit code {code} ({done.stderr.strip()[-400:]})"
            raise FovealError(explain(f"foveal train --model {model}", expected="a run to its end", got=got))
        epochs = json.loads((out / "history.json").read_text())["epochs"]
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return {
        "accuracy": epochs[-1]["test_accuracy"], "epochs": len(epochs), "seconds": round(seconds, 2),
        "peak_memory_mb": round(peak / unit, 1),
    }  # fmt: skip
