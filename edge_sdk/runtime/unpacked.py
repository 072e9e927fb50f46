"""An artifact's model as a file of its own, so that an engine can map it.

Out of an ``.edge`` file a model is read into memory, where the engine works on it: its pages are
the process's own, and cannot be given back under pressure. A file that is mapped belongs to the
kernel's cache, is read as far as it is used, and is there once for all processes. So where there is
a cache, the model is written there once, under its digest.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from edge_sdk.artifact import Artifact
from edge_sdk.backends.weight_cache import remembered_digest
from edge_sdk.errors import EdgeError
from edge_sdk.files import whole_file
from edge_sdk.spec import Variant

FOLDER = "models"
MAX_FILES = 8


def mapped(artifact: Artifact, variant: Variant, cache: Path) -> Path | bytes:
    """The variant's model as a file in the cache; as ``Artifact.model`` where that cannot be.

    Raises:
        ArtifactError: it is not the one that the manifest names.
    """
    entry = artifact.manifest.files.get(variant.path)
    if entry is None:  # a package is a folder
        return artifact.model(variant)
    folder = cache / FOLDER
    path = folder / f"{entry.sha256}{Path(variant.path).suffix}"
    with suppress(OSError):
        if path.stat().st_size == entry.size and remembered_digest(folder, path) == entry.sha256:
            return path
    model = artifact.model(variant)
    if isinstance(model, Path):
        return model
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(model)
        files = sorted(folder.glob("*.*"), key=lambda found: found.stat().st_mtime)
        for old in [found for found in files if found.suffix == path.suffix][:-MAX_FILES]:
            old.unlink()
    except (OSError, EdgeError):
        return model
    return path
