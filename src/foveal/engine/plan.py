"""The plan: how a graph runs on this machine for batches of up to n images. Made once, run often, printable.

A plan owns its maps and makes no allocation when it runs. Programs: `forward`, and for training `backward`, which
ends with the gradients of all parameters laid out as the parameters are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.engine.block import Block
from foveal.engine.blocks import FlattenBlock
from foveal.engine.explain import text
from foveal.engine.fallback import Call
from foveal.engine.weights import Weights
from foveal.graph import Graph
from foveal.kernels import image_steps, loss
from foveal.kernels.buffers import Border, Map, zeros
from foveal.kernels.isa import ISA
from foveal.kernels.reduction import sum_parts
from foveal.kernels.steps import Step, program, step
from foveal.kernels.threads import Program
from foveal.layers.base import differs_in_training
from foveal.reference.random import derive

Images = NDArray[Any]


class Schedule:
    """Steps in order: runs of machine-code steps become programs, calls of Python stand between them."""

    def __init__(self, steps: Sequence[Any]) -> None:
        self.steps = list(steps)
        self._runs: list[Program | Call] = []
        for native, group in itertools.groupby(self.steps, lambda s: isinstance(s, Step)):
            run = list(group)
            self._runs += [program(run)] if native else run
        self._n = -1

    def run(self, n: int) -> None:
        """Run for the first n images."""
        if n != self._n:
            self._n = n
            for s in self.steps:
                if isinstance(s, Step):
                    s.resize(n)
        for r in self._runs:
            r.run() if isinstance(r, Program) else r.run(n)


class Plan:
    """A graph, ready to run.

    Parameters
    ----------
    graph : Graph
    weights : Weights
    blocks : list of Block
        From `find_blocks`, not used by another plan.
    batch : int
        Most images in a run.
    training : bool
        Whether gradients will be asked for.
    learning : bool
        Whether layers do what they do while a network learns.
    threads : int
        Most threads that will run it.
    lock : context manager
        Held by whoever runs it.
    """

    def __init__(
        self, graph: Graph, weights: Weights, blocks: list[Block], batch: int, training: bool, learning: bool, isa: ISA,
        threads: int, lock: AbstractContextManager[Any],
    ) -> None:  # fmt: skip
        self.graph, self.weights, self.blocks = graph, weights, blocks
        for block in blocks:
            block.learning = learning
        self.batch, self.training, self.isa, self.threads, self.lock = batch, training, isa, threads, lock
        self.numbers = zeros(batch, np.int64)
        self.numbers[:batch] = np.arange(batch)
        self._make_forward()
        if training:
            self._make_backward()

    def _make_forward(self) -> None:
        self.x = Map(self.batch, self.graph.input_shape, self._border_for(0))
        self._readers = {d: image_steps.read("input", 0, self.x, self.numbers, d) for d in image_steps.READERS}
        steps: list[Any] = []
        self.maps = [self.x]
        for i, block in enumerate(self.blocks):
            same = isinstance(block, FlattenBlock)
            self.maps.append(self.maps[-1] if same else block.make_y(self.batch, self._border_for(i + 1)))
            p = self.weights.state(block.layer)
            steps += block.forward(self.maps[i], self.maps[i + 1], p, self.training)
        self.scores = self.maps[-1]
        self._sources = {d: r.field("source") for d, r in self._readers.items()}
        self._counting = np.arange(self.batch)
        if not self.training:
            steps += [image_steps.write("result", self.scores, 0)]
            self._target = steps[-1].field("target")
        self._forward = {d: Schedule([r, *steps]) for d, r in self._readers.items()}

    def _border_for(self, i: int) -> Border:
        """Return the zeros around map i: what its reader needs."""
        while i < len(self.blocks) and isinstance(self.blocks[i], FlattenBlock):
            i += 1
        return self.blocks[i].x_border() if i < len(self.blocks) else Border()

    def _make_backward(self) -> None:
        y = self.scores
        dy = Map(self.batch, y.shape, self._dy_border(len(self.blocks) - 1))
        self.losses, self.correct = zeros(self.batch), zeros(self.batch)
        self._loss = step("softmax with cross-entropy", loss.softmax_cross_entropy, keep=(y, dy), x=y.address,
                          xs=y.image, numbers=self.numbers, labels=0, loss=self.losses, correct=self.correct,
                          dx=dy.address, dxs=dy.image, n=self.batch, classes=math.prod(y.shape))  # fmt: skip
        self.labels = self._loss.field("labels")
        self.gradients = zeros(self.weights.size)
        self._uses = {id(b.layer): [c for c in self.blocks if c.layer is b.layer] for b in self.blocks}
        self._stacks: dict[int, dict[str, NDArray[np.float32]]] = {}
        steps: list[Any] = [self._loss]
        for i in reversed(range(len(self.blocks))):
            block = self.blocks[i]
            if not self._needs_gradient(i + 1):
                break
            dx = dy if isinstance(block, FlattenBlock) else self._dx(i)
            p = self.weights.state(block.layer)
            steps += block.backward(dy, dx, p, self._gradients_of(block))
            dy = dx if dx is not None else dy
        self.backward_steps = steps + self._add_shared()
        self._backward = Schedule(self.backward_steps)

    def _needs_gradient(self, i: int) -> bool:
        """Whether a block before block i learns."""
        return any(b.layer.parameters for b in self.blocks[:i])

    def _dy_border(self, i: int) -> Border:
        while i > 0 and isinstance(self.blocks[i], FlattenBlock):
            i -= 1
        return self.blocks[i].dy_border(self._needs_gradient(i))

    def _dx(self, i: int) -> Map | None:
        if not self._needs_gradient(i):
            return None
        return Map(self.batch, self.maps[i].shape, Border() if self.blocks[i].flat else self._dy_border(i - 1))

    def _gradients_of(self, block: Block) -> dict[str, NDArray[np.float32]]:
        """Return where the block's gradients go; each use of a shared layer has a place of its own."""
        own, uses = self.weights.of(block.layer, self.gradients), self._uses[id(block.layer)]
        if len(uses) == 1:
            return own
        stacks = self._stacks.setdefault(id(block.layer), {k: zeros(len(uses) * v.size) for k, v in own.items()})
        at = next(i for i, b in enumerate(uses) if b is block)
        return {k: stacks[k][at * v.size : (at + 1) * v.size] for k, v in own.items()}

    def _add_shared(self) -> list[Step]:
        """Return the steps that add the gradients of the uses of each shared layer."""
        steps = []
        for key, stacks in self._stacks.items():
            uses = self._uses[key]
            own = self.weights.of(uses[0].layer, self.gradients)
            steps += [
                step(f"{uses[0].name} (shared)", sum_parts, parts_at=stacks[k], part_size=v.size, parts=len(uses), y=v,
                     size=v.size)
                for k, v in own.items()
            ]  # fmt: skip
        return steps

    def reseed(self, seed: int) -> None:
        """Take the seed of a step: every block gets one of its own."""
        for place, block in enumerate(self.blocks):
            if differs_in_training(block.layer):
                block.reseed(derive(seed, place))

    def load(self, x: Images, rows: NDArray[np.int64] | None, start: int, n: int) -> Schedule:
        """Point the input at images `rows` of x, or at `start` .. `start` + n, and return the forward schedule."""
        self.numbers[:n] = self._counting[start : start + n] if rows is None else rows
        self._sources[x.dtype][0] = x.ctypes.data
        return self._forward[x.dtype]

    def forward(self, x: Images, start: int, n: int, to: NDArray[np.float32]) -> None:
        """Write the scores of images start .. start + n of x to `to`, (n, classes) or (n, C, *spatial).

        x : contiguous uint8 or float32 of shape (N, *input_shape)
        """
        if start + n > len(self._counting):
            self._counting = np.arange(2 * (start + n))
        self._target[0] = to.ctypes.data
        self.load(x, None, start, n).run(n)

    def backward(self, x: Images, labels: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[float, int]:
        """Run forward and backward on images `rows`; return the mean loss and how many were right.

        The gradients of the mean loss stand in `gradients`.
        """
        n = len(rows)
        self.labels[0] = labels.ctypes.data
        self.load(x, rows, 0, n).run(n)
        self._backward.run(n)
        return self.outcome(n)

    def outcome(self, n: int) -> tuple[float, int]:
        """Return the mean loss and the number right of the last n images."""
        return float(np.add.reduce(self.losses[:n], dtype=np.float64)) / n, int(np.add.reduce(self.correct[:n]))

    @property
    def steps(self) -> list[Any]:
        """All steps in the order in which they run, for uint8 images."""
        forward = self._forward[np.dtype(np.uint8)].steps
        return [*forward, *self.backward_steps] if self.training else forward

    @property
    def nbytes(self) -> int:
        """Bytes of all memory that the plan and its weights hold."""
        arrays: dict[int, int] = {}
        for s in self.steps:
            for a in s.keep:
                memory = a.data if isinstance(a, Map) else a
                if isinstance(memory, np.ndarray):
                    base = memory.base if isinstance(memory.base, np.ndarray) else memory
                    arrays[base.ctypes.data] = base.nbytes
        return sum(arrays.values())

    def __str__(self) -> str:
        """Run once on black images and return what `explain` prints."""
        kind = "training" if self.training else "inference"
        title = f"plan for {kind}, batches of up to {self.batch}, on {self.isa.name} "
        title += f"({self.isa.lanes} lanes, {self.isa.registers} registers)"
        example = np.zeros((self.batch, *self.graph.input_shape), np.uint8)
        labels = np.zeros(self.batch, np.int64)
        scores = np.empty((self.batch, *self.scores.view.shape[1:]), np.float32)  # every measured run writes there
        with self.lock:
            self.weights.pull()
            if self.training:
                self.backward(example, labels, self._counting[: self.batch])
            else:
                self.forward(example, 0, self.batch, scores)
            return text(self.steps, self.batch, title, self.nbytes)

    def explain(self) -> None:
        """Print each step's kernel, tile, bytes, multiply-adds, measured time and share of the FMA peak."""
        print(self)
