"""Voice on real models: wake word, activity, commands, on speech that espeak-ng makes."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import UsageError
from edge_sdk.voice.activity import Activity
from edge_sdk.voice.audio import Samples
from edge_sdk.voice.commands import Commands
from edge_sdk.voice.listener import Command, Listener
from edge_sdk.voice.vocabulary import HOUSE, Intent, parse_vocabulary
from edge_sdk.voice.wake import Wake, WakeWord
from examples.assets import asset
from tests.e2e.conftest import Edge
from tests.spoken import heard, speak


@pytest.fixture(scope="module")
def models() -> tuple[Path, Path]:
    return (
        asset("wake-words") / "okay_nabu.tflite",
        asset("silero-vad") / "silero_vad_16k_op15.onnx",
    )


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spoken") / "light.wav"
    return speak("okay nabu, turn on the light", path)


def ears(models: tuple[Path, Path], **options: float) -> Listener:
    return Listener([WakeWord(models[0])], Activity(models[1]), Commands(), **options)


def events(listener: Listener, sound: Samples, size: int = 1280) -> list[Wake | Command]:
    found = []
    for at in range(0, len(sound), size):
        found += list(listener.hear(sound[at : at + size]))
    return [*found, *listener.finish()]


def silence(seconds: float) -> Samples:
    return np.zeros(int(16_000 * seconds), np.int16)


def test_the_demo_says_when_what_and_meaning(edge: Edge) -> None:
    done = edge("demo", "voice", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    (wake,) = found["wakes"]
    assert wake["word"] == "okay_nabu"
    assert 0.6 < wake["time_s"] < 1.4
    assert found["transcript"] == "turn on the light"
    assert found["intent"] == {"name": "switch", "slots": {"to": "on", "thing": "light"}}
    assert "woken by okay_nabu" in done.err


def test_a_stereo_44_khz_wav_and_a_pipe_say_the_same(
    edge: Edge, spoken: Path, tmp_path: Path
) -> None:
    sound = np.concatenate([heard(spoken), silence(0.5)])
    at = np.linspace(0, len(sound) - 1, int(len(sound) * 44_100 / 16_000))
    frames = np.repeat(np.interp(at, np.arange(len(sound)), sound).astype(np.int16)[:, None], 2, 1)
    with wave.open(str(tmp_path / "stereo.wav"), "wb") as file:
        file.setparams((2, 2, 44_100, 0, "NONE", ""))
        file.writeframes(frames.tobytes())
    done = edge("demo", "voice", "--input", tmp_path / "stereo.wav")
    assert done.code == 0, done.err
    assert done.out.splitlines()[1:] == [
        "transcript: turn on the light",
        "intent: switch to=on thing=light",
    ]
    piped = subprocess.run(
        [sys.executable, "-m", "edge_sdk", "demo", "voice", "--input", "-"],
        input=sound.tobytes(),
        capture_output=True,
        check=True,
    )
    assert b"intent: switch to=on thing=light" in piped.stdout


def test_silence_is_no_word_and_no_error(edge: Edge, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "silence.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(silence(3).tobytes())
    done = edge("demo", "voice", "--input", tmp_path / "silence.wav")
    assert (done.code, done.out.strip()) == (0, "No wake word was heard.")


@pytest.mark.parametrize("content", [b"", b"RIFF but no wav"])
def test_a_file_that_is_no_sound(edge: Edge, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.wav").write_bytes(content)
    done = edge("demo", "voice", "--input", tmp_path / "bad.wav")
    assert done.code == 2
    assert "bad.wav" in done.err
    assert "Traceback" not in done.err


def test_a_wake_word_by_its_name_and_names_of_none(edge: Edge, tmp_path: Path) -> None:
    said = speak("alexa, turn on the light", tmp_path / "alexa.wav")
    done = edge("demo", "voice", "--input", said, "--model", "alexa")
    assert done.code == 0, done.err
    assert "by alexa" in done.out
    for named, says in {
        "okay_nab": "okay_nab is neither a file nor a wake word that is known",
        "okay_nab.tflite": "okay_nab.tflite cannot be read: No such file",
        "okay_nab.onnxx": "okay_nab.onnxx does not exist",
    }.items():
        done = edge("demo", "voice", "--input", said, "--model", named)
        assert done.code == 2
        assert says in done.err
        assert "Convert it first" not in done.err


def test_no_time_and_no_such_address(edge: Edge) -> None:
    for seconds in ("0", "inf", "nan"):
        done = edge("demo", "voice", "--seconds", seconds)
        assert (done.code, "Traceback" in done.err) == (2, False)
    done = edge("demo", "voice", "--wyoming", "udp://x")
    assert done.code == 2
    assert "tcp://127.0.0.1:10400" in done.err
    assert "--listen" not in done.err  # this command has no such option


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("</dev/null", "Nothing came through the pipe"),
        ("<&-", "The standard input is closed"),
        ("<song.ogg", "What comes through the pipe is Ogg, not a wav"),
    ],
    ids=["nothing", "closed", "ogg"],
)
def test_a_pipe_out_of_which_no_sound_comes(tmp_path: Path, before: str, says: str) -> None:
    (tmp_path / "song.ogg").write_bytes(b"OggS" + bytes(1000))
    done = subprocess.run(
        ["sh", "-c", f'"$0" -m edge_sdk demo voice --input - {before}', sys.executable],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert says in done.stderr


def test_what_is_wrong_is_told_before_anything_is_listened_to(edge: Edge) -> None:
    done = edge("demo", "voice", "--vocabulary", "no.toml")
    assert (done.code, "Listening" in done.err) == (2, False)
    assert "no.toml cannot be read" in done.err
    done = edge("demo", "voice", "--say", " ... ")
    assert done.code == 2
    assert "There is nothing to say in ' ... '." in done.err


def test_the_same_whatever_the_blocks(models: tuple[Path, Path], spoken: Path) -> None:
    sound = np.concatenate([heard(spoken), silence(1.2)])
    with ears(models) as listener:
        by_80_ms = events(listener, sound)
    with ears(models) as listener:
        by_7_ms = events(listener, sound, 113)
    assert [type(event) for event in by_80_ms] == [Wake, Command]
    assert by_80_ms[0] == by_7_ms[0]
    assert by_80_ms[1].transcript == by_7_ms[1].transcript == "turn on the light"
    with ears(models) as listener:
        at_once = events(listener, sound, len(sound))
    assert at_once[0] == by_80_ms[0]
    assert at_once[1].transcript == "turn on the light"


def test_a_pause_ends_a_command_and_patience_the_wait(
    models: tuple[Path, Path], spoken: Path, tmp_path: Path
) -> None:
    light, alone = heard(spoken), heard(speak("okay nabu", tmp_path / "alone.wav"))
    with ears(models, pause_s=0.5, patience_s=2.0) as listener:
        found = events(listener, np.concatenate([light, silence(2.5), alone, silence(4)]))
    _, command, second, nothing = found
    assert isinstance(command, Command)
    assert command.intent == Intent("switch", {"to": "on", "thing": "light"})
    spoken_s = len(light) / 16_000
    assert spoken_s - 0.3 < command.time_s < spoken_s + 0.8
    assert isinstance(second, Wake)
    assert isinstance(nothing, Command)
    assert nothing.intent is None
    assert 1.9 < nothing.time_s - second.time_s < 2.3


@pytest.mark.parametrize(
    ("voice", "words_a_minute", "command"),
    [("en-us", 200, "turn on the light"), ("en-gb", 180, "what time is it")],
)
def test_a_command_in_one_breath_with_the_wake_word(
    models: tuple[Path, Path], tmp_path: Path, voice: str, words_a_minute: int, command: str
) -> None:
    """It has begun before the wake word is known."""
    said = heard(speak(f"okay nabu {command}", tmp_path / "said.wav", voice, words_a_minute))
    sound = np.concatenate([silence(0.5), said, silence(1.2)])
    for late_s, transcript in ((0.45, command), (0.0, "")):
        with ears(models, late_s=late_s) as listener:
            wake, heard_command = events(listener, sound)
        assert isinstance(wake, Wake)
        assert isinstance(heard_command, Command)
        assert heard_command.transcript == transcript


def test_the_end_of_the_wake_word_is_no_command(tmp_path: Path) -> None:
    commands = Commands()
    word, stop = (heard(speak(each, tmp_path / "said.wav")) for each in ("okay nabu", "stop"))
    end = np.flatnonzero(np.abs(word) > 200)[-1]
    tail = word[end - 4000 : end]
    both = np.concatenate([tail, stop[np.flatnonzero(np.abs(stop) > 200)[0] :]])
    assert commands.recognize_after("okay_nabu", tail, len(tail)) == ""
    assert commands.recognize_after("okay_nabu", both, len(tail)) == "stop"
    assert commands.recognize_after("okay_nabu", stop, 0) == "stop"
    assert commands.recognize_after("nobody_knows_xyzzyx", both, len(tail)) == "stop"
    assert commands.recognize_after("nobody_knows_xyzzyx", stop, len(stop)) == ""
    assert commands.recognize_after("okay_computer", stop, 0) == "stop"  # of the dictionary


def test_one_detection_a_word_and_patience(models: tuple[Path, Path], tmp_path: Path) -> None:
    word = heard(speak("okay nabu", tmp_path / "word.wav"))
    sound = np.concatenate([word, silence(1.5)] * 3)
    with WakeWord(models[0]) as wake_word:
        wakes = list(wake_word.hear(sound))
        assert len(wakes) == 3
        wake_word.reset()
        assert list(wake_word.hear(sound)) == wakes
    with WakeWord(models[0], refractory_s=60) as wake_word:
        assert len(list(wake_word.hear(sound))) == 1
    with WakeWord(models[0], patience=60) as wake_word:
        assert not list(wake_word.hear(sound))


def test_one_detection_where_the_network_is_sure_for_longer_than_it_is_deaf(tmp_path: Path) -> None:
    word = heard(speak("hey mycroft", tmp_path / "word.wav", "en-gb"))
    sound = np.concatenate([silence(0.5), word, silence(2)] * 2)
    with WakeWord(asset("wake-words") / "hey_mycroft.tflite") as wake_word:
        assert len(list(wake_word.hear(sound))) == 2
    with WakeWord(asset("wake-words") / "hey_mycroft.tflite", refractory_s=0) as wake_word:
        assert len(list(wake_word.hear(sound))) == 2


def test_real_speech_wakes_nobody_and_is_speech(models: tuple[Path, Path]) -> None:
    read = sorted(asset("speech").glob("*.wav"))
    sound = np.concatenate([heard(path) for path in read])
    with WakeWord(models[0]) as wake_word, Activity(models[1]) as activity:
        assert not list(wake_word.hear(sound))
        assert np.mean(np.array(activity.hear(sound)) > 0.5) > 0.7
        activity.reset()
        assert max(activity.hear(silence(2))) < 0.3


def test_a_vocabulary_of_ones_own_in_both_searches(tmp_path: Path) -> None:
    vocabulary = parse_vocabulary(
        '[slots]\nwhere = ["forward", "backward"]\n'
        '[intents.go]\nsay = ["go {where} ten meters"]\n[intents.halt]\nsay = ["halt at once"]'
    )
    sound = np.frombuffer((asset("speech") / "goforward.raw").read_bytes(), "<i2")
    assert Commands(vocabulary).recognize(sound) == "go forward ten meters"
    assert "go forward ten meters" in Commands(vocabulary, search="keywords").recognize(sound)
    assert Commands(vocabulary).recognize(silence(0.1)) == ""


OTHERS = ("set a timer for ten minutes", "i forgot to buy milk", "please call my mother")


def test_what_is_no_command_is_none(tmp_path: Path) -> None:
    """The grammar alone hears its own sentences in everything."""
    believing, doubting = Commands(least_ratio=-math.inf), Commands()
    read = heard(sorted(asset("speech").glob("*.wav"))[0])
    others = [heard(speak(each, tmp_path / f"{at}.wav")) for at, each in enumerate(OTHERS)]
    others += [read[at : at + 40_000] for at in range(0, len(read) - 40_000, 40_000)]
    believed = [believing.recognize(sound) for sound in others]
    assert len([each for each in believed if each]) >= 2
    assert all(HOUSE.intent(each) for each in believed if each)  # whole sentences, if anything
    assert not any(doubting.recognize(sound) for sound in others)


@pytest.mark.parametrize("voice", ["en-us", "en-gb"])
def test_commands_are_believed(voice: str, tmp_path: Path) -> None:
    commands = Commands()
    for sentence in ("turn the fan off", "stop", "what time is it", "turn off the heating"):
        sound = heard(speak(sentence, tmp_path / "said.wav", voice))
        assert commands.recognize(np.concatenate([silence(0.2), sound, silence(0.4)])) == sentence


def test_silence_around_a_command_is_left_out(models: tuple[Path, Path], tmp_path: Path) -> None:
    """It would make any sentence likelier."""
    word = heard(speak("okay nabu", tmp_path / "word.wav"))
    other = heard(speak(OTHERS[0], tmp_path / "other.wav"))
    with ears(models, pause_s=3.0) as listener:
        found = events(listener, np.concatenate([word, silence(2), other, silence(4)]))
    (command,) = (each for each in found if isinstance(each, Command))
    assert (command.transcript, command.intent) == ("", None)


def test_what_cannot_be_listened_with(models: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="not a micro wake word"):
        WakeWord(asset("selfie-segmentation"))
    with pytest.raises(UsageError, match="no voice activity network"):
        Activity(models[0])
    with pytest.raises(UsageError, match="'xyzzyx' is spoken"):
        Commands(parse_vocabulary('[intents.a]\nsay = ["xyzzyx"]'))
    with pytest.raises(UsageError, match="out of its range"):
        WakeWord(models[0], threshold=1.5)
