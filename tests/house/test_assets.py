"""Assets: found, verified, fetched again when altered, refused when wrong."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from examples import asset_sources, assets
from examples.asset_sources import Source, SourceError, read_files

GOOD = b"a model"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to fetch the asset ``toy`` from, and an empty cache to fetch it to."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "toy.tflite").write_bytes(GOOD)
    catalogue = tmp_path / "assets.toml"
    catalogue.write_text(
        f"""
        [toy]
        about = "a toy"
        licence = "MIT"
        sources = [{{ folder = {json.dumps(str(tmp_path / "absent"))} }},
                   {{ folder = {json.dumps(str(folder))} }}]
        [toy.files]
        "toy.tflite" = "{hashlib.sha256(GOOD).hexdigest()}"
        """,
        encoding="utf-8",
    )
    monkeypatch.setattr(assets, "CATALOGUE", catalogue)
    monkeypatch.setenv("EDGELOOP_ASSETS", str(tmp_path / "cache"))
    return folder


def test_an_asset_is_fetched_once_and_needs_its_source_no_more(package: Path) -> None:
    path = assets.asset("toy")
    assert path.read_bytes() == GOOD
    (package / "toy.tflite").unlink()
    assert assets.asset("toy") == path
    assert [entry.name for entry in path.parent.iterdir()] == ["toy.tflite"]


@pytest.mark.parametrize("harm", [b"", GOOD[:3], GOOD + b"!", b"b model"])
def test_a_harmed_file_of_the_cache_is_fetched_again(package: Path, harm: bytes) -> None:
    path = assets.asset("toy")
    path.write_bytes(harm)
    assert assets.asset("toy").read_bytes() == GOOD


def test_a_wrong_digest_is_refused_and_both_are_named(package: Path) -> None:
    (package / "toy.tflite").write_bytes(b"another")
    with pytest.raises(assets.AssetError) as caught:
        assets.asset("toy")
    assert hashlib.sha256(b"another").hexdigest() in caught.value.message
    assert hashlib.sha256(GOOD).hexdigest() in caught.value.message
    assert caught.value.exit_code == 4
    assert not assets.load_catalogue()["toy"].path.exists()


def test_a_package_without_the_file_is_named(package: Path) -> None:
    (package / "toy.tflite").rename(package / "other.tflite")
    with pytest.raises(assets.AssetError, match=r"holds no toy\.tflite") as caught:
        assets.asset("toy")
    assert "absent: not installed" in caught.value.message


def test_no_source_at_all_says_where_to_put_the_file(package: Path) -> None:
    (package / "toy.tflite").unlink()
    package.rmdir()
    with pytest.raises(assets.AssetError, match="not installed") as caught:
        assets.asset("toy")
    assert caught.value.exit_code == 3
    assert str(assets.cache() / "toy") in caught.value.hint


def test_an_unknown_name_lists_the_known(package: Path) -> None:
    with pytest.raises(assets.AssetError, match="choose from toy") as caught:
        assets.asset("tyo")
    assert caught.value.exit_code == 2


def test_a_cache_that_cannot_be_written_says_so(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("EDGELOOP_ASSETS", str(tmp_path / "file"))
    with pytest.raises(assets.AssetError, match="cannot write") as caught:
        assets.asset("toy")
    assert "EDGELOOP_ASSETS" in caught.value.hint


def test_a_missing_client_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for source in (Source("npm", "left-pad@1.0.0"), Source("deb", "hello")):
        with pytest.raises(SourceError, match=r"there is no (npm|apt-get) here"):
            list(read_files(source, ["x"]))


def test_the_catalogue_pins_what_it_can() -> None:
    catalogue = assets.load_catalogue()
    wanted = {"fashion-mnist", "face-detection-short-range", "selfie-segmentation", "carphone"}
    assert wanted <= set(catalogue)
    for each in catalogue.values():
        assert each.licence
        assert each.about
        assert each.folder or len(each.digests) == 1
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in each.digests.values())
        for source in each.sources:
            pinned = {"npm": r".+@\d[\w.]+", "wheel": r".+==\d[\w.]+"}.get(source.kind, ".+")
            assert re.fullmatch(pinned, source.package)


def test_the_command_prints_only_the_path(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, root / "scripts" / "assets", "--path", "carphone"],
        capture_output=True,
        text=True,
        cwd=os.sep,
        check=True,
    )
    assert Path(done.stdout.strip()).read_bytes()[4:8] == b"ftyp"


def test_the_command_refuses_an_unknown_name(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, root / "scripts" / "assets", "carfone"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no asset 'carfone'" in done.stderr


def test_the_end_of_a_path_tells_files_of_one_name_apart(tmp_path: Path) -> None:
    archive = tmp_path / "net.tar"
    with tarfile.open(archive, "w") as tar:
        for folder in ("one", "two"):
            content = folder.encode()
            member = tarfile.TarInfo(f"package/{folder}/net.pb")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    found = dict(asset_sources._from_tar(archive, ["two/net.pb", "other/net.pb"]))
    assert found == {"two/net.pb": b"two"}


def test_what_is_optional_is_marked(package: Path) -> None:
    text = assets.CATALOGUE.read_text(encoding="utf-8")
    assert not assets.load_catalogue()["toy"].optional
    assets.CATALOGUE.write_text(text.replace('licence = "MIT"', 'licence = "MIT"\noptional = true'))
    assert assets.load_catalogue()["toy"].optional
