"""Activations on maps: every kernel against its formula, beside borders, in place, and for fewer images."""

import numpy as np
import pytest

from foveal import reference
from foveal.kernels import activation
from foveal.kernels.buffers import Border
from foveal.kernels.runs import over_runs
from foveal.kernels.steps import program
from tests.support.maps import BORDERS, assert_untouched, filled, ulps, unwritten
from tests.support.oracles import assert_close_to_reference

NAMES = {"relu": {}, "leaky_relu": {"slope": 0.125}, "sigmoid": {}, "tanh": {}, "scaled_tanh": {}}
SHAPES = [(3, 5, 4, 7), (1, 64, 9, 33), (40, 10), (2, 3, 1, 1), (2, 3, 2, 3, 4), (2, 7, 300)]
# Units in the last place. The scaled one rounds its argument and multiplies: tanh moves by as much, at most.
ULPS = {"relu": 0, "leaky_relu": 0.5, "sigmoid": 2.5, "tanh": 2.5, "scaled_tanh": 6}
every_name = pytest.mark.parametrize("name", NAMES)
every_border = pytest.mark.parametrize("border", BORDERS)


def forward(name):
    return getattr(activation, f"{name}_forward")


def backward(name):
    return getattr(activation, f"{name}_backward")


def border_of(border, shape):
    if border == "bare" or len(shape) == 2:
        return BORDERS["bare"]
    return Border(top=1, right=2, front=1) if len(shape) == 5 else BORDERS[border]


@every_name
@every_border
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_and_backward(name, border, shape):
    rng = np.random.default_rng(shape)
    x, dy = (3 * rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    where = border_of(border, shape)
    xm, ym, dym, dxm = filled(x, where), unwritten(shape, where), filled(dy), unwritten(shape)
    before = ym.data.copy()
    first = over_runs("forward", forward(name), x=xm, y=ym, **NAMES[name])
    program([first, over_runs("backward", backward(name), y=ym, dy=dym, dx=dxm, **NAMES[name])]).run()
    assert_untouched(ym, before)
    assert ulps(ym.view, getattr(reference, name)(x, **NAMES[name])).max() <= ULPS[name]
    exact = getattr(reference, f"{name}_grad")(ym.view, dy, **NAMES[name])
    assert_close_to_reference(dxm.view, exact, 2 * abs(dy), n=6)  # at most six roundings, of at most 2 |dy|


@every_name
def test_in_place(name):
    """y may lie where x lies, and dx where dy lies: the same bits."""
    shape = 3, 16, 9, 11
    x, dy = (np.random.default_rng(i).standard_normal(shape).astype(np.float32) for i in range(2))
    xm, ym, dym, dxm = filled(x), unwritten(shape), filled(dy), unwritten(shape)
    program([
        over_runs("forward", forward(name), x=xm, y=ym, **NAMES[name]),
        over_runs("backward", backward(name), y=ym, dy=dym, dx=dxm, **NAMES[name]),
        over_runs("forward", forward(name), x=xm, y=xm, **NAMES[name]),
        over_runs("backward", backward(name), y=xm, dy=dym, dx=dym, **NAMES[name]),
    ]).run()  # fmt: skip
    np.testing.assert_array_equal(xm.view, ym.view)
    np.testing.assert_array_equal(dym.view, dxm.view)


def test_special_numbers():
    x = np.array([-np.inf, -1.0, -0.0, 0.0, 1.0, np.inf, np.nan, 3e38, -3e38, 1e-45], np.float32)
    for name, constants in NAMES.items():
        xm, ym = filled(x[:, None]), unwritten((x.size, 1))
        program([over_runs(name, forward(name), x=xm, y=ym, **constants)]).run()
        exact = getattr(reference, name)(x, **constants)
        np.testing.assert_allclose(ym.view[:, 0], exact, rtol=1e-6, atol=2.0**-126, err_msg=name)


def test_a_smaller_batch():
    x = np.random.default_rng(0).standard_normal((5, 3, 4, 4)).astype(np.float32)
    xm, ym = filled(x), unwritten(x.shape)
    step = over_runs("tanh", activation.tanh_forward, x=xm, y=ym)
    step.resize(2)
    program([step]).run()
    assert not np.isnan(ym.view[:2]).any()
    assert np.isnan(ym.view[2:]).all()


def test_copying_into_another_border():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    xm, ym = filled(x), unwritten(x.shape, BORDERS["bordered"])
    before = ym.data.copy()
    program([over_runs("copy", activation.copy, x=xm, y=ym)]).run()
    np.testing.assert_array_equal(ym.view, x)
    assert_untouched(ym, before)
