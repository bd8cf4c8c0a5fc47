"""LeNet-5: the network that read bank cheques."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from foveal.errors import ParameterError, ShapeError, explain
from foveal.graph import Graph, GraphBuilder
from foveal.layers import (
    Affine,
    Convolution,
    MaxPool,
    RadialBasis,
    ReLU,
    ScaledTanh,
    SparseConvolution,
    Subsampling,
)
from foveal.layers.base import Layer
from foveal.layers.digit_codes import DIGITS
from foveal.layers.learned import Learned
from foveal.models._parts import check_choice
from foveal.network import Network

VARIANTS = ("1998", "modern")
SIDE = 32

# Table I: the maps of S2 that each map of C3 reads. "Different feature maps are forced to extract different features."
C3_TABLE = (
    *(tuple(sorted((i + j) % 6 for j in range(3))) for i in range(6)),
    *(tuple(sorted((i + j) % 6 for j in range(4))) for i in range(6)),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)


class LeNet5(Network):
    """Convolution and subsampling twice, then a convolution as large as its map, two layers of features, codes.

    ======  ============================================  ========  =========  ===========
    layer   what                                          map       trainable  connections
    ======  ============================================  ========  =========  ===========
    C1      6 filters 5x5                                 6@28x28         156      122,304
    S2      sum of 2x2, times a coefficient, plus a bias  6@14x14          12        5,880
    C3      16 filters 5x5, 60 links by table I           16@10x10      1,516      151,600
    S4      as S2                                         16@5x5           32        2,000
    C5      120 filters 5x5                               120@1x1      48,120       48,120
    F6      84 units                                      84           10,164       10,164
    output  nearness to 10 fixed codes of 84              10                0          840
    sum                                                                60,000      340,908
    ======  ============================================  ========  =========  ===========

    ``1.7159 tanh(2a/3)`` stands behind C1 to F6. A connection is a multiply-add, a bias, or an input of S2 and S4.

    Parameters
    ----------
    input_dim : tuple (C, H, W)
        An image of less than 32x32 gets a border of zeros in C1 that makes it 32x32: digits of 28x28 can come as they
        are.
    output_size : int
        Number of classes; "1998" has codes for at most 10.
    variant : {"1998", "modern"}
        "modern": as the network is usually built today, with all 96 links in C3, ReLU, max pooling and an affine output
        layer, 61,706 parameters.
    seed : int

    Attributes
    ----------
    recipes : dict
        How `foveal train` trains it on "any" data, and what differs on some, unless told otherwise.

    Source
    ------
    LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, Proc. IEEE 86(11), 1998,
    section II.B and appendix A.

    Notes
    -----
    Differences from common re-implementations, all true to the paper: C3 is sparse, pooling is learned, the activation
    is scaled, and the output is no affine layer. Weights are drawn from U(-2.4/F, 2.4/F), F the fan-in of the unit.

    Differences from the paper: coefficients of S2 and S4 begin as averages; scores are negative distances, so that the
    highest is the best, and the loss has no term j for what is no digit; the codes are an own drawing of digits;
    images are not moved to a background of -0.1 and ink of 1.175, which ``x * 1.275 - 0.1`` does for x from 0 to 1.

    Examples
    --------
    >>> LeNet5().parameter_count, LeNet5(variant="modern").parameter_count
    (60000, 61706)
    >>> [(node.name, node.shape) for node in LeNet5().graph.nodes if node.name.startswith("C")]
    [('C1/conv1', (6, 28, 28)), ('C1/scaledtanh1', (6, 28, 28)), ('C3/sparseconv1', (16, 10, 10)),
     ('C3/scaledtanh1', (16, 10, 10)), ('C5/conv1', (120, 1, 1)), ('C5/scaledtanh1', (120, 1, 1))]
    """

    recipes: ClassVar[dict[str, dict[str, Any]]] = {
        "any": {"epochs": 15, "lr": 0.003, "schedule": "onecycle"},
        "mnist": {"augment": "shift=2"},
        "mnist-5k": {"augment": "shift=2", "epochs": 40},
    }

    def __init__(
        self,
        input_dim: Sequence[int] = (1, SIDE, SIDE),
        output_size: int = 10,
        variant: str = "1998",
        seed: int = 0,
    ) -> None:
        super().__init__(self.architecture(input_dim, output_size, variant), seed=seed)
        if variant == "1998":
            rng = np.random.default_rng(seed)
            for layer in self.layers:
                if isinstance(layer, Learned):
                    shape = layer.parameters.shapes["weight"]
                    fan_in = layer.fan_ins(shape) if isinstance(layer, SparseConvolution) else layer.fan_in(shape)
                    layer.weight = rng.uniform(-2.4, 2.4, shape) / fan_in

    @staticmethod
    def architecture(input_dim: Sequence[int] = (1, SIDE, SIDE), output_size: int = 10, variant: str = "1998") -> Graph:
        """Return the graph, for which no parameters are drawn.

        Raises
        ------
        ParameterError, ShapeError, GeometryError
            An unknown variant, more classes than codes, an input that does not fit.
        """
        check_choice(variant, VARIANTS, "LeNet5: variant")
        if len(input_dim) != 3:
            fix = "One grey image of 28x28 is (1, 28, 28)."
            raise ShapeError(explain("LeNet5", expected="input_dim (C, H, W)", got=str(tuple(input_dim)), fix=fix))
        border = [(missing // 2, missing - missing // 2) for missing in (max(0, SIDE - n) for n in input_dim[1:])]
        padding = tuple(border) if any(map(any, border)) else 0
        if variant == "modern":
            return Graph.sequence(
                [
                    Convolution(6, 5, padding=padding), ReLU(), MaxPool(2),
                    Convolution(16, 5), ReLU(), MaxPool(2),
                    Convolution(120, 5), ReLU(),
                    Affine(84), ReLU(),
                    Affine(output_size),
                ],
                input_dim,
            )  # fmt: skip
        if output_size not in range(1, len(DIGITS) + 1):
            expected, fix = f"1 to {len(DIGITS)} classes, as there are codes", "variant='modern' takes any number."
            raise ParameterError(explain("LeNet5: output_size", expected=expected, got=repr(output_size), fix=fix))
        build = GraphBuilder(input_dim)
        parts: dict[str, Layer] = {
            "C1": Convolution(6, 5, padding=padding),
            "S2": Subsampling(2),
            "C3": SparseConvolution(C3_TABLE, 5),
            "S4": Subsampling(2),
            "C5": Convolution(120, 5),
            "F6": Affine(84),
        }
        x = build.input
        for name, layer in parts.items():
            x = build([layer, ScaledTanh()], x, name=name)
        codes = "digits" if output_size == len(DIGITS) else DIGITS[:output_size]
        return build.graph(build(RadialBasis(codes), x, name="output"))
