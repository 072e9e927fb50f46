"""A sound card for machines without one: PulseAudio's, whose microphone hears what is played.

Programs reach it as they reach any, by ALSA's ``default``: sound comes at its own pace, at
44.1 kHz, from a library's thread, and a card can be pulled out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.patience import ended, turns

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 20
DEFAULT = """\
</usr/share/alsa/alsa.conf>
pcm.!default {{ type pulse server "{server}" device "hall.monitor" }}
"""


def missing() -> str:
    """Why there can be none, or nothing; what it needs is installed, where that is allowed."""
    done = subprocess.run(
        [ROOT / "scripts" / "apt", "pulseaudio", "libportaudio2"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr.strip()


class SoundCard:
    """One card, from when it is made until ``close``.

    Attributes:
        environment: what a program's must have in it to find this card and no other.
    """

    def __init__(self, folder: Path) -> None:
        self.server = f"unix:{folder / 'native'}"
        (folder / "asound.conf").write_text(DEFAULT.format(server=self.server))
        at_home = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        self.environment = {**os.environ, "ALSA_CONFIG_PATH": str(folder / "asound.conf")}
        socket = f"module-native-protocol-unix socket={folder / 'native'} auth-anonymous=1"
        options = ["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"]
        program = shutil.which("pulseaudio") or "/usr/bin/pulseaudio"
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [program, *options, "-L", socket, "-L", "module-null-sink sink_name=hall"],
                env={**os.environ, **at_home},
                stdout=log,
                stderr=log,
            )
        assert any(self._control("info").returncode == 0 for _ in turns(PATIENCE_S))

    def play(self, wav: Path) -> None:
        """Say it into the microphone, to its end."""
        command = ["paplay", f"--server={self.server}", "--device=hall", str(wav)]
        subprocess.run(command, check=True, timeout=PATIENCE_S)

    def pull_out(self) -> None:
        """The card is gone."""
        assert self._control("unload-module", "module-null-sink").returncode == 0

    def close(self) -> None:
        self.process.terminate()
        ended(self.process, PATIENCE_S)

    def _control(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = ["pactl", f"--server={self.server}", *words]
        return subprocess.run(command, capture_output=True, check=False)
