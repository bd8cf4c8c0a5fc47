"""Accounts against published counts, other tools, and the paper's own tables."""

import json
from pathlib import Path

import numpy as np
import pytest

import foveal as fv
from foveal import layers as L
from foveal import models
from foveal.accounting import CONVENTIONS, account, compare
from foveal.accounting.audit import PAPERS, audit, printed, verdict
from foveal.accounting.columns import NAMES
from foveal.accounting.memory import peak_bytes
from foveal.graph import Graph, GraphBuilder
from foveal.kernels.threads import pool
from tests.accounting.networks import COUNTED, WIDTHS, googlenet

RECORDED = json.loads(Path(__file__).with_name("tools.json").read_text(encoding="utf-8"))["counts"]

# class, arguments, parameters, MACs of convolutions and affine layers (None: not published)
PUBLISHED = [
    ("SimpleConvNet", {}, 433_890, 865_000),
    ("DeepConvNet", {}, 123_552, None),
    ("LeNet5", {"variant": "modern"}, 61_706, 416_520),
    ("AlexNet", {"variant": "2012"}, 60_965_224, 724_406_816),
    ("AlexNet", {"variant": "one-tower"}, 61_100_840, 714_188_480),
    ("GoogLeNet", {}, 6_998_552, 1_582_671_872),
    ("GoogLeNet", {"heads": True}, 13_378_280, None),
    ("GoogLeNet", {"batch_norm": True}, 7_005_832, None),
    ("VGG", {"depth": 11}, 132_863_336, 7_609_090_048),
    ("VGG", {"depth": 13}, 133_047_848, 11_308_466_176),
    ("VGG", {"depth": 16}, 138_357_544, 15_470_264_320),
    ("VGG", {"depth": 19}, 143_667_240, 19_632_062_464),
    ("VGG", {"depth": 16, "batch_norm": True}, 138_365_992, 15_470_264_320),
    ("ResNet", {"depth": 18}, 11_689_512, 1_814_073_344),
    ("ResNet", {"depth": 50}, 25_557_032, None),
    ("ResNet", {"depth": 152}, 60_192_808, None),
    ("ResNet", {"depth": 20}, 269_722, None),
    ("SqueezeNet", {}, 1_248_424, None),
]


def graph_of(name, arguments):
    model = getattr(models, name)
    return model.architecture(**arguments) if hasattr(model, "architecture") else model(**arguments).graph


@pytest.mark.parametrize(("name", "arguments", "parameters", "macs"), PUBLISHED)
def test_published_counts(name, arguments, parameters, macs):
    totals = account(graph_of(name, arguments)).totals
    assert totals.parameters == parameters
    assert macs in (None, totals.work.macs.forward)


def test_the_inception_blocks_of_table_1():
    exact = {"3a": (163_328, 163_696, 128_049_152), "3b": (388_096, 388_736, 304_267_264),
             "4a": (375_552, 376_176, 73_608_192), "4b": (448_512, 449_160, 87_908_352),
             "4c": (509_440, 510_104, 99_850_240), "4d": (604_672, 605_376, 118_515_712),
             "4e": (867_328, 868_352, 169_996_288), "5a": (1_042_432, 1_043_456, 51_079_168),
             "5b": (1_442_816, 1_444_080, 70_697_984)}  # fmt: skip
    rows = account(googlenet()).rows
    for name in WIDTHS:
        block = [row for row in rows if row.name.startswith(f"inception{name}/")]
        weights, both = sum(r.weights for r in block), sum(r.weights + r.biases for r in block)
        assert (weights, both, sum(r.work.macs.forward for r in block)) == exact[name]


@pytest.mark.parametrize("tool", ["torchinfo", "fvcore", "ptflops"])
@pytest.mark.parametrize("name", COUNTED)
def test_conventions_give_what_the_tools_gave(name, tool):
    found = account(COUNTED[name](), convention=tool)
    assert sum(found.gap.values()) == RECORDED[name][tool]
    assert sum(found.convention.count(row) for row in found.rows) == RECORDED[name][tool]
    said = RECORDED[name]["parameters"]
    assert sum(found.convention.parameters(row) for row in found.rows) == said["torchinfo"] == said["ptflops"]
    text = found.to_text()
    assert f"{tool}: {RECORDED[name][tool]:,} {found.convention.unit}" in text
    assert found.convention.source in text.replace("\n", " ")


def test_every_network_was_recorded():
    assert RECORDED.keys() == COUNTED.keys()


