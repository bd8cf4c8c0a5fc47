"""Optimizers: how a gradient changes a parameter.

Each class states its formula twice: `update` in NumPy, to be read and to test against, and `coefficients`, the numbers
that the fused kernels need at one step. p is a parameter, g its gradient (plus ``weight_decay * p``, if any), t the
step number counted from 1. Formulas and defaults are PyTorch's, so that results can be compared.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foveal.errors import DTypeError, ParameterError, ShapeError, explain, nearest
from foveal.reference.orthogonal import as_matrix, orthogonal, steepness

Rate = float | Callable[[int], float]
Arrays = Mapping[str, NDArray[Any]]


class Optimizer:
    """What all optimizers share: a learning rate, weight decay, and state arrays for each parameter.

    Parameters
    ----------
    lr : float or callable step -> float
        Learning rate, or a schedule of `foveal.training.schedules`.
    weight_decay : float
        Pulls weights to zero: added to the gradient as ``weight_decay * p``.
    decay_biases : bool
        Whether biases, and scales and shifts of batch norm, are pulled as well, as in PyTorch; else only what is called
        weight (He et al., "Bag of tricks", arXiv 1812.01187, section 3.1).
    """

    kind: str
    states: int  # state arrays for each parameter, each of its shape

    decay_biases = True

    def __init__(self, lr: Rate, weight_decay: float = 0.0, decay_biases: bool = True) -> None:
        self.lr = lr if callable(lr) else within("lr", lr)
        self.weight_decay = within("weight_decay", weight_decay)
        if not decay_biases:  # else it does not show in the settings that checkpoints compare
            self.decay_biases = False
        self.steps = 0
        self.state: dict[str, list[NDArray[Any]]] = {}

    def rate(self, step: int) -> float:
        """The learning rate at a step, counted from 1."""
        return float(self.lr(step)) if callable(self.lr) else self.lr

    def with_rate(self, lr: Rate) -> Self:
        """A fresh optimizer with the same settings and another learning rate or schedule."""
        other = copy.copy(self)
        other.lr, other.steps, other.state = lr, 0, {}
        return other

    def coefficients(self, step: int) -> tuple[float, ...]:
        """The numbers of the formula at a step, counted from 1, in the order that the kernels expect."""
        return (self.rate(step), self.weight_decay, *self._constants(step))

    def update(self, params: Arrays, grads: Arrays) -> None:
        """One step: change every parameter in place.

        Parameters
        ----------
        params, grads : dict of name -> ndarray
            Parameters, changed in place, and their gradients, of the same names and shapes.

        Raises
        ------
        ShapeError
            If a gradient is missing or has another shape.
        """
        for name, p in params.items():
            if name not in grads or grads[name].shape != p.shape:
                got = str(grads[name].shape) if name in grads else "none"
                raise ShapeError(explain(f"gradient of {name!r}", expected=f"shape {p.shape}", got=got))
        self.steps += 1
        lr = self.rate(self.steps)
        for name, p in params.items():
            state = self.state.setdefault(name, [np.zeros_like(p) for _ in range(self.states)])
            self._rule(p, grads[name], lr, self.weight_decay if self._decays(name, p) else 0.0, *state)

    def _decays(self, name: str, p: NDArray[Any]) -> bool:
        return self.decay_biases or name.rpartition(".")[2] == "weight"

    def _constants(self, step: int) -> tuple[float, ...]:
        return ()

    def _rule(self, p: NDArray[Any], g: NDArray[Any], lr: float, weight_decay: float, *state: NDArray[Any]) -> None:
        raise NotImplementedError

    def __repr__(self) -> str:
        settings = (f"{k}={v!r}" for k, v in vars(self).items() if k not in ("steps", "state"))
        return f"{type(self).__name__}({', '.join(settings)})"


class SGD(Optimizer):
    """Stochastic gradient descent: ``p -= lr g``.

    Source
    ------
    H. Robbins, S. Monro, "A stochastic approximation method", 1951; torch.optim.SGD.

    Examples
    --------
    >>> p = np.array([1.0])
    >>> SGD(lr=0.1).update({"p": p}, {"p": np.array([2.0])})
    >>> p
    array([0.8])
    """

    kind, states = "sgd", 0

    def __init__(self, lr: Rate = 0.01, weight_decay: float = 0.0, decay_biases: bool = True) -> None:
        super().__init__(lr, weight_decay, decay_biases)

    def _rule(self, p: NDArray[Any], g: NDArray[Any], lr: float, weight_decay: float, *state: NDArray[Any]) -> None:
        p -= lr * (g + weight_decay * p)


class Momentum(Optimizer):
    """Momentum: ``v = mu v + g;  p -= lr v``.

    Source
    ------
    B. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; torch.optim.SGD with
    momentum=mu and no dampening.

    Examples
    --------
    >>> Momentum(lr=0.1, momentum=0.9).coefficients(step=1)
    (0.1, 0.0, 0.9)
    """

    kind, states = "momentum", 1

    def __init__(
        self, lr: Rate = 0.01, momentum: float = 0.9, weight_decay: float = 0.0, decay_biases: bool = True
    ) -> None:
        super().__init__(lr, weight_decay, decay_biases)
        self.momentum = within("momentum", momentum, below=1)

    def _constants(self, step: int) -> tuple[float, ...]:
        return (self.momentum,)

    def _rule(self, p: NDArray[Any], g: NDArray[Any], lr: float, weight_decay: float, *state: NDArray[Any]) -> None:
        (v,) = state
        v *= self.momentum
        v += g + weight_decay * p
        p -= lr * v


class Nesterov(Momentum):
    """Nesterov's momentum, looking one step ahead: ``v = mu v + g;  p -= lr (g + mu v)``.

    Source
    ------
    Y. Nesterov, 1983; Y. Bengio, N. Boulanger-Lewandowski, R. Pascanu, "Advances in optimizing recurrent
    networks", arXiv 1212.0901; torch.optim.SGD with nesterov=True.

    Examples
    --------
    >>> p = np.array([1.0])
    >>> Nesterov(lr=0.1, momentum=0.5).update({"p": p}, {"p": np.array([2.0])})
    >>> p
    array([0.7])
    """

    kind = "nesterov"

    def _rule(self, p: NDArray[Any], g: NDArray[Any], lr: float, weight_decay: float, *state: NDArray[Any]) -> None:
        (v,) = state
        g = g + weight_decay * p
        v *= self.momentum
        v += g
        p -= lr * (g + self.momentum * v)


class AdaGrad(Optimizer):
    """AdaGrad, a rate for each weight that falls with its past gradients: ``h += g²;  p -= lr g / (sqrt(h) + eps)``.

    Source
    ------
    J. Duchi, E. Hazan, Y. Singer, JMLR 12, 2011; torch.optim.Adagrad.

    Examples
    --------
    >>> AdaGrad(lr=0.1).coefficients(step=1)
    (0.1, 0.0, 1e-10)
    """

    kind, states = "adagrad", 1

    def __init__(
        self, lr: Rate = 0.01, eps: float = 1e-10, weight_decay: float = 0.0, decay_biases: bool = True
    ) -> None:
        super().__init__(lr, weight_decay, decay_biases)
        self.eps = within("eps", eps)

    def _constants(self, step: int) -> tuple[float, ...]:
        return (self.eps,)

    def _rule(self, p: NDArray[Any], g: NDArray[Any], lr: float, weight_decay: float, *state: NDArray[Any]) -> None:
        (h,) = state
        g = g + weight_decay * p
        h += g * g
        p -= lr * g / (np.sqrt(h) + self.eps)


class RMSProp(Optimizer):
    """RMSProp, AdaGrad that forgets: ``h = decay h + (1 - decay) g²;  p -= lr g / (sqrt(h) + eps)``.

    Source
    ------
    T. Tieleman, G. Hinton, COURSERA lecture 6.5, 2012; torch.optim.RMSprop, whose alpha is called decay here.

    Examples
    --------
    >>> RMSProp(lr=0.1).coefficients(step=1)
    (0.1, 0.0, 0.99, 1e-08)
    """

    kind, states = "rmsprop", 1

    def __init__(
        self,
        lr: Rate = 0.01,
        decay: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decay_biases: bool = True,
    ) -> None:
        super().__init__(lr, weight_decay, decay_biases)
        self.decay, self.eps = within("decay", decay, below=1), within("eps", eps)

    def _constants(self, step: int) -> tuple[float, ...]:
        return (self.decay, self.eps)

    def _rule(self, p: NDArray[Any], g: NDArray[Any], lr: float, weight_decay: float, *state: NDArray[Any]) -> None:
        (h,) = state
        g = g + weight_decay * p
        h *= self.decay
        h += (1 - self.decay) * g * g
        p -= lr * g / (np.sqrt(h) + self.eps)


class Adam(Optimizer):
    """Adam: momentum over RMSProp, both corrected for starting at zero.

    ``m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g²``
    ``p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)``

    Source
    ------
    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1; torch.optim.Adam.

    Examples
    --------
    >>> p = np.array([1.0])
    >>> Adam(lr=0.1).update({"p": p}, {"p": np.array([2.0])})
    >>> p.round(6)
    array([0.9])
    """

    kind, states = "adam", 2

    def __init__(
        self,
        lr: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decay_biases: bool = True,
    ) -> None:
        super().__init__(lr, weight_decay, decay_biases)
        self.beta1, self.beta2 = within("beta1", beta1, below=1), within("beta2", beta2, below=1)
        self.eps = within("eps", eps)

    def _constants(self, step: int) -> tuple[float, ...]:
        return (self.beta1, self.beta2, self.eps, 1 - self.beta1**step, 1 - self.beta2**step)

    def _rule(self, p: NDArray[Any], g: NDArray[Any], lr: float, weight_decay: float, *state: NDArray[Any]) -> None:
        m, v = state
        g = self._decayed(p, g, lr, weight_decay)
        m *= self.beta1
        m += (1 - self.beta1) * g
        v *= self.beta2
        v += (1 - self.beta2) * g * g
        correction1, correction2 = 1 - self.beta1**self.steps, 1 - self.beta2**self.steps
        p -= lr / correction1 * m / (np.sqrt(v) / math.sqrt(correction2) + self.eps)

    def _decayed(self, p: NDArray[Any], g: NDArray[Any], lr: float, weight_decay: float) -> NDArray[Any]:
        return g + weight_decay * p


class AdamW(Adam):
    """Adam with decoupled weight decay: first ``p *= 1 - lr weight_decay``, then Adam without decay.

    Source
    ------
    I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019; torch.optim.AdamW.

    Examples
    --------
    >>> AdamW().weight_decay
    0.01
    """

    kind = "adamw"

    def __init__(
        self,
        lr: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        decay_biases: bool = True,
    ) -> None:
        super().__init__(lr, beta1, beta2, eps, weight_decay, decay_biases)

    def _decayed(self, p: NDArray[Any], g: NDArray[Any], lr: float, weight_decay: float) -> NDArray[Any]:
        p *= 1 - lr * weight_decay
        return g


class Muon(Momentum):
    """Muon, momentum orthogonalised: every direction of a weight matrix moves by the same amount.

    ``v = mu v + g;  d = g + mu v;  p = (1 - lr weight_decay) p - lr sqrt(max(1, out / in)) orthogonal(d)``

    for weights as matrices (out, in), a filter being a row; `orthogonal` is `foveal.reference.orthogonal.orthogonal`.
    What is no matrix, biases and scales and shifts of batch norm, takes Nesterov's step without decay: ``p -= lr d``.

    The rate does not depend on the size of the gradient: 0.02 to 0.1 where batch norm makes filters free of scale. A
    step costs about 5 * 2 * in * out * min(in, out) multiply-adds more for each matrix: little for convolutions, much
    for large affine layers. docs/training.md compares it with Nesterov's momentum.

    Source
    ------
    K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; torch.optim.Muon, which takes
    matrices only.

    Examples
    --------
    >>> p = np.array([[3.0, 0.0], [0.0, 4.0]])
    >>> Muon(lr=0.1, weight_decay=0).update({"p": p}, {"p": np.array([[10.0, 0.0], [0.0, 1.0]])})
    >>> p.round(2)
    array([[2.93, 0.  ],
           [0.  , 3.93]])
    """

    kind, decay_biases = "muon", False

    def __init__(
        self, lr: Rate = 0.001, momentum: float = 0.95, weight_decay: float = 0.1, decay_biases: bool = False
    ) -> None:
        super().__init__(lr, momentum, weight_decay)
        if decay_biases:
            why, fix = "only matrices decay", "Leave decay_biases out, or take Nesterov or AdamW."
            raise ParameterError(explain("Muon", expected="decay_biases=False", got="True", why=why, fix=fix))

    def _decays(self, name: str, p: NDArray[Any]) -> bool:
        return p.ndim > 1

    def _rule(self, p: NDArray[Any], g: NDArray[Any], lr: float, weight_decay: float, *state: NDArray[Any]) -> None:
        (v,) = state
        v *= self.momentum
        v += g
        step = g + self.momentum * v
        if p.ndim > 1:
            matrix = as_matrix(step)
            as_matrix(step)[...] = orthogonal(matrix) * steepness(matrix)
            p *= 1 - lr * weight_decay
        p -= lr * step


OPTIMIZERS: dict[str, type[Optimizer]] = {
    cls.kind: cls for cls in (SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam, AdamW, Muon)
}


def by_name(name: str, **settings: Any) -> Optimizer:
    """Make an optimizer by its name; settings that are None keep their default.

    Raises
    ------
    ParameterError
        If the name is unknown or a setting is impossible.

    Examples
    --------
    >>> by_name("sgd", lr=0.5, weight_decay=None)
    SGD(lr=0.5, weight_decay=0.0)
    """
    if name not in OPTIMIZERS:
        raise ParameterError(
            explain("optimizer", expected="a known name", got=repr(name), fix=nearest(name, OPTIMIZERS))
        )
    return OPTIMIZERS[name](**{key: value for key, value in settings.items() if value is not None})


def within(name: str, value: Any, *, below: float | None = None) -> float:
    """Check that a setting is a finite number, 0 or more, and below a limit if there is one."""
    expected = "a finite number, 0 or more" + (f" and below {below}" if below is not None else "")
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise DTypeError(explain(name, expected=expected, got=repr(value)))
    number = float(value)
    if not math.isfinite(number) or number < 0 or (below is not None and number >= below):
        raise ParameterError(explain(name, expected=expected, got=str(value)))
    return number
