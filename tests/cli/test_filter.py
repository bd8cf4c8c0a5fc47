"""foveal filter: pictures of every kind, folders, reports; what is written is what `images.apply` gives."""

import json

import numpy as np
import pytest
from PIL import Image

from foveal import images
from foveal.images.files import read_picture


def opened(path):
    """Return a picture whose file is closed."""
    with Image.open(path) as picture:
        picture.load()
        return picture


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 2), (20, 30, 3), (20, 30, 4)])
def test_a_png_holds_what_apply_gives(foveal, tmp_path, shape):
    x = noise(*shape)
    Image.fromarray(x).save(tmp_path / "in.png")
    code, out, err = foveal("filter", tmp_path / "in.png", "--kernel", "emboss", "-o", tmp_path / "out.png")
    y, report = images.apply(x, "emboss", return_report=True)
    assert (code, err) == (0, "")
    np.testing.assert_array_equal(np.asarray(opened(tmp_path / "out.png")), y)
    assert f"{report.clipped:,} of {report.samples:,} samples clipped" in out
    assert "emboss 3x3, edges reflect: 1 picture" in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.png", "out.png"]


def test_options_reach_the_kernel(foveal, tmp_path):
    x = noise(30, 40, 3)
    Image.fromarray(x).save(tmp_path / "in.png")
    (tmp_path / "ridge.csv").write_text("-1,2,-1\n")
    cases = [
        (["-k", "gaussian", "--sigma", 2.5], images.kernel("gaussian", sigma=2.5), {}),
        (["-k", "gaussian", "--size", 9], images.kernel("gaussian", size=9), {}),
        (["-k", "box", "--size", "3x7"], images.kernel("box", size=(3, 7)), {}),
        (["-k", "motion", "--length", 15, "--angle", -30], images.kernel("motion", length=15, angle=-30), {}),
        (["-k", "sobel-left", "--offset", 128, "--scale", 8], images.kernel("sobel-left", offset=128, scale=8), {}),
        (["-k", "log", "--edge", "wrap"], images.kernel("log"), {"edge": "wrap"}),
        (["--custom", "-1 0 2; 3 1 -4", "--scale", -2], images.kernel([[-1, 0, 2], [3, 1, -4]], scale=-2), {}),
        (["--custom", "-1 0 2; 3 1 -4", "--flip"], images.kernel([[-1, 0, 2], [3, 1, -4]]), {"flip": True}),
        (["--kernel-file", tmp_path / "ridge.csv"], images.kernel([[-1, 2, -1]]), {}),
    ]
    for options, kernel, more in cases:
        code, _, _ = foveal("filter", tmp_path / "in.png", "-o", tmp_path / "out.png", *options)
        assert code == 0
        wanted = images.apply(x, kernel, **more)
        np.testing.assert_array_equal(np.asarray(opened(tmp_path / "out.png")), wanted, err_msg=str(options))


def test_json(foveal, tmp_path):
    x = noise(20, 30)
    Image.fromarray(x).save(tmp_path / "in.png")
    code, out, err = foveal("filter", tmp_path / "in.png", "-k", "outline", "-o", tmp_path / "out.png", "--json")
    report = json.loads(out)
    assert (code, err) == (0, "")
    assert report["kernel"]["array"] == images.kernel("outline").array.tolist()
    (picture,) = report["pictures"]
    assert picture["clipped"] == images.apply(x, "outline", return_report=True)[1].clipped
    assert picture["clipped_share"] == picture["clipped"] / x.size
    assert report["failed"] == []


def test_list(foveal):
    code, out, _ = foveal("filter", "--list")
    assert code == 0
    for name in images.CATALOGUE:
        assert f"\n{name} " in "\n" + out
    assert "\n   0  -1   0\n  -1   5  -1\n   0  -1   0\n" in out
    code, out, _ = foveal("filter", "--list", "--json")
    assert code == 0
    assert json.loads(out)["sobel-left"]["array"] == [[1, 0, -1], [2, 0, -2], [1, 0, -1]]