def test_the_paper_counts_neither_biases_nor_batch_norm():
    found = account(COUNTED["vgg 11"](), convention="paper")
    assert sum(found.gap.values()) == found.totals.work.macs.forward
    assert sum(found.convention.parameters(row) for row in found.rows) == found.totals.weights
    lenet = account(models.LeNet5.architecture(), convention="paper")
    assert lenet["S2/subsampling1"].work.macs.forward == 6 * 14 * 14
    assert lenet.convention.count(lenet["S2/subsampling1"]) == 0
    assert "1,576 MACs of other layers left out" in lenet.to_text()


def test_a_gap_says_which_part_is_what():
    found = account(Graph.sequence([L.Convolution(4, 3), L.ReLU(), L.MaxPool(2)], (1, 8, 8)), convention="ptflops")
    macs, biases, relu, pool = found.gap.values()
    assert (macs, biases, relu, pool) == (9 * 4 * 36, 4 * 36, 2 * 4 * 36, 2 * 4 * 36)
    assert len(CONVENTIONS["ptflops"].rule) > 40


# The audits


def test_lenet5_is_as_printed():
    found = audit("lenet5", models.LeNet5.architecture())
    assert all(f.verdict == "equal" and f.off == 0 for r in (*found.rows, found.sums) for f in r.figures.values())
    assert (found.sums.figures["trainable"].exact, found.sums.figures["connections"].exact) == (60_000, 340_908)
    assert found.misprints == ()


def test_googlenet_verdicts():
    found = audit("googlenet", models.GoogLeNet.architecture())
    params = {row.name: row.figures["params"] for row in found.rows if "params" in row.figures}
    ops = {row.name: row.figures["ops"].verdict for row in found.rows if "ops" in row.figures}
    short = {name: figure.verdict for name, figure in params.items()}
    exceptions = ["convolution 7x7/2", *(f"inception ({n})" for n in ("4a", "4c", "4d", "4e", "5a", "5b"))]
    assert [name for name, said in short.items() if said == "misprint"] == exceptions
    assert {name for name, said in short.items() if said == "K = 1024"} == set(short) - set(exceptions)
    assert [n for n, said in ops.items() if said != "equal"] == [
        "convolution 7x7/2", "inception (4a)", "inception (5a)"
    ]  # fmt: skip
    assert all(row.figures["output"].verdict == "equal" for row in found.rows)
    assert all(figure.note for figure in params.values() if figure.verdict == "misprint")
    assert params["inception (4c)"].off == pytest.approx(463 * 1024 / 509_440 - 1)
    assert found.sums.figures["params"].exact == 6_990_272
    assert found.sums.figures["ops"].exact == 1_582_671_872
    assert {f.verdict for f in found.sums.figures.values()} == {"off"}
    # without its heads, whatever the network has
    assert audit("googlenet", models.GoogLeNet.architecture(heads=True)).sums == found.sums


def test_alexnet_verdicts():
    found = audit("alexnet", models.AlexNet.architecture())
    assert [row.figures["neurons"].verdict for row in found.rows] == ["misprint"] + 7 * ["equal"]
    assert found.sums.figures["neurons"].exact == 659_272
    assert found.sums.figures["parameters"].exact == 60_965_224
    assert {f.verdict for f in found.sums.figures.values()} == {"about"}


VERDICTS = [
    ("112K", 112_000, "equal"),
    ("112K", 112 * 1024, "K = 1024"),
    ("112K", 113 * 1024, "K = 1024"),
    ("112K", 114 * 1024 + 1, "misprint"),
    ("2.7K", 2_712, "equal"),
    ("2.7K", 9_408, "misprint"),
    ("34M", 34_019_328, "equal"),
    ("34M", 34_600_000, "misprint"),
    ("1,516", 1_516, "equal"),
    ("1,516", 1_517, "misprint"),
    ("0", 0, "equal"),
    ("about 60M", 61_100_000, "about"),
    ("about 60M", 62_400_000, "misprint"),
]


@pytest.mark.parametrize(("text", "exact", "said"), VERDICTS)
def test_verdicts(text, exact, said):
    assert verdict(text, exact)[0] == said


@pytest.mark.parametrize("paper", PAPERS)
def test_audits_are_shown(paper):
    model = printed(paper)["model"]
    found = audit(paper, graph_of(model["name"], model["arguments"]))
    assert "as commonly quoted" in found.to_text()
    data = json.loads(found.to_json())
    assert [row["name"] for row in data["rows"]] == [row.name for row in found.rows]
    assert len(found.to_csv().splitlines()) == len(found.rows) + 1
    assert found.to_html().count("<tr>") == len(found.rows) + 2


# Memory


