"""Animations: one figure that is changed from frame to frame, written as GIF, as MP4, or as a sheet of key frames."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foveal._checks import check_count
from foveal._files import atomic_write
from foveal.errors import MissingDependencyError, ParameterError, StorageError, explain, nearest

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure
    from PIL import Image

Pixels = NDArray[np.uint8]

ENDINGS = ("gif", "mp4", "png")
COLOURS = 128  # of a GIF: lines, areas and their smoothed edges need no more
MP4_RATE = 25  # frames per second


@dataclass(frozen=True, eq=False)
class Animation:
    """A figure, how it is changed to show frame i, and how long each frame stays.

    Parameters
    ----------
    figure : matplotlib Figure
        What is drawn.
    draw : callable
        ``draw(i)`` changes the figure to frame i; the frames may be asked for in any order.
    moving : sequence of matplotlib Artist
        All that `draw` changes, in the order in which it is painted, above everything else.
    seconds : sequence of float
        How long each frame stays.
    keys : sequence of int
        The frames that tell the story on a sheet.
    columns : int
        Frames beside each other on the sheet.
    """

    figure: Figure
    draw: Callable[[int], None]
    moving: Sequence[Artist]
    seconds: Sequence[float]
    keys: Sequence[int]
    columns: int = 2
    _still: dict[int, Any] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.seconds)

    def frame(self, i: int, *, dpi: int = 100) -> Pixels:
        """Return frame i as pixels (H, W, 3)."""
        canvas: Any = self.figure.canvas
        if dpi not in self._still:
            self._still.clear()
            self._still[dpi] = self._background(dpi)
        canvas.restore_region(self._still[dpi])
        self.draw(i)
        for artist in self.moving:
            self.figure.draw_artist(artist)
        return np.array(canvas.buffer_rgba())[..., :3]

    def _background(self, dpi: int) -> Any:
        """All that stands still, drawn once: with axes and text, it takes ten times as long as what moves."""
        canvas: Any = self.figure.canvas
        self.figure.set_dpi(dpi)
        self.draw(len(self) - 1)
        self.figure.draw_without_rendering()  # finds the places of the axes, with room for what moves
        for artist in self.moving:
            artist.set_animated(True)
        canvas.draw()
        return canvas.copy_from_bbox(self.figure.bbox)

    def save(self, path: str | os.PathLike[str], *, dpi: int = 100, progress: bool = False) -> None:
        """Write the animation, atomically; the ending says how: .gif, .mp4 (needs ffmpeg), or .png, the key frames.

        The same animation gives the same GIF and PNG, byte for byte.

        Parameters
        ----------
        path : path
            The file.
        dpi : int
            Pixels per inch, from 30 to 400.
        progress : bool
            Show a bar on a terminal.

        Raises
        ------
        ParameterError
            If the ending is none of these, or dpi is out of range.
        MissingDependencyError
            If MP4 is wanted and there is no ffmpeg.
        StorageError
            If the file cannot be written.
        """
        ending = check_target(path, dpi)
        numbers: Sequence[int] = self.keys if ending == "png" else range(len(self))
        frames = [self.frame(i, dpi=dpi) for i in _counted(numbers, progress)]
        if ending == "mp4":
            _write_mp4(path, frames, self.seconds)
            return
        with atomic_write(path) as file:
            if ending == "png":
                _image(sheet(frames, self.columns)).save(file, format="PNG", optimize=True)
            else:
                _write_gif(file, frames, self.seconds)


def check_target(path: str | os.PathLike[str], dpi: int = 100) -> str:
    """Return the ending of a file that an animation can be written to, before any frame is drawn.

    Raises
    ------
    ParameterError, MissingDependencyError
        See `Animation.save`.

    Examples
    --------
    >>> check_target("box.GIF")
    'gif'
    """
    ending = Path(path).suffix.lower().lstrip(".")
    if ending not in ENDINGS:
        got = repr(ending) if ending else "no ending"
        fix = nearest(ending, ENDINGS)
        raise ParameterError(explain(f"animation {str(path)!r}", expected="a known ending", got=got, fix=fix))
    if not 30 <= check_count(dpi, "dpi") <= 400:
        raise ParameterError(explain("dpi", expected="30 to 400 pixels per inch", got=str(dpi)))
    if ending == "mp4" and shutil.which("ffmpeg") is None:
        fix = "Install ffmpeg, or write a .gif, which needs nothing."
        raise MissingDependencyError(
            explain(f"animation {str(path)!r}", expected="the program ffmpeg", got="none on the PATH", fix=fix)
        )
    return ending


def sheet(frames: Sequence[Pixels], columns: int) -> Pixels:
    """Lay frames of one size out row by row, with white where there is none.

    Examples
    --------
    >>> sheet([np.zeros((2, 3, 3), np.uint8)] * 3, columns=2).shape
    (4, 6, 3)
    """
    height, width = frames[0].shape[:2]
    columns = min(columns, len(frames))
    rows = -(-len(frames) // columns)
    page = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for i, frame in enumerate(frames):
        y, x = i // columns * height, i % columns * width
        page[y : y + height, x : x + width] = frame
    return page


def _counted(numbers: Sequence[int], progress: bool) -> Iterator[int]:
    if not progress:
        yield from numbers
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(numbers, "drawing", console=Console(stderr=True), transient=True)


def _image(pixels: Pixels) -> Image.Image:
    from PIL import Image

    return Image.fromarray(pixels)


def _write_gif(file: Any, frames: Sequence[Pixels], seconds: Sequence[float]) -> None:
    """All frames share one palette, so that what stands still does not flicker and costs no bytes."""
    from PIL import Image

    some = frames[:: max(1, len(frames) // 8)]
    palette = _image(sheet([*some, frames[-1]], 1)).quantize(COLOURS, method=Image.Quantize.MEDIANCUT)
    images = [_image(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    colours, paper = images[0].getpalette() or [], 3 * int(np.asarray(images[0])[0, 0])
    colours[paper : paper + 3] = [255, 255, 255]  # the corner is white, and quantization made it a little grey
    for image in images:
        image.putpalette(colours)
    durations = [max(20, round(100 * s) * 10) for s in seconds]  # a GIF counts hundredths; below 2 viewers slow down
    images[0].save(file, format="GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)


def _write_mp4(path: str | os.PathLike[str], frames: Sequence[Pixels], seconds: Sequence[float]) -> None:
    """Pipe the frames through ffmpeg: H.264 in yuv420p, which every player shows and which needs even sides."""
    height, width = (n - n % 2 for n in frames[0].shape[:2])
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(MP4_RATE), "-i", "-"]
    coded = ["-an", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-bitexact"]
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "animation.mp4"
        command = ["ffmpeg", "-y", "-loglevel", "error", *source, *coded, str(made)]
        ends = np.rint(np.cumsum(seconds) * MP4_RATE).astype(int)
        repeats = np.diff(ends, prepend=0).tolist()
        raw = b"".join(f[:height, :width].tobytes() * n for f, n in zip(frames, repeats, strict=True))
        done = subprocess.run(command, input=raw, capture_output=True)
        if done.returncode or not made.exists():
            got = repr(done.stderr.decode(errors="replace").strip()[-200:] or f"exit code {done.returncode}")
            fix = "Write a .gif, or install an ffmpeg with libx264."
            raise StorageError(explain(str(path), expected="ffmpeg to write it", got=got, fix=fix))
        with atomic_write(path) as file:
            file.write(made.read_bytes())
