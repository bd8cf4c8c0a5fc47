"""Every refusal of networks and their files: the call, the class, and what the message must say."""

from __future__ import annotations

import errno
import json
import os

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import foveal as fv
from foveal.errors import (
    DataError,
    DTypeError,
    FormatError,
    FovealError,
    GeometryError,
    ParameterError,
    ShapeError,
    StorageError,
)
from foveal.layers import Affine, Convolution, MaxPool, ReLU
from tests.support.machine import bits

X, T = np.random.default_rng(0).standard_normal((6, 1, 8, 8)).astype(np.float32), np.arange(6) % 3


def network(seed=0):
    return fv.Network([Convolution(2, 3), ReLU(), MaxPool(2), Affine(3)], (1, 8, 8), seed=seed)


def nan(x):
    y = x.copy()
    y[2, 0, 3, 4] = np.nan
    return y


def one_hot(**changes):
    t = np.eye(3)[T]
    for place, value in changes.items():
        t[int(place[1:])] = value
    return t


NET = network()
CALLS = [
    (
        lambda: fv.Network([Affine(3)]),
        ParameterError,
        r"^Network: expected an input_shape, got None\. Pass",
    ),
    (lambda: fv.Network([], (4,)), ParameterError, r"expected at least one layer, got none"),
    (lambda: fv.Network([Affine], (4,)), DTypeError, r"layer 0: expected a layer, got .*Write Affine\(\.\.\.\)"),
    (lambda: fv.Network([Convolution(3, 9)], (1, 8, 8)), GeometryError, r"^Convolution 'conv1' .*on input \(1, 8, 8\)"),
    (lambda: fv.Network([Affine(3)], (0,)), ShapeError, r"^network input"),
    (lambda: fv.Network([Affine(3)], (4,), seed="0"), DTypeError, r"^seed: expected a whole number"),
    # images
    (lambda: NET.predict(np.zeros((2, 3, 8, 8))), ShapeError, r"axis 1 has 3 channels \(RGB\).* for 1 \(grey\)"),
    (lambda: NET.predict(np.zeros((2, 8, 8, 1))), ShapeError, r"channels are on the last axis"),
    (lambda: NET.predict(np.zeros((2, 1, 8, 9))), ShapeError, r"the size differs"),
    (lambda: NET.predict(X[0]), ShapeError, r"it has 3 axes and a batch has 4\. Add the batch axis: x\[None\]"),
    (lambda: NET.predict(X[:, 0]), ShapeError, r"channel axis is missing\. Add it: x\[:, None\]"),
    (lambda: NET.predict(X.astype(int)), DTypeError, r"^x: expected uint8 or floating .* got int64\. Use x\.astype"),
    (lambda: NET.predict(X.astype(complex)), DTypeError, r"got complex128"),
    (lambda: NET.predict(X.astype(str)), DTypeError, r"^x: expected uint8 or floating"),
    (lambda: NET.predict([["a"]]), ShapeError, r"^x: expected shape \(N, 1, 8, 8\), got \(1, 1\)"),
    (lambda: NET.predict(X, batch_size=0), ParameterError, r"^batch_size: .* at least 1, got 0"),
    (lambda: NET.predict(X, batch_size=2.0), DTypeError, r"^batch_size"),
    (lambda: NET.plan(0), ParameterError, r"^batch: .* got 0"),
    (lambda: NET.probabilities(np.zeros((2, 3, 8, 8))), ShapeError, r"3 channels"),
    (lambda: NET.reference_scores(np.zeros((2, 3, 8, 8))), ShapeError, r"3 channels"),
    (lambda: NET.loss(X[:0], T[:0]), DataError, r"^x: expected at least one image"),
    (lambda: NET.accuracy(X[:0], T[:0]), DataError, r"^x: expected at least one image"),
    (lambda: NET.gradient(X[:0], T[:0]), DataError, r"^x: expected at least one image"),
    # labels
    (
        lambda: NET.loss(X, T[:5]),
        ShapeError,
        r"^t: expected shape \(6,\) .* \(6, 3\) one-hot, got \(5,\): there are",
    ),
    (lambda: NET.loss(X, np.zeros((6, 4))), ShapeError, r"the network has 3 classes"),
    (lambda: NET.loss(X, 1), ShapeError, r"^t: expected shape"),
    (lambda: NET.loss(X, T.astype(float)), DTypeError, r"integer class indices, got float64\. Use t\.astype"),
    (lambda: NET.loss(X, T + 1), DataError, r"labels from 0 to 2, got 3 at row 2"),
    (lambda: NET.loss(X, T - 1), DataError, r"got -1 at row 0"),
    (lambda: NET.accuracy(X, T + 1), DataError, r"got 3 at row 2"),
    (lambda: NET.gradient(X, T + 1), DataError, r"got 3 at row 2"),
    (lambda: NET.numerical_gradient(X, T + 1), DataError, r"got 3 at row 2"),
    (lambda: NET.loss(X, one_hot(r1=0)), DataError, r"^t: expected one 1 in each row, else 0, got .* at row 1"),
    (lambda: NET.loss(X, one_hot(r4=[0.5, 0.5, 0])), DataError, r"at row 4"),
    (lambda: NET.loss(X, one_hot(r3=[1, 1, 0])), DataError, r"at row 3"),
    # training
    (lambda: fv.fit(network(), nan(X), T, epochs=1, progress=False), DataError, r"finite values, got nan in image 2"),
    (lambda: fv.fit(network(), X, T + 1, epochs=1, progress=False), DataError, r"labels from 0 to 2"),
]


