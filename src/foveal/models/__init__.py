"""Networks of the notes and the papers, one file each."""

from foveal.models.simple_convnet import SimpleConvNet

__all__ = ["SimpleConvNet"]
