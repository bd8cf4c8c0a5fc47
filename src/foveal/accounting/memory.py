"""Memory for the maps between layers: what lives at once when a network predicts, what is kept when it learns.

Numbers are float32. A Flatten, and a Dropout that drops nothing, hand on the memory that they read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foveal.errors import DTypeError, explain
from foveal.geometry import volume
from foveal.graph import INPUT, Graph
from foveal.layers import Dropout, Flatten
from foveal.layers.base import Layer

if TYPE_CHECKING:
    from foveal.accounting.account import Account

FLOAT = 4  # bytes


def own_bytes(layer: Layer, shape: tuple[int, ...], training: bool) -> int:
    """Return the bytes that y takes beyond what the layer reads.

    Examples
    --------
    >>> from foveal.layers import ReLU
    >>> own_bytes(ReLU(), (30, 24, 24), training=False), own_bytes(Flatten(), (17280,), training=False)
    (69120, 0)
    """
    if isinstance(layer, Flatten) or (isinstance(layer, Dropout) and not training):
        return 0
    return FLOAT * volume(shape)


def peak_bytes(graph: Graph) -> int:
    """Return the most memory that maps need at once when one example is predicted: each lives until it was last read.

    Examples
    --------
    >>> from foveal.layers import Affine, Convolution, ReLU
    >>> peak_bytes(Graph.sequence([Convolution(30, 5), ReLU(), Affine(10)], (1, 28, 28)))  # before and after ReLU
    138240
    """
    sizes = {INPUT: FLOAT * volume(graph.input_shape)}
    owner = {INPUT: INPUT}  # of the memory in which a map lies
    for node in graph.nodes:
        sizes[node.name] = own_bytes(node.layer, node.shape, training=False)
        owner[node.name] = node.name if sizes[node.name] else owner[node.inputs[0]]
    last = {owner[name]: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    last |= {owner[name]: len(graph.nodes) for name in graph.outputs.values()}
    alive, peak = {INPUT: sizes[INPUT]}, sizes[INPUT]
    for i, node in enumerate(graph.nodes):
        alive[owner[node.name]] = sizes[owner[node.name]]
        peak = max(peak, sum(alive.values()))
        alive = {name: size for name, size in alive.items() if last.get(name, i) > i}
    return peak


@dataclass(frozen=True)
class PlanMemory:
    """Bytes of the plans for a batch: what the account predicts, and what the engine holds.

    Attributes
    ----------
    batch : int
    predicted, measured : mapping
        Bytes for "inference" and "training".
    parts : mapping of mappings
        What the measured bytes are for: maps, the zeros around them, parameters with gradients, scratch, and the rest.
    """

    batch: int
    predicted: Mapping[str, int]
    measured: Mapping[str, int]
    parts: Mapping[str, Mapping[str, int]]


def measure(net: Any, account: Account, batch: int) -> PlanMemory:
    """Make the network's plans for batches of `batch`, and compare their memory with what the account says.

    A plan keeps the input and one map for each block of layers that run as one. Predicted are these maps, for every
    image, and the parameters; for training also their gradients, but those that lie where the map was. The engine holds
    more: zeros around maps, space between images, where maxima were, and 0.5 MB of scratch for each thread if
    convolutions need it.

    Raises
    ------
    DTypeError
        `net` has no plans: it is no Network.
    """
    if not hasattr(net, "plan"):
        fix = "Make one of it: foveal.Network(graph)."
        raise DTypeError(explain("memory of plans", expected="a Network", got=repr(net), fix=fix))
    predicted, measured, parts = {}, {}, {}
    for kind in ("inference", "training"):
        plan, learns = net.plan(batch, training=kind == "training"), kind == "training"
        ends = {block.nodes[-1].name for block in plan.blocks}
        kept = [r.training_bytes if learns else r.inference_bytes for r in account.rows if r.name in ends]
        parameters = FLOAT * account.totals.parameters * (2 if learns else 1)
        spent = sum(FLOAT * volume(plan.values[name].shape) for name in plan.spent)
        predicted[kind] = parameters + batch * (FLOAT * volume(account.input_shape) + sum(kept) - spent)
        measured[kind], parts[kind] = int(plan.nbytes), _parts(plan)
    return PlanMemory(batch, predicted, measured, parts)


def _parts(plan: Any) -> dict[str, int]:
    """Return what a plan's bytes are for."""
    maps = {m.data.ctypes.data: m for step in plan.steps for m in step.keep if hasattr(m, "border")}.values()
    numbers = sum(FLOAT * m.n * volume(m.shape) for m in maps)
    parameters = plan.weights.data.nbytes + (plan.gradients.nbytes if plan.training else 0)
    around = sum(m.nbytes for m in maps) - numbers
    scratch = next((block.scratch.nbytes for block in plan.blocks), 0)
    rest = plan.nbytes - numbers - around - parameters - scratch
    return {"maps": numbers, "around maps": around, "parameters": parameters, "scratch": scratch,
            "marks, sums and tables": rest}  # fmt: skip
