"""Networks of the notes and the papers, one file each."""

from foveal.models.alexnet import AlexNet
from foveal.models.audio1d import Audio1D
from foveal.models.deep_convnet import DeepConvNet
from foveal.models.googlenet import GoogLeNet
from foveal.models.inception_small import InceptionSmall
from foveal.models.lenet import LeNet5
from foveal.models.mlp import MLP
from foveal.models.mobilenet import MobileNetV1
from foveal.models.resnet import ResNet
from foveal.models.simple_convnet import SimpleConvNet
from foveal.models.squeezenet import SqueezeNet
from foveal.models.vgg import VGG
from foveal.models.voxel3d import Voxel3D

__all__ = [
    "MLP",
    "VGG",
    "AlexNet",
    "Audio1D",
    "DeepConvNet",
    "GoogLeNet",
    "InceptionSmall",
    "LeNet5",
    "MobileNetV1",
    "ResNet",
    "SimpleConvNet",
    "SqueezeNet",
    "Voxel3D",
]
