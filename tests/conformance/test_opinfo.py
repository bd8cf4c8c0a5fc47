"""PyTorch's own sample inputs (OpInfo): results, gradients and refusals of `foveal.ops` beside PyTorch's.

PyTorch computes in float64 what the sample says, on the same numbers; Foveal in the type of the sample, float32 by its
kernels and float64 by its formulas.
"""

import functools
import importlib
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from foveal import ops, reference
from foveal.errors import FovealError
from tests.conformance.adapters import ADAPTERS, NotOffered
from tests.conformance.bounds import UNIT, assert_within
from tests.support.oracles import require

# Samples that ask for what Foveal does not offer: how many of each function, and what it is.
NO_AXES, NO_CLASSES, PARTS = "an array without axes", "no classes", "parts of unequal size"
NOT_OFFERED = {
    "adaptive_avg_pool1d": {PARTS: 4},
    "adaptive_avg_pool2d": {PARTS: 8},
    "adaptive_avg_pool3d": {PARTS: 8},
    "adaptive_max_pool1d": {PARTS: 4},
    "adaptive_max_pool2d": {PARTS: 16},
    "adaptive_max_pool3d": {PARTS: 12},
    "avg_pool2d": {"divisor_override": 5},
    "avg_pool3d": {"divisor_override": 4},
    "batch_norm": {"an array without channels": 4},
    "cross_entropy": {
        "probabilities that do not sum to 1": 5,
        "weights of classes": 6,
        "reduction='none'": 2,
        "reduction='sum'": 2,
        "ignore_index": 1,
    },
    "log_softmax": {NO_AXES: 2, NO_CLASSES: 2},
    "mse_loss": {NO_AXES: 1, "reduction='none'": 1},
    "softmax": {NO_AXES: 2, NO_CLASSES: 2},
}
# The functions for which PyTorch has error inputs.
REFUSING = [name for name in ADAPTERS if "pool" in name or name.removesuffix("d")[:-1] == "nn.functional.conv"]
# What PyTorch refuses and Foveal can do: (a part of PyTorch's message, why it may).
ACCEPTED = [
    ("should be the same", "types may be mixed: integers and float64 make float64"),
    ("padding='same' is not supported for strided", '"same" is ceil(size / stride) positions'),
    ("pad should be at most half", "padding may be wider as long as each window sees the map"),
]
SEED = 0  # of PyTorch's random numbers


@pytest.fixture(scope="module")
def database():
    """PyTorch's table of its functions: [OpInfo] by name."""
    torch = require("torch")
    require("expecttest")  # PyTorch's table of tests imports it
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the arrays are small: threads would only wait for each other
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module("torch.testing._internal.common_methods_invocations")
    table = {}
    for info in module.op_db:
        table.setdefault(info.name, []).append(info)
    yield table
    torch.set_num_threads(threads)


def mapped(function, value, kind):
    """Apply `function` to everything of type `kind` in nested tuples, lists and dicts."""
    if isinstance(value, kind):
        return function(value)
    if isinstance(value, tuple | list):
        return type(value)(mapped(function, v, kind) for v in value)
    return {k: mapped(function, v, kind) for k, v in value.items()} if isinstance(value, dict) else value


