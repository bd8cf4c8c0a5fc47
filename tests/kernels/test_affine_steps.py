"""The affine layer's steps against the float64 reference, for features in any memory order and smaller batches."""

from __future__ import annotations

import numpy as np
import pytest

from foveal import reference
from foveal.kernels.affine import LEARNING
from foveal.kernels.affine_steps import BLOCK, NONE, Matrix
from foveal.kernels.buffers import Map, zeros
from foveal.kernels.isa import named
from foveal.kernels.steps import program, step
from foveal.kernels.threads import pool
from foveal.kernels.update import KERNELS
from tests.support.machine import RUNNABLE, bits
from tests.support.maps import assert_untouched
from tests.support.oracles import assert_close_to_reference
from tests.support.packed import gradient_memory, packed, unpacked

# (C, H, W) -> units for a batch of n: one of everything, tails of every kind, several blocks of features.
SHAPES = [
    ((1, 1, 1), 1, 1),
    ((3, 1, 1), 10, 5),
    ((6, 5, 4), 7, 3),
    ((30, 3, 3), 100, 33),
    ((257, 1, 1), 30, 17),
    ((16, 5, 5), 84, 100),
    ((7, 16, 15), 3, 4),
    ((BLOCK + 5, 2, 1), 6, 2),
]
every_shape = pytest.mark.parametrize(("shape", "units", "n"), SHAPES, ids=str)
every_isa = pytest.mark.parametrize("name", RUNNABLE)


class Layer:
    """A layer's operands and steps for up to n rows."""

    def __init__(self, name, shape, units, n):
        rng = np.random.default_rng([*shape, units, n])
        self.m, self.units, self.n = Matrix(shape, units, named(name)), units, n
        self.x = rng.standard_normal((n, *shape)).astype(np.float32)
        self.w = rng.standard_normal((self.m.features, units)).astype(np.float32)
        self.b, self.dy = (rng.standard_normal(s).astype(np.float32) for s in (units, (n, units)))
        self.xm, self.ym = Map(n, shape), Map(n, (units,))
        self.dym, self.dxm = Map(n, (units,)), Map(n, shape)
        self.xm.view[...], self.dym.view[...] = self.x, self.dy
        self.wp = packed(self.w, self.m.weight_index)
        self.dw, self.db = gradient_memory(self.m.weight_size), gradient_memory(self.m.bias_size)

    def steps(self, floor):
        m = self.m
        return (
            m.forward("test", self.xm, self.wp, packed(self.b, m.bias_index), self.ym, floor)
            + m.weight_gradient("test", self.xm, self.dym, self.dw, self.db)
            + m.input_gradient("test", self.dym, self.wp, self.dxm)
        )

    def check(self, rows, floor):
        """Hold that the first `rows` rows were computed."""
        x, dy = self.x[:rows].reshape(rows, -1).astype(np.float64), self.dy[:rows].astype(np.float64)
        w, b = self.w.astype(np.float64), self.b.astype(np.float64)
        y = np.maximum(reference.affine(x, w, b), floor)
        assert_close_to_reference(self.ym.view[:rows], y, reference.affine(abs(x), abs(w), abs(b)), n=x.shape[1] + 2)
        got = (
            self.dxm.view[:rows].reshape(rows, -1),
            unpacked(self.dw, self.m.weight_index, w.shape),
            unpacked(self.db, self.m.bias_index, b.shape),
        )
        expected = reference.affine_grad(x, w, dy)
        sizes = reference.affine_grad(abs(x), abs(w), abs(dy))
        for ours, theirs, size, n in zip(got, expected, sizes, (self.units, rows, rows), strict=True):
            assert_close_to_reference(ours, theirs, size, n + 2)


@every_isa
@every_shape
@pytest.mark.parametrize("floor", [0.0, NONE])
def test_forward_and_gradients(name, shape, units, n, floor):
    layer = Layer(name, shape, units, n)
    before = layer.ym.data.copy()
    program(layer.steps(floor)).run()
    layer.check(n, floor)
    assert_untouched(layer.ym, before)
    slack = layer.dxm.data[layer.dxm.n * layer.dxm.image :]
    assert not slack.any(), "written behind dx"


