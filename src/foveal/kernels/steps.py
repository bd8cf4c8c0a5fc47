"""A step of a program: a kernel, its argument block, and what a person wants to know about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.kernels.buffers import zeros
from foveal.kernels.compiler import Kernel
from foveal.kernels.isa import ISA
from foveal.kernels.threads import Program


@dataclass
class Step:
    """One call of a kernel for a whole batch.

    Attributes
    ----------
    name : str
        What it does to which node: "conv1 + pool1".
    kernel, block
        The machine code and its arguments. A block with a field `n` can be run for fewer images than it was made for.
    tile : str
        The register tile, if there is one.
    macs : int
        Multiply-adds for the whole batch.
    keep : tuple
        Arrays whose addresses stand in the block.
    """

    name: str
    kernel: Kernel
    block: NDArray[np.void]
    tile: str = ""
    macs: int = 0
    keep: tuple[Any, ...] = field(default=(), repr=False)

    def field(self, name: str) -> NDArray[Any]:
        """Return one argument as an array of one number, to change it between runs without looking it up."""
        place: NDArray[Any] = self.block[name]
        return place

    def resize(self, n: int) -> None:
        """Run for the first `n` images from now on."""
        if "n" in (self.kernel.fields.names or ()):
            self.block["n"] = n


def step(
    name: str, kernel: Kernel, *, tile: str = "", macs: int = 0, keep: tuple[Any, ...] = (), **values: Any
) -> Step:
    """Make a step; arrays among the values become addresses and are kept alive."""
    arrays = tuple(v for v in values.values() if isinstance(v, np.ndarray))
    plain = {k: v.ctypes.data if isinstance(v, np.ndarray) else v for k, v in values.items()}
    return Step(name, kernel, kernel.block(**plain), tile, macs, keep + arrays)


def program(steps: list[Step]) -> Program:
    """Return the program that runs `steps`; it keeps their memory."""
    made = Program([(s.kernel, s.block) for s in steps])
    made.keep = [s.keep for s in steps]
    return made


def one_tap(isa: ISA) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the tap table of a plain matrix product and a row of zeros to begin its sums with."""
    return np.zeros(2, np.int64), zeros(8 * isa.lanes)
