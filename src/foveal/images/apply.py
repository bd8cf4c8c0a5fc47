"""An image kernel on an image: check, choose how to run it, run it, count what was clipped."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import DataError, DTypeError, ShapeError, explain
from foveal.images.catalogue import kernel as kernel_of
from foveal.images.edges import check_edge, edge_index
from foveal.images.kernels import Kernel

if TYPE_CHECKING:
    from foveal.kernels.filter_steps import ImageFilter

Image = NDArray[Any]
Method = Literal["direct", "separable", "fft"]


@dataclass(frozen=True)
class Report:
    """What `apply` did.

    Attributes
    ----------
    kernel : str
        Name and size.
    method : str
        "separable": a column and a row, one after the other; "direct": all weights; "fft": in the frequency domain.
    samples : int
        Filtered samples: pixels times channels, without alpha.
    clipped : int
        Those whose value, rounded, was below 0 or above 255. Always 0 for floating point images.
    """

    kernel: str
    method: Method
    samples: int
    clipped: int

    @property
    def share(self) -> float:
        """Clipped samples in parts of 1."""
        return self.clipped / max(1, self.samples)

    def __str__(self) -> str:
        share = f"{100 * self.share:.2f} %"
        return f"{self.kernel}, {self.method}: {self.clipped:,} of {self.samples:,} samples clipped ({share})"


@overload
def apply(
    image: ArrayLike, kernel: str | Kernel | ArrayLike, *, edge: str = ..., offset: float | None = ...,
    scale: float | None = ..., flip: bool = ..., return_report: Literal[False] = ...,
) -> Image: ...  # fmt: skip
@overload
def apply(
    image: ArrayLike, kernel: str | Kernel | ArrayLike, *, edge: str = ..., offset: float | None = ...,
    scale: float | None = ..., flip: bool = ..., return_report: Literal[True],
) -> tuple[Image, Report]: ...  # fmt: skip
def apply(
    image: ArrayLike,
    kernel: str | Kernel | ArrayLike,
    *,
    edge: str = "reflect",
    offset: float | None = None,
    scale: float | None = None,
    flip: bool = False,
    return_report: bool = False,
) -> Image | tuple[Image, Report]:
    """Filter an image: each sample becomes the weighted sum of its neighbourhood.

    It is a correlation, as image kernels are everywhere; `flip` makes it a convolution. With the middle of the kernel
    at row m = kh // 2 and column n = kw // 2,

        y[h, w] = 1/scale * sum_ij kernel[i, j] * x[h + i - m, w + j - n] + offset

    uint8 results are rounded, ties to the even number, and held to 0 .. 255. Sums are float32, so a value within about
    1e-3 of a tie may go either way, and whole numbers are exact. These give the same:

        cv2.filter2D(x, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        scipy.ndimage.correlate(x[..., c].astype(float), kernel, mode="mirror")

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, C), uint8 or floating
        C = 1 grey, 2 grey and alpha, 3 RGB (or BGR), 4 with alpha. Alpha is copied.
    kernel : str, Kernel or array of shape (kh, kw)
        As `foveal.images.kernel` takes it.
    edge : str
        What stands around the image. "reflect", d c b | a b c d | c b a, is OpenCV's BORDER_REFLECT_101, NumPy's
        "reflect" and SciPy's "mirror" (what SciPy calls "reflect" is another one). "replicate" is BORDER_REPLICATE,
        "edge", "nearest"; "wrap" is BORDER_WRAP, "wrap", "grid-wrap"; "zero" is black.
    offset, scale : float, optional
        In place of the kernel's own. `scale` is a divisor.
    flip : bool
        Turn the kernel by 180 degrees first: a convolution, ``scipy.ndimage.convolve``.
    return_report : bool
        Also return how many samples were clipped.

    Returns
    -------
    y : ndarray of the shape of `image`
        uint8 for uint8, else float32.
    report : Report
        If asked for.

    Raises
    ------
    ShapeError
        If the image has another shape.
    DTypeError
        If it is neither uint8 nor floating point.
    DataError
        If a floating point image is not finite.
    ParameterError
        If the kernel, the edge mode or a number is impossible.

    Examples
    --------
    >>> x = np.zeros((3, 5), np.uint8)
    >>> x[:, 2] = 30
    >>> apply(x, "box")
    array([[ 0, 10, 10, 10,  0],
           [ 0, 10, 10, 10,  0],
           [ 0, 10, 10, 10,  0]], dtype=uint8)
    >>> print(apply(x, "outline", return_report=True)[1])
    outline 3x3, direct: 6 of 15 samples clipped (40.00 %)
    """
    x = _check_image(image)
    chosen = kernel_of(kernel, scale=scale, offset=offset)
    if flip:
        chosen = chosen.flipped()
    shape: tuple[int, int, int] = (*x.shape, 1) if x.ndim == 2 else x.shape
    colours = shape[2] - (shape[2] in (2, 4))
    check_edge(edge)
    y, clipped, method = np.empty_like(x), 0, _method(shape, chosen)
    if x.size and method == "fft":
        from foveal.images.fourier import correlate_by_fft

        if x.dtype != np.uint8 and not np.isfinite(x).all():
            raise not_finite(x.reshape(shape))
        clipped = correlate_by_fft(x.reshape(shape), y.reshape(shape), colours, chosen, edge)
    elif x.size:
        clipped = _run(x.reshape(shape), y.reshape(shape), colours, chosen, edge)
    if not return_report:
        return y
    kh, kw = chosen.array.shape
    return y, Report(f"{chosen.name} {kh}x{kw}", method, shape[0] * shape[1] * colours, clipped)


def _check_image(image: ArrayLike) -> Image:
    x = np.asarray(image)
    if x.ndim not in (2, 3) or (x.ndim == 3 and not 1 <= x.shape[2] <= 4):
        fix = "One image at a time, channels last: x.transpose(1, 2, 0) if they stand first."
        expected = "shape (H, W) or (H, W, 1 to 4 channels)"
        raise ShapeError(explain("image", expected=expected, got=str(x.shape), fix=fix))
    if x.dtype == np.uint8:
        return np.ascontiguousarray(x)
    if not np.issubdtype(x.dtype, np.floating):
        fix = "Use x.astype(np.float32), or for 16 bits (x // 257).astype(np.uint8)."
        raise DTypeError(explain("image", expected="uint8 or floating point samples", got=str(x.dtype), fix=fix))
    with np.errstate(over="ignore"):  # what is too large for float32 is refused as infinity
        return np.ascontiguousarray(x, np.float32)


def _method(shape: tuple[int, int, int], chosen: Kernel) -> Method:
    from foveal.images.fourier import faster_by_fft

    if chosen.separated is not None:
        return "separable"
    return "fft" if faster_by_fft(shape, chosen) else "direct"


def _run(x: Image, y: Image, colours: int, chosen: Kernel, edge: str) -> int:
    """y = the filtered x, both (H, W, C); return how many samples were clipped."""
    from foveal.kernels.isa import host
    from foveal.kernels.steps import program
    from foveal.kernels.threads import pool

    threads = pool().size
    array, whole = chosen.array, x.dtype == np.uint8 and _fits_int16(chosen)
    plan = _plan(x.shape, colours, array.tobytes(), array.shape, edge, whole, host().name, threads)
    counts = np.zeros((threads, 8), np.int64)
    program(plan.steps(x, y, 1 / chosen.scale, chosen.offset, counts)).run()
    if counts[:, 1].any():
        raise not_finite(x)
    return int(counts[:, 0].sum())


def _fits_int16(chosen: Kernel) -> bool:
    """Return whether all sums over bytes are whole numbers below 2^15."""
    whole = (chosen.array == np.rint(chosen.array)).all() and chosen.offset == round(chosen.offset)
    return bool(whole and chosen.scale == 1 and 255 * np.abs(chosen.array).sum() + abs(chosen.offset) < 2**15)


@functools.lru_cache(maxsize=32)
def _plan(
    shape: tuple[int, int, int], colours: int, weights: bytes, size: tuple[int, int], edge: str, whole: bool, isa: str,
    threads: int,
) -> ImageFilter:  # fmt: skip
    from foveal.kernels.filter_steps import ImageFilter
    from foveal.kernels.isa import host

    array = np.frombuffer(weights).reshape(size)
    column, row = Kernel(array).separated or (array, None)
    (kh, kw), (H, W, _) = size, shape
    rows, columns = (edge_index(n, k // 2, k - 1 - k // 2, edge) for n, k in ((H, kh), (W, kw)))
    return ImageFilter(shape, colours, column.reshape(kh, -1), row, rows, columns, kw // 2, whole, host(), threads)


def not_finite(x: Image) -> DataError:
    """Return the error that says where a floating point image (H, W, C) is not finite."""
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
    got = f"{x[place]} at row {place[0]}, column {place[1]}"
    fix = "np.nan_to_num(image) replaces NaN by 0."
    return DataError(explain("image", expected="finite float32 samples", got=got, fix=fix))
