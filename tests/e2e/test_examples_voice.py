"""The wake-word example, and the program of docs/voice.md, run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from examples.assets import asset
from tests.spoken import speak

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "voice.md").read_text(encoding="utf-8")
MARK = "<!-- executed by tests/e2e/test_examples_voice.py -->"


def test_the_example_hears_a_command(tmp_path: Path) -> None:
    sound = speak("okay nabu, turn the fan off", tmp_path / "fan.wav")
    done = subprocess.run(
        [sys.executable, "-m", "examples.wake_word.listen", sound],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(
        r"okay_nabu at \d\.\d\d s\n.*turn the fan off.*'thing': 'fan', 'to': 'off'.*\n", done.stdout
    )


def test_the_page_s_program_with_its_vocabulary(tmp_path: Path) -> None:
    (program,) = re.findall(rf"{re.escape(MARK)}\n```python\n(.*?)```", PAGE, re.S)
    (vocabulary,) = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
    (tmp_path / "commands.toml").write_text(vocabulary, encoding="utf-8")
    shutil.copy(asset("wake-words") / "okay_nabu.tflite", tmp_path)
    source = asset("silero-vad") / "silero_vad_16k_op15.onnx"
    shutil.copy(source, tmp_path / "silero_vad.onnx")
    speak("okay nabu, turn on the heating", tmp_path / "sound.wav")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "word='okay_nabu'" in done.stdout
    assert "'thing': 'heating'" in done.stdout
