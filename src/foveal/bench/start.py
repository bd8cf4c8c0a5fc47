"""What a user waits for before anything runs: importing, compiling once, starting again."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TRAIN = ("-m", "foveal", "train", "--data", "mnist-5k", "--epochs", "3")


def measure(torch: bool, repeats: int = 3) -> dict[str, Any]:
    """Return seconds: `import foveal` (and torch), a first training with an empty cache, one with a warm cache."""
    out: dict[str, Any] = {"import_foveal_s": _median(repeats, "-c", "import foveal")}
    if torch:
        out["import_torch_s"] = _median(repeats, "-c", "import torch")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        out["train_3_epochs_cold_s"] = _run(*TRAIN, "--out", str(place / "a"), cache=place / "cache")
        warm = [_run(*TRAIN, "--out", str(place / f"b{i}"), cache=place / "cache") for i in range(repeats)]
        out["train_3_epochs_warm_s"] = round(statistics.median(warm), 3)
    return out


def _run(*arguments: str, cache: Path | None = None) -> float:
    environment = os.environ | ({"FOVEAL_CACHE": str(cache)} if cache else {})
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
    return round(time.perf_counter() - begin, 3)


def _median(repeats: int, *arguments: str) -> float:
    return round(statistics.median(_run(*arguments) for _ in range(repeats)), 3)
