"""Opening pictures: the one place that meets Pillow's decoders, and whatever may be wrong with a file."""

from __future__ import annotations

import os
import warnings
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from foveal._files import storage_error
from foveal.errors import FormatError, explain

if TYPE_CHECKING:
    from PIL import Image


def read_upright(path: str | os.PathLike[str]) -> tuple[Image.Image, int]:
    """Read a picture from a file; see `decode_upright`.

    Raises
    ------
    StorageError
        If the file cannot be read.
    FormatError
        If it is truncated, damaged, no image, enormous, or of floating point pixels.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> path = os.path.join(tempfile.mkdtemp(), "red.png")
    >>> Image.new("RGB", (4, 2), "red").save(path)
    >>> picture, frames = read_upright(path)
    >>> picture.mode, picture.size, frames
    ('RGB', (4, 2), 1)
    """
    try:
        with open(path, "rb") as file:
            return decode_upright(file, path)
    except OSError as error:
        if isinstance(error, FormatError):
            raise
        raise storage_error(path, "read", error) from error


def decode_upright(file: IO[bytes], where: str | os.PathLike[str]) -> tuple[Image.Image, int]:
    """Decode a picture completely and turn it upright (EXIF orientation applied).

    Parameters
    ----------
    file : binary file
        Open for reading.
    where : str or path
        How a message names it.

    Returns
    -------
    picture : PIL.Image.Image
        The first frame or page, of any mode but floating point.
    frames : int
        How many there are.

    Raises
    ------
    FormatError
        If it is truncated, damaged, no image, enormous, or of floating point pixels.
    """
    from PIL import Image, ImageOps  # not with the module: `import foveal` brings this one

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(file)
            picture.load()
            frames = getattr(picture, "n_frames", 1)
            upright = ImageOps.exif_transpose(picture)
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, EOFError, struct.error...
        is_image = "cannot identify" not in str(error)
        got = repr(str(error)) if is_image else "no image"
        fix = "It is truncated or damaged: replace it." if is_image else "Remove it, or replace it by an image."
        raise FormatError(explain(str(where), expected="a complete image", got=got, fix=fix)) from error
    if upright.mode == "F":
        fix = "Save it as an 8-bit PNG: a floating point image does not say what is white."
        expected = "an image of 8 or 16 bits"
        raise FormatError(explain(str(where), expected=expected, got="floating point pixels", fix=fix))
    return upright, frames


def reduce_to_8_bits(picture: Image.Image) -> NDArray[np.uint8]:
    """The pixels of a grey picture of 16 bits (mode I) divided by 257, so that white stays white: 65535 / 257 = 255."""
    pixels: NDArray[np.uint8] = (np.clip(np.asarray(picture), 0, 65535) // 257).astype(np.uint8)
    return pixels