@pytest.mark.parametrize(("call", "kind", "message"), CALLS)
def test_calls(call, kind, message):
    with pytest.raises(FovealError, match=message) as error:
        call()
    assert type(error.value) is kind


def test_a_refused_call_leaves_the_network_working():
    net = network()
    expected = net.predict(X)
    for call in (lambda: net.predict(X[0]), lambda: net.gradient(X, T + 1), lambda: net.predict(X.astype(int))):
        with pytest.raises(FovealError):
            call()
    np.testing.assert_array_equal(bits(net.predict(X)), bits(expected))


def without(arrays, name):
    return {k: v for k, v in arrays.items() if k != name}


LOADS = [
    (lambda a: without(a, "conv1.bias"), ShapeError, r"^parameters: expected the 4 of Network.*conv1\.bias is missing"),
    (
        lambda a: a | {"conv9.bias": np.zeros(3)},
        ShapeError,
        r"conv9\.bias is unknown\. These are parameters of",
    ),
    (lambda a: a | {"affine1.bias": np.zeros(4)}, ShapeError, r"affine1\.bias has shape \(4,\), not \(3,\)"),
    (lambda a: {}, ShapeError, r"conv1\.weight is missing; conv1\.bias is missing; .*affine1\.bias is missing"),
    (lambda a: a | {f"x{i}": 0 for i in range(9)}, ShapeError, r"x5 is unknown; and 3 more"),
    (lambda a: a | {"affine1.bias": np.zeros(3, complex)}, DTypeError, r"parameter 'affine1\.bias'|'bias'.*complex"),
    (lambda a: a | {"affine1.bias": np.array(["a", "b", "c"])}, DTypeError, r"expected real numbers, got dtype <U1"),
]


@pytest.mark.parametrize(("change", "kind", "message"), LOADS)
def test_nothing_changes_when_parameters_do_not_fit(change, kind, message):
    net = network()
    before, scores = {k: v.copy() for k, v in net.arrays().items()}, net.predict(X)
    others = {k: v + 1 for k, v in net.arrays().items()}
    with pytest.raises(FovealError, match=message) as error:
        net.load_parameters(change(others))
    assert type(error.value) is kind
    for name, array in net.arrays().items():
        np.testing.assert_array_equal(bits(array), bits(before[name]), name)
    np.testing.assert_array_equal(bits(net.predict(X)), bits(scores))


# Files


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.safetensors"
    network().save(path)
    return path


