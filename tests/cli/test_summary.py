"""foveal summary, audit and show coverage, run in this process through `main`."""

import doctest
import json
import re
import sys
from pathlib import Path

import pytest
from matplotlib.image import imread

import foveal as fv
from foveal.layers import Affine, Convolution, ReLU

PAGE = (Path(__file__).parents[2] / "docs" / "accounting.md").read_text(encoding="utf-8")
NETS = """
from foveal import Network
from foveal.layers import Affine, ReLU


def mlp():
    return Network([Affine(32), ReLU(), Affine(10)], (1, 28, 28))


def graph():
    return mlp().graph
"""


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_model_by_name(foveal):
    code, out, err = foveal("summary", "simple")
    assert (code, err) == (0, "")
    assert out.startswith("SimpleConvNet, input 1x28x28\n")
    assert "30*12*12*100 = 432,000" in out
    assert "parameters: 433,890 = 433,750 weights + 140 biases, 1,735,560 bytes" in out


@pytest.mark.parametrize("name", ["googlenet", "GoogLeNet", "resnet20", "lenet5-modern", "vgg11"])
def test_large_models_are_counted_without_drawing_parameters(foveal, name, monkeypatch):
    monkeypatch.setattr(fv.Network, "__init__", None)
    code, out, _ = foveal("summary", name, "--json")
    totals = json.loads(out)["totals"]
    counts = {"googlenet": 6_998_552, "resnet20": 269_722, "lenet5-modern": 61_706, "vgg11": 132_863_336}
    assert (code, totals["parameters"]) == (0, counts[name.lower()])


def test_another_input(foveal):
    _, out, _ = foveal("summary", "googlenet", "--input", "3x128x128", "--json")
    data = json.loads(out)
    assert data["input"] == [3, 128, 128]
    assert data["rows"][0]["size"] == "(128 + 2*3 - 7)/2 + 1 = 64.5 -> 64"


def test_a_saved_file(foveal, tmp_path):
    net = fv.Network([Convolution(4, 3), ReLU(), Affine(3)], (1, 8, 8))
    net.save("net.safetensors")
    _, out, _ = foveal("summary", "net.safetensors", "--input", "1x10x10", "--json")
    data = json.loads(out)
    assert data["network"] == "net.safetensors"
    assert data["totals"]["parameters"] == 9 * 4 + 4 + 8 * 8 * 4 * 3 + 3


