"""Layers: hyper-parameters, parameters, output shape, cost formula, forward and backward, one file per layer."""

from foveal.layers.activation import ReLU, Sigmoid
from foveal.layers.affine import Affine
from foveal.layers.base import Layer
from foveal.layers.convolution import Convolution
from foveal.layers.flatten import Flatten
from foveal.layers.parameters import Parameters
from foveal.layers.pooling import AvgPool, MaxPool
from foveal.layers.softmax import Softmax

__all__ = [
    "Affine",
    "AvgPool",
    "Convolution",
    "Flatten",
    "Layer",
    "MaxPool",
    "Parameters",
    "ReLU",
    "Sigmoid",
    "Softmax",
]
