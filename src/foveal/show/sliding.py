"""What a kernel gives at every place where it meets a signal: the numbers behind the moving kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from foveal import reference
from foveal.errors import ParameterError, explain, nearest
from foveal.show.signals import Samples, Values, sample

OPERATIONS = ("convolution", "correlation")
FINE = 0.01  # default distance between samples of a named shape


@dataclass(frozen=True, eq=False)
class Slide:
    """A kernel, flipped or not, at every place where it meets the signal.

    Parameters
    ----------
    operation : str
        "convolution" or "correlation".
    signal, kernel : Samples
        What they are made of.
    result : Samples
        The integral, or sum, at every place of the kernel.
    """

    operation: str
    signal: Samples
    kernel: Samples
    result: Samples

    @property
    def moving(self) -> Values:
        """The kernel as it slides: flipped in a convolution."""
        return self.kernel.values[::-1] if self.operation == "convolution" else self.kernel.values

    @property
    def discrete(self) -> bool:
        """Whether the result is a sum of samples, dx = 1, and not an integral."""
        return self.signal.dx == 1

    @property
    def call(self) -> str:
        """The NumPy call that gives the same numbers, of the values f and g."""
        call = "np.convolve(f, g)" if self.operation == "convolution" else 'np.correlate(f, g, "full")'
        return call if self.discrete else f"{call} * {self.signal.dx:g}"

    def edges(self, i: int) -> Values:
        """Where the cells of the kernel begin and end when it stands for result i, (m + 1,)."""
        m, dx = len(self.kernel.values), self.signal.dx
        return Samples(self.moving, self.signal.start + (i - (m - 1)) * dx, dx, "").edges

    def factors(self, i: int) -> tuple[slice, Values, Values]:
        """The cells of the signal that the kernel covers at result i, and both factors of their products."""
        first = i - (len(self.kernel.values) - 1)
        covered = slice(max(0, first), min(len(self.signal.values), i + 1))
        return covered, self.signal.values[covered], self.moving[covered.start - first : covered.stop - first]


def slide(
    signal: str | ArrayLike | Samples,
    kernel: str | ArrayLike | Samples,
    *,
    operation: str = "convolution",
    dx: float | None = None,
) -> Slide:
    """Compute what a kernel gives at every place where it meets a signal.

    ``convolution: (f * g)(t) = integral of f(tau) g(t - tau) dtau``, the kernel flipped, and
    ``correlation: (f x g)(t) = integral of f(tau) g(tau - t) dtau``, the kernel as it is. The integral is the sum over
    samples times dx (the midpoint rule): with n samples of a smooth product h it is wrong by at most
    n dx^3 max|h''| / 24. Of arrays with dx = 1 it is the discrete convolution.

    The numbers are those of ``np.convolve(f, g) * dx`` and ``np.correlate(f, g, "full") * dx``.

    Parameters
    ----------
    signal, kernel : str, array of shape (n,), or Samples
        A name (box, spike, triangle, ramp, gaussian, exponential, step, sine, edge), or samples, the first at t = 0.
    operation : {"convolution", "correlation"}
        Whether the kernel is flipped.
    dx : float, optional
        Distance between samples; without it 0.01 for two named shapes, and 1 for two arrays.

    Returns
    -------
    Slide
        ``.result`` is a `Samples` of n + m - 1 values.

    Raises
    ------
    ParameterError
        If a name is unknown, dx is missing where a shape meets an array, or does not suit the shape.
    ShapeError, DTypeError, DataError
        If an array is no signal.

    Source
    ------
    R. Bracewell, The Fourier Transform and Its Applications, 3rd ed., chapter 3. The midpoint rule's error: P. Davis,
    P. Rabinowitz, Methods of Numerical Integration, 2nd ed., section 2.1.

    Examples
    --------
    >>> slide([1, 2, 3], [1, 0, -1]).result.values
    array([ 1.,  2.,  2., -2., -3.])
    >>> hat = slide("box", "box", dx=0.25).result
    >>> print(hat.places, hat.values)
    [-0.75 -0.5  -0.25  0.    0.25  0.5   0.75] [0.25 0.5  0.75 1.   0.75 0.5  0.25]
    """
    check_operation(operation)
    step = _step(signal, kernel, dx)
    f, g = sample(signal, step, where="signal"), sample(kernel, step, where="kernel")
    if not math.isclose(f.dx, g.dx):
        raise ParameterError(explain("kernel", expected=f"samples dx={f.dx:g} apart, as the signal", got=f"{g.dx:g}"))
    m = len(g.values)
    apply = reference.convolve if operation == "convolution" else reference.correlate
    values = apply(f.values[None], g.values[None, None], padding=m - 1)[0] * f.dx
    start = f.start + g.start if operation == "convolution" else f.start - g.start - (m - 1) * f.dx
    name = f"{f.name or 'f'} {'*' if operation == 'convolution' else 'x'} {g.name or 'g'}"
    return Slide(operation, f, g, Samples(values, start, f.dx, name))


def check_operation(operation: str, known: tuple[str, ...] = OPERATIONS) -> None:
    """Refuse unknown names of operations.

    Raises
    ------
    ParameterError
        If it is none of them.
    """
    if operation not in known:
        fix = nearest(str(operation), known)
        raise ParameterError(explain("operation", expected="a known name", got=repr(operation), fix=fix))


def _step(signal: Any, kernel: Any, dx: float | None) -> float:
    given = {s.dx for s in (signal, kernel) if isinstance(s, Samples)}
    shapes = [s for s in (signal, kernel) if isinstance(s, str)]
    if dx is None and not given and len(shapes) == 1:
        why = f"{shapes[0]!r} is a function of t, and the numbers of the other do not say how far apart they are"
        raise ParameterError(explain("dx", expected="a distance between samples", got="none", why=why))
    step = dx if dx is not None else min(given, default=FINE if shapes else 1.0)
    if isinstance(step, bool) or not isinstance(step, int | float | np.number) or not 0 < step < math.inf:
        raise ParameterError(explain("dx", expected="a positive number", got=repr(step)))
    return float(step)