@pytest.mark.parametrize("function", ["mlp", "graph"])
def test_a_function_of_a_module_here(foveal, tmp_path, function, monkeypatch):
    (tmp_path / f"nets_{function}.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in (f"nets_{function}", f"nets_{function}.py"):
        code, out, _ = foveal("summary", f"{module}:{function}", "--csv")
        assert code == 0
        assert [line.split(",")[0] for line in out.splitlines()] == ["node", "affine1", "relu1", "affine2"]


def test_a_module_without_a_function(foveal, tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    code, out, err = foveal("summary", tmp_path / "nets.py")
    assert (code, out) == (2, "")
    assert "nets.py:FUNCTION" in err


FORMATS = {"json": "{", "csv": "node,", "markdown": "**", "latex": "% ", "html": "<table>"}


@pytest.mark.parametrize("name", FORMATS)
def test_formats(foveal, name):
    for arguments in (["summary", "simple"], ["summary", "simple", "--compare", "mlp"], ["audit", "lenet5"]):
        code, out, err = foveal(*arguments, f"--{name}")
        assert (code, err) == (0, "")
        start = "A node" if "--compare" in arguments and name == "csv" else FORMATS[name]
        assert out.startswith("row," if arguments[0] == "audit" and name == "csv" else start)
        if name == "json":
            json.loads(out)


def test_comparison(foveal):
    code, out, _ = foveal("summary", "simple", "--compare", "mlp", "--input", "1x20x20")
    assert code == 0
    assert out.startswith("A: SimpleConvNet, input 1x20x20; B: MLP, input 1x20x20\n")
    assert "MACs forward: " in out


def test_convention_and_columns(foveal):
    code, out, _ = foveal("summary", "simple", "--convention", "fvcore", "--columns", "node,jump,share-macs")
    assert code == 0
    assert out.splitlines()[2].split() == [
        "node",
        "jump",
        "share",
        "MACs",
        "fvcore",
        "flops",
        "(a",
        "multiply-add",
        "is",
        "one)",
    ]
    assert "fvcore: 865,000 flops (a multiply-add is one), the MACs counted here" in out
    every = foveal("summary", "simple", "--columns", "all", "--json")
    assert every[0] == 0


def test_plan(foveal):
    code, out, _ = foveal("summary", "simple", "--plan", 8, "--json")
    plan = json.loads(out)["plan"]
    assert (code, plan["batch"]) == (0, 8)
    assert plan["measured"] == {
        kind: fv.models.SimpleConvNet().plan(8, training=kind == "training").nbytes for kind in plan["measured"]
    }


@pytest.mark.parametrize(("paper", "text"), [
    ("googlenet", "1072K"), ("alexnet", "253,440"), ("lenet5", "340,908"),
])  # fmt: skip
def test_audit(foveal, paper, text):
    code, out, err = foveal("audit", paper)
    assert (code, err) == (0, "")
    assert text in out
    assert "as commonly quoted" in out


def test_coverage_of_a_window(foveal, tmp_path):
    arguments = ["--size", "12x12", "--kernel", 3, "--stride", 2, "-o", tmp_path / "new" / "a.png"]
    code, out, _ = foveal("show", "coverage", *arguments, "--json")
    data = json.loads(out)
    assert (code, data["unread"]) == (0, 23)
    assert data["reads"][2][:3] == [2, 2, 4]
    assert imread(tmp_path / "new" / "a.png").ndim == 3
    code, out, _ = foveal("show", "coverage", *arguments)
    assert "12x12 cells, read 0 to 4 times, 23 never; result written 9 to 9 times" in out


def test_coverage_of_dilated_windows_at_a_place(foveal):
    arguments = ["--kernel", 3, "--dilation", 2, "--repeat", 2, "--position", "middle", "--json"]
    data = json.loads(foveal("show", "coverage", *arguments)[1])
    assert data["unread"] == 144 - 25
    assert data["what"] == "2 times Convolution(1, 3, dilation=2) on 12x12, position middle"
    data = json.loads(foveal("show", "coverage", "--transposed", "--stride", 2, "--size", "5", "--json")[1])
    assert data["writes"] == [1, 1, 2, 1, 2, 1, 2, 1, 2, 1, 1]


def test_coverage_of_a_network(foveal, tmp_path):
    code, out, _ = foveal("show", "coverage", "lenet5", "--node", "C3/sparseconv1", "--position", "0,9", "-o", "a.svg")
    assert code == 0
    assert "LeNet5, from the input to C3/sparseconv1, position 0,9: 32x32 cells" in out
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize("command", [("summary",), ("audit",), ("show", "coverage")])
def test_help_has_examples(foveal, command):
    code, out, _ = foveal(*command, "--help")
    assert code == 0
    assert out.count("  foveal " + " ".join(command)) >= 2


def test_what_the_page_shows_is_what_is_printed(foveal, tmp_path, monkeypatch):
    """Every command in docs/accounting.md runs, and prints the block behind it, if there is one."""
    files = dict(re.findall(r"file\s+`(\w+)\.py`:\n\n```python\n(.*?)^```", PAGE, re.M | re.S))
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    shown = re.findall(r"^```\n(foveal [^\n]*)\n```\n(?:\n```\n(?!foveal )(.*?)^```)?", PAGE, re.M | re.S)
    assert len(shown) >= 9
    assert sum(bool(text) for _, text in shown) >= 6
    for line, wanted in shown:
        code, out, err = foveal(*line.split()[1:])
        assert (code, err) == (0, ""), line
        same = doctest.OutputChecker().check_output(wanted, out, doctest.ELLIPSIS)
        assert same or not wanted, f"{line}\n{out}"
    for name in files:
        del sys.modules[name]
