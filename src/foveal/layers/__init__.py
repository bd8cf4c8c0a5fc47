"""Layers: hyper-parameters, parameters, output shape, cost formula, forward and backward, one file per layer."""

from foveal.layers.activation import LeakyReLU, ReLU, ScaledTanh, Sigmoid, Tanh
from foveal.layers.affine import Affine
from foveal.layers.base import Layer
from foveal.layers.composite import Composite
from foveal.layers.connected import SparseConvolution
from foveal.layers.convolution import Convolution
from foveal.layers.dropout import Dropout
from foveal.layers.flatten import Flatten
from foveal.layers.global_pooling import GlobalAvgPool, GlobalMaxPool
from foveal.layers.join import Add, Concat, Join
from foveal.layers.normalisation import BatchNorm, LocalResponseNorm
from foveal.layers.padding import PadChannels
from foveal.layers.parallel import Parallel
from foveal.layers.parameters import Parameters
from foveal.layers.pooling import AvgPool, MaxPool
from foveal.layers.radial import RadialBasis
from foveal.layers.residual import Residual
from foveal.layers.softmax import Softmax
from foveal.layers.subsampling import Subsampling
from foveal.layers.transposed import ConvTranspose

__all__ = [
    "Add",
    "Affine",
    "AvgPool",
    "BatchNorm",
    "Composite",
    "Concat",
    "ConvTranspose",
    "Convolution",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "Join",
    "Layer",
    "LeakyReLU",
    "LocalResponseNorm",
    "MaxPool",
    "PadChannels",
    "Parallel",
    "Parameters",
    "RadialBasis",
    "ReLU",
    "Residual",
    "ScaledTanh",
    "Sigmoid",
    "Softmax",
    "SparseConvolution",
    "Subsampling",
    "Tanh",
]
