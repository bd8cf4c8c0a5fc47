"""What a study found is worked out from its networks, whoever wins."""

import numpy as np
import pytest

from foveal.accounting.render import as_markdown
from foveal.study import Trained, curve, finding, table

RNG = np.random.default_rng(0)


def net(model, parameters, test, images=100, seed=0, train=1.0):
    width = {10: 1, 20: 2, 40: 3}[parameters]
    return Trained(model, width, 5, parameters, images, seed, 7, train, test, 0.1)


def test_mean_and_range_over_the_seeds():
    values = RNG.random((3, 4, 2))
    nets = [
        net("mlp", size, values[i, seed, 0], seed=seed, train=values[i, seed, 1])
        for seed in range(4)
        for i, size in enumerate((40, 10, 20))
    ]
    others = [net("mlp", 10, 0.0, images=7), net("convolution", 10, 0.0)]
    points = curve([*nets, *others], "mlp", 100)
    assert [point.parameters for point in points] == [10, 20, 40]
    for point, i in zip(points, (1, 2, 0), strict=True):
        for spread, column in ((point.test, 0), (point.train, 1)):
            mine = values[i, :, column]
            np.testing.assert_allclose(spread, (mine.mean(), mine.min(), mine.max()), rtol=1e-15)
    assert curve(nets, "convolution", 100) == []


@pytest.mark.parametrize(("better", "worse"), [("mlp", "convolution"), ("convolution", "mlp")])
def test_the_finding_is_not_our_wish(better, worse):
    nets = [net(better, 10, 0.5), net(better, 20, 0.81), net(better, 40, 0.9), net(worse, 10, 0.6), net(worse, 20, 0.8),
            net(worse, 40, 0.7)]  # fmt: skip
    assert finding(nets, 100) == (
        f"the best {worse} (20 parameters) has 80.00 %; {better} has that from 20 parameters on (81.00 %), and at best "
        "90.00 % (40)"
    )


def test_no_finding_about_one_model():
    assert finding([net("mlp", 10, 0.5)], 100) == ""
    assert finding([net("mlp", 10, 0.5), net("convolution", 10, 0.5, images=7)], 100) == ""


def test_table():
    nets = [net("mlp", 20, 0.5), net("convolution", 20, 0.25, train=0.75), net("mlp", 20, 1.0, seed=1),
            net("mlp", 10, 0.125, images=2000)]  # fmt: skip
    made = table(nets, "a title", ["a note"])
    assert made.header == ("model", "width", "hidden", "parameters", "100: train / test", "2,000: train / test")
    assert made.rows == (
        ("convolution", 2, 5, 20, "75.00 % / 25.00 %", ""),
        ("mlp", 1, 5, 10, "", "100.00 % / 12.50 %"),
        ("mlp", 2, 5, 20, "100.00 % / 75.00 %", ""),
    )
    assert as_markdown(made).count("\n") == 8
