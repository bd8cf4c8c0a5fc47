"""Every refusal of the layers for signals, volumes and normalisation: call, class, message."""

import numpy as np
import pytest

from foveal.errors import DTypeError, FormatError, FovealError, GeometryError, ParameterError, ShapeError
from foveal.layers import (
    AvgPool,
    BatchNorm,
    Convolution,
    ConvTranspose,
    Dropout,
    GlobalAvgPool,
    GlobalMaxPool,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool,
    Subsampling,
)  # fmt: skip

MAP = r"an input of shape \(C, L\), \(C, H, W\) or \(C, D, H, W\), got"


def made(layer, input_shape):
    layer.initialise(input_shape, np.random.default_rng(0))
    return layer


LAYERS = [
    (
        lambda: Convolution(3, 5).output_shape((9,)),
        ShapeError,
        rf"^Convolution \(3 filters 5x5\): expected {MAP} \(9,\): it",
    ),
    (lambda: Convolution(3, 5).output_shape((9,)), ShapeError, r"it is flat\.$"),
    (
        lambda: Convolution(3, 5).output_shape((1, 9, 9, 9, 9)),
        ShapeError,
        rf"{MAP} \(1, 9, 9, 9, 9\): it has 5 axes\.$",
    ),
    (
        lambda: Convolution(3, (5, 5)).output_shape((28, 28)),
        ShapeError,
        r"^Convolution \(3 filters 5x5\): expected an input of shape \(C, H, W\), got \(28, 28\): it has 2 axes\. One "
        r"channel of 28x28 is \(1, 28, 28\)\.$",
    ),
    (
        lambda: Convolution(3, (5,)).output_shape((1, 28, 28)),
        ShapeError,
        r"expected an input of shape \(C, L\), got \(1",
    ),
    (
        lambda: Convolution(3, 9).output_shape((2, 8)),
        GeometryError,
        r"^Convolution \(3 filters 9\): kernel: .* at most 8",
    ),
    (
        lambda: Convolution(3, 9).output_shape((2, 8, 9, 9)),
        GeometryError,
        r"^Convolution \(3 filters 9x9x9\): kernel: ",
    ),
    (lambda: MaxPool(2).output_shape((9,)), ShapeError, rf"^MaxPool \(2x2\): expected {MAP}"),
    (lambda: MaxPool((2, 2, 2)).output_shape((3, 9, 9)), ShapeError, r"expected an input of shape \(C, D, H, W\), got"),
    (
        lambda: AvgPool((2,)).output_shape((3, 9, 9)),
        ShapeError,
        r"expected an input of shape \(C, L\), got \(3, 9, 9\)",
    ),
    (lambda: MaxPool((1, 1, 1, 1)).output_shape((3, 9, 9, 9, 9)), ShapeError, r"^MaxPool \(1x1x1x1\): expected "),
    (lambda: GlobalAvgPool().output_shape((9,)), ShapeError, rf"^GlobalAvgPool: expected {MAP}"),
    (lambda: GlobalMaxPool().output_shape((9,)), ShapeError, rf"^GlobalMaxPool: expected {MAP}"),
    (lambda: LocalResponseNorm().output_shape((9,)), ShapeError, rf"^LocalResponseNorm: expected {MAP}"),
    (lambda: Subsampling().output_shape((9,)), ShapeError, rf"^Subsampling \(2x2\): expected {MAP}"),
    (lambda: Subsampling(0), GeometryError, r"^Subsampling: kernel: expected a positive integer, got 0"),
    (lambda: Subsampling(9).output_shape((1, 8, 8)), GeometryError, r"^Subsampling \(9x9\): kernel: .* at most 8"),
    (lambda: ConvTranspose(3, 2, output_padding=-1), GeometryError, r"^ConvTranspose: output_padding: .* got -1"),
    (lambda: ConvTranspose(3, 2, stride=0), GeometryError, r"^ConvTranspose: stride: .* got 0"),
    (
        lambda: ConvTranspose(3, 2, groups=2),
        GeometryError,
        r"^ConvTranspose \(3 filters 2x2\): .* divide 3 filters, got 2",
    ),
    (
        lambda: ConvTranspose(4, 2, groups=2).output_shape((3, 5, 5)),
        GeometryError,
        r"^ConvTranspose \(4 filters 2x2\): expected channels that groups=2 divides, got 3 channels",
    ),
    (
        lambda: ConvTranspose(4, 2, output_padding=1).output_shape((3, 5, 5)),
        GeometryError,
        r"^ConvTranspose \(4 filters 2x2\): output_padding\[0\]: expected less than the stride \(1\) or the dilation",
    ),
    (lambda: ConvTranspose(4, 2, padding=3).output_shape((3, 5, 5)), GeometryError, r"padding: .* got 0 on axis 0"),
    (lambda: LeakyReLU(-1), ParameterError, r"^LeakyReLU: expected a slope of at least 0, got -1"),
    (lambda: LeakyReLU("0"), DTypeError, r"^LeakyReLU: expected slope to be a number, got '0'"),
    (lambda: Dropout(1), ParameterError, r"^Dropout: expected a rate from 0 to less than 1, got 1"),
    (lambda: Dropout(0.5, seed=-1), ParameterError, r"^Dropout: expected a seed from 0 to 2\^64 - 1, got -1"),
    (lambda: LocalResponseNorm(0), GeometryError, r"^size: expected a positive integer, got 0"),
    (lambda: LocalResponseNorm(k=0), ParameterError, r"^LocalResponseNorm: expected alpha of at least 0 and k of more"),
    (lambda: BatchNorm(0), ParameterError, r"^BatchNorm: expected an epsilon of more than 0, got 0"),
    (lambda: BatchNorm(momentum=1.5), ParameterError, r"^BatchNorm: expected a momentum from 0 to 1, got 1\.5"),
    (lambda: BatchNorm(momentum=None), DTypeError, r"^BatchNorm: expected momentum to be a number, got None"),
    (lambda: BatchNorm().output_shape(()), ShapeError, r"^BatchNorm: expected an input shape of positive integers"),
    (lambda: BatchNorm().scale, ParameterError, r"^BatchNorm: expected a scale, got no input shape yet\. Call init"),
    (lambda: BatchNorm().running_mean, ParameterError, r"^BatchNorm: expected a running_mean, got no input shape yet"),
    (
        lambda: made(BatchNorm(), (3,)).dscale,
        ParameterError,
        r"expected backward before gradients, got none\. Call forw",
    ),
    (
        lambda: made(BatchNorm(), (3,)).forward(np.zeros((2, 4))),
        ShapeError,
        r"^BatchNorm: expected x for a scale of shape \(3,\), got x of shape \(2, 4\): such an x needs a scale of",
    ),
    (
        lambda: Layer.from_config({"type": "Dropout", "p": 0.5}),
        FormatError,
        r"^layer Dropout: expected the arguments .* 'p'",
    ),
]


@pytest.mark.parametrize(
    ("call", "error", "message"), LAYERS, ids=lambda value: value[:30] if isinstance(value, str) else None
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
    assert isinstance(caught.value, FovealError)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None, "a user would see two tracebacks"
