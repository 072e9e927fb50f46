"""The journal: where each application stands, in one file each, replaced whole and synced.

It is written before the effects of a step are performed. So after a crash at any instant it says
either the old truth, and the event will be heard again, or the new one, and its effects are
repeated. There is nothing to replay and nothing to repair.
"""

from __future__ import annotations

import logging
from pathlib import Path

from device_agent.core.events import Rebooted
from device_agent.core.standing import Update
from device_agent.core.update import IllegalEvent, step
from edge_sdk.errors import ArtifactError
from edge_sdk.files import disk_error, whole_file
from edge_sdk.spec import decode, encode

_log = logging.getLogger(__name__)


class Journal:
    """``apps/APP.json`` of one device."""

    def __init__(self, folder: Path) -> None:
        """Open. Raises UsageError if the folder cannot be used."""
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, folder) from error

    def read(self, app: str) -> Update:
        """Where ``app`` stands; a new beginning for one that was never heard of.

        A file that cannot be true (a failing disk: we only write whole ones) is set aside and begun
        anew. The fleet says again what it wants, and slots are found by their digests, so what is
        lost is only the way back.

        Raises:
            UsageError: the file is there and may not be read.
        """
        path = self._path(app)
        try:
            update = decode(path.read_bytes(), Update, str(path))
            step(update, Rebooted())
        except FileNotFoundError:
            return Update()
        except OSError as error:
            raise disk_error(error, path) from error
        except (ArtifactError, IllegalEvent) as error:
            aside = path.with_suffix(".unreadable")
            _log.error("%s It is kept as %s; %s begins anew.", error.message, aside, app)
            try:
                path.replace(aside)
            except OSError as failure:
                raise disk_error(failure, path) from failure
            return Update(reason="the journal could not be read; begun anew")
        return update

    def write(self, app: str, update: Update) -> None:
        """Make it the truth. Raises UnavailableError if the disk is full; the old truth stays."""
        with whole_file(self._path(app)) as file:
            file.write(encode(update))

    def _path(self, app: str) -> Path:
        return self._folder / f"{app}.json"
