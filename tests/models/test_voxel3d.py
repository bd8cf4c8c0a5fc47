"""Voxel3D: its shapes, its gradients, and that 3D training works from digits to scores."""

import numpy as np
import pytest

import foveal as fv
from foveal.data.voxels import load_voxel_mnist
from foveal.errors import FovealError, GeometryError, ShapeError
from foveal.models import Voxel3D


def test_shapes():
    net = Voxel3D()
    assert [node.shape for node in net.graph.nodes][:5] == [
        (16, 8, 8, 8), (16, 8, 8, 8), (32, 8, 8, 8), (32, 8, 8, 8), (32, 4, 4, 4)
    ]  # fmt: skip
    learned = 16 * 125 + 16 + 32 * 16 * 27 + 32 + 32 * 64 * 128 + 128 + 128 * 10 + 10
    assert net.parameter_count == learned == 279_434


def test_the_network_is_its_formula():
    net = Voxel3D((2, 5, 6, 7), output_size=3, seed=1)
    x = np.random.default_rng(0).integers(0, 256, (4, 2, 5, 6, 7)).astype(np.uint8)
    np.testing.assert_allclose(net.predict(x), net.reference_scores(x), rtol=1e-4, atol=1e-5)


def test_gradient_along_random_directions():
    """Beside central differences of the reference's loss in float64, one random direction for each parameter."""
    net = Voxel3D((1, 4, 4, 4), output_size=2, seed=0)
    rng = np.random.default_rng(1)
    x, t = rng.standard_normal((3, 1, 4, 4, 4)).astype(np.float32), np.array([0, 1, 1])
    start, exact = {name: value.copy() for name, value in net.arrays().items()}, net.gradient(x, t)
    for name, value in start.items():
        direction = rng.standard_normal(value.shape)
        losses = []
        for step in (1e-4, -1e-4):
            net.load_parameters(start | {name: value + step * direction})
            losses.append(fv.reference.cross_entropy(net.reference_scores(x), t))
        slope = (losses[0] - losses[1]) / 2e-4
        # Both ends are rounded to float32: 2^-24 |value| of a step of 1e-4.
        rounding = 2.0**-24 / 1e-4 * float(np.linalg.norm(exact[name] * value))
        assert slope == pytest.approx(np.vdot(exact[name], direction), rel=2e-3, abs=3 * rounding + 1e-6), name


def test_it_learns_from_a_slice():
    dataset = load_voxel_mnist(train=1200, test=300)
    net = Voxel3D(seed=0)
    history = fv.fit(net, *dataset.train, epochs=4, batch_size=40, progress=False)
    assert history.loss[-1] < history.loss[0] / 2
    assert net.accuracy(*dataset.test) > 0.6


WRONG = [
    (lambda: Voxel3D((1, 28, 28)), ShapeError, r"conv1.*expected an input of shape \(C, D, H, W\), got \(1, 28, 28\)"),
    (lambda: Voxel3D((1, 2, 2, 2)), GeometryError, "pool1"),
    (lambda: Voxel3D(output_size=-1), GeometryError, "units"),
]


@pytest.mark.parametrize(("make", "kind", "message"), WRONG)
def test_refusals(make, kind, message):
    with pytest.raises(FovealError, match=message) as error:
        make()
    assert type(error.value) is kind
