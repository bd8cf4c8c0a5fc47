"""Voxel3D: a convolutional network in three dimensions, on small volumes."""

from __future__ import annotations

from foveal.layers import Affine, Convolution, MaxPool, ReLU
from foveal.network import Network


class Voxel3D(Network):
    """conv (16 5x5x5, stride 2) - relu - conv (32 3x3x3) - relu - pool 2 - affine 128 - relu - affine, softmax in loss.

    Parameters
    ----------
    input_dim : tuple (C, D, H, W)
        Channels and voxels; at least 4 to a side.
    output_size : int
        Number of classes.
    seed : int

    Source
    ------
    After VoxNet: D. Maturana, S. Scherer, "VoxNet: a 3D convolutional neural network for real-time object recognition",
    IROS 2015, with half as many filters in the first layer, and padding, for volumes half as wide.

    Examples
    --------
    >>> net = Voxel3D()
    >>> net.parameter_count, net.parameters["conv1.weight"]
    (279434, (16, 1, 5, 5, 5))
    """

    def __init__(
        self, input_dim: tuple[int, int, int, int] = (1, 16, 16, 16), output_size: int = 10, seed: int = 0
    ) -> None:
        layers = [
            Convolution(16, (5, 5, 5), stride=2, padding=2),
            ReLU(),
            Convolution(32, (3, 3, 3), padding=1),
            ReLU(),
            MaxPool((2, 2, 2)),
            Affine(128),
            ReLU(),
            Affine(output_size),
        ]
        super().__init__(layers, input_dim, seed=seed)
