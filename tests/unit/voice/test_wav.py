"""WAV of all kinds: by several writers, by hand, in a file and through a pipe."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from edge_sdk.errors import UsageError
from edge_sdk.voice.audio import piped_blocks, wav_blocks
from edge_sdk.voice.wav import NoWav, read_header
from tests.spoken import provide

TONE = (8000 * np.sin(np.arange(8000) / 6)).astype(np.int16)
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def chunk(name: bytes, content: bytes, length: int | None = None) -> bytes:
    told = len(content) if length is None else length
    return name + struct.pack("<I", told) + content + b"\0" * (len(content) % 2)


def fmt(bits: int, tag: int = PCM, channels: int = 1, tail: bytes = b"") -> bytes:
    align = channels * bits // 8
    return chunk(
        b"fmt ",
        struct.pack("<HHIIHH", tag, channels, 16_000, 16_000 * align, align, bits) + tail,
    )


def riff(*chunks: bytes, form: bytes = b"RIFF", length: int | None = None) -> bytes:
    return chunk(form, b"WAVE" + b"".join(chunks), length)


def extensible(bits: int, tag: int = PCM, channels: int = 1) -> bytes:
    tail = struct.pack("<HHIH", 22, bits, 4, tag) + GUID_TAIL
    return fmt(bits, EXTENSIBLE, channels, tail)


def wide(width: int) -> bytes:
    """The tone in integers of so many bytes, the lower ones not empty."""
    if width == 1:
        return (TONE // 256 + 128).astype(np.uint8).tobytes()
    low = np.full((len(TONE), width - 2), 0x5A, np.uint8)
    return np.hstack([low, TONE.astype("<i2")[:, None].view(np.uint8)]).tobytes()


def floats(kind: str) -> bytes:
    return (TONE / 32768).astype(kind).tobytes()


def unknown(length: int, whole: int) -> bytes:
    """What a program that cannot seek back says of its length."""
    return riff(fmt(16), chunk(b"data", wide(2), length), length=whole)


def by_wave(width: int) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, width, 16_000, 0, "NONE", ""))
        file.writeframes(wide(width))
    return made.getvalue()


def by_scipy(samples: np.ndarray) -> bytes:
    made = io.BytesIO()
    wavfile.write(made, 16_000, samples)
    return made.getvalue()


KINDS: dict[str, tuple[Callable[[], bytes], int]] = {
    "wave, 8 bits": (lambda: by_wave(1), 256),
    "wave, 16 bits": (lambda: by_wave(2), 0),
    "wave, 24 bits": (lambda: by_wave(3), 0),
    "wave, 32 bits": (lambda: by_wave(4), 0),
    "scipy, 8 bits": (lambda: by_scipy((TONE // 256 + 128).astype(np.uint8)), 256),
    "scipy, 16 bits": (lambda: by_scipy(TONE), 0),
    "scipy, 32 bits": (lambda: by_scipy(TONE.astype(np.int32) << 16), 0),
    "scipy, float32": (lambda: by_scipy((TONE / 32768).astype(np.float32)), 0),
    "scipy, float64": (lambda: by_scipy(TONE / 32768), 0),
    "extensible, 16 bits": (lambda: riff(extensible(16), chunk(b"data", wide(2))), 0),
    "extensible, 24 bits": (lambda: riff(extensible(24), chunk(b"data", wide(3))), 0),
    "extensible, float32": (lambda: riff(extensible(32, FLOAT), chunk(b"data", floats("<f4"))), 0),
    "words before and after": (
        lambda: riff(
            chunk(b"LIST", b"x" * 70_001),
            fmt(16),
            chunk(b"data", wide(2)),
            chunk(b"LIST", b"y" * 9),
        ),
        0,
    ),
    "RF64": (
        lambda: riff(
            chunk(b"ds64", struct.pack("<QQQI", 0, 2 * len(TONE), len(TONE), 0)),
            fmt(16),
            chunk(b"data", wide(2), 0xFFFFFFFF),
            chunk(b"LIST", b"y" * 8),
            form=b"RF64",
            length=0xFFFFFFFF,
        ),
        0,
    ),
    "no length yet": (lambda: unknown(0, 36), 0),
    "no length at all": (lambda: unknown(0, 0), 0),
    "the length of espeak-ng": (lambda: unknown(0x7FFFF000, 0x7FFFF024), 0),
    "the longest length": (lambda: unknown(0xFFFFFFFF, 0xFFFFFFFF), 0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_heard(tmp_path: Path, kind: str) -> None:
    make, off_by = KINDS[kind]
    (tmp_path / "made.wav").write_bytes(make())
    from_file = np.concatenate(list(wav_blocks(tmp_path / "made.wav")))
    piped = np.concatenate(list(piped_blocks(io.BytesIO(make()))))
    assert len(from_file) == len(TONE)
    assert np.abs(from_file.astype(int) - TONE).max() <= off_by
    assert np.array_equal(piped, from_file)


def test_floats_beyond_full_scale_and_none_at_all(tmp_path: Path) -> None:
    values = np.array([2.0, -2.0, np.nan, np.inf, 0.5], np.float32)
    (tmp_path / "loud.wav").write_bytes(by_scipy(values))
    heard = np.concatenate(list(wav_blocks(tmp_path / "loud.wav")))
    assert heard.tolist() == [32767, -32768, 0, 32767, 16384]


def test_stereo_of_24_bits_is_averaged(tmp_path: Path) -> None:
    both = np.repeat(np.frombuffer(wide(3), np.uint8).reshape(-1, 1, 3), 2, axis=1)
    stereo = riff(extensible(24, channels=2), chunk(b"data", both.tobytes()))
    (tmp_path / "s.wav").write_bytes(stereo)
    assert np.array_equal(np.concatenate(list(wav_blocks(tmp_path / "s.wav"))), TONE)


REFUSED: dict[str, tuple[bytes, str]] = {
    "a-law": (riff(fmt(8, 6), chunk(b"data", b"\0" * 99)), "samples are A-law"),
    "unheard of": (riff(fmt(16, 0x1234), chunk(b"data", b"\0" * 99)), "format 0x1234"),
    "a-law within": (riff(extensible(8, 6), chunk(b"data", b"\0" * 99)), "samples are A-law"),
    "64-bit integers": (riff(fmt(64), chunk(b"data", b"\0" * 99)), "integers of 64 bits"),
    "16-bit floats": (riff(fmt(16, FLOAT), chunk(b"data", b"\0" * 99)), "floats of 16 bits"),
    "sound before its format": (riff(chunk(b"data", wide(2)), fmt(16)), "of what kind"),
    "a short format": (riff(chunk(b"fmt ", b"\1\0\1\0"), chunk(b"data", b"xx")), "ends in its"),
    "an endless word": (riff(chunk(b"LIST", b"x", 0xFFFFFFF0)), "ends in its header"),
    "big endian": (riff(fmt(16), form=b"RIFX"), "does not begin as one"),
    "an avi": (chunk(b"RIFF", b"AVI " + b"\0" * 99), "does not begin as one"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_read_is_refused_by_name(tmp_path: Path, case: str) -> None:
    content, says = REFUSED[case]
    (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(UsageError, match=says) as refused:
        wav_blocks(tmp_path / "bad.wav")
    assert "bad.wav" in refused.value.message
    with pytest.raises(NoWav, match=says):
        read_header(io.BytesIO(content))


def test_one_that_is_cut_off_is_told_of(tmp_path: Path) -> None:
    cut = riff(fmt(16), chunk(b"data", wide(2)))[:-1000]
    (tmp_path / "cut.wav").write_bytes(cut)
    with pytest.raises(UsageError, match="cut off: 15000 of 16000 bytes"):
        wav_blocks(tmp_path / "cut.wav")
    blocks = piped_blocks(io.BytesIO(cut))
    with pytest.raises(UsageError, match="1000 bytes of it are missing"):
        list(blocks)


def test_no_sound_before_other_words_is_no_sound(tmp_path: Path) -> None:
    empty = riff(fmt(16), chunk(b"data", b""), chunk(b"LIST", b"x" * 90))
    (tmp_path / "none.wav").write_bytes(empty)
    with pytest.raises(UsageError, match="holds no sound"):
        wav_blocks(tmp_path / "none.wav")


def test_what_espeak_writes_on_stdout(tmp_path: Path) -> None:
    provide()
    words = ["espeak-ng", "turn on the light"]
    piped = subprocess.run([*words, "--stdout"], capture_output=True, check=True).stdout
    (tmp_path / "piped.wav").write_bytes(piped)
    subprocess.run([*words, "-w", tmp_path / "whole.wav"], check=True)
    whole = np.concatenate(list(wav_blocks(tmp_path / "whole.wav")))
    assert len(whole) > 8000
    assert np.array_equal(np.concatenate(list(wav_blocks(tmp_path / "piped.wav"))), whole)
    assert np.array_equal(np.concatenate(list(piped_blocks(io.BytesIO(piped)))), whole)


WRITERS = {
    "sox": ["sox", "-", "-t", "wav", "-b", "24", "-"],
    "ffmpeg": ["ffmpeg", "-v", "error", "-i", "-", "-f", "wav", "-c:a", "pcm_f32le", "-"],
}


@pytest.mark.parametrize("program", WRITERS)
def test_what_other_programs_pipe(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    given = riff(fmt(16), chunk(b"data", wide(2)))
    made = subprocess.run(WRITERS[program], input=given, capture_output=True, check=True).stdout
    heard = np.concatenate(list(piped_blocks(io.BytesIO(made))))
    assert np.abs(heard.astype(int) - TONE).max() <= 1
