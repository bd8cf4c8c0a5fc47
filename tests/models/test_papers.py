"""The networks of the papers: parameters and multiply-adds to the last digit, and their layers beside others'."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from foveal.layers import BatchNorm, Convolution, LocalResponseNorm
from foveal.models import (
    MLP,
    VGG,
    AlexNet,
    DeepConvNet,
    GoogLeNet,
    InceptionSmall,
    LeNet5,
    MobileNetV1,
    ResNet,
    SqueezeNet,
)
from foveal.models.googlenet import WIDTHS, inception
from tests.support.oracles import require

CIFAR = (3, 32, 32)
# architecture, parameters, multiply-adds of one image
COUNTS = [
    (lambda: LeNet5.architecture(), 60_000, 328_096),
    (lambda: LeNet5.architecture((1, 28, 28)), 60_000, 328_096),
    (lambda: LeNet5.architecture(variant="modern"), 61_706, 416_520),
    (lambda: AlexNet.architecture(), 60_965_224, 724_406_816),
    (lambda: AlexNet.architecture(variant="one-tower"), 61_100_840, 714_188_480),
    (lambda: GoogLeNet.architecture(), 6_998_552, 1_582_671_872),
    (lambda: GoogLeNet.architecture(heads=True), 13_378_280, 1_591_044_096),
    (lambda: GoogLeNet.architecture(batch_norm=True), 7_005_832, 1_582_671_872),
    (lambda: GoogLeNet.architecture(heads=True, batch_norm=True), 13_385_816, 1_591_044_096),
    (lambda: InceptionSmall.architecture(), 1_651_114, 266_734_880),
    (lambda: InceptionSmall.architecture(batch_norm=False), 1_649_402, 266_734_880),
    (lambda: VGG.architecture(11), 132_863_336, 7_609_090_048),
    (lambda: VGG.architecture(13), 133_047_848, 11_308_466_176),
    (lambda: VGG.architecture(16), 138_357_544, 15_470_264_320),
    (lambda: VGG.architecture(19), 143_667_240, 19_632_062_464),
    (lambda: VGG.architecture(11, batch_norm=True), 132_868_840, 7_609_090_048),
    (lambda: VGG.architecture(13, batch_norm=True), 133_053_736, 11_308_466_176),
    (lambda: VGG.architecture(16, batch_norm=True), 138_365_992, 15_470_264_320),
    (lambda: VGG.architecture(19, batch_norm=True), 143_678_248, 19_632_062_464),
    (lambda: ResNet.architecture(18), 11_689_512, 1_814_073_344),
    (lambda: ResNet.architecture(34), 21_797_672, 3_663_761_408),
    (lambda: ResNet.architecture(50), 25_557_032, 3_857_973_248),
    (lambda: ResNet.architecture(101), 44_549_160, 7_570_194_432),
    (lambda: ResNet.architecture(152), 60_192_808, 11_282_415_616),
    (lambda: ResNet.architecture(18, CIFAR, 10, stem="3x3"), 11_173_962, 555_422_720),
    (lambda: ResNet.architecture(20), 269_722, 40_551_040),
    (lambda: ResNet.architecture(32), 464_154, 68_862_592),
    (lambda: ResNet.architecture(44), 658_586, 97_174_144),
    (lambda: ResNet.architecture(56), 853_018, 125_485_696),
    (lambda: ResNet.architecture(110), 1_727_962, 252_887_680),
    *(
        (lambda depth=depth: ResNet.architecture(depth, shortcut="B"), count + 2_752, None)
        for depth, count in [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)]
    ),
    (lambda: SqueezeNet.architecture(), 1_248_424, 832_667_936),
    (lambda: SqueezeNet.architecture(version="1.1"), 1_235_496, 349_151_936),
    (lambda: MobileNetV1.architecture(), 4_231_976, 568_740_352),
    (lambda: DeepConvNet.architecture(), 123_552, 8_772_340),
    (lambda: MLP.architecture(), 79_510, 79_400),
]  # fmt: skip


def parameters(graph):
    return sum(math.prod(shape) for shape in graph.parameters().values())


def macs(graph, nodes=None):
    nodes = graph.nodes if nodes is None else nodes
    return sum(node.layer.macs(graph.input_shapes(node.name)[0]) for node in nodes if len(node.inputs) == 1)


@pytest.mark.parametrize(("architecture", "count", "work"), COUNTS)
def test_counts(architecture, count, work):
    graph = architecture()
    assert parameters(graph) == count
    assert work is None or macs(graph) == work
    assert all(not node.layer.parameters for node in graph.nodes), "counting draws no parameters"


def test_what_is_made_is_what_was_counted():
    for net in (
        LeNet5(),
        DeepConvNet(),
        InceptionSmall(),
        MLP(),
        ResNet(20),
        SqueezeNet(),
        MobileNetV1(),
        GoogLeNet(heads=True),
    ):
        assert net.parameter_count == parameters(type(net).architecture(**also(net)))
        assert net.parameter_count == sum(array.size for array in net.arrays().values()) - statistics(net)


def also(net):
    return {ResNet: {"depth": 20}, GoogLeNet: {"heads": True}}.get(type(net), {})


def statistics(net):
    return sum(math.prod(shape) for shape in net.graph.buffers().values())


def shapes(graph, *names):
    return [graph[name].shape for name in names]


def test_alexnet_by_layer():
    """Section 3.5; weights, biases and maps of every layer, and the neurons."""
    graph = AlexNet.architecture()
    layers = ("conv1", "conv2", "conv3", "conv4", "conv5", "affine1", "affine2", "affine3")
    learned = graph.parameters()
    assert [sum(math.prod(learned[f"{name}.{part}"]) for part in ("weight", "bias")) for name in layers] == [
        34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000
    ]  # fmt: skip
    assert shapes(graph, *layers[:5], "pool1", "pool2", "pool3") == [
        (96, 55, 55), (256, 27, 27), (384, 13, 13), (384, 13, 13), (256, 13, 13), (96, 27, 27), (256, 13, 13),
        (256, 6, 6),
    ]  # fmt: skip
    assert sum(math.prod(shape) for shape in shapes(graph, *layers)) == 659_272
    norm = next(node.layer for node in graph.nodes if isinstance(node.layer, LocalResponseNorm))
    assert (norm.k, norm.size, norm.alpha, norm.beta) == (2, 5, 1e-4, 0.75)
    one = AlexNet.architecture(variant="one-tower")
    assert shapes(one, *layers[:5]) == [(64, 55, 55), (192, 27, 27), (384, 13, 13), (256, 13, 13), (256, 13, 13)]


INCEPTION_SMALL = [  # row, map, weights, multiply-adds, by hand from the filters of figure 3
    ("conv1", (96, 32, 32), 3 * 9 * 96, 1024),
    ("inception1a", (64, 32, 32), 96 * (32 + 9 * 32), 1024),
    ("inception1b", (80, 32, 32), 64 * (32 + 9 * 48), 1024),
    ("down1", (160, 16, 16), 80 * 9 * 80, 256),
    ("inception2a", (160, 16, 16), 160 * (112 + 9 * 48), 256),
    ("inception2b", (160, 16, 16), 160 * (96 + 9 * 64), 256),
    ("inception2c", (160, 16, 16), 160 * (80 + 9 * 80), 256),
    ("inception2d", (144, 16, 16), 160 * (48 + 9 * 96), 256),
    ("down2", (240, 8, 8), 144 * 9 * 96, 64),
    ("inception3a", (336, 8, 8), 240 * (176 + 9 * 160), 64),
    ("inception3b", (336, 8, 8), 336 * (176 + 9 * 160), 64),
]


def test_inception_small_by_row():
    graph = InceptionSmall.architecture()
    learned = {k: math.prod(v) for k, v in graph.parameters().items()}
    for row, shape, weights, pixels in INCEPTION_SMALL:
        nodes = [node for node in graph.nodes if node.name.split("/")[0] == row]
        assert nodes[-1].shape == shape
        convolutions = [node for node in nodes if isinstance(node.layer, Convolution)]
        assert sum(learned[f"{node.name}.weight"] for node in convolutions) == weights
        assert macs(graph, convolutions) == weights * pixels
    filters = sum(node.layer.filters for node in graph.nodes if isinstance(node.layer, Convolution))
    assert filters == 1_712
    assert parameters(graph) - filters == 1_649_402, "the paper's, whose batch norm has no scale"


GOOGLENET = [  # table 1, the last two columns exact: row, nodes, map, weights, weights and biases, multiply-adds
    ("conv", ["conv1"], (64, 112, 112), 9_408, 9_472, 118_013_952),
    ("conv", ["conv2", "conv3"], (192, 56, 56), 114_688, 114_944, 359_661_568),
    ("3a", ["inception3a/"], (256, 28, 28), 163_328, 163_696, 128_049_152),
    ("3b", ["inception3b/"], (480, 28, 28), 388_096, 388_736, 304_267_264),
    ("4a", ["inception4a/"], (512, 14, 14), 375_552, 376_176, 73_608_192),
    ("4b", ["inception4b/"], (512, 14, 14), 448_512, 449_160, 87_908_352),
    ("4c", ["inception4c/"], (512, 14, 14), 509_440, 510_104, 99_850_240),
    ("4d", ["inception4d/"], (528, 14, 14), 604_672, 605_376, 118_515_712),
    ("4e", ["inception4e/"], (832, 14, 14), 867_328, 868_352, 169_996_288),
    ("5a", ["inception5a/"], (832, 7, 7), 1_042_432, 1_043_456, 51_079_168),
    ("5b", ["inception5b/"], (1024, 7, 7), 1_442_816, 1_444_080, 70_697_984),
    ("linear", ["affine1"], (1000,), 1_024_000, 1_025_000, 1_024_000),
]


def test_googlenet_by_row():
    graph = GoogLeNet.architecture()
    for row, names, shape, weights, count, work in GOOGLENET:
        nodes = [node for node in graph.nodes if node.name.startswith(tuple(names))]
        learned = {k: math.prod(s) for k, s in graph.parameters().items() if k.startswith(tuple(names))}
        assert nodes[-1].shape == shape, row
        assert sum(n for k, n in learned.items() if k.endswith(".weight")) == weights, row
        assert sum(learned.values()) == count, row
        assert macs(graph, nodes) == work, row
    assert shapes(graph, "pool1", "pool2", "pool3", "pool4", "pool5") == [
        (64, 56, 56), (192, 28, 28), (480, 14, 14), (832, 7, 7), (1024, 1, 1)
    ]  # fmt: skip


def test_googlenet_heads():
    graph = GoogLeNet.architecture(heads=True)
    assert graph.outputs == {"scores": "softmax1", "aux1": "aux1/softmax1", "aux2": "aux2/softmax1"}
    assert graph["aux1/pool1"].inputs == ("inception4a/concat",)
    assert graph["aux2/pool1"].inputs == ("inception4d/concat",)
    assert shapes(graph, "aux1/pool1", "aux2/pool1") == [(512, 4, 4), (528, 4, 4)]
    heads = {k: math.prod(s) for k, s in graph.parameters().items() if k.startswith("aux")}
    assert [sum(n for k, n in heads.items() if k.startswith(name)) for name in ("aux1", "aux2")] == [
        3_188_840,
        3_190_888,
    ]


def test_reductions_save_more_than_half():
    """Figure 2: the block 3a with its 1x1 reductions and without."""
    with_them, without = inception(*WIDTHS["3a"]), inception(64, 0, 128, 0, 32, 32)
    assert with_them.output_shape((192, 28, 28)) == without.output_shape((192, 28, 28)) == (256, 28, 28)
    assert with_them.macs((192, 28, 28)) == 128_049_152
    assert without.macs((192, 28, 28)) == 784 * 192 * (64 + 9 * 128 + 25 * 32 + 32)


def test_vgg_and_resnet_stages():
    pools = [f"pool{i}" for i in range(1, 6)]
    assert shapes(VGG.architecture(19), *pools) == [
        (64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)
    ]  # fmt: skip
    ends = {18: "2222", 34: "3463", 50: "3463"}
    for depth, blocks in ends.items():
        widths = np.array([64, 128, 256, 512]) * (4 if depth == 50 else 1)
        names = [f"conv{stage}_{last}/add" for stage, last in zip("2345", blocks, strict=True)]
        sizes = (56, 28, 14, 7)
        assert shapes(ResNet.architecture(depth), *names) == [(w, n, n) for w, n in zip(widths, sizes, strict=True)]
    assert "conv5_4/add" not in [node.name for node in ResNet.architecture(50).nodes]
    deep = ResNet.architecture(152)
    assert shapes(deep, "conv3_8/add", "conv4_36/add") == [(512, 28, 28), (1024, 14, 14)]
    assert shapes(ResNet.architecture(110), "conv2_18/add", "conv3_18/add", "conv4_18/add") == [
        (16, 32, 32), (32, 16, 16), (64, 8, 8)
    ]  # fmt: skip
    for depth in (18, 34, 50, 101, 152, 20, 110):  # what the depth counts
        graph = ResNet.architecture(depth)
        assert sum(k.endswith(".weight") and "/shortcut/" not in k for k in graph.parameters()) == depth


def test_stride_of_the_bottleneck():
    """Moving the strides from 1x1 to 3x3, as a well-known implementation has it, costs what the docstring says."""
    graph = ResNet.architecture(50)
    moved = 0
    for stage in "345":
        node = graph[f"conv{stage}_1/conv1"]
        assert (node.layer.kernel, node.layer.stride) == (1, 2)
        assert (graph[f"conv{stage}_1/conv2"].layer.kernel, graph[f"conv{stage}_1/conv2"].layer.stride) == (3, 1)
        moved += 3 * node.layer.macs(graph.input_shapes(node.name)[0])  # on four times the positions
    assert macs(graph) + moved == 4_089_184_256


def test_squeezenet_by_layer():
    """Table 1, the parameters before pruning."""
    graph = SqueezeNet.architecture()
    learned = graph.parameters()
    rows = ["conv1", *(f"fire{i}" for i in range(2, 10)), "conv2"]
    assert [sum(math.prod(s) for k, s in learned.items() if k.split(".")[0].split("/")[0] == row) for row in rows] == [
        14_208, 11_920, 12_432, 45_344, 49_440, 104_880, 111_024, 188_992, 197_184, 513_000
    ]  # fmt: skip
    assert shapes(graph, "conv1", "pool1", "fire4/expand/concat", "pool2", "fire8/expand/concat", "pool3", "conv2") == [
        (96, 111, 111), (96, 55, 55), (256, 55, 55), (256, 27, 27), (512, 27, 27), (512, 13, 13), (1000, 13, 13)
    ]  # fmt: skip


def test_mobilenet_shares():
    """Table 2: nearly all multiply-adds are in 1x1 filters, and the multiplier takes off what the paper says."""
    graph = MobileNetV1.architecture()
    kernels = {
        size: [n for n in graph.nodes if isinstance(n.layer, Convolution) and n.layer.kernel == size] for size in (1, 3)
    }
    assert len(kernels[1]) == 13
    assert sum(n.layer.groups == n.shape[0] for n in kernels[3]) == 13
    assert round(100 * macs(graph, kernels[1]) / macs(graph), 2) == 94.86
    for width, millions, work in ((0.75, 2.6, 325), (0.5, 1.3, 149), (0.25, 0.5, 41)):
        thin = MobileNetV1.architecture(width=width)
        assert round(parameters(thin) / 1e6, 1) == millions
        assert math.floor(macs(thin) / 1e6) == work


def test_deep_convnet_by_layer():
    net = DeepConvNet()
    counts = {}
    for name, shape in net.parameters.items():
        counts[name.split(".")[0]] = counts.get(name.split(".")[0], 0) + math.prod(shape)
    assert list(counts.values()) == [160, 2_320, 4_640, 9_248, 18_496, 36_928, 51_250, 510]
    kinds = [type(node.layer).__name__ for node in net.graph.nodes]
    assert kinds[-4:] == ["ReLU", "Dropout", "Affine", "Dropout"]
    assert DeepConvNet(drop_scores=False).graph.nodes[-1].name == "affine2"


KINDS = {"Convolution": "Conv", "Affine": "Gemm", "ReLU": "Relu", "LocalResponseNorm": "LRN", "MaxPool": "MaxPool",
         "Concat": "Concat", "Add": "Sum", "BatchNorm": "BatchNormalization", "Dropout": "Dropout"}  # fmt: skip


@pytest.mark.parametrize(
    ("file", "architecture"),
    [
        ("bvlc_alexnet", lambda: AlexNet.architecture()),
        ("vgg19", lambda: VGG.architecture(19)),
        ("inception_v1", lambda: GoogLeNet.architecture()),
        ("squeezenet", lambda: SqueezeNet.architecture(version="1.1")),
        ("resnet50", lambda: ResNet.architecture(50)),
    ],
)
def test_layers_are_those_of_published_files(file, architecture):
    """The models in the onnx package were written apart from ours: the same layers, and the same windows."""
    onnx = require("onnx")
    model = onnx.load(Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / f"light_{file}.onnx")
    theirs = [node.op_type for node in model.graph.node if node.op_type in KINDS.values()]
    graph = architecture()
    ours = [KINDS[type(node.layer).__name__] for node in graph.nodes if type(node.layer).__name__ in KINDS]
    in_line = all(len(graph.consumers(node.name)) < 2 for node in graph.nodes)
    assert ours == theirs if in_line else Counter(ours) == Counter(theirs)
    used = slice(
        None, 4 if file == "resnet50" else None
    )  # there, strides stand elsewhere: test_stride_of_the_bottleneck
    windows, published = [w[used] for w in windows_of(graph)], [w[used] for w in windows_of_file(onnx, model)]
    assert Counter(windows) == Counter(published)


def windows_of(graph):
    for node in graph.nodes:
        layer = node.layer
        if isinstance(layer, Convolution):
            yield node.shape[0], layer.kernel, layer.padding, layer.groups, layer.stride


def windows_of_file(onnx, model):
    filters = {}
    sizes = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    for node in model.graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "ConstantOfShape":
            filters[node.output[0]] = sizes[node.input[0]]
        elif node.op_type == "Conv":
            kernel, stride = attributes["kernel_shape"], attributes.get("strides", [1, 1])
            padding = attributes.get("pads", [0] * 4)
            assert len(set(kernel)) == len(set(stride)) == len(set(padding)) == 1
            yield int(filters[node.input[1]][0]), kernel[0], padding[0], attributes.get("group", 1), stride[0]


def test_batch_norm_stands_behind_every_convolution():
    for graph in (GoogLeNet.architecture(batch_norm=True, heads=True), VGG.architecture(16, batch_norm=True)):
        for node in graph.nodes:
            if isinstance(node.layer, Convolution):
                assert [type(n.layer) for n in graph.consumers(node.name)] == [BatchNorm]
        assert not any(isinstance(node.layer, LocalResponseNorm) for node in graph.nodes)
