"""Networks of the notes and the papers, one file each."""

from foveal.models.audio1d import Audio1D
from foveal.models.simple_convnet import SimpleConvNet
from foveal.models.voxel3d import Voxel3D

__all__ = ["Audio1D", "SimpleConvNet", "Voxel3D"]
