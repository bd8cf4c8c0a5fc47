"""The names of the command line are the networks that they say."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from foveal import models
from foveal.cli import _common as common
from foveal.data import Dataset
from foveal.models import LeNet5

COUNTS = {
    "deepconvnet": 123_552, "mlp": 79_510, "lenet5": 60_000, "lenet5-modern": 61_706, "alexnet": 60_965_224,
    "alexnet-one-tower": 61_100_840, "googlenet": 6_998_552, "googlenet-bn": 7_005_832,
    "inception-small": 1_651_114, "vgg11": 132_863_336,
    "vgg13": 133_047_848, "vgg16": 138_357_544, "vgg19": 143_667_240, "resnet18": 11_689_512, "resnet34": 21_797_672,
    "resnet50": 25_557_032, "resnet101": 44_549_160, "resnet152": 60_192_808, "resnet20": 269_722, "resnet32": 464_154,
    "resnet44": 658_586, "resnet56": 853_018, "resnet110": 1_727_962, "squeezenet": 1_248_424, "mobilenet": 4_231_976,
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_what_a_name_means(name):
    graph = getattr(models, common.MODELS[name]).architecture(**common.ARGUMENTS.get(name, {}))
    assert sum(math.prod(shape) for shape in graph.parameters().values()) == COUNTS[name]


def test_the_table_of_the_docs():
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|.*\| ([\d,]+) \| [\d,]+ \| `([a-z0-9-]+)` \|$", text, re.MULTILINE)
    printed = {name: int(count.replace(",", "")) for count, name in rows}
    assert printed == COUNTS | {"simple": 433_890, "resnet18-small": 11_173_962}


def test_every_name_is_tested():
    made_elsewhere = {"simple", "audio1d", "voxel3d", "resnet18-small"}
    assert set(common.MODELS) == set(COUNTS) | made_elsewhere
    assert set(common.ARGUMENTS) <= set(common.MODELS)
    assert set(common.MODELS.values()) == set(models.__all__)


def digits():
    x, t = np.zeros((2, 1, 28, 28), np.uint8), np.arange(2)
    return Dataset((x, t), (x, t), tuple("0123456789"), "two")


def test_train_makes_them_for_the_data():
    net = common.build_model("lenet5-modern", digits(), seed=3)
    assert (type(net), net.parameter_count, net.input_shape, net.classes) == (
        LeNet5,
        61_706,
        (1, 28, 28),
        tuple("0123456789"),
    )
    assert common.build_model("resnet18-small", digits(), seed=0).parameter_count == 11_173_962 - 2 * 9 * 64
    assert common.build_model("resnet20", digits(), seed=0).parameter_count == 269_722 - 2 * 9 * 16
