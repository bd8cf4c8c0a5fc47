"""A checkpoint: everything that a run needs to go on, bit for bit, in one safetensors file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foveal._files import atomic_write, storage_error
from foveal.errors import FormatError, ParameterError, explain
from foveal.training.history import History

Arrays = dict[str, NDArray[Any]]
_KEY = "foveal.training"
_PARTS = ("parameters/", "state/")


@dataclass
class Checkpoint:
    """The state of a run after a step.

    Parameters
    ----------
    parameters : dict of name -> ndarray
        Of the network.
    state : dict of name -> ndarray
        Of the optimizer, and its step number, as the engine gives them.
    step : int
        Finished steps, counted over all epochs.
    history : History
        So far; its settings say which run this is.
    correct : int
        Images classified correctly in the unfinished epoch, for its training accuracy.
    seconds : float
        Spent on the unfinished epoch.
    """

    parameters: Arrays
    state: Arrays
    step: int
    history: History
    correct: int = 0
    seconds: float = 0.0

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, atomically.

        Raises
        ------
        StorageError
            If it cannot be written; the checkpoint that was there stays.
        """
        from safetensors.numpy import save

        parts = zip(_PARTS, (self.parameters, self.state), strict=True)
        tensors = {part + name: np.asarray(a, order="C") for part, arrays in parts for name, a in arrays.items()}
        run = {"step": self.step, "correct": self.correct, "seconds": self.seconds, "history": self.history.to_dict()}
        with atomic_write(path) as file:
            file.write(save(tensors, {_KEY: json.dumps(run, allow_nan=False)}))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file written by `save`.

        Raises
        ------
        StorageError
            If it cannot be read.
        FormatError
            If it is truncated or no checkpoint.
        """
        from safetensors import SafetensorError, safe_open

        try:
            Path(path).open("rb").close()  # safetensors does not say why a file cannot be opened
        except OSError as error:
            raise storage_error(path, "read", error) from error
        try:
            with safe_open(path, framework="numpy") as file:
                run = json.loads((file.metadata() or {})[_KEY])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
            parameters, state = ({n[len(p) :]: a for n, a in tensors.items() if n.startswith(p)} for p in _PARTS)
            history = History.from_dict(run["history"])
            return cls(parameters, state, run["step"], history, run["correct"], run["seconds"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            got = f"{type(error).__name__}: {error}"
            fix = "It is truncated, or a model without the state of its training: give the checkpoint of the run."
            raise FormatError(explain(str(path), expected="a checkpoint of foveal", got=got, fix=fix)) from error

    def check(self, settings: dict[str, Any], where: str) -> None:
        """Check that a run with these settings can go on from here; only `epochs` may differ.

        Raises
        ------
        ParameterError
            If another setting differs: the run would not be the same.
        """
        mine = self.history.settings
        for name in sorted((mine.keys() | settings.keys()) - {"epochs"}):
            if mine.get(name) != settings.get(name):
                fix = "Use the settings of the checkpoint, or start anew without resume."
                expected, got = f"{name} = {mine.get(name)} as in the checkpoint", str(settings.get(name))
                raise ParameterError(explain(where, expected=expected, got=got, fix=fix))
