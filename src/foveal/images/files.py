"""Pictures from files and into files: what a filter can work on, and what was changed to get there."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foveal._files import atomic_write, storage_error
from foveal._pictures import read_upright, reduce_to_8_bits
from foveal.errors import FormatError, explain

if TYPE_CHECKING:
    from PIL import Image

_FILTERED = {1: "grey", 2: "grey and alpha", 3: "RGB", 4: "RGB and alpha"}
_PLAIN = ("L", "LA", "RGB", "RGBA")
_NAMES = {"1": "black and white", "P": "palette", "PA": "palette", "La": "grey and alpha", "RGBa": "RGB and alpha"}
_QUALITY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},  # filtered edges would show coarser steps
    "WEBP": {"quality": 95},
}


@dataclass
class Picture:
    """A picture that was read upright.

    Attributes
    ----------
    pixels : ndarray of shape (H, W) or (H, W, C), uint8
        C = 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    notes : list of str
        What was converted.
    extras : dict
        What goes into the new file as well: colour profile, EXIF data, resolution.
    """

    pixels: NDArray[np.uint8]
    notes: list[str] = field(default_factory=list)
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Size and channels, for people."""
        channels = 1 if self.pixels.ndim == 2 else self.pixels.shape[2]
        return f"{self.pixels.shape[1]}x{self.pixels.shape[0]} {_FILTERED[channels]}"


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Read a picture for filtering: uint8, grey or RGB, with alpha if it has any.

    EXIF orientation is applied. Palettes, 16-bit greys, CMYK and other colour spaces are converted, and the notes say
    so. Of several frames or pages the first is read.

    Raises
    ------
    StorageError
        If the file cannot be read.
    FormatError
        If it is damaged, no image, enormous, or of floating point pixels.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> path = os.path.join(tempfile.mkdtemp(), "red.gif")
    >>> Image.new("RGB", (4, 2), "red").save(path)
    >>> picture = read_picture(path)
    >>> picture.kind, picture.notes
    ('4x2 RGB', ['palette converted to RGB'])
    """
    picture, frames = read_upright(path)
    return _convert(picture, [f"first of {frames} frames"] if frames > 1 else [])


def _convert(picture: Image.Image, notes: list[str]) -> Picture:
    mode, info = picture.mode, picture.info
    extras: dict[str, Any] = {}
    if info.get("dpi"):
        extras["dpi"] = info["dpi"]
    if len(picture.getexif()):
        extras["exif"] = picture.getexif().tobytes()
    if mode.startswith("I"):
        return Picture(reduce_to_8_bits(picture), [*notes, "16 bits reduced to 8"], extras)
    if mode in _PLAIN and not ("transparency" in info and mode in ("L", "RGB")):
        if info.get("icc_profile"):
            extras["icc_profile"] = info["icc_profile"]
        return Picture(np.asarray(picture), notes, extras)
    grey = mode in ("1", "L", "La")
    wanted = ("LA" if grey else "RGBA") if picture.has_transparency_data else ("L" if grey else "RGB")
    if mode == "CMYK" and info.get("icc_profile"):
        notes = [*notes, "its colour profile is not used"]
    kind = _FILTERED[len(wanted)]
    return Picture(
        np.asarray(picture.convert(wanted)), [*notes, f"{_NAMES.get(mode, mode)} converted to {kind}"], extras
    )


def writable(path: str | os.PathLike[str]) -> str:
    """Return the format that the name of a file asks for.

    Raises
    ------
    FormatError
        If it names none that can be written.

    Examples
    --------
    >>> writable("a/b.JPG")
    'JPEG'
    """
    from PIL import Image

    Image.init()
    suffix = Path(path).suffix.lower()
    name = Image.EXTENSION.get(suffix, "")
    if name not in Image.SAVE or name in ("PDF", "MPO"):
        fix = "Use .png, which keeps every value, or .jpg, .webp, .tif, .bmp."
        raise FormatError(explain(str(path), expected="the name of an image", got=repr(suffix), fix=fix))
    return name


def write_picture(path: str | os.PathLike[str], picture: Picture) -> None:
    """Write a picture in the format that the file's name says, atomically. JPEG with quality 95 and full colour.

    Raises
    ------
    StorageError
        If the file cannot be written.
    FormatError
        If the format is unknown, or cannot hold the picture (JPEG has no alpha).

    Examples
    --------
    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.png")
    >>> write_picture(path, Picture(np.zeros((2, 4, 3), np.uint8)))
    >>> read_picture(path).kind
    '4x2 RGB'
    """
    from PIL import Image

    name, memory = writable(path), io.BytesIO()
    try:
        Image.fromarray(picture.pixels).save(memory, name, **_QUALITY.get(name, {}), **picture.extras)
    except (OSError, ValueError, KeyError, SystemError) as error:
        fix = "Write a .png, which can." if picture.pixels.ndim == 3 and picture.pixels.shape[2] in (2, 4) else ""
        expected = f"a picture that {name} can hold"
        raise FormatError(explain(str(path), expected=expected, got=picture.kind, why=str(error), fix=fix)) from error
    with atomic_write(path) as file:
        file.write(memory.getbuffer())


def pictures_in(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the pictures of a folder and its subfolders in order, relative to it; hidden files and others are left out.

    Raises
    ------
    StorageError
        If a folder cannot be read.
    """
    from PIL import Image

    Image.init()
    root = Path(folder)

    def fail(error: OSError) -> None:
        raise storage_error(error.filename or folder, "read", error) from error

    for place, folders, names in os.walk(root, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in Image.EXTENSION:
                yield (Path(place) / name).relative_to(root)
