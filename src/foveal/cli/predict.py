"""foveal predict"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import _common as common
from foveal.errors import ParameterError, ShapeError, explain, nearest

if TYPE_CHECKING:
    from numpy import uint8
    from numpy.typing import NDArray

_INVERT = ("auto", "yes", "no")
_DIGITS = tuple("0123456789")


def predict(
    model: common.Model,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Pictures of any size and colour.")],
    top: Annotated[int, typer.Option(help="How many classes to show.")] = 3,
    invert: Annotated[
        str, typer.Option(help="Turn dark on light into light on dark: auto (models of digits only), yes or no.")
    ] = "auto",
    json: common.Json = False,
) -> None:
    """Say what is in pictures: the most probable classes of each, and how it was converted for the network.

    A picture is made grey if the network is, scaled to its input size with its aspect kept, and padded with its own
    background. MNIST's digits are light on dark, so for models of digits a picture with a light border is inverted.

    \b
    Examples:
      foveal predict runs/first/model.safetensors digit.png
      foveal predict runs/first/model.safetensors scans/*.png --json
      foveal predict runs/photos/model.safetensors cat.jpg --top 5
    """
    from foveal import network
    from foveal._checks import check_count
    from foveal.data import read_image

    check_count(top, "--top")
    if invert not in _INVERT:
        raise ParameterError(
            explain("--invert", expected="auto, yes or no", got=repr(invert), fix=nearest(invert, _INVERT))
        )
    net = network.load(model)
    names = net.classes or tuple(str(i) for i in range(net.output_size))
    when = invert if invert != "auto" else ("light" if names == _DIGITS and net.input_shape[0] == 1 else "no")
    converted = [convert(read_image(path), net.input_shape, when) for path in images]
    results: list[dict[str, Any]] = []
    for path, (x, steps) in zip(images, converted, strict=True):
        shares = net.probabilities(x)[0]
        best = shares.argsort(kind="stable")[::-1][:top]
        choices = [{"class": names[i], "index": int(i), "probability": float(shares[i])} for i in best]
        results.append({"file": path, "conversion": steps, "top": choices})
    if json:
        common.print_json({"model": model, "images": results})
        return
    for result in results:
        print(f"{result['file']}\n  read: {', '.join(result['conversion'])}")
        for choice in result["top"]:
            print(f"  {common.percent(choice['probability']):>9}  {choice['class']}")


def convert(
    pixels: NDArray[uint8], input_shape: tuple[int, ...], invert: str = "no"
) -> tuple[NDArray[uint8], list[str]]:
    """Make a picture fit a network, and say how.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, 3), uint8
        As `foveal.data.read_image` gives it.
    input_shape : tuple of int
        (C, H, W) of the network, C = 1 or 3.
    invert : str
        "yes", "no", or "light": if the border, taken for the background, is lighter than mid grey.

    Returns
    -------
    x : ndarray of shape (1, C, H, W), uint8
        The picture as the network takes it.
    steps : list of str
        What was done, for people.

    Raises
    ------
    ShapeError
        If the network takes no pictures.

    Examples
    --------
    >>> import numpy as np
    >>> x, steps = convert(np.full((40, 20), 250, np.uint8), (1, 28, 28), "light")
    >>> x.shape, int(x.max()), steps
    ((1, 1, 28, 28), 5, ['20x40 grey', 'inverted (light background)', 'scaled to 14x28', 'padded to 28x28'])
    """
    import numpy as np

    from foveal.data.image import resize, to_grey

    if len(input_shape) != 3 or input_shape[0] not in (1, 3):
        raise ShapeError(explain("model", expected="input of shape (1, H, W) or (3, H, W)", got=str(input_shape)))
    channels, height, width = input_shape
    h, w = pixels.shape[:2]
    steps = [f"{w}x{h} {'grey' if pixels.ndim == 2 else 'colour'}"]
    if channels == 1 and pixels.ndim == 3:
        pixels = to_grey(pixels)
        steps.append("made grey")
    elif channels == 3 and pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
        steps.append("grey used as red, green and blue")
    background = _background(pixels)
    if invert == "yes" or (invert == "light" and background.mean() > 127):
        pixels, background = 255 - pixels, 255 - background
        steps.append("inverted" + (" (light background)" if invert == "light" else ""))
    scale = min(height / h, width / w)
    inner = max(1, round(h * scale)), max(1, round(w * scale))
    if inner != (h, w):
        pixels = resize(pixels, *inner)
        steps.append(f"scaled to {inner[1]}x{inner[0]}")
    sheet = np.empty((height, width, *pixels.shape[2:]), np.uint8)
    sheet[:] = background
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    sheet[top : top + inner[0], left : left + inner[1]] = pixels
    if inner != (height, width):
        steps.append(f"padded to {width}x{height}")
    x = sheet[None, None] if channels == 1 else sheet.transpose(2, 0, 1)[None]
    return np.ascontiguousarray(x), steps


def _background(pixels: NDArray[uint8]) -> NDArray[uint8]:
    """The median of the outermost pixels, of each channel."""
    import numpy as np

    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    median: NDArray[uint8] = np.median(border, axis=0).astype(np.uint8)
    return median
