"""One picture: read as uint8 pixels, grey or RGB."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foveal._files import storage_error
from foveal.errors import FormatError, explain

if TYPE_CHECKING:
    from PIL import Image

Pixels = NDArray[np.uint8]


def read_image(path: str | os.PathLike[str]) -> Pixels:
    """Read a picture upright (EXIF orientation applied).

    Grey modes stay grey (16 bits are reduced to 8); everything else becomes RGB. Transparent pixels are shown on white,
    as on a page.

    Parameters
    ----------
    path : path
        A file of any format that Pillow reads.

    Returns
    -------
    ndarray of shape (H, W) for grey or (H, W, 3) for colour, uint8

    Raises
    ------
    StorageError
        If the file cannot be read.
    FormatError
        If it is truncated or no image.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> path = os.path.join(tempfile.mkdtemp(), "red.png")
    >>> Image.new("RGB", (4, 2), "red").save(path)
    >>> read_image(path).shape
    (2, 4, 3)
    """
    from PIL import Image  # not with the module: `import foveal` brings this one

    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = _open(file, path)
    except OSError as error:
        if isinstance(error, FormatError):
            raise
        raise storage_error(path, "read", error) from error
    return _pixels(picture, path)


def _open(file: Any, path: str | os.PathLike[str]) -> Image.Image:
    from PIL import Image, ImageOps

    try:
        picture = Image.open(file)
        picture.load()
        return ImageOps.exif_transpose(picture)
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, EOFError, struct.error...
        is_image = "cannot identify" not in str(error)
        got = repr(str(error)) if is_image else "no image"
        fix = "It is truncated or damaged: replace it." if is_image else "Remove it, or replace it by an image."
        raise FormatError(explain(str(path), expected="a complete image", got=got, fix=fix)) from error


def _pixels(picture: Image.Image, path: str | os.PathLike[str]) -> Pixels:
    from PIL import Image

    if picture.mode == "F":
        fix = "Save it as an 8-bit PNG: a floating point image does not say what is white."
        raise FormatError(explain(str(path), expected="an image of 8 or 16 bits", got="floating point pixels", fix=fix))
    if picture.mode.startswith("I"):
        reduced: Pixels = (np.clip(np.asarray(picture), 0, 65535) // 257).astype(np.uint8)
        return reduced
    grey = picture.mode in ("1", "L", "LA", "La")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    rgb = np.asarray(picture.convert("L" if grey else "RGB"))
    if picture.mode == "P" and (rgb == rgb[..., :1]).all():
        return rgb[..., 0].copy()  # a palette of greys is how many programs save a grey picture
    return rgb


def to_grey(pixels: Pixels) -> Pixels:
    """Luma of a colour picture, (299 R + 587 G + 114 B) / 1000; grey is returned as it is.

    Source
    ------
    ITU-R BT.601.

    Examples
    --------
    >>> to_grey(np.full((1, 2, 3), 200, np.uint8))
    array([[200, 200]], dtype=uint8)
    """
    if pixels.ndim == 2:
        return pixels
    return ((pixels.astype(np.uint32) @ np.array([299, 587, 114], np.uint32) + 500) // 1000).astype(np.uint8)


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Resize with an antialiasing filter (Lanczos), without keeping the aspect.

    Examples
    --------
    >>> resize(np.zeros((30, 20), np.uint8), 15, 10).shape
    (15, 10)
    """
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
