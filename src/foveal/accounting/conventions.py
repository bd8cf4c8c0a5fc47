"""How other tools count operations, rule by rule, so that their numbers can be had here and told apart.

Each tool calls something else an operation. A `Convention` gives, for one row of an account, what the tool counts, in
parts with names; the sum of the parts is the tool's number, and the parts beside the multiply-adds are the gap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foveal import layers as L
from foveal.errors import ParameterError, explain, nearest
from foveal.geometry import volume
from foveal.layers.activation import Activation
from foveal.layers.global_pooling import GlobalPool
from foveal.layers.pooling import Pool

if TYPE_CHECKING:
    from foveal.accounting.rows import Row

Parts = dict[str, int]
MACS = "multiply-adds"


@dataclass(frozen=True)
class Convention:
    """How a tool counts.

    Attributes
    ----------
    name : str
    unit : str
        What the tool calls its number.
    rule, source : str
        In words, and where it stands.
    parts : callable
        Takes a row, returns {part: count}.
    biases : bool
        Whether biases are among the parameters.
    """

    name: str
    unit: str
    rule: str
    source: str
    parts: Callable[[Row], Parts]
    biases: bool = True

    def count(self, row: Row) -> int:
        """Return the tool's number for one row."""
        return sum(self.parts(row).values())

    def parameters(self, row: Row) -> int:
        """Return the parameters of one row that the tool counts."""
        return row.weights + (row.biases if self.biases else 0)


def _torchinfo(row: Row) -> Parts:
    """Every weight and bias once for each position of y; parameters of other layers once."""
    layer, positions = row.layer, volume(row.shape[1:])
    if isinstance(layer, L.Convolution | L.ConvTranspose):
        weights, biases = row.used_weights * positions, row.used_biases * positions
        macs = row.work.macs.forward
        return {MACS: macs, "biases": biases, "transposed convolution: weights at positions of y": weights - macs}
    if isinstance(layer, L.Affine):
        return {MACS: row.work.macs.forward, "biases": row.used_biases}
    return {"parameters of other layers, each once": row.used_weights + row.used_biases}


def _fvcore(row: Row) -> Parts:
    layer, x = row.layer, volume(row.given[0])
    if isinstance(layer, L.BatchNorm):
        return {"batch norm: 2 for each number": 2 * x}
    if isinstance(layer, L.GlobalAvgPool) and len(row.given[0]) == 3:
        return {"global average pooling: 1 for each number read, in 2D": x}
    return {MACS: row.work.macs.forward} if _multiplies(row) else {}


def _ptflops(row: Row) -> Parts:
    layer, x, y = row.layer, volume(row.given[0]), volume(row.shape)
    if _multiplies(row):
        return {MACS: row.work.macs.forward, "biases": y if row.used_biases else 0}
    if isinstance(layer, L.ReLU):
        return {"ReLU: 1 for each number, counted as a module and again as the function it calls": 2 * y}
    if isinstance(layer, Pool | GlobalPool):
        return {"pooling: 1 for each number read, counted as a module and again as the function it calls": 2 * x}
    if isinstance(layer, L.LeakyReLU | L.Softmax):
        return {f"{type(layer).__name__}: 1 for each number": y}
    if isinstance(layer, L.BatchNorm):
        return {"batch norm: 2 for each number": 2 * x}
    if isinstance(layer, L.LocalResponseNorm):
        padded = x // row.given[0][0] * (row.given[0][0] + layer.size - 1)
        return {"local response norm: its products, sums and pooling over channels": 3 * x + padded}
    return {}


def _paper(row: Row) -> Parts:
    return {MACS: row.work.macs.forward} if _multiplies(row) else {}


def _multiplies(row: Row) -> bool:
    """Whether the layer is a convolution or affine: what all tools know by its multiply-adds."""
    known = isinstance(row.layer, L.Subsampling | L.BatchNorm | Activation)
    return not known and row.work.macs.forward > 0


_ALL = (
    Convention(
        "torchinfo",
        "mult-adds",
        "Convolution: (weights + biases) times the positions of y, also if it is transposed. Any other layer: each "
        "weight and bias once, so batch norm counts 2 for each channel. Layers without parameters count nothing.",
        "torchinfo 1.8.0, layer_info.py, LayerInfo.calculate_macs",
        _torchinfo,
    ),
    Convention(
        "fvcore",
        "flops (a multiply-add is one)",
        "Multiply-adds of convolutions and affine layers, without biases. Batch norm (at inference) counts 2 for each "
        "number, global average pooling of images 1 for each number read; other layers count nothing.",
        "fvcore 0.1.5, nn/jit_handles.py and the table in nn/flop_count.py",
        _fvcore,
    ),
    Convention(
        "ptflops",
        "MACs",
        "Multiply-adds of convolutions and affine layers, and an operation for each bias added. Batch norm counts 2 "
        "for each number; LeakyReLU and softmax 1. ReLU and pooling count twice: by the hook on the module, and by the "
        "patched function of torch.nn.functional that the module calls. Other activations, sums and dropout count "
        "nothing.",
        "ptflops 0.7.5, backend pytorch: pytorch_ops.py (hooks) and pytorch_engine.py, patch_functional",
        _ptflops,
    ),
    Convention(
        "paper",
        "ops",
        "Multiply-adds of convolutions and affine layers; biases are neither operations nor parameters.",
        "The columns params and ops of table 1 in Szegedy et al., Going deeper with convolutions, arXiv 1409.4842",
        _paper,
        biases=False,
    ),
)
CONVENTIONS = {convention.name: convention for convention in _ALL}


def find(name: str) -> Convention:
    """Return the convention of that name.

    Raises
    ------
    ParameterError
        There is none.

    Examples
    --------
    >>> find("fvcore").unit
    'flops (a multiply-add is one)'
    """
    if name not in CONVENTIONS:
        fix = nearest(str(name), CONVENTIONS)
        raise ParameterError(explain("convention", expected="a known name", got=repr(name), fix=fix))
    return CONVENTIONS[name]
