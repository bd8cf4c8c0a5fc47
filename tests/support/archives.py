"""Small data sets as they are delivered: pictures in tar archives or folders."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from foveal.data.cifar10 import CLASSES

Files = dict[str, bytes]


def picture(width: int, height: int, seed: int = 0, kind: str = "JPEG", grey: bool = False) -> bytes:
    """A picture of noise, each seed another."""
    shape = (height, width) if grey else (height, width, 3)
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def few_cifar(train: int = 3, test: int = 2) -> Files:
    """CIFAR-10 with fewer pictures of each class."""
    names = [
        f"{part}/{c}/{i:04}.jpg" for part, n in (("train", train), ("test", test)) for c in CLASSES for i in range(n)
    ]
    return {name: picture(32, 32, seed) for seed, name in enumerate(names)}


def few_photographs(count: int = 5) -> Files:
    """The ImageNet samples with fewer classes, upright and lying."""
    sizes = [(256, 300) if i % 2 else (340, 256) for i in range(count)]
    return {f"n{i:08}_thing_{9 - i}/n{i:08}.jpg": picture(*size, i) for i, size in enumerate(sizes)}


def pack(path: Path, files: Files, prefix: str = "") -> Path:
    """Write a tar archive, compressed if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:xz" if path.suffix == ".xz" else "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def put(folder: Path, files: Files) -> Path:
    """Write the files below a folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