def test_a_rotated_photo_is_turned_upright(foveal, tmp_path):
    x = noise(20, 30, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right to see it upright
    exif[0x010E] = "a description"
    Image.fromarray(x).save(tmp_path / "in.png", exif=exif)
    assert foveal("filter", tmp_path / "in.png", "-k", "sobel-top", "-o", tmp_path / "out.png")[0] == 0
    made = opened(tmp_path / "out.png")
    np.testing.assert_array_equal(np.asarray(made), images.apply(np.rot90(x, -1), "sobel-top"))
    assert 0x0112 not in made.getexif()
    assert made.getexif()[0x010E] == "a description"


def test_what_else_a_file_holds_is_kept(tmp_path):
    from foveal.images.files import write_picture

    Image.fromarray(noise(9, 9, 3)).save(tmp_path / "in.jpg", dpi=(300, 300), icc_profile=b"a profile")
    write_picture(tmp_path / "out.jpg", read_picture(tmp_path / "in.jpg"))
    made = opened(tmp_path / "out.jpg")
    assert made.info["icc_profile"] == b"a profile"
    assert made.info["dpi"] == pytest.approx((300, 300))


def test_a_jpeg_is_good(foveal, tmp_path):
    smooth = np.add.outer(np.arange(64), np.arange(64))[..., None] * [1, 2, 0] + [0, 0, 90]
    Image.fromarray(smooth.astype(np.uint8)).save(tmp_path / "in.png")
    assert foveal("filter", tmp_path / "in.png", "-k", "gaussian", "-o", tmp_path / "out.jpg")[0] == 0
    made = opened(tmp_path / "out.jpg")
    off = np.abs(np.asarray(made).astype(int) - images.apply(smooth.astype(np.uint8), "gaussian"))
    assert off.mean() < 1
    assert made.layer[0][1:3] == made.layer[1][1:3], "colour is stored at full resolution"


@pytest.mark.parametrize(
    ("mode", "kind", "note"),
    [
        ("1", "30x20 grey", "black and white converted to grey"),
        ("P", "30x20 RGB", "palette converted to RGB"),
        ("I;16", "30x20 grey", "16 bits reduced to 8"),
        ("CMYK", "30x20 RGB", "CMYK converted to RGB"),
        ("LAB", "30x20 RGB", "LAB converted to RGB"),
    ],
)
def test_other_pictures_are_converted_and_it_is_said(foveal, tmp_path, mode, kind, note):
    if mode == "I;16":
        picture = Image.fromarray(noise(20, 30).astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(noise(20, 30, 3)).convert("L" if mode == "1" else "RGB")
        picture = picture if mode == "LAB" else picture.convert(mode)
        picture = Image.frombytes("LAB", (30, 20), noise(20, 30, 3).tobytes()) if mode == "LAB" else picture
    picture.save(tmp_path / "in.tif")
    code, out, _ = foveal("filter", tmp_path / "in.tif", "-k", "identity", "-o", tmp_path / "out.png")
    assert code == 0
    assert f": {kind}, {note}; " in out
    if mode == "I;16":
        np.testing.assert_array_equal(np.asarray(opened(tmp_path / "out.png")), noise(20, 30))


def test_transparency_becomes_alpha_and_frames_are_told(tmp_path):
    picture = Image.fromarray(noise(8, 8) % 4).convert("P")
    picture.save(tmp_path / "a.png", transparency=2)
    read = read_picture(tmp_path / "a.png")
    assert read.pixels.shape == (8, 8, 4)
    np.testing.assert_array_equal(read.pixels[..., 3] == 0, noise(8, 8) % 4 == 2)
    frames = [Image.fromarray(noise(8, 8, seed=i)) for i in range(3)]
    frames[0].save(tmp_path / "b.tif", save_all=True, append_images=frames[1:])
    read = read_picture(tmp_path / "b.tif")
    assert read.notes == ["first of 3 frames"]
    np.testing.assert_array_equal(read.pixels, noise(8, 8, seed=0))


def test_a_folder(foveal, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "deep").mkdir(parents=True)
    for i, name in enumerate(["a.png", "b.bmp", "deep/c.png"]):
        Image.fromarray(noise(10, 12, 3, seed=i)).save(folder / name)
    (folder / "notes.txt").write_text("no picture, and it does not claim to be one")
    (folder / ".hidden.png").write_bytes(b"not looked at")
    code, text, err = foveal("filter", folder, "-k", "sharpen", "-o", out)
    assert (code, err) == (0, "")
    assert text.endswith("sharpen 3x3, edges reflect: 3 pictures\n")
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.*")) == ["a.png", "b.bmp", "deep/c.png"]
    for i, name in enumerate(["a.png", "b.bmp", "deep/c.png"]):
        np.testing.assert_array_equal(np.asarray(opened(out / name)), images.apply(noise(10, 12, 3, seed=i), "sharpen"))


def test_a_bad_picture_does_not_stop_a_folder(foveal, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.png", "c.png"):
        Image.fromarray(noise(10, 12, 3)).save(folder / name)
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:60])
    code, text, err = foveal("filter", folder, "-k", "box", "-o", out)
    assert code == 2
    assert err.startswith(f"error: {folder / 'b.png'}: expected a complete image")
    assert err.count("\n") == 1
    assert "box 3x3, edges reflect: 2 pictures, 1 failed" in text
    assert sorted(p.name for p in out.iterdir()) == ["a.png", "c.png"]
    code, text, _ = foveal("filter", folder, "-k", "box", "-o", out, "--json")
    assert code == 2
    assert [one["file"] for one in json.loads(text)["failed"]] == [str(folder / "b.png")]


def test_what_was_there_is_replaced_whole_or_not_at_all(foveal, tmp_path, monkeypatch):
    Image.fromarray(noise(10, 12)).save(tmp_path / "in.png")
    (tmp_path / "out.png").write_bytes(b"before")

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        code, out, err = foveal("filter", tmp_path / "in.png", "-k", "box", "-o", tmp_path / "out.png")
    assert (code, out) == (2, "")
    assert "disk is full" in err
    assert (tmp_path / "out.png").read_bytes() == b"before"
    assert foveal("filter", tmp_path / "in.png", "-k", "box", "-o", tmp_path / "out.png")[0] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.png", "out.png"]
    assert opened(tmp_path / "out.png").size == (12, 10)


def test_a_hint_where_edges_are_clipped(foveal, tmp_path):
    Image.fromarray(noise(10, 12)).save(tmp_path / "in.png")
    _, out, _ = foveal("filter", tmp_path / "in.png", "-k", "sobel-left", "-o", tmp_path / "out.png")
    assert "--offset 128" in out
    _, out, _ = foveal("filter", tmp_path / "in.png", "-k", "sobel-left", "--offset", 128, "-o", tmp_path / "out.png")
    assert "--offset" not in out


def test_help_has_examples(foveal):
    code, out, _ = foveal("filter", "--help")
    assert code == 0
    assert "Examples:\n" in out
    assert out.count("  foveal filter ") >= 4
