"""Output sizes against numbers from the literature, against PyTorch, and against counting windows by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal import geometry
from foveal.errors import GeometryError
from foveal.geometry import Window, output_size
from tests.support.oracles import require
from tests.support.runtime import onnx_node


@pytest.mark.parametrize(
    ("arguments", "rounding", "expected"),
    [
        ((28, 3), "error", 26),
        ((28, 5), "error", 24),  # the notes' SimpleConvNet
        ((227, 11, 4), "error", 55),  # AlexNet as published
        ((224, 11, 4, 2), "floor", 55),  # AlexNet, torchvision form
        ((55, 3, 2), "error", 27),
        ((112, 3, 2), "ceil", 56),  # GoogLeNet pool1
        ((112, 3, 2), "floor", 55),
        ((224, 7, 2, 3), "floor", 112),  # ResNet and GoogLeNet stem
        ((7, 3, 1, 2, 2), "error", 7),
        ((5, 2, 2, (0, 1)), "error", 3),
        ((1, 1), "error", 1),
    ],
)
def test_output_size(arguments, rounding, expected):
    assert output_size(*arguments, rounding=rounding) == expected


def test_ceil_drops_a_window_that_starts_in_the_padding_after():
    assert output_size(6, 3, 4, rounding="ceil") == 2  # the window at 4 starts in the map and hangs over its end
    assert output_size(3, 1, 3, (0, 2), rounding="ceil") == 2  # windows at 0 and 3; the one at 6 starts beyond the map
    assert output_size(3, 1, 2, (0, 2), rounding="ceil") == 3  # "floor" has a window at 4 already: it stays


axis = st.tuples(st.integers(1, 20), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))


@settings(derandomize=True, deadline=None, max_examples=300)
@given(axis, st.tuples(st.integers(0, 4), st.integers(0, 4)))
def test_floor_counts_the_windows_that_fit(numbers, padding):
    size, kernel, stride, dilation = numbers
    padded, extent = size + sum(padding), dilation * (kernel - 1) + 1
    fit = [start for start in range(0, padded, stride) if start + extent <= padded]
    if not fit:
        with pytest.raises(GeometryError, match="spans at most"):
            output_size(size, kernel, stride, padding, dilation, "floor")
        return
    assert output_size(size, kernel, stride, padding, dilation, "floor") == len(fit)
    covers_all = fit[-1] + extent == padded
    if covers_all:
        assert output_size(size, kernel, stride, padding, dilation) == len(fit)
    else:
        with pytest.raises(GeometryError, match="divisible"):
            output_size(size, kernel, stride, padding, dilation)
    starts_inside = fit[-1] + stride < size + padding[0]
    ceil = output_size(size, kernel, stride, padding, dilation, "ceil")
    assert ceil == len(fit) + (starts_inside and not covers_all)


def test_rounding_agrees_with_pytorch_pooling():
    torch = require("torch")
    compared = 0
    for size in range(3, 12):
        for kernel, stride, dilation in [(k, s, d) for k in (1, 2, 3) for s in (1, 2, 3, 4) for d in (1, 2)]:
            for padding in range(kernel // 2 + 1):
                window = Window.resolve((size,), kernel, stride, padding, dilation)
                if window.extent[0] > size + 2 * padding:
                    continue
                for rounding in ("floor", "ceil"):
                    x = torch.zeros(1, 1, size)
                    y = torch.nn.functional.max_pool1d(x, kernel, stride, padding, dilation, rounding == "ceil")
                    case = (size, kernel, stride, padding, dilation, rounding)
                    assert window.output((size,), rounding) == (y.shape[-1],), case
                    compared += 1
    assert compared > 500


@settings(derandomize=True, deadline=None, max_examples=200)
@given(axis)
def test_same_gives_size_over_stride_rounded_up(numbers):
    size, kernel, stride, dilation = numbers
    window = Window.resolve((size,), kernel, stride, "same", dilation)
    ((before, after),) = window.padding
    assert window.output((size,)) == window.output((size,), "ceil") == (-(-size // stride),)
    assert 0 <= after - before <= 1
    if before:  # no more padding than is needed
        assert size + before + after == (window.output((size,))[0] - 1) * stride + window.extent[0]


def test_same_agrees_with_onnxruntime():
    for size, kernel, stride in [(5, 2, 1), (6, 3, 2), (7, 3, 2), (8, 4, 3)]:
        x = np.arange(1.0, 1 + size, dtype=np.float32).reshape(1, 1, size)
        attributes = {"kernel_shape": [kernel], "strides": [stride], "auto_pad": "SAME_UPPER"}
        y = onnx_node("AveragePool", {"x": x}, count_include_pad=1, **attributes)
        ((before, after),) = geometry.pads("same", (size,), (kernel,), (stride,), (1,))
        padded = np.pad(x[0, 0], (before, after))
        means = [padded[i : i + kernel].mean() for i in range(0, size + before + after - kernel + 1, stride)]
        np.testing.assert_allclose(y[0, 0], means, rtol=1e-6)


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        (0, ((0, 0), (0, 0))),
        (2, ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        (((1, 2), (0, 3)), ((1, 2), (0, 3))),
        ([1, (0, 2)], ((1, 1), (0, 2))),
        (np.array([1, 2]), ((1, 1), (2, 2))),
        ("valid", ((0, 0), (0, 0))),
        ("same", ((1, 1), (1, 2))),
    ],
)
def test_padding_forms(padding, expected):
    assert geometry.pads(padding, (8, 8), (3, 4), (1, 1), (1, 1)) == expected


def test_on_a_single_axis_two_numbers_are_before_and_after():
    assert geometry.pads((1, 2), (8,), (3,), (1,), (1,)) == ((1, 2),)
    assert geometry.pads(((1, 2),), (8,), (3,), (1,), (1,)) == ((1, 2),)
    assert geometry.pads((1,), (8,), (3,), (1,), (1,)) == ((1, 1),)


@pytest.mark.parametrize("value", [3, np.int64(3), (3, 3), [3, np.int32(3)], np.array([3, 3]), np.array(3)])
def test_per_axis_takes_every_integer(value):
    result = geometry.per_axis(value, 2, "kernel")
    assert result == (3, 3)
    assert [type(n) for n in result] == [int, int]


def test_a_window_is_hashable_and_equal_by_value():
    assert {Window.resolve((8, 8), 3), Window.resolve((8, 8), (3, 3), (1, 1), ((0, 0), (0, 0)))} == {
        Window((3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1))
    }


@settings(derandomize=True, deadline=None, max_examples=200)
@given(axis, st.tuples(st.integers(0, 5), st.integers(0, 5)), st.sampled_from(["floor", "ceil"]))
def test_fitted_and_blind_agree_with_looking_at_every_tap(numbers, padding, rounding):
    size, kernel, stride, dilation = numbers
    window = Window.resolve((size,), kernel, stride, padding, dilation)
    if window.extent[0] > size + sum(padding):
        return
    (out,) = window.output((size,), rounding)
    fitted = window.fitted((size,), rounding)
    assert fitted.output((size,), "floor") == (out,)
    assert fitted.padding[0][0] == padding[0]
    taps = np.arange(out)[:, None] * stride - padding[0] + np.arange(kernel) * dilation
    assert taps.max() < size + fitted.padding[0][1]
    sees = ((taps >= 0) & (taps < size)).any(axis=1)
    expected = None if sees.all() else (0, int(np.argmin(sees)))
    assert window.blind((size,), rounding) == expected
