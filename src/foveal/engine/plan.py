"""The plan: how a graph runs on this machine for batches of up to n images. Made once, run often, printable.

A plan owns its maps and makes no allocation when it runs. Programs: `forward`, and for training `backward`, which
ends with the gradients of all parameters laid out as the parameters are.
"""

from __future__ import annotations

import collections
import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.engine.block import Block
from foveal.engine.explain import text
from foveal.engine.fallback import Call
from foveal.engine.fusion import Cut
from foveal.engine.weights import Weights
from foveal.graph import INPUT, Graph
from foveal.kernels import image_steps, join_steps
from foveal.kernels.activation import copy
from foveal.kernels.buffers import Border, Map, zeros
from foveal.kernels.isa import ISA
from foveal.kernels.loss import smoothed_cross_entropy, softmax_cross_entropy
from foveal.kernels.reduction import sum_parts
from foveal.kernels.runs import over_runs
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
        Perhaps those of a larger graph with the same layers.
    cut : Cut
        The graph in blocks, not used by another plan.
    batch : int
        Most images in a run.
    losses : mapping of str to float
        The outputs whose gradients will be asked for, and the weights of their losses; none for inference.
    learning : bool
        Whether layers do what they do while a network learns.
    threads : int
        Most threads that will run it.
    lock : context manager
        Held by whoever runs it.
    smoothing : float
        Share of each label that the losses spread over all classes.

    Attributes
    ----------
    values : dict of Map
        What the blocks make, by name, and "input".
    """

    def __init__(
        self, graph: Graph, weights: Weights, cut: Cut, batch: int, losses: Mapping[str, float], learning: bool,
        isa: ISA, threads: int, lock: AbstractContextManager[Any], smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        self.graph, self.weights, self.blocks, self.outputs = graph, weights, cut.blocks, cut.scores
        self.batch, self.isa, self.threads, self.lock = batch, isa, threads, lock
        self.training, self.learning, self.smoothing = bool(losses), learning, smoothing
        for block in self.blocks:
            block.learning = learning
        self.numbers = zeros(batch, np.int64)
        self.numbers[:batch] = np.arange(batch)
        self._counting = np.arange(batch)
        self._make_forward()
        if losses:
            self._make_backward(losses)

    @property
    def spent(self) -> list[str]:
        """The values whose gradients lie where they themselves were: nobody reads them any more."""
        found = self._found.items() if self.training else ()
        return [value for value, terms in found if any(term is self.values[value] for term in terms)]

    @property
    def maps(self) -> list[Map]:
        """All maps, in the order in which they are made."""
        return list(self.values.values())

    def _make_forward(self) -> None:
        borders: dict[str, Border] = {}
        for block in self.blocks:
            for source in block.sources:  # a map has the zeros that all its readers need
                borders[source] = borders.get(source, Border()) | block.x_border()
        x = Map(self.batch, self.graph.input_shape, borders.get(INPUT, Border()))
        self._readers = {d: image_steps.read("input", 0, x, self.numbers, d) for d in image_steps.READERS}
        self._sources = {d: r.field("source") for d, r in self._readers.items()}
        self.values: dict[str, Map] = {INPUT: x}
        steps: list[Any] = []
        for block in self.blocks:
            y = self.values[block.result] = block.make_y(self.batch, borders.get(block.result, Border()))
            xs, p = [self.values[source] for source in block.sources], self.weights.state(block.layer)
            if block.flat and not xs[0].bare:  # another reader wants a border
                bare = Map(self.batch, xs[0].shape)
                steps.append(over_runs(f"{block.sources[0]} (bare)", copy, x=xs[0], y=bare))
                xs = [bare]
            steps += block.forward_all(xs, y, p, self.training)
        self._targets: dict[str, NDArray[Any]] = {}
        if not self.training:
            for name, value in self.outputs.items():
                title = "result" if len(self.outputs) == 1 else f"result {name}"
                steps.append(image_steps.write(title, self.values[value], 0))
                self._targets[name] = steps[-1].field("target")
        self._forward = {d: Schedule([r, *steps]) for d, r in self._readers.items()}

    def _make_backward(self, losses: Mapping[str, float]) -> None:
        self.gradients = zeros(self.weights.size)
        self._uses = {id(b.layer): [c for c in self.blocks if c.layer is b.layer] for b in self.blocks}
        self._stacks: dict[int, dict[str, NDArray[np.float32]]] = {}
        self._makers = {block.result: block for block in self.blocks}
        self._learns = {INPUT: False}  # whether something that a value is made of is learned
        for block in self.blocks:
            learned = any(node.layer.parameters for node in block.nodes)
            self._learns[block.result] = learned or any(self._learns[source] for source in block.sources)
        terms = [self.outputs[name] for name in losses] + [s for block in self.blocks for s in block.sources]
        self._terms = collections.Counter(terms)  # of how many a value's gradient is the sum
        self._found: dict[str, list[Map]] = {value: [] for value in self.values}
        self._free: dict[Any, list[Map]] = collections.defaultdict(list)  # gradients that all have read
        steps = self._make_losses(losses)
        for block in reversed(self.blocks):
            if self._learns[block.result]:
                sums, dy = self._gradient(block.result)
                dxs = [self._term(s, block) if self._learns[s] else None for s in block.sources]
                p, g = self.weights.state(block.layer), self._gradients_of(block)
                steps += sums + block.backward_all(dy, dxs, p, g)
                for term in {id(m): m for m in (dy, *self._found[block.result])}.values():
                    self._free[term.shape, term.border].append(term)
        self.backward_steps = steps + self._add_shared()

    @functools.cached_property
    def _backward(self) -> Schedule:
        """The backward steps as programs; a training run has its own, with other steps for some of them."""
        return Schedule(self.backward_steps)

    def _make_losses(self, losses: Mapping[str, float]) -> list[Any]:
        self._losses = [(weight, zeros(self.batch), zeros(self.batch)) for weight in losses.values()]
        self._labels: list[NDArray[Any]] = []
        steps: list[Any] = []
        smoothed: dict[str, Any] = {"smoothing": self.smoothing} if self.smoothing else {}
        kernel = smoothed_cross_entropy if smoothed else softmax_cross_entropy
        for name, (weight, loss, correct) in zip(losses, self._losses, strict=True):
            y = self.values[self.outputs[name]]
            dy = self._term(self.outputs[name])
            title = "softmax with cross-entropy" + (f" {name}" if len(losses) > 1 else "")
            steps.append(
                step(title, kernel, keep=(y, dy), x=y.address, xs=y.image, numbers=self.numbers, labels=0, loss=loss,
                     correct=correct, dx=dy.address, dxs=dy.image, n=self.batch, classes=math.prod(y.shape), **smoothed)
            )  # fmt: skip
            self._labels.append(steps[-1].field("labels"))
            if weight != 1:
                steps.append(join_steps.scale(title, dy, weight))
        return steps

    def _term(self, value: str, reader: Block | None = None) -> Map:
        """Return a map for one term of a value's gradient; the value's maker reads it if it is the only one.

        It is the value's own map if nobody reads the value any more: neither its only reader nor its maker.
        """
        own, alone = self.values[value], self._terms[value] == 1
        border = self._dy_border(value, bare=not alone or (reader is not None and reader.flat))
        spent = alone and reader is not None and reader.spends_x and not self._makers[value].reads_y
        self._found[value].append(own if spent and own.border == border else self._like(value, border))
        return self._found[value][-1]

    def _dy_border(self, value: str, bare: bool) -> Border:
        """Return the zeros that the reader of a value's gradient needs; none if it is `bare`."""
        maker = self._makers.get(value)
        needs = maker is not None and any(self._learns[source] for source in maker.sources)
        return Border() if bare or maker is None else maker.dy_border(needs)

    def _like(self, value: str, border: Border) -> Map:
        """Return a map for the gradient of a value, a new one or one that all have read."""
        shape = self.values[value].shape
        free = self._free[shape, border]
        return free.pop() if free else Map(self.batch, shape, border)

    def _gradient(self, value: str) -> tuple[list[Step], Map]:
        """Return a value's gradient, and the steps that add up its terms, in the order in which they were found."""
        first, *others = self._found[value]
        if not others:
            return [], first
        if len(others) == 1 and self._makers[value].adds:
            self._makers[value].more = others[0]
            return [], first
        total, steps = self._like(value, self._dy_border(value, bare=False)), []
        for other in others:
            steps.append(join_steps.add(f"{value} (sum)", first, other, total))
            first = total
        return steps, total

    @property
    def used_once(self) -> list[Block]:
        """The blocks whose layer runs nowhere else: their gradients are not parts of a sum."""
        return [block for block in self.blocks if len(self._uses[id(block.layer)]) == 1]

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
        """Take the seed of a step: every node gets one of its own, by its place in the graph."""
        places = {node.name: place for place, node in enumerate(self.graph.nodes)}
        for block in self.blocks:
            if differs_in_training(block.layer):
                block.reseed(derive(seed, places[block.nodes[0].name]))

    def load(self, x: Images, rows: NDArray[np.int64] | None, start: int, n: int) -> Schedule:
        """Point the input at images `rows` of x, or at `start` .. `start` + n, and return the forward schedule."""
        self.numbers[:n] = self._counting[start : start + n] if rows is None else rows
        self._sources[x.dtype][0] = x.ctypes.data
        return self._forward[x.dtype]

    def forward(self, x: Images, start: int, n: int, to: Mapping[str, NDArray[np.float32]]) -> None:
        """Write the scores of images start .. start + n of x to the arrays in `to`, by output.

        x : contiguous uint8 or float32 of shape (N, *input_shape)
        """
        if start + n > len(self._counting):
            self._counting = np.arange(2 * (start + n))
        for name, array in to.items():
            self._targets[name][0] = array.ctypes.data
        self.load(x, None, start, n).run(n)

    def point(self, labels_at: int) -> None:
        """Read labels from this address."""
        for labels in self._labels:
            labels[0] = labels_at

    def backward(self, x: Images, labels: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[float, int]:
        """Run forward and backward on images `rows`; return the loss and how many were right.

        The gradients of the loss stand in `gradients`.
        """
        n = len(rows)
        self.point(labels.ctypes.data)
        self.load(x, rows, 0, n).run(n)
        self._backward.run(n)
        return self.outcome(n)

    def outcome(self, n: int) -> tuple[float, int]:
        """Return the loss of the last n images, the weighted sum over the outputs, and how many the first had right."""
        means = [weight * float(np.add.reduce(loss[:n], dtype=np.float64)) / n for weight, loss, _ in self._losses]
        return sum(means), int(np.add.reduce(self._losses[0][2][:n]))

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
        scores = {name: np.empty((self.batch, *self.values[value].shape), np.float32)
                  for name, value in self.outputs.items()}  # every measured run writes there  # fmt: skip
        with self.lock:
            self.weights.pull()
            kept = self.weights.data.copy()  # batch norm would take in the statistics of black images
            if self.training:
                self.backward(example, labels, self._counting[: self.batch])
            else:
                self.forward(example, 0, self.batch, scores)
            explained = text(self.steps, self.batch, title, self.nbytes)
            self.weights.data[:] = kept
            return explained

    def explain(self) -> None:
        """Print each step's kernel, tile, bytes, multiply-adds, measured time and share of the FMA peak."""
        print(self)
