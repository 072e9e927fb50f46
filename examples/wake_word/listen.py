"""Wake word, command, intent: an application in twenty lines.

python -m examples.wake_word.listen SOUND.wav    or nothing, for the microphone
"""

from __future__ import annotations

from pathlib import Path

from edge_sdk.voice.activity import Activity
from edge_sdk.voice.audio import wav_blocks
from edge_sdk.voice.commands import Commands
from edge_sdk.voice.listener import Command, Listener
from edge_sdk.voice.microphone import Microphone
from edge_sdk.voice.vocabulary import read_vocabulary
from edge_sdk.voice.wake import WakeWord
from examples.assets import asset
from examples.shell import from_shell


def main(sound: str = "") -> None:
    """Listen until the sound ends, or Ctrl-C."""
    word = WakeWord(asset("wake-words") / "okay_nabu.tflite")
    activity = Activity(asset("silero-vad") / "silero_vad_16k_op15.onnx")
    commands = Commands(read_vocabulary(Path(__file__).with_name("commands.toml")))

    with Listener([word], activity, commands) as ears:
        for block in wav_blocks(sound) if sound else Microphone():
            for heard in ears.hear(block):
                if not isinstance(heard, Command):
                    print(f"{heard.word} at {heard.time_s:.2f} s", flush=True)
                elif heard.intent is not None:
                    print(f"{heard.intent.name}: {heard.intent.slots}", flush=True)
        for command in ears.finish():
            print(f"the sound ended while hearing: {command.transcript}, {command.intent}")


if __name__ == "__main__":
    from_shell(main)
