"""Where a window lands on a map: output sizes, padding, normalised arguments. Integers only, no arrays.

Whatever takes a kernel, stride, padding or dilation (reference, ops, kernels, layers) asks this module, so that one
rule and one message hold everywhere. On one axis, with padding ``before`` and ``after``,

    extent = dilation * (kernel - 1) + 1
    output = (size + before + after - extent) / stride + 1

A remainder of the division is refused ("error"), dropped ("floor"), or given a last window that hangs over the end
("ceil"; as in PyTorch's pooling, that extra window must start inside the input or the padding before it).

A map has one, two or three such axes: a signal (L), an image (H, W), a volume (D, H, W).
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any

from foveal.errors import DTypeError, GeometryError, ParameterError, ShapeError, explain, nearest

PerAxis = int | Sequence[int]
Pair = tuple[int, int]
Padding = int | str | Sequence[int | Sequence[int]]

ROUNDINGS = ("error", "floor", "ceil")
PADDINGS = ("valid", "same")
_FIXES = {
    "stride": "Use stride=1 to visit every position.",
    "dilation": "Use dilation=1 for taps that are neighbours.",
    "kernel": "Use kernel=1 for a window of one position.",
    "padding": "Use padding=0 for none.",
    "output_padding": "Use output_padding=0 for none.",
}


def integer(value: Any, name: str, *, least: int = 1) -> int:
    """Return `value` as an int that is at least `least`; bools and floats are refused.

    Raises
    ------
    DTypeError
        `value` is not an integer.
    GeometryError
        `value` is smaller than `least`.

    Examples
    --------
    >>> integer(3, "kernel")
    3
    """
    expected = "a positive integer" if least == 1 else f"an integer of at least {least}"
    fix = _FIXES.get(name.split("[")[0], "")
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        message = explain(name, expected=expected, got=repr(value), why=f"it is a {type(value).__name__}", fix=fix)
        raise DTypeError(message) from None
    if number < least:
        raise GeometryError(explain(name, expected=expected, got=str(number), fix=fix))
    return number


def per_axis(value: Any, axes: int, name: str, *, least: int = 1) -> tuple[int, ...]:
    """Return one int per axis, from one int for all axes or a sequence of one per axis.

    Raises
    ------
    DTypeError
        An entry is not an integer.
    GeometryError
        An entry is smaller than `least`, or there are not `axes` of them.

    Examples
    --------
    >>> per_axis(3, 2, "kernel")
    (3, 3)
    >>> per_axis((3, 5), 2, "kernel")
    (3, 5)
    """
    if not _is_sequence(value):
        return (integer(value, name, least=least),) * axes
    entries = tuple(value)
    _same_length(entries, value, axes, name)
    return tuple(integer(entry, f"{name}[{i}]", least=least) for i, entry in enumerate(entries))


def kernel_axes(kernel: Any) -> int | None:
    """Return for how many axes `kernel` is written: its length, or None for an int, which fits any number of axes.

    Examples
    --------
    >>> kernel_axes((3, 5)), kernel_axes(3)
    (2, None)
    """
    return len(kernel) if _is_sequence(kernel) and isinstance(kernel, Sized) else None


def volume(shape: Iterable[int]) -> int:
    """Return how many numbers an array of `shape` holds, exactly, however many they are.

    Examples
    --------
    >>> volume((2, 3, 4)), volume(())
    (24, 1)
    """
    numbers = 1
    for n in shape:
        numbers *= n
    return numbers


def check_volume(shape: Sequence[int], where: str, what: str = "a result") -> None:
    """Refuse an array that no machine can address: 2^63 bytes or more in float64.

    Raises
    ------
    GeometryError

    Examples
    --------
    >>> check_volume((2**40, 2**40), "im2col", "a matrix")
    Traceback (most recent call last):
    foveal.errors.GeometryError: im2col: expected a matrix of less than 2^60 numbers, got shape (1099511627776, ...
    """
    if volume(shape) >= 2**60:
        fix = "Use less padding, a larger stride or a smaller map."
        expected, why = f"{what} of less than 2^60 numbers", "in float64 that is all that 64 bits can address"
        raise GeometryError(explain(where, expected=expected, got=f"shape {tuple(shape)}", why=why, fix=fix))


def pads(
    padding: Any, size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[Pair, ...]:
    """Return (before, after) per axis.

    Parameters
    ----------
    padding : int, sequence, "valid" or "same"
        One int for every side; one int per axis; one (before, after) pair per axis; ``"valid"`` is 0; ``"same"`` makes
        the output ``ceil(size / stride)`` and puts an odd position after (TensorFlow's SAME, ONNX's SAME_UPPER).
        On a single axis ``(1, 2)`` is the pair.
    size, kernel, stride, dilation : sequence of int, one per axis
        What ``"same"`` is computed from.

    Raises
    ------
    DTypeError, GeometryError, ParameterError
        An entry is not an integer; is negative or not one per axis; an unknown word.

    Examples
    --------
    >>> pads(1, (28, 28), (3, 3), (1, 1), (1, 1))
    ((1, 1), (1, 1))
    >>> pads("same", (28, 28), (5, 2), (1, 1), (1, 1))
    ((2, 2), (0, 1))
    """
    if isinstance(padding, str):
        if _word(padding, "padding", PADDINGS) == "valid":
            return ((0, 0),) * len(size)
        spans = zip(size, kernel, stride, dilation, strict=True)
        totals = [max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0) for n, k, s, d in spans]
        return tuple((total // 2, total - total // 2) for total in totals)
    return _pairs(padding, len(size))


def output_size(
    size: int, kernel: int, stride: int = 1, padding: Any = 0, dilation: int = 1, rounding: str = "error"
) -> int:
    """Return how many windows fit on an axis: ``(size + before + after - dilation*(kernel-1) - 1) / stride + 1``.

    Parameters
    ----------
    size, kernel, stride, dilation : int
        Positions of the input, taps of the window, steps between windows, steps between taps.
    padding : int, (before, after), "valid" or "same"
        Positions added at the ends.
    rounding : {"error", "floor", "ceil"}
        What happens to a remainder of the division: refused; dropped; one more window, which hangs over the end. That
        window must start inside the input or the padding before it, otherwise it is dropped (PyTorch's rule).

    Raises
    ------
    GeometryError
        The window does not fit, or leaves a remainder with ``rounding="error"``.
    DTypeError, ParameterError
        An argument is not an integer; an unknown word.

    Source
    ------
    Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv 1603.07285, relationships 6 and 15.

    Examples
    --------
    >>> output_size(28, 3)
    26
    >>> output_size(224, 11, stride=4, padding=2, rounding="floor")
    55
    >>> output_size(112, 3, stride=2, rounding="ceil")
    56
    """
    window = Window.resolve((integer(size, "size"),), kernel, stride, padding, dilation)
    return window.output((size,), rounding)[0]


@dataclass(frozen=True)
class Window:
    """A window that slides over a map: one entry per axis, all checked. `resolve` makes it from what users write.

    Attributes
    ----------
    kernel, stride, dilation : tuple of int
    padding : tuple of (before, after)

    Examples
    --------
    >>> window = Window.resolve((28, 28), 5, stride=1, padding="same")
    >>> window.padding, window.output((28, 28))
    (((2, 2), (2, 2)), (28, 28))
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[Pair, ...]
    dilation: tuple[int, ...]

    @classmethod
    def resolve(
        cls, spatial: Sequence[int], kernel: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
    ) -> Window:
        """Normalise and check what users write, for a map of size `spatial` (without N and C)."""
        sizes = [integer(n, f"size[{i}]") for i, n in enumerate(spatial)]
        kernels, strides, dilations = (
            per_axis(value, len(sizes), name)
            for value, name in ((kernel, "kernel"), (stride, "stride"), (dilation, "dilation"))
        )
        return cls(kernels, strides, pads(padding, sizes, kernels, strides, dilations), dilations)

    @property
    def extent(self) -> tuple[int, ...]:
        """Positions from the first to the last tap: ``dilation * (kernel - 1) + 1`` per axis."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    def padded(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """Return the size per axis of a map with its padding."""
        return tuple(before + n + after for n, (before, after) in zip(spatial, self.padding, strict=True))

    def output(self, spatial: Sequence[int], rounding: str = "floor") -> tuple[int, ...]:
        """Return the output size per axis; see `output_size` for the formula and `rounding`."""
        check_rounding(rounding)
        return tuple(self._output(axis, size, rounding) for axis, size in enumerate(spatial))

    def fitted(self, spatial: Sequence[int], rounding: str) -> Window:
        """Return this window with the padding after each axis grown until "ceil"'s last window lies inside.

        The result gives with "floor" what this one gives with `rounding`, so that loops need to know one rule only.
        """
        out = self.output(spatial, rounding)
        if rounding != "ceil":
            return self
        axes = zip(spatial, out, self.stride, self.extent, self.padding, strict=True)
        grown = tuple((b, a + max(0, (p - 1) * s + e - (n + b + a))) for n, p, s, e, (b, a) in axes)
        return replace(self, padding=grown)

    def blind(self, spatial: Sequence[int], rounding: str = "floor") -> tuple[int, int] | None:
        """Return (axis, output index) of the first window whose taps all lie in the padding, None if there is none.

        A maximum or mean over nothing has no value, so pooling refuses such windows.
        """
        for axis, (n, out) in enumerate(zip(spatial, self.output(spatial, rounding), strict=True)):
            k, s, d, (before, after) = self.kernel[axis], self.stride[axis], self.dilation[axis], self.padding[axis]
            if d == 1 and max(before, after) < k:  # neighbouring taps reach over any padding shorter than themselves
                continue
            for i in range(out):
                if not any(0 <= i * s - before + j * d < n for j in range(k)):
                    return axis, i
        return None

    def check_sighted(self, spatial: Sequence[int], rounding: str = "floor") -> None:
        """Refuse a window that sees padding only, as `blind` finds it.

        Raises
        ------
        GeometryError
        """
        empty = self.blind(spatial, rounding)
        if empty is not None:
            axis, index = empty
            got = f"{self.padding[axis]} on axis {axis}, where window {index} sees padding only"
            why = "over nothing there is no maximum and no mean"
            fix = f"Use a padding smaller than the kernel, {self.kernel[axis]}."
            raise GeometryError(explain("padding", expected="every window to see the map", got=got, why=why, fix=fix))

    def _output(self, axis: int, size: int, rounding: str) -> int:
        (before, after), stride = self.padding[axis], self.stride[axis]
        free = size + before + after - self.extent[axis]
        if free < 0:
            raise GeometryError(_too_large(self, axis, size))
        steps, rest = divmod(free, stride)
        if rest and rounding == "error":
            raise GeometryError(_remainder(self, axis, size))
        hangs_over = rest > 0 and rounding == "ceil" and (steps + 1) * stride < size + before
        return steps + 1 + hangs_over


def transposed_size(
    size: int, kernel: int, stride: int = 1, padding: Any = 0, output_padding: int = 0, dilation: int = 1
) -> int:
    """Return the positions of an axis after a transposed convolution, which undoes the size of a convolution:
    ``(size - 1)*stride - before - after + dilation*(kernel - 1) + 1 + output_padding``.

    Parameters
    ----------
    size, kernel, stride, dilation : int
        Positions of the input, taps of the window, steps between windows, steps between taps.
    padding : int, (before, after), "valid" or "same"
        Positions that are cut off at the ends; with "same", ``size * stride`` remain.
    output_padding : int
        Positions added at the end, less than the stride or the dilation: a convolution with a stride gives one size for
        several, and this says which one is wanted.

    Raises
    ------
    GeometryError
        Nothing remains, or `output_padding` is too large.
    DTypeError, ParameterError
        An argument is not an integer; an unknown word.

    Source
    ------
    Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv 1603.07285, relationship 14.

    Examples
    --------
    >>> transposed_size(13, 4, stride=2, padding=1)
    26
    >>> output_size(5, 3, 2), output_size(6, 3, 2, rounding="floor")
    (2, 2)
    >>> transposed_size(2, 3, 2), transposed_size(2, 3, 2, output_padding=1)
    (5, 6)
    """
    return transposed((integer(size, "size"),), kernel, stride, padding, output_padding, dilation)[1][0]


def transposed(
    spatial: Sequence[int], kernel: Any, stride: Any, padding: Any, output_padding: Any, dilation: Any
) -> tuple[Window, tuple[int, ...]]:
    """Return the window that a transposed convolution of a map of size `spatial` undoes, and the size of the result.

    Raises
    ------
    GeometryError, DTypeError, ParameterError
        As `transposed_size`.

    Examples
    --------
    >>> window, size = transposed((13, 13), 4, 2, 1, 0, 1)
    >>> size, window.output(size)
    ((26, 26), (13, 13))
    """
    strides = per_axis(stride, len(spatial), "stride")
    extra = per_axis(output_padding, len(spatial), "output_padding", least=0)
    wide = [n * s for n, s in zip(spatial, strides, strict=True)]
    window = Window.resolve(wide, kernel, strides, padding, dilation)
    if isinstance(padding, str) and padding == "same":
        sizes = wide
    else:
        axes = zip(spatial, strides, window.padding, window.extent, strict=True)
        sizes = [(n - 1) * s - before - after + extent for n, s, (before, after), extent in axes]
    for axis, (size, add) in enumerate(zip(sizes, extra, strict=True)):
        if add and add >= max(window.stride[axis], window.dilation[axis]):
            expected = f"less than the stride ({window.stride[axis]}) or the dilation ({window.dilation[axis]})"
            raise GeometryError(explain(f"output_padding[{axis}]", expected=expected, got=str(add)))
        if size + add < 1:
            got, why = f"{size + add} on axis {axis}", f"padding {window.padding[axis]} cuts off all there is"
            raise GeometryError(explain("padding", expected="a result of 1 position or more", got=got, why=why))
    return window, tuple(size + add for size, add in zip(sizes, extra, strict=True))


@dataclass(frozen=True)
class Blowup:
    """What im2col's matrix costs in float32; `im2col_blowup` makes it.

    Attributes
    ----------
    rows, columns : int
        Of the matrix: one row per window, one column per tap and channel.
    nbytes : int
        Bytes of the matrix.
    x_nbytes : int
        Bytes of the maps that it was made of.
    factor : float
        How many times the maps the matrix is. Without padding and stride it is nearly the number of taps.
    """

    rows: int
    columns: int
    nbytes: int
    x_nbytes: int
    factor: float

    def __str__(self) -> str:
        sizes = f"{_in_bytes(self.nbytes)}, {self.factor:.3g} times the {_in_bytes(self.x_nbytes)} of x"
        return f"im2col: {self.rows:,} rows x {self.columns:,} columns = {sizes} (float32)"


def im2col_blowup(
    x_shape: Sequence[int], kernel: PerAxis, *, stride: PerAxis = 1, padding: Padding = 0, dilation: PerAxis = 1
) -> Blowup:
    """Return how much memory `im2col` would need, without doing it.

    Parameters
    ----------
    x_shape : (N, C, *spatial), or (C, *spatial) where `kernel` has one entry per axis
        Shape of the maps.
    kernel, stride, padding, dilation
        As in `im2col`.

    Returns
    -------
    Blowup

    Raises
    ------
    ShapeError, GeometryError, DTypeError, ParameterError
        `x_shape` is not that of maps; the kernel does not fit.

    Examples
    --------
    >>> print(im2col_blowup((100, 64, 56, 56), 3, padding=1))
    im2col: 313,600 rows x 576 columns = 722.5 MB, 9 times the 80.3 MB of x (float32)
    """
    shape, axes = tuple(x_shape), kernel_axes(kernel)
    if axes is not None and len(shape) == axes + 1:
        shape = (1, *shape)
    if len(shape) not in (3, 4, 5) or (axes is not None and len(shape) != axes + 2):
        expected = "x_shape (N, C, *spatial)" + (f" with {axes} spatial axes" if axes else "")
        raise ShapeError(explain("im2col_blowup", expected=expected, got=str(tuple(x_shape))))
    n, c = integer(shape[0], "x_shape[0]", least=0), integer(shape[1], "x_shape[1]")
    window = Window.resolve(shape[2:], kernel, stride, padding, dilation)
    windows, columns, x = volume(window.output(shape[2:])), c * volume(window.kernel), c * volume(shape[2:])
    return Blowup(n * windows, columns, 4 * n * windows * columns, 4 * n * x, windows * columns / x)


def check_window(kernel: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> None:
    """Refuse what fits no map at all (stride 0, a negative padding), before any map is known.

    Examples
    --------
    >>> check_window(5, stride=0)
    Traceback (most recent call last):
    foveal.errors.GeometryError: stride: expected a positive integer, got 0. Use stride=1 to visit every position.
    """
    named = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    lengths = [len(tuple(v)) for v in named.values() if _is_sequence(v)]
    axes = lengths[0] if lengths else 1
    for name in ("kernel", "stride", "dilation"):
        per_axis(named[name], axes, name)
    pads(padding, (1,) * axes, (1,) * axes, (1,) * axes, (1,) * axes)


def check_rounding(rounding: Any) -> str:
    """Return `rounding` if it is "error", "floor" or "ceil".

    Examples
    --------
    >>> check_rounding("floor")
    'floor'
    """
    return _word(rounding, "rounding", ROUNDINGS)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str) and getattr(value, "shape", None) != ()


def _pairs(padding: Any, axes: int) -> tuple[Pair, ...]:
    if not _is_sequence(padding):
        value = integer(padding, "padding", least=0)
        return ((value, value),) * axes
    entries = tuple(padding)
    if axes == 1 and len(entries) == 2 and not any(_is_sequence(entry) for entry in entries):
        entries = (entries,)
    _same_length(entries, padding, axes, "padding")
    result = []
    for i, entry in enumerate(entries):
        pair = tuple(entry) if _is_sequence(entry) else (entry, entry)
        _same_length(pair, entry, 2, f"padding[{i}]", what="(before, after)")
        before, after = (integer(value, f"padding[{i}]", least=0) for value in pair)
        result.append((before, after))
    return tuple(result)


def _same_length(entries: tuple[Any, ...], given: Any, length: int, name: str, what: str = "") -> None:
    if len(entries) != length:
        what = what or (f"one integer, or one for each of the {length} axes" if length > 1 else "one integer")
        raise GeometryError(explain(name, expected=what, got=repr(given), why=f"it has {len(entries)} entries"))


def _in_bytes(n: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if n >= size:
            return f"{n / size:,.1f} {unit}"
    return f"{n} bytes"


def _word(value: Any, name: str, known: Sequence[str]) -> str:
    if value not in known:
        expected = " or ".join(repr(word) for word in known)
        raise ParameterError(explain(name, expected=expected, got=repr(value), fix=nearest(str(value), known)))
    return str(value)


def _too_large(window: Window, axis: int, size: int) -> str:
    (before, after), extent = window.padding[axis], window.extent[axis]
    padded = size + before + after
    why = f"axis {axis} has {size} positions, with padding {before} + {after} that is {padded}"
    if window.dilation[axis] > 1:
        why += f", and dilation {window.dilation[axis]} spreads {window.kernel[axis]} taps over {extent}"
    largest = (padded - 1) // window.dilation[axis] + 1
    fix = f"Use kernel={largest} or less, or add {extent - padded} more to the padding or the map."
    got = f"{window.kernel[axis]}" + (f" (spanning {extent})" if window.dilation[axis] > 1 else "")
    return explain("kernel", expected=f"a window that spans at most {padded} positions", got=got, why=why, fix=fix)


def _remainder(window: Window, axis: int, size: int) -> str:
    (before, after), k, s, d = window.padding[axis], window.kernel[axis], window.stride[axis], window.dilation[axis]
    free = size + before + after - window.extent[axis]
    steps, rest = divmod(free, s)
    more = s - rest
    got = f"({size} + {before} + {after} - {d}*({k} - 1) - 1) / {s} = {free} / {s}"
    sizes = f"{size - rest} or {size + more}" if size > rest else f"{size + more}"
    fix = f"Use size {sizes}, or padding ({before}, {after + more})"
    fix += f", or rounding='floor' ({steps + 1}) or 'ceil' ({window._output(axis, size, 'ceil')})."
    expected = "(size + before + after - dilation*(kernel - 1) - 1) divisible by the stride"
    return explain("output_size", expected=expected, got=got, why=f"{rest} of axis {axis} left over", fix=fix)
