"""foveal show, run in this process through `main`."""

import json

import numpy as np
import pytest
from PIL import Image


def frames(path):
    with Image.open(path) as picture:
        return picture.n_frames


def test_box_on_box(foveal, tmp_path):
    out = tmp_path / "new" / "box.gif"
    code, text, err = foveal("show", "convolution", "--signal", "box", "--kernel", "box", "-o", out, "--frames", 12)
    assert (code, err) == (0, "")
    assert frames(out) == 13
    assert "199 numbers from 0.01 to 1   (as np.convolve(f, g) * 0.01)" in text
    assert f"{out}: 13 frames, " in text


def test_numbers_of_the_user(foveal, tmp_path):
    options = ["--signal", "1,2,3", "--kernel", "-1, 1", "--operation", "both", "--json", "--dpi", 50]
    code, text, _ = foveal("show", "convolution", *options, "-o", tmp_path / "a.gif")
    report = json.loads(text)
    assert code == 0
    first, second = report["results"]
    assert (first["operation"], first["call"], first["start"]) == ("convolution", "np.convolve(f, g)", 0)
    assert first["values"] == np.convolve([1, 2, 3], [-1, 1]).tolist()
    assert (second["operation"], second["start"]) == ("correlation", -1)
    assert second["values"] == np.correlate([1, 2, 3], [-1, 1], "full").tolist()
    assert report["frames"] == frames(tmp_path / "a.gif")
    assert report["bytes"] == (tmp_path / "a.gif").stat().st_size
    code, text, _ = foveal("show", "convolution", *options[:4], "-o", tmp_path / "a.png", "--dpi", 50)
    assert "-1 -1 -1 3   (as np.convolve(f, g))" in text
    assert text.splitlines()[-1].split(": ")[1].startswith("4 frames, "), "a sheet has no length in seconds"


@pytest.mark.parametrize("ending", ["npy", "csv", "txt"])
def test_a_file_beside_a_shape(foveal, tmp_path, ending):
    path = tmp_path / f"signal.{ending}"
    if ending == "npy":
        np.save(path, np.ones(10))
    else:
        path.write_text("\n".join(["1"] * 10))
    options = ["--signal", path, "--kernel", "box", "--dx", 0.1, "--frames", 3, "--dpi", 50, "--json"]
    code, text, _ = foveal("show", "convolution", *options, "-o", tmp_path / "a.gif")
    assert code == 0
    values = json.loads(text)["results"][0]["values"]
    np.testing.assert_allclose(values, 1 - np.abs(np.arange(-9, 10)) / 10, atol=1e-12)


def test_grid(foveal, tmp_path):
    (tmp_path / "map.csv").write_text("1,2,3\n4,5,6\n7,8,9\n")
    options = ["--map", tmp_path / "map.csv", "--kernel", "1 0; 0 -1", "-o", tmp_path / "grid.gif"]
    code, text, err = foveal("show", "grid", *options)
    assert (code, err) == (0, "")
    assert frames(tmp_path / "grid.gif") == 4
    assert 'correlation  2x2 numbers   (as scipy.signal.correlate2d(x, w, "valid"))' in text
    assert text.count("-4 -4") == 2
    code, text, _ = foveal(
        "show", "grid", *options, "--operation", "convolution", "--padding", 1, "--stride", "2,3", "--json"
    )
    result = json.loads(text)["results"][0]
    assert result["call"] == 'scipy.signal.convolve2d(np.pad(x, 1), w, "valid")[::2, ::3]'
    x, w = np.pad(np.arange(1, 10).reshape(3, 3), 1), np.array([[-1, 0], [0, 1]])
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2))[::2, ::3]
    assert result["values"] == (windows * w).sum(axis=(2, 3)).tolist()


def test_padding_same(foveal, tmp_path):
    code, text, _ = foveal(
        "show", "grid", "--padding", "same", "--kernel", "0 1 0;1 -4 1;0 1 0", "-o", tmp_path / "a.png", "--json"
    )
    assert code == 0
    assert np.shape(json.loads(text)["results"][0]["values"]) == (3, 3)


@pytest.mark.parametrize("command", [("show",), ("show", "convolution"), ("show", "grid")])
def test_help_has_examples(foveal, command):
    code, out, _ = foveal(*command, "--help")
    assert code == 0
    assert "Examples:\n" in out
    assert out.count("  foveal show ") >= 2


def test_show_alone_shows_the_help(foveal):
    code, out, err = foveal("show")
    assert (code, err) == (0, "")
    assert "convolution" in out
    assert "grid" in out