@every_isa
@every_shape
def test_a_smaller_batch_reuses_the_steps(name, shape, units, n):
    layer = Layer(name, shape, units, n)
    steps = layer.steps(NONE)
    run = program(steps)
    for rows in sorted({1, n // 2 or 1, n}):
        layer.ym.view[...], layer.dxm.view[...] = np.nan, np.nan
        for s in steps:
            s.resize(rows)
        run.run()
        layer.check(rows, NONE)
        assert np.isnan(layer.ym.view[rows:]).all(), "rows behind the batch were written"
        assert np.isnan(layer.dxm.view[rows:]).all()


@every_isa
@every_shape
@pytest.mark.parametrize("kind", sorted(LEARNING))
def test_learning_at_once_is_the_gradients_and_then_the_update(name, shape, units, n, kind):
    one, two = Layer(name, shape, units, n), Layer(name, shape, units, n)
    rng = np.random.default_rng(0)
    states = [np.abs(packed(rng.standard_normal(one.w.shape).astype(np.float32), one.m.weight_index)) for _ in range(2)]
    kept = [state.copy() for state in states]
    coefficients = {f"c{i}": c for i, c in enumerate((0.01, 0.1, 0.9, 0.99, 1e-8, 0.5, 0.5))}
    (*_, dw, dx) = one.steps(NONE)
    update = step("update", KERNELS[kind], p=one.wp, g=one.dw, m=states[0], v=states[1], size=one.m.weight_size,
                  **coefficients)  # fmt: skip
    ours, bias = packed(one.b, one.m.bias_index), [packed(one.b, one.m.bias_index), *(zeros(units) for _ in range(2))]
    other = step("update", KERNELS[kind], p=ours, g=one.db, m=zeros(units), v=zeros(units), size=units, **coefficients)
    other.block["c1"] = 0.0
    learn = two.m.learning("test", kind, two.xm, two.dym, [two.wp, *kept], bias, two.db, two.dxm, pool().size,
                           bias_decays=False)  # fmt: skip
    for field, value in coefficients.items():
        learn.block[field] = value
    for rows in sorted({n // 2 or 1, n}):
        for s in (dw, dx, learn):
            s.resize(rows)
        program([dw, dx, update, other]).run()
        program([learn]).run()
        pairs = (
            (one.wp, two.wp),
            (one.db, two.db),
            (ours, bias[0]),
            (one.dxm.data, two.dxm.data),
            *zip(states, kept, strict=True),
        )
        for expected, found in pairs:
            np.testing.assert_array_equal(bits(found), bits(expected))


@every_isa
@every_shape
def test_learning_may_write_the_gradient_over_the_input(name, shape, units, n):
    one, two = Layer(name, shape, units, n), Layer(name, shape, units, n)
    for layer, dx in ((one, one.dxm), (two, two.xm)):
        ends = [layer.wp], [zeros(units)], layer.db, dx, pool().size
        program([layer.m.learning("test", "sgd", layer.xm, layer.dym, *ends)]).run()
    np.testing.assert_array_equal(bits(two.xm.view), bits(one.dxm.view))
    np.testing.assert_array_equal(bits(two.wp), bits(one.wp))


@every_isa
def test_a_row_does_not_depend_on_its_neighbours(name):
    """The same bits whether a row is computed alone or among others: the order of its sum is that of its shape."""
    layer = Layer(name, (30, 3, 3), 100, 33)
    program(layer.m.forward("test", layer.xm, layer.wp, layer.b, layer.ym)).run()
    for i in (0, 7, 32):
        x, y = Map(1, (30, 3, 3)), Map(1, (100,))
        x.view[...] = layer.x[i : i + 1]
        program(layer.m.forward("test", x, layer.wp, layer.b, y)).run()
        np.testing.assert_array_equal(bits(y.view[0]), bits(layer.ym.view[i]))