def rewritten(path, arrays=None, **changes):
    """Write the file again with other arrays, or with other entries of its description (None removes one)."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    description = json.loads(content[8 : 8 + size])["__metadata__"] | changes
    description = {k: v if isinstance(v, str) else json.dumps(v) for k, v in description.items() if v is not None}
    save_file(load_file(path) if arrays is None else arrays, path, description)


def config_of(path):
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return json.loads(header["__metadata__"]["network"])


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 9, 50, 0.3, 0.6, 0.9, -1])
def test_a_truncated_file(saved, cut):
    content = saved.read_bytes()
    at = int(cut * len(content)) if isinstance(cut, float) else cut
    saved.write_bytes(content[:at])
    with pytest.raises(FormatError, match=r"net\.safetensors: expected a safetensors file, got .*copy it again"):
        fv.load(saved)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"not a network at all, but long enough", b"\x80\x04\x95pickle", b"PK\x03\x04zip", b"\xff" * 64,
     (2**62).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"[]", (4).to_bytes(8, "little") + b"null",
     (9).to_bytes(8, "little") + b'{"a": {}}'],
)  # fmt: skip
def test_what_is_not_safetensors(saved, content):
    saved.write_bytes(content)
    with pytest.raises(FormatError, match=r"net\.safetensors: expected a safetensors file"):
        fv.load(saved)


def test_bits_that_flipped_in_the_header(saved):
    """Whatever byte of the header is wrong: a network or a FormatError, never another exception."""
    content = bytearray(saved.read_bytes())
    size = int.from_bytes(content[:8], "little")
    rng = np.random.default_rng(1)
    refused = 0
    for at in rng.choice(8 + size, 150, replace=False):
        damaged = bytearray(content)
        damaged[at] ^= 1 << rng.integers(8)
        saved.write_bytes(damaged)
        try:
            fv.load(saved)
        except FormatError:
            refused += 1
    assert refused > 75


def test_safetensors_of_something_else(saved):
    save_file({"weight": np.zeros(3, np.float32)}, saved)
    with pytest.raises(FormatError, match=r"expected a network \(foveal-network-1\), got format None with 1 arrays"):
        fv.load(saved)
    rewritten_format = "foveal-network-2"
    network().save(saved)
    rewritten(saved, format=rewritten_format)
    with pytest.raises(FormatError, match=r"got format 'foveal-network-2' with 4 arrays\. Only files written by"):
        fv.load(saved)


def changed(path, change):
    config = config_of(path)
    change(config)
    rewritten(path, network=config)


DESCRIPTIONS = {
    "no network": lambda p: rewritten(p, network=None),
    "broken JSON": lambda p: rewritten(p, network='{"type": "Network", '),
    "JSON of a number": lambda p: rewritten(p, network="5"),
    "JSON null": lambda p: rewritten(p, network="null"),
    "JSON of a list": lambda p: rewritten(p, network="[]"),
    "no graph": lambda p: changed(p, lambda c: c.pop("graph")),
    "a graph that is a list": lambda p: changed(p, lambda c: c.update(graph=[1])),
    "no type": lambda p: changed(p, lambda c: c.pop("type")),
    "a type that is a list": lambda p: changed(p, lambda c: c.update(type=["Network"])),
    "no seed": lambda p: changed(p, lambda c: c.pop("seed")),
    "a seed that is text": lambda p: changed(p, lambda c: c.update(seed="0")),
    "a negative seed": lambda p: changed(p, lambda c: c.update(seed=-1)),
    "an unknown layer": lambda p: changed(p, lambda c: c["graph"]["layers"][1].update(type="Relu")),
    "a layer that is a number": lambda p: changed(p, lambda c: c["graph"]["layers"].__setitem__(1, 5)),
    "an unknown argument": lambda p: changed(p, lambda c: c["graph"]["layers"][0].update(colour=1)),
    "an impossible argument": lambda p: changed(p, lambda c: c["graph"]["layers"][0].update(kernel=0)),
    "a kernel that does not fit": lambda p: changed(p, lambda c: c["graph"]["layers"][0].update(kernel=99)),
    "an unknown node": lambda p: changed(p, lambda c: c["graph"].update(output="pool9")),
    "a cycle": lambda p: changed(p, lambda c: c["graph"]["nodes"][0].update(inputs=["affine1"])),
    "a layer number outside": lambda p: changed(p, lambda c: c["graph"]["nodes"][0].update(layer=9)),
    "an input shape of text": lambda p: changed(p, lambda c: c["graph"].update(input_shape="abc")),
    "no input shape": lambda p: changed(p, lambda c: c["graph"].update(input_shape=None)),
    "another network's description": lambda p: changed(p, lambda c: c["graph"]["layers"][0].update(filters=3)),
    "classes in broken JSON": lambda p: rewritten(p, classes="["),
    "classes that are a number": lambda p: rewritten(p, classes="5"),
    "a missing array": lambda p: rewritten(p, without(load_file(p), "conv1.bias")),
    "an extra array": lambda p: rewritten(p, load_file(p) | {"more": np.zeros(2, np.float32)}),
    "an array of another shape": lambda p: rewritten(p, load_file(p) | {"conv1.bias": np.zeros(3, np.float32)}),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_descriptions_that_do_not_fit(saved, name):
    DESCRIPTIONS[name](saved)
    with pytest.raises(FormatError, match=r"net\.safetensors: expected a network, got a description that does not fit"):
        fv.load(saved)


def test_the_reason_is_told(saved):
    for name, reason in (("a missing array", "conv1.bias is missing"), ("an unknown layer", "Did you mean 'ReLU'"),
                         ("an array of another shape", r"conv1.bias has shape \(3,\), not \(2,\)")):  # fmt: skip
        network().save(saved)
        DESCRIPTIONS[name](saved)
        with pytest.raises(FormatError, match=reason):
            fv.load(saved)


def test_no_such_file(tmp_path):
    with pytest.raises(StorageError, match=r"nothing\.safetensors: expected to read it, got 'No such file"):
        fv.load(tmp_path / "nothing.safetensors")
    with pytest.raises(StorageError, match="expected to read it"):
        fv.load(tmp_path)


def test_saving_where_nothing_can_be_written(tmp_path):
    net = network()
    with pytest.raises(StorageError, match=r"expected to write it, .*The folder does not exist\. Make it"):
        net.save(tmp_path / "no" / "net.safetensors")
    with pytest.raises(StorageError, match="it is a folder"):
        net.save(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="expected to write it"):
        net.save(tmp_path / "file" / "net.safetensors")


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk_leaves_the_previous_file(saved, monkeypatch, function):
    before = saved.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, function, full)
        with pytest.raises(StorageError, match=r"No space left on device.*The disk is full\. Free some space"):
            network(seed=5).save(saved)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == ["net.safetensors"], "a temporary file is left behind"
    np.testing.assert_array_equal(bits(fv.load(saved).predict(X)), bits(network().predict(X)))
