"""SimpleConvNet, the first convolutional network of the notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from numpy.typing import ArrayLike, NDArray

from foveal.errors import ParameterError, ShapeError, explain, nearest
from foveal.layers import Affine, Convolution, MaxPool, ReLU
from foveal.network import Network

DEFAULTS = {"filter_num": 30, "filter_size": 5, "pad": 0, "stride": 1}
NAMES = {"W1": "conv1.weight", "b1": "conv1.bias", "W2": "affine1.weight", "b2": "affine1.bias",
         "W3": "affine2.weight", "b3": "affine2.bias"}  # fmt: skip


class SimpleConvNet(Network):
    """conv (30 filters 5x5) - relu - pool 2x2 - affine 100 - relu - affine 10, softmax in the loss.

    Parameters
    ----------
    input_dim : tuple (C, H, W)
    conv_param : mapping
        "filter_num", "filter_size", "pad" and "stride" of the convolution.
    hidden_size, output_size : int
        Units of the two affine layers.
    weight_init_std : float
        Weights are drawn from N(0, weight_init_std^2); biases are 0.
    seed : int

    Source
    ------
    Saitoh, Deep Learning from Scratch, chapter 7: simple_convnet.py.

    Examples
    --------
    >>> net = SimpleConvNet()
    >>> net.parameter_count, net.params["W2"].shape
    (433890, (4320, 100))
    """

    def __init__(
        self,
        input_dim: tuple[int, int, int] = (1, 28, 28),
        conv_param: Mapping[str, int] | None = None,
        hidden_size: int = 100,
        output_size: int = 10,
        weight_init_std: float = 0.01,
        seed: int = 0,
    ) -> None:
        given = {} if conv_param is None else dict(conv_param)
        for name in given:
            if name not in DEFAULTS:
                raise ParameterError(
                    explain("conv_param", expected="known names", got=repr(name), fix=nearest(str(name), DEFAULTS))
                )
        if len(input_dim) != 3:
            fix = "One grey image of 28x28 is (1, 28, 28)."
            raise ShapeError(explain("SimpleConvNet", expected="input_dim (C, H, W)", got=str(input_dim), fix=fix))
        conv: dict[str, Any] = DEFAULTS | given
        layers = [
            Convolution(conv["filter_num"], conv["filter_size"], stride=conv["stride"], padding=conv["pad"],
                        weight_std=weight_init_std),
            ReLU(),
            MaxPool(2),
            Affine(hidden_size, weight_std=weight_init_std),
            ReLU(),
            Affine(output_size, weight_std=weight_init_std),
        ]  # fmt: skip
        super().__init__(layers, input_dim, seed=seed)

    @property
    def params(self) -> Params:
        """The parameter arrays under the names of the notes, W1, b1 ... W3, b3; changing them changes the network."""
        return Params(self)


class Params(MutableMapping[str, NDArray[Any]]):
    """A network's arrays by the names of the notes: reading gives the array itself, writing copies into it."""

    def __init__(self, net: Network) -> None:
        self._net = net

    def _place(self, name: str) -> tuple[Any, str]:
        if name not in NAMES:
            raise KeyError(name)
        node, parameter = NAMES[name].split(".")
        return self._net.graph[node].layer.parameters, parameter

    def __getitem__(self, name: str) -> NDArray[Any]:
        parameters, key = self._place(name)
        array: NDArray[Any] = parameters[key]
        return array

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        parameters, key = self._place(name)
        parameters[key] = value

    def __delitem__(self, name: str) -> None:
        raise ParameterError(explain("params", expected="a read or a write", got=f"del [{name!r}]"))

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)

    def __repr__(self) -> str:
        return f"Params({', '.join(f'{k}: {self._place(k)[0].shapes[self._place(k)[1]]}' for k in NAMES)})"
