"""Layers: hyper-parameters, parameters, output shape, cost formula, forward and backward, one file per layer."""

from foveal.layers.activation import LeakyReLU, ReLU, ScaledTanh, Sigmoid, Tanh
from foveal.layers.affine import Affine
from foveal.layers.base import Layer
from foveal.layers.convolution import Convolution
from foveal.layers.dropout import Dropout
from foveal.layers.flatten import Flatten
from foveal.layers.global_pooling import GlobalAvgPool, GlobalMaxPool
from foveal.layers.normalisation import BatchNorm, LocalResponseNorm
from foveal.layers.parameters import Parameters
from foveal.layers.pooling import AvgPool, MaxPool
from foveal.layers.softmax import Softmax
from foveal.layers.subsampling import Subsampling
from foveal.layers.transposed import ConvTranspose

__all__ = [
    "Affine",
    "AvgPool",
    "BatchNorm",
    "ConvTranspose",
    "Convolution",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "Layer",
    "LeakyReLU",
    "LocalResponseNorm",
    "MaxPool",
    "Parameters",
    "ReLU",
    "ScaledTanh",
    "Sigmoid",
    "Softmax",
    "Subsampling",
    "Tanh",
]