def test_peak_is_what_lives_at_once():
    layers = [L.Convolution(30, 5), L.ReLU(), L.MaxPool(2), L.Flatten(), L.Dropout(), L.Affine(10)]
    assert peak_bytes(Graph.sequence(layers, (1, 28, 28))) == 4 * 2 * 30 * 24 * 24
    build = GraphBuilder((1, 10))  # two branches from one vector: it lives until the second has read it
    x = build(L.Affine(100), build.input)
    graph = build.graph(build.add([build(L.Affine(7), x), build([L.Affine(50), L.Affine(7)], x)]))
    assert peak_bytes(graph) == 4 * (100 + 7 + 50)
    build = GraphBuilder((1, 10))  # what a Dropout hands on lives until that was read
    x = build(L.Affine(100), build.input)
    kept = build(L.Dropout(), x)
    long = build([L.Affine(7), L.Affine(300), L.Affine(7)], x)
    graph = build.graph(build.add([long, build(L.Affine(7), kept)]))
    assert peak_bytes(graph) == 4 * (100 + 300 + 7)


def test_peak_against_a_simulation():
    for make in COUNTED.values():
        graph = make()
        maps = {"input": graph.input_shape} | {node.name: node.shape for node in graph.nodes}
        root = {}
        for node in graph.nodes:
            alias = isinstance(node.layer, L.Flatten | L.Dropout)
            root[node.name] = root.get(node.inputs[0], node.inputs[0]) if alias else node.name
        needed = [{root.get(n, n) for n in (node.name, *node.inputs)} for node in graph.nodes]
        needed.append({root[name] for name in graph.outputs.values()})
        made = {"input": 0} | {root[node.name]: i for i, node in reversed(list(enumerate(graph.nodes)))}
        first = {
            name: next(i for i, node in enumerate(graph.nodes) if node.name == name) for name in made if name != "input"
        }
        first["input"] = 0
        last = {name: max(i for i, names in enumerate(needed) if name in names) for name in first}
        alive = [
            sum(4 * int(np.prod(maps[n])) for n in first if first[n] <= i <= last[n]) for i in range(len(graph.nodes))
        ]
        assert peak_bytes(graph) == max(alive)


def test_bytes_of_training():
    found = account(Graph.sequence([L.Convolution(2, 3), L.ReLU(), L.Flatten(), L.Affine(5)], (1, 6, 6)))
    assert [row.inference_bytes for row in found.rows] == [4 * 32, 4 * 32, 0, 4 * 5]
    assert [row.training_bytes for row in found.rows] == [8 * 32, 8 * 32, 0, 8 * 5]
    assert found.totals.training_bytes == 4 * 36 + 8 * (32 + 32 + 5)


@pytest.mark.parametrize("batch", [1, 16])
def test_the_plan_holds_what_is_predicted(batch):
    layers = [L.Convolution(8, 3, padding=1), L.ReLU(), L.MaxPool(2), L.Affine(20), L.ReLU(), L.Affine(5)]
    net = fv.Network(layers, (1, 12, 12))
    plan = account(net, batch=batch).plan
    maps, parameters = 4 * batch * (144 + 8 * 36 + 20 + 5), 4 * account(net).totals.parameters
    assert plan.predicted["inference"] == parameters + maps
    gradients = 4 * batch * (20 + 5)  # that of the pooled map lies in the map
    assert plan.predicted["training"] == 2 * parameters + maps + gradients
    for kind, predicted in plan.predicted.items():
        assert plan.measured[kind] == net.plan(batch, training=kind == "training").nbytes
        assert predicted <= plan.measured[kind], "more by scratch, alignment and borders, never less"
        parts = plan.parts[kind]
        assert sum(parts.values()) == plan.measured[kind]
        assert all(size > 0 for part, size in parts.items() if part != "scratch")
    assert plan.parts["inference"]["maps"] == maps
    assert plan.parts["inference"]["around maps"] >= 4 * batch * (14 * 14 - 12 * 12), "zeros of the padding"


def test_the_prediction_is_most_of_the_memory():
    """But for the scratch of the threads, which depends on neither network nor batch."""
    plan = account(models.SimpleConvNet(), batch=100).plan
    for kind, predicted in plan.predicted.items():
        scratch = plan.parts[kind]["scratch"]
        assert predicted > 0.9 * (plan.measured[kind] - scratch)
        assert scratch >= pool().size * 500_000


# Tables


