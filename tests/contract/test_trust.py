"""What is promised for ever: the bytes a director signs, and a repository that is plain TUF."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trust_samples import DEVICE, MODEL, World, desired, random_bytes

from edge_sdk.errors import ArtifactError
from edge_sdk.spec.deployment import Signed
from edge_sdk.trust.signing import DirectorKey, open_desired

GOLDEN = Signed(
    payload=base64.b64decode(
        "hKZkZXZpY2WkcGktMadjb3VudGVyKqlpc3N1ZWRfbXMBpGFwcHOBpG1haW6DpXNlcnZlg6ZkaWdlc3TZ"
        "QGFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJh"
        "YmFiYWKkbmFtZaVzY2FsZad2ZXJzaW9upTEuMC4wpnNoYWRvd8Cncm9sbG91dKA="
    ),
    key="56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c",
    signature=base64.b64decode(
        "BEWzCaTUa4l5DfSS7LK1eRVjvXb359uuZc9s1tdHHuks4ES3k/buKCj67hsRPcXCWGr5rrJQ0tZSEm1Yx7ufDg=="
    ),
)
PUBLIC = base64.b64decode("A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=")


def test_the_golden_desired_is_read_for_ever() -> None:
    assert open_desired(GOLDEN, PUBLIC, DEVICE) == desired(42)


def test_the_golden_desired_is_signed_for_ever() -> None:
    key = DirectorKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    assert key.public == PUBLIC
    assert key.sign(desired(42)) == GOLDEN


def test_the_golden_desired_is_not_read_under_another_context() -> None:
    bare = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).sign(GOLDEN.payload)
    with pytest.raises(ArtifactError):
        open_desired(msgspec.structs.replace(GOLDEN, signature=bare), PUBLIC, DEVICE)


def test_any_tuf_client_can_follow_the_repository(tmp_path: Path) -> None:
    """python-tuf's own client, as it comes, over its own fetcher interface."""
    from collections.abc import Iterator
    from datetime import UTC, datetime

    from trust_samples import Clock
    from tuf.api.exceptions import DownloadHTTPError
    from tuf.ngclient import FetcherInterface, Updater

    world = World(tmp_path, Clock(datetime.now(UTC)))

    class Plain(FetcherInterface):
        def _fetch(self, url: str) -> Iterator[bytes]:
            offset, size = 0, 1
            while offset < size:
                chunk = world.repository.read(url, offset, 100_000)
                if chunk.missing:
                    raise DownloadHTTPError("not found", 404)
                yield chunk.data
                offset, size = offset + len(chunk.data), chunk.size

    ref = world.publish()
    world.repository.rotate("root")
    (tmp_path / "client").mkdir()
    updater = Updater(
        str(tmp_path / "client"),
        "metadata/",
        str(tmp_path / "client"),
        "targets/",
        Plain(),
        bootstrap=world.enrolment().root,
    )
    target = updater.get_targetinfo(f"{ref.digest}/{MODEL}")
    assert target is not None
    assert Path(updater.download_target(target)).read_bytes() == random_bytes(700_000)
    manifest = updater.get_targetinfo(f"{ref.digest}/manifest.json")
    assert manifest is not None
    assert manifest.custom == {"name": "scale", "version": "1.0.0"}
