"""The Vulkan drivers of this machine, by build.

What runs on a graphics adapter through Vulkan names the adapter and not its driver. An update of
the driver may compute something else on the same adapter, so a driver is told by what the loader
would load: by the libraries that the descriptions (ICD manifests) name, their sizes and times. The
places are those of Khronos's loader (``LoaderDriverInterface.md``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from edge_sdk.backends.libraries import places

_FOLDERS = ("etc/vulkan/icd.d", "usr/local/share/vulkan/icd.d", "usr/share/vulkan/icd.d")


def drivers(root: Path = Path("/")) -> str:
    """Names of the drivers' libraries, each with what changes when it is replaced.

    Args:
        root: below which the system's folders are.

    Returns:
        ``libvulkan_v3d.so 1f3a9c2b``, several with commas, sorted; empty where there is none.
    """
    found = {_build(path) for description in _descriptions(root) for path in _library(description)}
    return ", ".join(sorted(found))


def _descriptions(root: Path) -> Iterator[Path]:
    given = os.environ.get("VK_DRIVER_FILES") or os.environ.get("VK_ICD_FILENAMES")
    if given:
        listed = [Path(each) for each in given.split(os.pathsep) if each]
        for path in listed:
            yield from sorted(path.glob("*.json")) if path.is_dir() else [path]
    else:
        for folder in _FOLDERS:
            yield from sorted((root / folder).glob("*.json"))


def _library(description: Path) -> Iterator[Path]:
    try:
        name = json.loads(description.read_text(encoding="utf-8"))["ICD"]["library_path"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # the loader has no use for it either
    if "/" in name:
        yield description.parent / name
    else:
        yield from (place for place in places(name, given=False) if place.is_file())


def _build(path: Path) -> str:
    try:
        real = path.resolve()
        stat = real.stat()
    except OSError:
        return path.name
    return f"{path.name} {crc32(f'{real} {stat.st_size} {stat.st_mtime_ns}'.encode()):08x}"
