"""Bad networks, columns, conventions and places: the call and the command line, each with its class and message."""

import re

import pytest

from foveal import models
from foveal.accounting import account, coverage
from foveal.accounting.audit import audit, printed, verdict
from foveal.accounting.columns import check
from foveal.cli import main
from foveal.cli.summary import parse_shape
from foveal.errors import DTypeError, FovealError, GeometryError, ParameterError, ShapeError
from foveal.graph import Graph
from foveal.layers import Affine, Convolution, ReLU
from tests.support.networks import Scale

GRAPH = Graph.sequence([Convolution(2, 3), ReLU()], (1, 8, 8))

CALLS = {
    "no network": (lambda: account([ReLU()]), DTypeError, r"account: expected a Network or Graph, got \[ReLU\(\)\]"),
    "convention": (lambda: account(GRAPH, convention="thop"), ParameterError, "convention: .*'thop'.*ptflops"),
    "columns": (lambda: account(GRAPH).to_text(["mac"]), ParameterError, "columns: .*'mac'. Did you mean 'macs'"),
    "columns alone": (lambda: check(["node", "nodes"]), ParameterError, "columns: .*'nodes'. Did you mean 'node'"),
    "no plans": (lambda: account(GRAPH, batch=3), DTypeError, "memory of plans: expected a Network, got Graph"),
    "coverage of a word": (lambda: coverage("conv"), DTypeError, "coverage: expected a layer, Network or Graph"),
    "coverage without a shape": (lambda: coverage(ReLU()), ShapeError, r"coverage of a layer: .*\(1, 28, 28\)"),
    "coverage without cells": (lambda: coverage(Affine(3), (5,)), ShapeError, r"an input with cells.*got \(5,\)"),
    "coverage of a user's layer": (
        lambda: coverage(Scale(), (1, 4, 4)),
        ParameterError,
        "coverage, 'scale1': expected a layer with a window, got Scale.*nothing says",
    ),
    "coverage that does not fit": (lambda: coverage(Convolution(1, 9), (1, 4, 4)), GeometryError, "kernel: "),
    "node": (lambda: coverage(GRAPH, node="conv2"), ParameterError, "the name of a node, got 'conv2'"),
    "position outside": (lambda: coverage(GRAPH, position=(6, 0)), ParameterError, r"in a map of 6x6.*got \(6, 0\)"),
    "position of one axis": (lambda: coverage(GRAPH, position=(1,)), ParameterError, r"position: .*got \(1,\)"),
    "position below 0": (lambda: coverage(GRAPH, position=(-1, 0)), ParameterError, r"position: .*got \(-1, 0\)"),
    "position word": (lambda: coverage(GRAPH, position="center"), ParameterError, "position: .*got 'center'"),
    "paper": (lambda: audit("vgg", GRAPH), ParameterError, "audit: expected a paper, got 'vgg'. .*Known: alexnet"),
    "paper alone": (lambda: printed("lenet"), ParameterError, "audit: .*Did you mean 'lenet5'"),
    "another network": (
        lambda: audit("googlenet", models.SimpleConvNet()),
        ParameterError,
        r"audit of GoogLeNet, convolution 3x3/1: expected a node called conv2 or conv3, got conv1, relu1, pool1",
    ),
    "a node in no row": (
        lambda: audit("lenet5", models.VGG.architecture(11)),
        ParameterError,
        "audit of LeNet-5",
    ),
    "figure": (lambda: verdict("many", 3), ParameterError, "audit: expected a number such as 2.7K, got 'many'"),
    "shape": (lambda: parse_shape("3xx4"), ParameterError, "--input: expected a shape such as 3x224x224, got '3xx4'"),
    "shape 0": (lambda: parse_shape("0x4"), ParameterError, "--input: .*got '0x4'"),
}


