"""One picture: read as uint8 pixels, grey or RGB."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from foveal._checks import check_count
from foveal._pictures import decode_upright, read_upright, reduce_to_8_bits
from foveal.errors import ParameterError, explain

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
    return _pixels(read_upright(path)[0])


def parse_image(data: bytes, where: str) -> Pixels:
    """Read a picture that is in memory as `read_image` reads a file; `where` is how a message names it.

    Raises
    ------
    FormatError
        If it is truncated or no image.
    """
    return _pixels(decode_upright(io.BytesIO(data), where)[0])


def _pixels(picture: Image.Image) -> Pixels:
    from PIL import Image

    if picture.mode.startswith("I"):
        return reduce_to_8_bits(picture)
    grey = picture.mode in ("1", "L", "LA", "La")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    rgb = np.asarray(picture.convert("L" if grey else "RGB"))
    if picture.mode == "P" and (rgb == rgb[..., :1]).all():
        return rgb[..., 0].copy()  # a palette of greys is how many programs save a grey picture
    return rgb


def to_rgb(pixels: Pixels) -> Pixels:
    """A grey picture as red, green and blue; colour is returned as it is.

    Examples
    --------
    >>> to_rgb(np.full((1, 1), 9, np.uint8))
    array([[[9, 9, 9]]], dtype=uint8)
    """
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)


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


def crop(pixels: Pixels, height: int, width: int) -> Pixels:
    """Cut the middle out of a picture that is at least as large.

    Examples
    --------
    >>> crop(np.arange(20, dtype=np.uint8).reshape(4, 5), 2, 3)
    array([[ 6,  7,  8],
           [11, 12, 13]], dtype=uint8)
    """
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def check_size(size: int | tuple[int, int]) -> tuple[int, int]:
    """Read one number or (height, width).

    Raises
    ------
    ParameterError
        If it is neither.

    Examples
    --------
    >>> check_size(32), check_size((32, 48))
    ((32, 32), (32, 48))
    """
    pair = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(pair) != 2:
        raise ParameterError(explain("size", expected="one number or (height, width)", got=str(size)))
    return check_count(pair[0], "size"), check_count(pair[1], "size")