def test_every_format_says_the_same():
    found = account(models.SimpleConvNet(), name="simple <&>_%|")
    names = [row.name for row in found.rows]
    data = json.loads(found.to_json())
    assert [row["name"] for row in data["rows"]] == names
    assert data["totals"]["parameters"] == 433_890
    assert data["rows"][0]["parameters"]["weight"] == {"count": 750, "formula": "5*5*1*30"}
    assert data["rows"][0]["field"] == {"size": [5, 5], "jump": [1, 1], "start": [0, 0]}
    assert sum(row["share"]["macs"] for row in data["rows"]) == pytest.approx(1)
    assert sum(row["share"]["parameters"] for row in data["rows"]) == pytest.approx(1)
    header, *lines = found.to_csv().splitlines()
    assert [line.split(",")[0] for line in lines] == names
    assert "weights-formula" in header.split(",")
    text = found.to_text()
    assert "5*5*1*30*24*24 = 432,000" in text
    assert "28 - 5 + 1 = 24" in text
    assert str(found) == text
    markdown = [line for line in found.to_markdown().splitlines() if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in markdown}) == 1
    assert len(markdown) == len(names) + 3
    latex = found.to_latex()
    assert latex.count(r"\\") == len(names) + 2
    assert r"weight\_std" in latex
    page = found.to_html()
    assert "simple &lt;&amp;&gt;_%|" in page
    import xml.etree.ElementTree as xml

    table = xml.fromstring(page.partition("</table>")[0] + "</table>")
    assert len(table.findall("tbody/tr")) == len(names)


@pytest.mark.parametrize("width", [20, 80, 200, 1000])
def test_numbers_and_formulas_are_never_broken(width):
    found = account(models.LeNet5.architecture())
    table, lines = found.table(NAMES), found.to_text(NAMES, width).splitlines()
    for row in table.cells():
        for cell, right in zip(row, table.right, strict=True):
            assert not right or any(cell in line for line in lines), cell
    few = found.to_text(["node", "layer"], width)
    assert max(map(len, few.splitlines()[2:-3])) <= max(width, 2 + 2 * 20)


def test_columns_can_be_chosen():
    found = account(COUNTED["shared"]())
    table = found.table(["node", "layer", "share-macs", "dw-flops", "unread"])
    assert table.header == ("node", "layer", "share MACs", "dw FLOPs", "unread")
    assert "parameters of conv1" in table.rows[2][1]
    assert sum(row[2] for row in table.rows) == pytest.approx(1)
    assert table.sums[2:4] == (1.0, found.totals.work.flops.dw)


def test_fields_of_several_axes_and_jumps():
    found = account(Graph.sequence([L.Convolution(1, (3, 5), (1, 2), ((0, 0), (2, 0)))], (1, 8, 9)))
    row = found.table(["field", "jump", "start"]).rows[0]
    assert row == ("3, 5", "1, 2", "0, -2")
    build = GraphBuilder((1, 9))
    mixed = build.graph(
        build.add([build(L.Convolution(1, 3, 3), build.input), build(L.Convolution(1, 7), build.input)])
    )
    assert account(mixed).table(["jump"]).rows[-1] == (None,)
    assert json.loads(account(mixed).to_json())["rows"][-1]["field"]["jump"] == [None]


def test_comparison_aligns_what_corresponds():
    conv = account(models.SimpleConvNet(), name="conv")
    dense = account(models.MLP.architecture(), name="mlp")
    found = compare(conv, dense)
    names = [tuple(row and row.name for row in pair) for pair in found.pairs]
    assert [a for a, _ in names if a] == [row.name for row in conv.rows]
    assert [b for _, b in names if b] == [row.name for row in dense.rows]
    assert names == [
        ("conv1", None), ("relu1", None), ("pool1", None), ("affine1", "affine1"), ("relu2", "relu1"),
        ("affine2", "affine2"),
    ]  # fmt: skip
    data = json.loads(found.to_json())
    assert data["totals"]["parameters"] == [433_890, dense.totals.parameters]
    assert len(found.to_csv().splitlines()) == 1 + len(names)
    assert f"parameters: 433,890 and {dense.totals.parameters:,}" in found.to_text()


def test_a_network_beside_itself_and_a_block_without_its_reductions():
    same = compare(account(googlenet(64)), account(googlenet(64)))
    assert all(a.name == b.name for a, b in same.pairs)
    with_reductions = L.Parallel(
        [L.Convolution(16, 1), L.Convolution(32, 5, padding=2)], L.MaxPool(3, 1, 1), name="block"
    )
    without = L.Parallel([L.Convolution(32, 5, padding=2)], L.MaxPool(3, 1, 1), name="block")
    one, two = (account(Graph.sequence([block, L.ReLU()], (192, 28, 28))) for block in (with_reductions, without))
    found = compare(one, two)
    assert found.totals["parameters"] == (192 * 16 + 16 + 25 * 16 * 32 + 32, 25 * 192 * 32 + 32)
    assert [tuple(r and r.name for r in pair) for pair in found.pairs] == [
        ("block/branch1/conv1", None),
        ("block/branch1/conv2", "block/branch1/conv1"),
        *((name, name) for name in ("block/branch2/pool1", "block/concat", "relu1")),
    ]
