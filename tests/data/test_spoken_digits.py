"""spoken-digits: where recordings come from, how they are fitted and changed, and what is refused."""

import io
import os
import tarfile
import wave

import numpy as np
import pytest

from foveal.data import load
from foveal.data.spoken_digits import SOURCE, fit_length, load_spoken_digits, parse_wav, vary
from foveal.errors import DataError, FormatError, FovealError, ParameterError, StorageError
from tests.support.oracles import require_data

ARCHIVE = SOURCE.archive
RNG = np.random.default_rng(5)


def wav(sound, rate=8000, channels=1, width=2):
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.asarray(sound).astype("<i2").tobytes())
    return buffer.getvalue()


def takes(digits=range(10), speakers=("ann", "bob"), numbers=range(8)):
    """{name: bytes} of short recordings, each another."""
    return {
        f"{digit}_{speaker}_{number}.wav": wav(RNG.integers(-900, 900, 40 + digit))
        for digit in digits
        for speaker in speakers
        for number in numbers
    }


def pack(path, files, prefix="free-spoken-digits/", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:xz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            for key, value in options.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(data))


def put(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """$FOVEAL_DATA, empty, and an empty cache."""
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FOVEAL_DATA", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def digests(data):
    return [x.tobytes() for x in (*data.train, *data.test)]


def test_the_archive_is_read_where_it_is(own):
    pack(own / ARCHIVE, takes())
    before = sorted(own.rglob("*"))
    data = load_spoken_digits(copies=2, length=64)
    assert (data.train[0].shape, data.test[0].shape) == ((10 * 2 * 3 * 3, 1, 64), (10 * 2 * 5, 1, 64))
    assert (data.train[0].dtype, data.train[1].dtype) == (np.float32, np.int64)
    assert np.bincount(data.test[1]).tolist() == [10] * 10
    assert np.bincount(data.train[1]).tolist() == [18] * 10
    assert (data.classes, data.name) == (tuple("0123456789"), "spoken-digits")
    assert np.abs(data.train[0]).max() <= 1
    assert sorted(own.rglob("*")) == before


@pytest.mark.parametrize(
    "folder",
    ["free-spoken-digits", "free-spoken-digit-dataset/recordings", "recordings", "free-spoken-digits/recordings"],
)
def test_folders_give_the_same_as_the_archive(own, folder):
    files = takes()
    pack(own / ARCHIVE, dict(reversed(files.items())))  # whatever the order in the archive
    first = load_spoken_digits(copies=1, length=50)
    (own / ARCHIVE).unlink()
    put(own / folder, files | {"notes.txt": b"no sound", "pipeline.wav": b"no take"})
    assert digests(load_spoken_digits(copies=1, length=50)) == digests(first)


def test_the_cache_is_looked_in_as_well(own, tmp_path):
    pack(tmp_path / "cache" / "data" / ARCHIVE, takes())
    assert len(load_spoken_digits(copies=0, length=10).test[0]) == 100


def test_takes_0_to_4_are_the_test_split(own):
    files = takes()
    put(own / "recordings", files)
    data = load_spoken_digits(copies=0, length=64)
    wanted = {int(name[-5]) < 5: set() for name in files}
    for name, content in files.items():
        wanted[int(name[-5]) < 5].add(fit_length(parse_wav(content, name), 64).tobytes())
    assert {x.tobytes() for x in data.test[0]} == wanted[True]
    assert {x.tobytes() for x in data.train[0]} == wanted[False]


def test_labels_are_what_was_said(own):
    put(own / "recordings", takes())
    for x, t in (load_spoken_digits(copies=1, length=64).test, load_spoken_digits(copies=0, length=64).train):
        lengths = [np.flatnonzero(sound[0])[-1] - np.flatnonzero(sound[0])[0] + 1 for sound in x]
        assert np.abs(np.array(lengths) - (40 + t)).max() <= 2  # unless a recording begins or ends with zeros


def test_copies_are_seeded_and_differ(own):
    put(own / "recordings", takes(numbers=range(6)))
    one, same, other = (load_spoken_digits(copies=2, length=64, seed=seed) for seed in (0, 0, 1))
    n = len(one.train[0]) // 3
    assert digests(one) == digests(same)
    np.testing.assert_array_equal(one.train[0][:n], other.train[0][:n])
    np.testing.assert_array_equal(one.test[0], other.test[0])
    assert not np.array_equal(one.train[0][n:], other.train[0][n:])
    for a in range(3):
        for b in range(a):
            parts = [one.train[0][k * n : (k + 1) * n] for k in (a, b)]
            assert (np.abs(parts[0] - parts[1]).max(axis=(1, 2)) > 0.01).all()
            np.testing.assert_array_equal(one.train[1][a * n : (a + 1) * n], one.train[1][b * n : (b + 1) * n])


def test_fit_length_keeps_the_loudest_part():
    sound = np.zeros(100, np.float32)
    sound[60:70] = 0.25
    sound[5:15] = 0.125
    fitted = fit_length(sound, 12)
    assert (fitted == 1).sum() == 10
    assert fitted.max() == 1
    padded = fit_length(sound[60:70], 15)
    assert padded.tolist() == [0] * 2 + [1] * 10 + [0] * 3
    assert not fit_length(np.zeros(5, np.float32), 9).any(), "silence stays silence"


def test_vary_stays_near_the_recording():
    """A tone keeps its energy and, within 10 %, its frequency; the shift is at most 50 ms."""
    t = np.arange(2000) / 8000
    sound = np.sin(2 * np.pi * 500 * t).astype(np.float32)
    rng = np.random.default_rng(0)
    frequencies, starts, peaks = [], [], []
    for _ in range(60):
        varied = vary(sound, 4096, rng)
        assert varied.dtype == np.float32
        assert np.abs(varied).max() <= 1
        frequencies.append(np.argmax(np.abs(np.fft.rfft(varied, 2**15))) * 8000 / 2**15)
        starts.append(int(np.argmax(np.abs(varied) > 0.3)))
        peaks.append(float(np.abs(varied).max()))
    assert 445 < min(frequencies) < 470
    assert 530 < max(frequencies) < 555
    middle = (4096 - 2000) // 2
    assert middle - 520 < min(starts) < middle - 200
    assert middle + 200 < max(starts) < middle + 520
    assert 0.45 < min(peaks) < 0.7
    assert max(peaks) > 0.9


@pytest.mark.parametrize("length", [1, 5, 3000])
def test_vary_of_short_and_long(length):
    for n in (1, 2, 7000):
        varied = vary(RNG.uniform(-1, 1, n).astype(np.float32), length, np.random.default_rng(1))
        assert varied.shape == (length,)
        assert np.isfinite(varied).all()


def test_the_real_recordings():
    require_data(ARCHIVE)
    data = load("spoken-digits")
    assert (data.train[0].shape, data.test[0].shape) == ((5400, 1, 4096), (150, 1, 4096))
    assert np.bincount(data.test[1]).tolist() == [15] * 10
    np.testing.assert_allclose(np.abs(data.test[0]).max(axis=(1, 2)), 1)
    assert len({x.tobytes() for x in (*data.train[0], *data.test[0])}) == 5550


def refused(kind, message, **options):
    with pytest.raises(kind, match=message) as caught:
        load_spoken_digits(**options)
    assert isinstance(caught.value, FovealError)
    assert "\n" not in str(caught.value)


def test_nowhere(own, tmp_path):
    message = (
        f"expected {ARCHIVE} or the folder recordings/, got none in {own} and {tmp_path / 'cache'}.*github.com/Jako"
    )
    refused(DataError, message)


def test_wrong_options(own):
    refused(ParameterError, "copies: .*got -1", copies=-1)
    refused(ParameterError, "length: .*got 0", length=0)


def test_a_digit_without_training_recordings(own):
    files = takes(numbers=range(6))
    pack(own / ARCHIVE, {name: data for name, data in files.items() if not (name[0] == "3" and name[-5] == "5")})
    refused(DataError, r"training recordings of every digit, got none of \[3\]")
    put(own / "recordings", takes(numbers=range(5, 7)))
    (own / ARCHIVE).unlink()
    refused(DataError, r"test recordings of every digit, got none of \[0, 1")


@pytest.mark.parametrize("fault", ["truncated", "text", "empty", "flipped"])
def test_damaged_archives(own, fault):
    pack(own / ARCHIVE, takes())
    whole = (own / ARCHIVE).read_bytes()
    middle = len(whole) // 2
    damaged = {
        "truncated": whole[:-500],
        "text": b"<html>not found</html>",
        "empty": b"",
        "flipped": whole[:middle] + bytes(255 - b for b in whole[middle : middle + 40]) + whole[middle + 40 :],
    }
    (own / ARCHIVE).write_bytes(damaged[fault])
    refused(FormatError, f"{ARCHIVE}: expected a complete .tar.xz archive.*truncated or damaged")


BAD = {
    "no wav": (b"RIFF, but no sound", "a WAV file"),
    "empty": (b"", "a WAV file"),
    "no samples": (wav([]), "expected 1 samples, got 0"),
    "truncated": (wav(range(100))[:-30], "expected 100 samples, got 85"),
    "rate": (wav(range(100), rate=16000), "1 channel of 16 bits at 8000 Hz, got 1 of 16 bits at 16000 Hz"),
    "stereo": (wav(range(100), channels=2), "got 2 of 16 bits"),
    "bytes": (wav(range(100), width=1), "got 1 of 8 bits"),
    "huge": (wav(np.zeros(2**19)), "at most 1,048,576 bytes"),
}


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("case", BAD)
def test_bad_recordings(own, case, packed):
    content, message = BAD[case]
    files = takes() | {"4_bob_7.wav": content}
    if packed:
        pack(own / ARCHIVE, files)
    else:
        put(own / "recordings", files)
    refused(FormatError, f"4_bob_7.wav: expected .*{message}|4_bob_7.wav: {message}")


def test_members_that_are_no_files_are_passed_over(own):
    """Links and names that point out of the archive are never followed: nothing is unpacked."""
    files = takes()
    pack(own / ARCHIVE, files, prefix="../../")
    with tarfile.open(own / "links.tar.xz", "w:xz") as archive:
        link = tarfile.TarInfo("0_eve_9.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        with tarfile.open(own / ARCHIVE) as whole:
            for member in whole:
                archive.addfile(member, whole.extractfile(member))
    os.replace(own / "links.tar.xz", own / ARCHIVE)
    assert len(load_spoken_digits(copies=0, length=10).test[0]) == 100
    assert [p.name for p in own.iterdir()] == [ARCHIVE]
    assert not list(own.parent.glob("*.wav"))


def test_a_file_that_cannot_be_read(own, monkeypatch):
    pack(own / ARCHIVE, takes())

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tarfile, "open", denied)
    refused(StorageError, f"{ARCHIVE}: expected to read it, got 'Permission denied'")
    put(own / "recordings", takes())
    (own / ARCHIVE).unlink()
    monkeypatch.setattr("builtins.open", denied)
    refused(StorageError, r"0_ann_0\.wav: expected to read it")
