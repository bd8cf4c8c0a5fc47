"""An input that is too small for a network: the message names the smallest that works."""

import re

import pytest

from foveal.errors import FovealError
from foveal.models import VGG, AlexNet, Audio1D, DeepConvNet, GoogLeNet, SimpleConvNet, SqueezeNet, Voxel3D

# how it is made, an input that is too small, and the smallest larger one
TOO_SMALL = {
    "AlexNet 2012": (AlexNet.architecture, (3, 16, 16), (3, 67, 67)),
    "AlexNet one-tower": (lambda shape: AlexNet.architecture(shape, variant="one-tower"), (3, 16, 16), (3, 63, 63)),
    "GoogLeNet": (GoogLeNet.architecture, (3, 16, 16), (3, 47, 47)),
    "GoogLeNet, wide": (GoogLeNet.architecture, (3, 16, 80), (3, 47, 80)),
    "GoogLeNet, heads": (lambda shape: GoogLeNet.architecture(shape, heads=True), (3, 47, 47), (3, 79, 79)),
    "GoogLeNet, batch norm": (lambda shape: GoogLeNet.architecture(shape, batch_norm=True), (3, 4, 4), (3, 47, 47)),
    "VGG(11)": (lambda shape: VGG.architecture(11, shape), (3, 28, 28), (3, 32, 32)),
    "SqueezeNet 1.0": (SqueezeNet.architecture, (3, 16, 16), (3, 29, 29)),
    "SqueezeNet 1.1": (lambda shape: SqueezeNet.architecture(shape, version="1.1"), (3, 16, 16), (3, 25, 25)),
    "DeepConvNet": (DeepConvNet.architecture, (1, 1, 1), (1, 4, 4)),
    "SimpleConvNet": (SimpleConvNet, (1, 4, 4), (1, 6, 6)),
    "Audio1D": (Audio1D, (1, 16), (1, 256)),
    "Voxel3D": (Voxel3D, (1, 2, 2, 2), (1, 3, 3, 3)),
}


@pytest.mark.parametrize("name", TOO_SMALL)
def test_the_message_names_the_smallest_input_that_fits(name):
    make, small, fits = TOO_SMALL[name]
    with pytest.raises(FovealError, match=re.escape(f"The smallest larger input that fits the network is {fits}.")):
        make(small)
    make(fits)
    for axis, size in enumerate(fits):
        if size > small[axis]:
            with pytest.raises(FovealError):
                make((*fits[:axis], size - 1, *fits[axis + 1 :]))
