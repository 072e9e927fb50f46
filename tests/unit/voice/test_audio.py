"""Sound in: rates, channels, and files that are none."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.voice.audio import Resampler, pcm_blocks, piped_blocks, wav_blocks
from edge_sdk.voice.microphone import Microphone
from edge_sdk.voice.ring import Ring


def tone(rate: int, seconds: float, channels: int = 1, hertz: float = 440.0) -> np.ndarray:
    wave_ = 8000 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)
    return np.repeat(wave_.astype(np.int16)[:, None], channels, axis=1)


def write(path: Path, frames: np.ndarray, rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(frames.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(frames.tobytes())
    return path


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (22_050, 1), (8_000, 1), (48_000, 6)])
def test_any_rate_and_channels_become_16_khz_mono(tmp_path: Path, rate: int, channels: int) -> None:
    path = write(tmp_path / "tone.wav", tone(rate, 2.0, channels), rate)
    sound = np.concatenate(list(wav_blocks(path)))
    assert sound.dtype == np.int16
    assert abs(len(sound) - 32_000) <= 2
    inner = slice(1600, -1600)  # the filter's own beginning and end aside
    assert np.abs(sound[inner] - tone(16_000, 2.0)[: len(sound), 0][inner]).max() < 80


def test_the_average_of_the_channels_is_heard(tmp_path: Path) -> None:
    frames = np.stack([np.full(1600, 1000), np.full(1600, -200)], axis=1).astype(np.int16)
    assert set(np.concatenate(list(wav_blocks(write(tmp_path / "s.wav", frames, 16_000))))) == {400}


def test_a_pipe_that_ends_inside_a_sample_gives_the_whole_ones() -> None:
    pcm = tone(16_000, 0.5).tobytes() + b"\x01"
    assert sum(map(len, pcm_blocks(io.BytesIO(pcm)))) == 8000


def test_a_pipe_that_brings_nothing() -> None:
    """arecord that finds no card writes nothing."""
    with pytest.raises(UsageError, match="pipe") as refused:
        list(piped_blocks(io.BytesIO()))
    assert "-t raw" in refused.value.hint


def test_a_pipe_of_samples_is_heard_whole() -> None:
    pcm = tone(16_000, 0.5)
    assert np.array_equal(np.concatenate(list(piped_blocks(io.BytesIO(pcm.tobytes())))), pcm[:, 0])


def damaged(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    whole = write(tmp_path / "whole.wav", tone(16_000, 0.5), 16_000).read_bytes()
    made = {
        "empty": (b"", "is empty"),
        "garbage": (bytes(range(256)) * 9, "is not a wav"),
        "header": (whole[:30], "is not a wav that can be read: it ends in its header"),
        "cut": (whole[:-1000], "is cut off: 15000 of 16000 bytes"),
    }
    found = {}
    for name, (content, says) in made.items():
        path = tmp_path / f"{name}.wav"
        path.write_bytes(content)
        found[name] = (path, says)
    found["missing"] = (tmp_path / "missing.wav", "cannot be read")
    found["nothing"] = (write(tmp_path / "n.wav", tone(16_000, 0), 16_000), "holds no sound")
    return found


@pytest.mark.parametrize("case", ["empty", "garbage", "header", "cut", "missing", "nothing"])
def test_a_bad_file_is_refused_before_anything_is_heard(tmp_path: Path, case: str) -> None:
    path, says = damaged(tmp_path)[case]
    with pytest.raises(UsageError, match=says) as refused:
        wav_blocks(path)
    assert refused.value.hint


def test_a_device_is_no_file() -> None:
    """Reading /dev/zero to its end would take all the memory there is."""
    with pytest.raises(UsageError, match="/dev/zero is a device"):
        wav_blocks("/dev/zero")


@pytest.mark.parametrize(("rate", "channels"), [(0, 1), (10**9, 1), (16_000, 0), (16_000, 1000)])
def test_no_such_sound(rate: int, channels: int) -> None:
    with pytest.raises(UsageError, match="no sound that can be used"):
        Resampler(rate, channels)


def test_a_microphone_where_there_is_none() -> None:
    """CI has no sound card; where one is, that it opens is what can be said."""
    try:
        with Microphone() as microphone:
            assert microphone.dropped == 0
    except UnavailableError as refused:
        assert "microphone" in refused.message
        assert refused.hint


def test_the_ring_keeps_the_newest() -> None:
    ring = Ring(100)
    everything = np.arange(1000, dtype=np.int16)
    at = 0
    for size in (3, 60, 99, 100, 250, 1, 487):
        ring.put(everything[at : at + size])
        at += size
        assert ring.heard == at
        assert ring.since(at - 100).tolist() == everything[max(at - 100, 0) : at].tolist()
        assert ring.since(at - 7).tolist() == everything[max(at - 7, 0) : at].tolist()
    assert ring.since(0).tolist() == everything[900:].tolist()
    assert ring.since(1000).size == 0
