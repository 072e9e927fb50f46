"""What this machine is: found out in a process of its own, since it means importing every engine.

``python -m device_agent.probe`` prints a DeviceProfile as JSON and ends; the supervisor keeps the
words and none of the memory. An engine that dies at its import takes nobody with it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import sys
from contextlib import suppress

from edge_sdk.errors import ArtifactError
from edge_sdk.spec import AGENT_VERSION, DeviceProfile, decode, encode

_log = logging.getLogger(__name__)


async def probe() -> DeviceProfile:
    """The profile of this machine; without engines if they cannot be looked at."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "device_agent.probe"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    try:
        return decode(output, DeviceProfile, "The profile of this machine")
    except ArtifactError as error:
        _log.error("%s Engines are taken to be absent (exit %s).", error, process.returncode)
        return _without_engines()


def engines(profile: DeviceProfile) -> frozenset[str]:
    """Names of the inference engines that work here."""
    return frozenset(r.backend for r in profile.runtimes if r.version is not None)


def _without_engines() -> DeviceProfile:
    return DeviceProfile(
        name=platform.node(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        python=platform.python_version(),
        cpu="unknown",
        cpu_features=(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        runtimes=(),
        edgeloop=AGENT_VERSION,
    )


def _main() -> None:
    # Engines print on stdout as they please; the profile goes to the real one.
    real = os.dup(1)
    os.dup2(2, 1)
    from edge_sdk.machine.profile import profile

    with suppress(BrokenPipeError), os.fdopen(real, "wb", buffering=0) as stdout:
        stdout.write(encode(profile()))


if __name__ == "__main__":
    _main()
