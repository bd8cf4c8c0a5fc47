"""The image kernels that have a name."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal._checks import check_count
from foveal.errors import DTypeError, ParameterError, explain, nearest
from foveal.images.kernels import LARGEST, Kernel
from foveal.images.reading import parse_numbers

# Those with options are functions below. Source: the notes' page on image kernels; Prewitt (1970), Sobel (1968),
# Scharr (2000).
PLAIN = {
    "identity": "0 0 0; 0 1 0; 0 0 0",
    "sharpen": "0 -1 0; -1 5 -1; 0 -1 0",
    "emboss": "-2 -1 0; -1 1 1; 0 1 2",
    "outline": "-1 -1 -1; -1 8 -1; -1 -1 -1",
    "laplacian": "0 1 0; 1 -4 1; 0 1 0",
}
_SIDES = {"sobel": "1 2 1; 0 0 0; -1 -2 -1", "prewitt": "1 1 1; 0 0 0; -1 -1 -1", "scharr": "3 10 3; 0 0 0; -3 -10 -3"}
_ABOUT = {
    "identity": "changes nothing",
    "sharpen": "enhances edges, keeps the brightness",
    "emboss": "relief lit from above left, keeps the brightness",
    "outline": "edges of all directions on black",
    "laplacian": "sum of both second derivatives",
    "box": "mean of size x size pixels; option size",
    "gaussian": "Gaussian blur; options sigma, size",
    "log": "Laplacian of a Gaussian; option sigma",
    "motion": "mean along a line; options length, angle",
    **{f"{name}-{side}": f"edges that are brighter on the {side} side; {name}'s weights"
       for name in _SIDES for side in ("left", "right", "top", "bottom")},
}  # fmt: skip


def box(size: int | tuple[int, int] = 3) -> Kernel:
    """Mean of a window of `size` pixels, or (rows, columns)."""
    rows, columns = size if isinstance(size, tuple | list) and len(size) == 2 else (size, size)
    shape = _size(rows, "size"), _size(columns, "size")
    return Kernel(np.ones(shape), scale=shape[0] * shape[1], name="box")


def gaussian(sigma: float = 1.0, size: int | None = None) -> Kernel:
    """Sampled Gaussian exp(-r^2 / (2 sigma^2)), its sum 1.

    Its radius is ceil(3 sigma), as three standard deviations hold 99.7 % of the weight, or that of an odd `size`.
    OpenCV: ``getGaussianKernel(size, sigma)``, as column and as row.
    """
    sigma = _at_least(0.01, sigma, "sigma")
    weights = _bell(sigma, _radius(sigma, 3, size))
    return Kernel(np.outer(weights, weights), name="gaussian")


def log(sigma: float = 1.4, size: int | None = None) -> Kernel:
    """Laplacian of a Gaussian, (r^2 / sigma^4 - 2 / sigma^2) exp(-r^2 / (2 sigma^2)), its sum 0.

    The Gaussian has the sum 1, the radius is ceil(4 sigma), as the tails reach further than the Gaussian's, or that of
    an odd `size`; what is left of the sum is taken from all weights alike. Bright spots give negative values: see them
    with offset=128. Source: Marr and Hildreth, Theory of edge detection, 1980.
    """
    sigma = _at_least(0.01, sigma, "sigma")
    radius = _radius(sigma, 4, size)
    squares = np.add.outer(*[np.arange(-radius, radius + 1.0) ** 2] * 2)
    array = (squares / sigma**4 - 2 / sigma**2) * np.outer(*[_bell(sigma, radius)] * 2)
    return Kernel(array - array.mean(), name="log")


def motion(length: float = 9.0, angle: float = 0.0) -> Kernel:
    """Mean along a line of `length` pixels through the middle, as a camera sees that moves while the shutter is open.

    `angle` is in degrees, counter-clockwise from the horizontal. A pixel weighs 1 less its distance from the line's
    core, length - 1 long, or nothing; the sum is 1. Lines along rows and columns are exact means for odd lengths.
    """
    length, turn = _at_least(1, length, "length"), math.radians(_finite(angle, "angle"))
    half = min(length - 1, 2 * LARGEST) / 2
    radius = _size(2 * math.ceil(half) + 1, "length") // 2
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(float)
    along = x * math.cos(turn) - y * math.sin(turn)  # rows grow downwards
    across = x * math.sin(turn) + y * math.cos(turn)
    distance = np.hypot(np.maximum(np.abs(along) - half, 0), across)
    array = np.maximum(1 - distance, 0)
    array[array < 1e-12] = 0
    rows, columns = array.any(axis=1), array.any(axis=0)  # symmetric: the middle stays in the middle
    array = array[rows][:, columns]
    return Kernel(array / array.sum(), name="motion")


def _plain(name: str) -> Callable[[], Kernel]:
    return lambda: Kernel(np.array(parse_numbers(PLAIN[name])), name=name)


def _side(name: str, side: str) -> Callable[[], Kernel]:
    top = np.array(parse_numbers(_SIDES[name]))
    array = {"top": top, "bottom": -top, "left": top.T, "right": -top.T}[side] + 0.0  # + 0.0: no minus zero
    return lambda: Kernel(array, name=f"{name}-{side}")


CATALOGUE: dict[str, Callable[..., Kernel]] = {
    **{name: _plain(name) for name in PLAIN},
    "box": box,
    "gaussian": gaussian,
    "log": log,
    "motion": motion,
    **{f"{name}-{side}": _side(name, side) for name in _SIDES for side in ("left", "right", "top", "bottom")},
}


def describe(name: str) -> str:
    """Return a few words about a kernel of the catalogue."""
    return _ABOUT[name]


def kernel(
    what: str | Kernel | ArrayLike, *, scale: float | None = None, offset: float | None = None, **options: Any
) -> Kernel:
    """Return an image kernel by its name, or of your own numbers.

    Parameters
    ----------
    what : str, Kernel or array of shape (kh, kw)
        identity, box, gaussian, sharpen, emboss, outline, laplacian, log, motion, and sobel, prewitt and scharr with
        the side on which an edge is brighter: sobel-left, -right, -top, -bottom. Or the weights.
    scale : float, optional
        Divisor of the weighted sum, in place of the kernel's own.
    offset : float, optional
        What is added, in place of the kernel's own.
    **options
        box: size=3, an int or (rows, columns). gaussian: sigma=1, size=None. log: sigma=1.4, size=None.
        motion: length=9 pixels, angle=0 degrees counter-clockwise.

    Returns
    -------
    Kernel

    Raises
    ------
    ParameterError
        If the name or an option is unknown, or a value makes no sense.
    ShapeError
        If an array is no matrix.

    Examples
    --------
    >>> print(kernel("sharpen"))
    sharpen 3x3
       0  -1   0
      -1   5  -1
       0  -1   0
    >>> kernel("gaussian", sigma=5).array.shape
    (31, 31)
    >>> kernel([[1, 2, 1]], scale=4).gain
    1.0
    """
    if isinstance(what, str):
        made = _named(what, options)
    elif options:
        raise ParameterError(explain("kernel", expected="options with a name only", got=", ".join(sorted(options))))
    else:
        made = what if isinstance(what, Kernel) else Kernel(what)  # type: ignore[arg-type]
    if scale is None and offset is None:
        return made
    return Kernel(
        made.array, made.offset if offset is None else offset, made.scale if scale is None else scale, made.name
    )


def _named(name: str, options: dict[str, Any]) -> Kernel:
    if name not in CATALOGUE:
        raise ParameterError(explain("kernel", expected="a known name", got=repr(name), fix=nearest(name, CATALOGUE)))
    make = CATALOGUE[name]
    known = inspect.signature(make).parameters
    for option in options:
        if option not in known:
            takes = f"the options {', '.join(known)}" if known else "no options"
            raise ParameterError(explain(f"kernel {name!r}", expected=takes, got=repr(option)))
    return make(**options)


def _bell(sigma: float, radius: int) -> NDArray[np.float64]:
    weights = np.exp(-(np.arange(-radius, radius + 1.0) ** 2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum())


def _radius(sigma: float, deviations: int, size: int | None) -> int:
    if size is None:
        _size(2 * min(math.ceil(deviations * sigma), LARGEST) + 1, "sigma")
        return math.ceil(deviations * sigma)
    if _size(size, "size") % 2 == 0:
        raise ParameterError(explain("size", expected="an odd number", got=str(size)))
    return size // 2


def _size(value: Any, where: str) -> int:
    if check_count(value, where) > LARGEST:
        got = f"{value} of them"
        raise ParameterError(explain(where, expected=f"a kernel of at most {LARGEST} rows and columns", got=got))
    return int(value)


def _finite(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise DTypeError(explain(where, expected="a number", got=repr(value)))
    if not math.isfinite(value):
        raise ParameterError(explain(where, expected="a finite number", got=repr(value)))
    return float(value)


def _at_least(smallest: float, value: Any, where: str) -> float:
    if _finite(value, where) < smallest:
        raise ParameterError(explain(where, expected=f"at least {smallest:g}", got=f"{value:g}"))
    return float(value)
