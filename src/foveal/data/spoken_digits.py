"""spoken-digits: the Free Spoken Digit Dataset, raw speech at 8 kHz, from its archive or its folder."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foveal._checks import check_count
from foveal.data.archive import Source
from foveal.data.dataset import Dataset
from foveal.data.digits import DIGITS
from foveal.errors import DataError, FormatError, explain

RATE = 8000  # samples per second
LENGTH = 4096  # samples of an example: 0.512 s; two of three recordings are shorter
TESTED = 5  # takes 0 to 4 of each digit and speaker are the test split
SOURCE = Source(
    title="spoken-digits",
    archive="free-spoken-digits.tar.xz",
    folders=(
        "recordings",
        ".",
        "free-spoken-digits/recordings",
        "free-spoken-digits",
        "free-spoken-digit-dataset/recordings",
        "free-spoken-digit-dataset",
    ),
    glob="*.wav",
    name=r"([0-9])_([A-Za-z]+)_([0-9]+)\.wav",  # digit, speaker, number
    largest=2**20,  # the longest has 40,000 bytes
    fix="Get the Free Spoken Digit Dataset (github.com/Jakobovski/free-spoken-digit-dataset), and set FOVEAL_DATA to "
    "the folder in which its recordings/ lies.",
)

Sound = NDArray[np.float32]


class Take(NamedTuple):
    """One recording: what was said, by whom, for the how many-th time, and its samples in -1 to 1."""

    digit: int
    speaker: str
    number: int
    sound: Sound


def load_spoken_digits(*, copies: int = 3, length: int = LENGTH, seed: int = 0) -> Dataset:
    """Load spoken digits: raw speech, one channel at 8 kHz, from ``$FOVEAL_DATA`` or the cache; nothing is downloaded.

    Looked for in each: the archive ``free-spoken-digits.tar.xz``, which is read where it is, or the recordings
    ``DIGIT_SPEAKER_INDEX.wav`` in ``free-spoken-digits/``, ``free-spoken-digit-dataset/`` or ``recordings/``.

    Every recording is cut to its loudest 0.512 s, or padded with silence on both sides, and scaled to a peak of 1: the
    speakers are not equally loud. Takes 0 to 4 of each digit and speaker are the test split, as is the custom. 1,350
    recordings are few to train on, so each is followed by `copies` of it that are changed at random (see `vary`).

    Parameters
    ----------
    copies : int
        Changed copies of each training recording. The test split is never changed.
    length : int
        Samples of an example.
    seed : int
        Of the changes.

    Returns
    -------
    Dataset
        Sounds of shape (N, 1, length), float32, -1 to 1: 1,350 * (1 + copies) for training, 150 for testing.

    Raises
    ------
    DataError
        If the recordings are nowhere, or a digit has none for training or testing.
    FormatError
        If the archive or a recording is damaged, or no mono sound of 16 bits at 8 kHz.
    StorageError
        If a file cannot be read.

    Source
    ------
    Z. Jackson and others, Free Spoken Digit Dataset, github.com/Jakobovski/free-spoken-digit-dataset (CC BY-SA 4.0).
    """
    check_count(copies, "copies", minimum=0)
    check_count(length, "length")
    takes = sorted(_takes(), key=lambda take: take[:3])
    train = [take for take in takes if take.number >= TESTED]
    test = [take for take in takes if take.number < TESTED]
    for part, chosen in (("training", train), ("test", test)):
        missing = sorted(set(range(10)) - {take.digit for take in chosen})
        if missing:
            why = f"takes 0 to {TESTED - 1} are the test split"
            raise DataError(
                explain(
                    "spoken-digits", expected=f"{part} recordings of every digit", got=f"none of {missing}", why=why
                )
            )
    rng = np.random.default_rng(seed)
    x = [fit_length(take.sound, length) for take in train]
    for _ in range(copies):
        x += [vary(take.sound, length, rng) for take in train]
    t = np.tile([take.digit for take in train], 1 + copies)
    tested = np.stack([fit_length(take.sound, length) for take in test])[:, None]
    labels = np.array([take.digit for take in test], np.int64)
    return Dataset((np.stack(x)[:, None], t.astype(np.int64)), (tested, labels), DIGITS, "spoken-digits")


def fit_length(sound: Sound, length: int) -> Sound:
    """Cut the loudest part of that length out, or pad with silence on both sides; then scale to a peak of 1.

    Examples
    --------
    >>> fit_length(np.array([0.0, 0.1, -0.5, 0.2, 0.0], np.float32), 3)
    array([ 0.2, -1. ,  0.4], dtype=float32)
    >>> fit_length(np.array([0.25, 0.5], np.float32), 4)
    array([0. , 0.5, 1. , 0. ], dtype=float32)
    """
    if len(sound) > length:
        energy = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
        start = int(np.argmax(energy[length:] - energy[:-length]))
        sound = sound[start : start + length]
    before = (length - len(sound)) // 2
    fitted = np.pad(sound, (before, length - len(sound) - before))
    peak = np.abs(fitted).max()
    return fitted / peak if peak > 0 else fitted


def vary(sound: Sound, length: int, rng: np.random.Generator) -> Sound:
    """Change a recording at random, as another take of it would differ, and fit it to a length.

    In this order: spoken faster or slower by up to 10 % (linear interpolation, so its pitch changes as well), cut or
    padded (`fit_length`), shifted by up to 50 ms, made quieter down to a half, and mixed with white noise of a standard
    deviation of up to 0.01.

    Source: T. Ko and others, "Audio augmentation for speech recognition", Interspeech 2015, for the change of speed.
    """
    rate = rng.uniform(0.9, 1.1)
    places = np.arange(0, len(sound) - 1, rate)
    faster = np.interp(places, np.arange(len(sound)), sound).astype(np.float32)
    fitted = fit_length(faster, length)
    most = min(RATE // 20, length - 1)
    shift = int(rng.integers(-most, most + 1))
    shifted = np.zeros_like(fitted)
    shifted[max(0, shift) : length + min(0, shift)] = fitted[max(0, -shift) : length - max(0, shift)]
    noise = rng.standard_normal(length, np.float32) * np.float32(rng.uniform(0, 0.01))
    return np.clip(shifted * np.float32(rng.uniform(0.5, 1)) + noise, -1, 1)


def _takes() -> Iterator[Take]:
    for (digit, speaker, number), data, where in SOURCE.read(SOURCE.find()):
        yield Take(int(digit), speaker, int(number), parse_wav(data, where))


def parse_wav(data: bytes, where: str) -> Sound:
    """Read a recording; `where` is how a message names it.

    Returns
    -------
    ndarray of shape (samples,), float32
        -1 to 1.

    Raises
    ------
    FormatError
        If it is no complete WAV file with one channel of 16 bits at 8 kHz, or empty.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            found = (file.getnchannels(), 8 * file.getsampwidth(), file.getframerate())
            count, raw = file.getnframes(), file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        fix = "It is truncated or damaged: get it again."
        raise FormatError(explain(where, expected="a WAV file", got=repr(str(error) or "its end"), fix=fix)) from error
    if found != (1, 16, RATE):
        expected, got = "1 channel of 16 bits at 8000 Hz", "{} of {} bits at {} Hz".format(*found)
        raise FormatError(explain(where, expected=expected, got=got))
    if count == 0 or len(raw) != 2 * count:
        fix = "It is truncated or damaged: get it again."
        raise FormatError(explain(where, expected=f"{max(1, count)} samples", got=str(len(raw) // 2), fix=fix))
    return np.frombuffer(raw, "<i2").astype(np.float32) / np.float32(32768)
