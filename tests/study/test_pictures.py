"""Pictures of studies show the numbers that were found."""

import numpy as np
import pytest

from foveal import show
from foveal.errors import DataError
from foveal.show.canvas import BLUE, ORANGE
from foveal.show.study import accuracy_over_parameters, loss_curves
from foveal.study import Overfit, Trained

NETS = [
    Trained(model, width, 5, 100**width, images, seed, 7, 1.0, test + 0.01 * seed, 0.1)
    for model, test in (("convolution", 0.97), ("mlp", 0.89))
    for width in (1, 2, 3)
    for images in (1000, 60000)
    for seed in (0, 1)
]


def texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_a_panel_for_each_number_of_images():
    figure = accuracy_over_parameters(NETS, title="a title", note="a note")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["1,000 training images", "60,000 training images"]
    assert (figure.get_suptitle(), figure.get_supxlabel()) == ("a title", "a note")
    for axes in figure.axes:
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        lines = {line.get_label(): line for line in axes.lines}
        assert list(lines) == ["convolution, train", "convolution, test", "MLP, train", "MLP, test"]
        for line in lines.values():
            assert line.get_xdata().tolist() == [100, 100**2, 100**3]
            assert line.get_marker() in "os"
        np.testing.assert_allclose(lines["convolution, test"].get_ydata(), 2.5)
        np.testing.assert_allclose(lines["MLP, test"].get_ydata(), 10.5)
        np.testing.assert_allclose(lines["MLP, train"].get_ydata(), 0.05)  # no errors stand on the last line
        assert lines["convolution, test"].get_color() == BLUE != ORANGE == lines["MLP, test"].get_color()
        (low, high) = axes.get_ylim()
        assert low > 11 > 0.05 > high, "better is higher"
        shades = [shade.get_paths()[0].vertices[:, 1] for shade in axes.collections]
        assert len(shades) == 4
        np.testing.assert_allclose((shades[3].min(), shades[3].max()), (10, 11))
    assert texts(figure.axes[1]) == list(lines)


def test_ticks_say_accuracies():
    axes = accuracy_over_parameters(NETS).axes[0]
    ticks = dict(zip(axes.get_yticks(), [label.get_text() for label in axes.get_yticklabels()], strict=True))
    assert {k: v for k, v in ticks.items() if k in (50, 5, 1)} == {50: "50", 5: "95", 1: "99"}
    assert ticks[min(ticks)] == "≥ 99.95"


def test_one_model_alone():
    figure = accuracy_over_parameters([net for net in NETS if net.model == "mlp"])
    assert [line.get_label() for line in figure.axes[0].lines] == ["MLP, train", "MLP, test"]


def test_losses_of_the_steps_and_of_predictions():
    runs = {
        "a": Overfit(0.1, [2.0, 1.0, 0.5, 0.3], [(2, 0.9), (4, 0.05)], True, 1.0, 12.0),
        "b": Overfit(0.2, [3.0], [], False, 0.0, 0.02),
    }
    figure = loss_curves(runs, title="64 images")
    first, second = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a: 0.05 after 4 steps, 12 s", "b"]
    each, predicted, bound = first.lines
    np.testing.assert_array_equal(np.transpose(each.get_data()), [(1, 2.0), (2, 1.0), (3, 0.5), (4, 0.3)])
    np.testing.assert_array_equal(np.transpose(predicted.get_data()), runs["a"].predicted)
    assert list(bound.get_ydata()) == [0.1, 0.1]
    assert len(second.lines) == 2
    assert first.get_yscale() == "log"
    assert figure.get_suptitle() == "64 images"


@pytest.mark.parametrize("draw", [lambda: accuracy_over_parameters([]), lambda: loss_curves({}),
                                  lambda: loss_curves({"a": Overfit(0.1)})])  # fmt: skip
def test_nothing_to_draw(draw):
    with pytest.raises(DataError, match="at least one"):
        draw()


def test_they_can_be_saved(tmp_path):
    show.save(accuracy_over_parameters(NETS), tmp_path / "a.svg")
    show.save(loss_curves({"a": Overfit(0.1, [1.0, 0.5], [(2, 0.05)], True, 1.0, 0.3)}), tmp_path / "b.png")
