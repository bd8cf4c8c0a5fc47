"""A network and an engine small enough to read: softmax regression in NumPy, with the contract that fit relies on."""

from contextlib import contextmanager

import numpy as np

SHAPE, CLASSES = (1, 3, 3), 3


class FakeNetwork:
    input_shape, output_size = SHAPE, CLASSES

    def __init__(self, seed=0):
        self.w = np.random.default_rng(seed).normal(0, 0.1, (9, CLASSES)).astype(np.float32)

    def arrays(self):
        return {"affine1.weight": self.w}

    def load_parameters(self, values):
        self.w = values["affine1.weight"].copy()

    def predict(self, x, batch_size=100):
        return flat(x) @ self.w

    def accuracy(self, x, t):
        return float((self.predict(x).argmax(1) == t).mean())


def flat(x):
    scale = 255 if x.dtype == np.uint8 else 1
    return x.reshape(len(x), -1).astype(np.float32) / np.float32(scale)


class Run:
    def __init__(self, net, x, t, batch_size, optimizer):
        self.net, self.x, self.t, self.batch_size, self.optimizer = net, x, t, batch_size, optimizer
        self.w = net.w = net.w.copy()
        self.visited = []

    def step(self, rows):
        assert rows.dtype == np.int64
        assert 1 <= len(rows) <= self.batch_size
        self.visited.append(rows)
        x, t = flat(self.x[rows]), self.t[rows]
        scores = x @ self.w
        p = np.exp(scores - scores.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        loss = float(-np.log(p[np.arange(len(t)), t]).mean())
        correct = int((scores.argmax(1) == t).sum())
        p[np.arange(len(t)), t] -= 1
        self.optimizer.update({"w": self.w}, {"w": x.T @ p / np.float32(len(t))})
        return loss, correct

    def state(self):
        arrays = {f"w.{i}": a.copy() for i, a in enumerate(self.optimizer.state.get("w", []))}
        return arrays | {"step": np.array(self.optimizer.steps)}

    def load_state(self, state):
        self.optimizer.steps = int(state["step"])
        self.optimizer.state = {"w": [state[f"w.{i}"].copy() for i in range(self.optimizer.states)]}


@contextmanager
def fake_training(net, x, t, *, batch_size, optimizer):
    run = Run(net, x, t, batch_size, optimizer)
    fake_training.runs.append(run)
    yield run


fake_training.runs = []


def toy(n=50, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (n, *SHAPE)).astype(np.uint8)
    return x, flat(x)[:, :CLASSES].argmax(1).astype(np.int64)
