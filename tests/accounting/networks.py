"""Networks whose counts are known: from papers, or because other tools counted them too."""

from foveal.graph import Graph, GraphBuilder
from foveal.layers import (
    Affine,
    AvgPool,
    BatchNorm,
    Convolution,
    ConvTranspose,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool,
    Parallel,
    ReLU,
    Residual,
    Sigmoid,
    Softmax,
    Tanh,
)  # fmt: skip


def alexnet(two_towers=False):
    """The network of 2012 with its groups and normalisation, or that of 2014 with one tower."""
    if two_towers:
        shape, groups, widths, first = (3, 227, 227), 2, (96, 256, 384, 384, 256), Convolution(96, 11, stride=4)
    else:
        shape, groups, widths, first = (3, 224, 224), 1, (64, 192, 384, 256, 256), Convolution(64, 11, 4, 2)
    norm = [LocalResponseNorm()] if two_towers else []
    layers = [
        first, ReLU(), *norm, MaxPool(3, 2),
        Convolution(widths[1], 5, padding=2, groups=groups), ReLU(), *([LocalResponseNorm()] if norm else []),
        MaxPool(3, 2),
        Convolution(widths[2], 3, padding=1), ReLU(),
        Convolution(widths[3], 3, padding=1, groups=groups), ReLU(),
        Convolution(widths[4], 3, padding=1, groups=groups), ReLU(), MaxPool(3, 2),
        Dropout(), Affine(4096), ReLU(), Dropout(), Affine(4096), ReLU(), Affine(1000),
    ]  # fmt: skip
    return Graph.sequence(layers, shape)


def lenet_modern():
    """The usual LeNet-5 of today: full C3, plain pooling."""
    layers = [Convolution(6, 5), Tanh(), AvgPool(2), Convolution(16, 5), Tanh(), AvgPool(2),
              Convolution(120, 5), Tanh(), Affine(84), Tanh(), Affine(10)]  # fmt: skip
    return Graph.sequence(layers, (1, 32, 32))


def inception(name, one, three_r, three, five_r, five, proj):
    """A block of GoogLeNet."""
    return Parallel(
        [Convolution(one, 1), ReLU()],
        [Convolution(three_r, 1), ReLU(), Convolution(three, 3, padding=1), ReLU()],
        [Convolution(five_r, 1), ReLU(), Convolution(five, 5, padding=2), ReLU()],
        [MaxPool(3, 1, 1), Convolution(proj, 1), ReLU()],
        name=name,
    )


WIDTHS = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64), "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip


def googlenet(size=224):
    """GoogLeNet without its auxiliary heads."""
    build = GraphBuilder((3, size, size))
    x = build([Convolution(64, 7, 2, 3), ReLU(), MaxPool(3, 2, rounding="ceil"), LocalResponseNorm()], build.input)
    x = build([Convolution(64, 1), ReLU(), Convolution(192, 3, padding=1), ReLU(), LocalResponseNorm()], x)
    x = build(MaxPool(3, 2, rounding="ceil"), x)
    for name, widths in WIDTHS.items():
        if name in ("4a", "5a"):
            x = build(MaxPool(3, 2, rounding="ceil"), x)
        x = build(inception(f"inception{name}", *widths), x)
    return build.graph(build([GlobalAvgPool(), Dropout(0.4), Affine(1000), Softmax()], x))


def vgg11():
    """VGG-11 with batch norm, for small images and 10 classes."""
    layers = []
    for width in (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool"):
        if width == "pool":
            layers.append(MaxPool(2))
        else:
            layers += [Convolution(width, 3, padding=1), BatchNorm(), ReLU()]
    return Graph.sequence([*layers, Affine(512), ReLU(), Dropout(), Affine(10)], (3, 32, 32))


def residual():
    """Two residual blocks, one of which changes the shape."""

    def conv(filters, stride=1):
        return Convolution(filters, 3, stride, 1, bias=False)

    layers = [
        conv(16), BatchNorm(), ReLU(),
        Residual([conv(16), BatchNorm(), ReLU(), conv(16), BatchNorm()]), ReLU(),
        Residual([conv(32, 2), BatchNorm(), ReLU(), conv(32), BatchNorm()],
                 [Convolution(32, 1, 2, bias=False), BatchNorm()]), ReLU(),
        GlobalAvgPool(), Affine(10),
    ]  # fmt: skip
    return Graph.sequence(layers, (3, 32, 32))


def autoencoder():
    """Down and up again; the second transposed convolution leaves a chessboard."""
    layers = [Convolution(16, 3, 2, 1), LeakyReLU(0.2), Convolution(32, 3, 2, 1), LeakyReLU(0.2),
              ConvTranspose(16, 4, stride=2, padding=1), ReLU(), ConvTranspose(1, 3, stride=2), Sigmoid()]  # fmt: skip
    return Graph.sequence(layers, (1, 28, 28))


def audio():
    """A signal."""
    layers = [Convolution(32, (64,), 8, 28, bias=False), BatchNorm(), ReLU(), MaxPool((2,)),
              Convolution(64, (9,), 1, 4), LocalResponseNorm(4), AvgPool((4,)), GlobalAvgPool(), Affine(10),
              Softmax()]  # fmt: skip
    return Graph.sequence(layers, (1, 4096))


def volume():
    """A volume."""
    layers = [Convolution(16, 5, 2, 2), BatchNorm(), ReLU(), MaxPool((2, 2, 2)), ConvTranspose(8, (2, 2, 2), stride=2),
              GlobalMaxPool(), Flatten(), Affine(10)]  # fmt: skip
    return Graph.sequence(layers, (1, 16, 16, 16))


def mlp():
    """No map at all."""
    return Graph.sequence([Affine(100), Sigmoid(), Affine(50, bias=False), BatchNorm(), Affine(10), Softmax()], (784,))


def shared():
    """A convolution that is used three times, and a sum of three maps."""
    build, conv = GraphBuilder((3, 12, 12)), Convolution(3, 3, padding=1)
    one = build([conv, ReLU()], build.input)
    two = build([conv, ReLU()], one)
    three = build(conv, two)
    return build.graph(build([AvgPool(3, 2), Affine(5)], build.add([one, two, three])))


def dilated():
    """Dilation, strides that do not divide, padding on one side, groups."""
    layers = [Convolution(8, (3, 2), (2, 1), ((1, 0), (2, 1)), dilation=(1, 3)), ReLU(),
              Convolution(16, 3, 2, "same", groups=4), Tanh(), MaxPool(2), Affine(3)]  # fmt: skip
    return Graph.sequence(layers, (4, 21, 18))


COUNTED = {
    "alexnet": alexnet,
    "alexnet in two towers": lambda: alexnet(two_towers=True),
    "lenet modern": lenet_modern,
    "googlenet": googlenet,
    "vgg 11": vgg11,
    "residual": residual,
    "autoencoder": autoencoder,
    "audio": audio,
    "volume": volume,
    "mlp": mlp,
    "shared": shared,
    "dilated": dilated,
}
