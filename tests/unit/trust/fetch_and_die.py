"""A device's process that fetches one file and is killed after so many answers; see test_resume.

Arguments: the world's folder, its clock, the artifact's digest, the member, where to put it, a log
of the answers that came, and after how many of them to die (-1: never).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from trust_samples import Clock, World

from edge_sdk.spec.wire import Chunk


def main(folder: str, now: str, digest: str, member: str, into: str, log: str, die: str) -> None:
    world = World(Path(folder), Clock(datetime.fromisoformat(now)))
    left = int(die)

    def note(chunk: Chunk) -> Chunk:
        nonlocal left
        if chunk.path.startswith("targets/"):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            with Path(log).open("a") as file:
                file.write(f"{chunk.offset}\n")
        return chunk

    world.wire.tamper = note
    asyncio.run(world.device().fetch_file(digest, member, None, Path(into)))


if __name__ == "__main__":
    main(*sys.argv[1:])