def samples(database, name, dtype):
    """Return (OpInfo, sample) for every sample input of the function, all variants."""
    torch = require("torch")
    torch.manual_seed(SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inputs = [(info, info.sample_inputs("cpu", getattr(torch, dtype))) for info in database[name]]
        return [(info, sample) for info, drawn in inputs for sample in drawn]


def arguments(sample):
    """Return the sample's positional and keyword arguments as arrays."""
    torch = require("torch")
    array = functools.partial(mapped, lambda tensor: tensor.detach().resolve_conj().numpy(), kind=torch.Tensor)
    return (array(sample.input), *array(sample.args)), array(sample.kwargs)


def theirs(info, sample, dy):
    """Return PyTorch's results and the gradients of its floating-point arguments, all in float64."""
    torch = require("torch")
    leaves = []

    def leaf(tensor):
        copy = tensor.detach().clone()
        if copy.dtype.is_floating_point:
            copy = copy.to(torch.float64)
            leaves.append(copy)
        return copy

    positional, keywords = (mapped(leaf, v, torch.Tensor) for v in ((sample.input, *sample.args), sample.kwargs))
    fixed = {id(tensor) for tensor in positional[1:3]} if "batch_norm" in info.name else set()  # running statistics
    for tensor in leaves:
        tensor.requires_grad_(id(tensor) not in fixed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = info.op(*positional, **keywords)
    y, *others = found if isinstance(found, tuple) else (found,)
    assert y.shape == dy.shape, f"y: {tuple(y.shape)} expected, {dy.shape} found"
    y.backward(torch.tensor(dy, dtype=torch.float64))
    gradients = [None if tensor.grad is None else tensor.grad.numpy() for tensor in leaves]
    return y.detach().numpy(), [other.numpy() for other in others], gradients


def compare(info, sample, dtype, seed):
    """Hold one sample's result, indices and gradients."""
    rng = np.random.default_rng(seed)
    positional, keywords = arguments(sample)
    run = ADAPTERS[info.name](ops, *positional, **keywords)
    dy = rng.standard_normal(run.y.shape).astype(dtype)
    y, others, gradients = theirs(info, sample, dy)
    found = run.backward(dy)
    if run.sizes is None:
        positive = [mapped(lambda a: np.abs(a, dtype=np.float64) if a.dtype.kind == "f" else a, v, np.ndarray)
                    for v in (positional, keywords)]  # fmt: skip
        summed = ADAPTERS[info.name](reference, *positive[0], **positive[1])
        sizes = summed.y, *summed.backward(np.abs(dy, dtype=np.float64))
    else:
        sizes = run.sizes(dy.astype(np.float64))
    kind = str(keywords.get("dtype", dtype)).removeprefix("torch.")  # what the sample asks for by name
    assert run.y.dtype == kind or run.y.ndim == 0, f"y is {run.y.dtype}"  # losses are Python's floats
    assert_within(run.y, y, sizes[0], run.roundings[0], kind, "y")
    assert len(found) == len(gradients), "one gradient for each floating-point array"
    for i, (ours, expected) in enumerate(zip(found, gradients, strict=True)):
        if ours is not None:
            assert ours.dtype == kind, f"gradient {i} is {ours.dtype}"
            assert_within(ours, expected, sizes[i + 1], run.roundings[i + 1], kind, f"gradient {i}")
    for expected in others if run.indices is not None else ():
        np.testing.assert_array_equal(run.indices, expected)


def described(sample):
    torch = require("torch")
    shape = functools.partial(mapped, lambda tensor: f"<{tuple(tensor.shape)} {tensor.dtype}>", kind=torch.Tensor)
    return f"{shape(sample.input)} {shape(sample.args)} {shape(sample.kwargs)}"


@pytest.mark.parametrize("dtype", UNIT)
@pytest.mark.parametrize("name", ADAPTERS)
def test_samples(name, dtype, database, tally):
    """Every sample agrees, but for those that ask for what Foveal does not offer: these are counted by reason."""
    torch = require("torch")
    row = tally.row(f"PyTorch {torch.__version__}, OpInfo samples and gradients, {dtype}", name.split(".")[-1])
    failures = []
    for seed, (info, sample) in enumerate(samples(database, name, dtype)):
        try:
            compare(info, sample, dtype, seed)
            row.agree += 1
        except NotOffered as reason:
            row.others[str(reason)] += 1
        except Exception as error:
            failures.append(f"{described(sample)}: {type(error).__name__}: {error}")
    assert not failures, f"{len(failures)} samples\n" + "\n".join(failures[:10])
    assert row.agree, "none was compared"
    assert dict(row.others) == NOT_OFFERED.get(name.split(".")[-1], {})


@pytest.mark.parametrize("dtype", UNIT)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_labels_that_opinfo_leaves_out(smoothing, dtype, database):
    """Its samples have no smoothing, and no probabilities that sum to 1."""
    torch = require("torch")
    torch.manual_seed(SEED)
    for shape in ((4, 3), (2, 7, 3)):
        scores, others = torch.randn(2, *shape, dtype=getattr(torch, dtype))
        for t in (others.softmax(dim=1), others.argmax(dim=1)):
            sample = SimpleNamespace(input=scores, args=(t,), kwargs={"label_smoothing": smoothing})
            compare(database["nn.functional.cross_entropy"][0], sample, dtype, seed=0)


@pytest.mark.parametrize("name", REFUSING)
def test_errors(name, database, tally):
    """What PyTorch refuses Foveal refuses, with an error of its own, but for what it can do."""
    torch = require("torch")
    row = tally.row(f"PyTorch {torch.__version__}, OpInfo error inputs", name.split(".")[-1])
    wrong = []
    for info in database[name]:
        for bad in info.error_inputs("cpu") if info.error_inputs_func else ():
            positional, keywords = arguments(bad.sample_input)
            try:
                ADAPTERS[name](ops, *positional, **keywords)
            except NotOffered as reason:
                row.others[str(reason)] += 1
            except FovealError:
                row.refused += 1
            except Exception as error:
                wrong.append(f"{described(bad.sample_input)}: {type(error).__name__}: {error}")
            else:
                reasons = [why for part, why in ACCEPTED if part in bad.error_regex]
                row.others.update(f"accepted, {why}" for why in reasons)
                if not reasons:
                    wrong.append(f"{described(bad.sample_input)}: not refused: {bad.error_regex}")
    assert not wrong, "\n".join(wrong)
    assert row.refused
