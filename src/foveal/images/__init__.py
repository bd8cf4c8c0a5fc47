"""Image kernels: small matrices that blur, sharpen, emboss or outline a picture.

`apply` filters an array (H, W) or (H, W, C), `kernel` makes an image kernel from a name or from numbers, `read_kernel`
reads one from a file. ``foveal filter`` does it with pictures.
"""

from foveal.images.apply import Report, apply
from foveal.images.catalogue import CATALOGUE, kernel
from foveal.images.edges import EDGES
from foveal.images.kernels import Kernel
from foveal.images.reading import parse_numbers, read_kernel

__all__ = ["CATALOGUE", "EDGES", "Kernel", "Report", "apply", "kernel", "parse_numbers", "read_kernel"]
