"""Dropout: in training a share of the numbers becomes 0, afterwards nothing happens."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from foveal.layers.base import Array, Backward, Gradients, Layer
from foveal.layers.shapes import Shape, positive_shape
from foveal.reference.dropout import check_rate
from foveal.reference.random import check_seed, derive


class Dropout(Layer):
    """In training ``y = x / (1 - rate)``, or 0 with probability `rate`; else ``y = x``.

    Which numbers become 0 depends on the seed, the step and the place, never on threads.

    Parameters
    ----------
    rate : float
        Share of the numbers that become 0: at least 0, less than 1.
    seed : int, optional
        Makes the masks of this layer others than those of a layer with another seed. Without it they depend on the seed
        of the training and the layer's place in the network, which is enough there.

    Raises
    ------
    ParameterError, DTypeError
        An impossible rate or seed.

    Source
    ------
    Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, JMLR 2014.

    Examples
    --------
    >>> layer = Dropout(0.5, seed=5)
    >>> layer.forward([[1.0, 2.0, 3.0, 4.0]])  # in training, as a new layer is
    array([[2., 0., 6., 0.]])
    >>> layer.training = False
    >>> layer.forward([[1.0, 2.0, 3.0, 4.0]])
    array([[1., 2., 3., 4.]])
    """

    kind = "dropout"

    def __init__(self, rate: float = 0.5, seed: int | None = None) -> None:
        super().__init__()
        self.rate = check_rate(rate, "Dropout")
        self.seed = None if seed is None else check_seed(seed, "Dropout")

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return x and what gives dy back; see `Layer.run`."""

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return dy, {}

        return x, backward

    def run_training(
        self, ops: ModuleType, x: Array, p: Mapping[str, Array], seed: int
    ) -> tuple[Array, Backward, dict[str, Array]]:
        """Return y, its backward and no buffers; see `Layer.run_training`."""
        seed = self.mask_seed(seed)
        y = ops.dropout(x, self.rate, seed=seed)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.dropout_grad(dy, self.rate, seed=seed), {}

        return y, backward, {}

    def mask_seed(self, seed: int) -> int:
        """Return the seed of the mask in the step whose seed is given: mixed with the layer's own, if it has one."""
        return seed if self.seed is None else derive(self.seed, seed)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape`."""
        return positive_shape(input_shape, self.title())

    def details(self) -> str:
        """Return ``rate 0.5``."""
        return f"rate {self.rate}"