@pytest.mark.parametrize("case", CALLS)
def test_calls(case):
    call, kind, message = CALLS[case]
    with pytest.raises(FovealError, match=message) as caught:
        call()
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_a_network_with_more_than_the_paper():
    layers = [Convolution(96, 11, 4), ReLU()] + [Convolution(8, 1) for _ in range(5)] + [Affine(4) for _ in range(3)]
    with pytest.raises(
        ParameterError, match=r"AlexNet: expected each node that learns in one row.*got conv6: so the sums"
    ):
        audit("alexnet", Graph.sequence(layers, (3, 227, 227)))


COMMANDS = {
    "model": (["summary", "simpel"], "MODEL: expected a model, .*got 'simpel'. Did you mean 'simple'"),
    "no file": (["summary", "a.safetensors"], "a.safetensors: expected to read it"),
    "another file": (["summary", "{folder}/words.txt"], "words.txt: expected a safetensors file"),
    "no module": (["summary", "nowhere:net"], "MODEL: .*'nowhere:net': ModuleNotFoundError"),
    "no function": (["summary", "math:net"], "MODEL: .*AttributeError"),
    "wrong arguments": (["summary", "math:sqrt"], "MODEL: .*TypeError"),
    "no network": (
        ["summary", "os:getcwd"],
        "MODEL: expected a function that makes a foveal.Network, got .* makes a str",
    ),
    "input": (["summary", "simple", "--input", "28"], r"expected input_dim \(C, H, W\), got \(28,\)"),
    "input too small": (["summary", "googlenet", "--input", "3x9x9"], r"smallest .*input that fits"),
    "no shape": (["summary", "simple", "--input", "3,8,8"], "--input: expected a shape such as"),
    "convention": (["summary", "simple", "--convention", "fvcor"], "--convention: .*Did you mean 'fvcore'"),
    "columns": (["summary", "simple", "--columns", "node,mac"], "--columns: .*Did you mean 'macs'"),
    "formats": (["summary", "simple", "--csv", "--html"], "output: expected one format, got --csv and --html"),
    "second model": (["summary", "simple", "--compare", "x"], "--compare: expected a model"),
    "compare and columns": (["summary", "simple", "--compare", "mlp", "--columns", "node"], "--compare: .*--columns"),
    "plan": (["summary", "simple", "--plan", "-1"], "--plan: expected a whole number of at least 1, got -1"),
    "plan 0": (["summary", "simple", "--plan", "0"], "--plan: expected a whole number of at least 1, got 0"),
    "paper": (["audit", "vgg"], "PAPER: expected a paper, got 'vgg'"),
    "paper formats": (["audit", "lenet5", "--latex", "--markdown"], "one format, got --markdown and --latex"),
    "size": (["show", "coverage", "--size", "a"], "--size: expected a shape such as 28, 28x28 or 8x8x8"),
    "window": (["show", "coverage", "--size", "4", "--kernel", "9"], "kernel: expected a window that spans at most 4"),
    "stride": (["show", "coverage", "--stride", "0"], "stride: expected a positive integer, got 0"),
    "repeat": (["show", "coverage", "--repeat", "0"], "--repeat: "),
    "position": (["show", "coverage", "--position", "left"], "--position: expected a place such as 3,4, or middle"),
    "position outside": (["show", "coverage", "--position", "12,1"], "--position: .*map of 10x10"),
    "node alone": (["show", "coverage", "--node", "conv1"], "--node: expected a MODEL"),
    "node": (["show", "coverage", "simple", "--node", "conv9"], "the name of a node, got 'conv9'"),
    "ending": (["show", "coverage", "-o", "a.xyz"], "a.xyz': expected a known ending"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_one_line_and_exit_code_2(case, tmp_path, monkeypatch, capsys):
    arguments, message = COMMANDS[case]
    (tmp_path / "in").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "in" / "words.txt").write_text("words")
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(SystemExit) as exit:
        main([a.format(folder=tmp_path / "in") for a in arguments])
    out, err = capsys.readouterr()
    assert exit.value.code == 2
    assert out == ""
    assert re.fullmatch(f"error: .*({message}).*\n", err), err
    assert list((tmp_path / "here").iterdir()) == []
