"""The artifact: it is what its manifest says, or it is refused; writing one is all or nothing."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from artifact_samples import (
    COREML,
    MODEL,
    ONNX,
    PACKAGE,
    SIGNATURE,
    X,
    contents,
    manifest,
    onnx_scale,
    tensor,
    variant,
    write,
)

import edge_sdk
from edge_sdk.artifact import MANIFEST, Artifact, container, golden, measure, pack, variant_files
from edge_sdk.errors import ArtifactError, UnavailableError, UsageError
from edge_sdk.spec import FileEntry, Manifest, Signature, encode

ROOT = Path(edge_sdk.__file__).parents[1]


def forge(path: Path, written: Manifest | bytes, files: dict[str, bytes]) -> Path:
    """An archive in our form of any manifest and files, whether they fit or not."""
    data = written if isinstance(written, bytes) else msgspec.json.encode(written)
    file = io.BytesIO()
    container.write(file, {MANIFEST: data, **files})
    path.write_bytes(file.getvalue())
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scale-1.2.0.edge"


def test_a_zip_of_something_else_is_not_called_a_corrupt_artifact(tmp_path: Path) -> None:
    """A model, say, where its artifact was meant."""
    path = tmp_path / "flowers.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(ArtifactError, match=r"it is a zip, but no artifact") as caught:
        Artifact(path)
    assert "edge convert" in caught.value.hint


def test_what_was_packed_is_there(path: Path) -> None:
    digest = pack(path, manifest(contents()), contents())
    with Artifact(path) as artifact:
        assert artifact.manifest == manifest(contents())
        assert artifact.digest == digest == hashlib.sha256(encode(artifact.manifest)).hexdigest()
        assert {name: artifact.read(name) for name in artifact.manifest.files} == contents()
        assert sorted(artifact.verify_digests()) == sorted(contents())
        assert MODEL in artifact
        assert "elsewhere" not in artifact
        found = artifact.golden()
    assert found is not None
    np.testing.assert_array_equal(found.outputs["y"], X * 2)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [MANIFEST, *sorted(contents())]


def test_packing_is_deterministic(tmp_path: Path) -> None:
    files = contents()
    backwards = dict(reversed(files.items()))
    one = write(tmp_path / "one.edge", files)
    other = write(tmp_path / "other.edge", backwards)
    assert one.read_bytes() == other.read_bytes()
    on_disk = {name: tmp_path / name.replace("/", "_") for name in files}
    for name, content in files.items():
        on_disk[name].write_bytes(content)
    pack(tmp_path / "third.edge", manifest(files), on_disk)
    assert (tmp_path / "third.edge").read_bytes() == one.read_bytes()
    assert measure(on_disk) == measure(files)


REPORT = {"report.json": b"{}", "report.html": b"<!doctype html>"}


def test_reports_may_stay_outside_of_the_digest(tmp_path: Path) -> None:
    """They tell times. All else must be listed, and nothing else of that kind is let in."""
    files = contents()
    bare = pack(tmp_path / "bare.edge", manifest(files), files)
    told = pack(path := tmp_path / "told.edge", manifest(files), {**files, **REPORT})
    assert told == bare
    with Artifact(path) as artifact:
        assert artifact.unlisted == ("report.html", "report.json")
        assert artifact.read("report.json") == b"{}"
        assert "report.json" not in list(artifact.verify_digests())
    with pytest.raises(UsageError, match="does not list"):
        pack(tmp_path / "other.edge", manifest(files), {**files, "report.txt": b""})


def test_a_report_outside_of_the_digest_is_still_whole_or_refused(tmp_path: Path) -> None:
    files = contents()
    pack(path := tmp_path / "told.edge", manifest(files), {**files, **REPORT})
    path.write_bytes(path.read_bytes().replace(b"<!doctype html>", b"<!doctype HTML>"))
    with Artifact(path) as artifact, pytest.raises(ArtifactError, match=r"report\.html is corrupt"):
        list(artifact.verify_digests())


def test_a_report_that_is_listed_is_held_to_its_digest(tmp_path: Path) -> None:
    listed = {**contents(), **REPORT}
    with Artifact(forge(tmp_path / "x.edge", manifest(listed), listed)) as artifact:
        assert artifact.unlisted == ()
        assert "report.json" in list(artifact.verify_digests())
    forge(tmp_path / "x.edge", manifest(listed), {**listed, "report.json": b"[]"})
    with Artifact(tmp_path / "x.edge") as artifact, pytest.raises(ArtifactError, match="report"):
        artifact.read("report.json")


def test_an_old_artifact_is_replaced(path: Path) -> None:
    write(path, version="1.0.0")
    before = Artifact(path)
    write(path)
    with Artifact(path) as artifact:
        assert artifact.manifest.version == "1.2.0"
    assert before.manifest.version == "1.0.0"
    assert list(before.verify_digests()), "who has the old one open keeps it"
    before.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_no_golden_vectors(path: Path) -> None:
    with Artifact(write(path, contents(**{golden.FILE: None}))) as artifact:
        assert artifact.golden() is None


def test_variants(path: Path) -> None:
    with Artifact(write(path)) as artifact:
        assert artifact.variant("coreml-fp16") == COREML
        assert variant_files(artifact.manifest, ONNX) == (MODEL,)
        assert variant_files(artifact.manifest, COREML) == (
            f"{PACKAGE}/Data/model.mlmodel",
            f"{PACKAGE}/Manifest.json",
        )
        with pytest.raises(UsageError, match="has no variant 'onnx-fp23'") as raised:
            artifact.variant("onnx-fp23")
        assert raised.value.hint == "Did you mean 'onnx-fp32'?"


def test_a_neighbour_with_a_longer_name_is_not_a_variants(path: Path) -> None:
    files = contents(**{f"{PACKAGE}2/x": b"", f"{MODEL}.txt": b""})
    described = manifest(files)
    assert len(variant_files(described, ONNX)) == 1
    assert len(variant_files(described, COREML)) == 2


def test_extract_a_file_and_a_package(path: Path, tmp_path: Path) -> None:
    with Artifact(write(path)) as artifact:
        model = artifact.extract(ONNX, tmp_path / "out")
        assert model == tmp_path / "out" / MODEL
        assert model.read_bytes() == contents()[MODEL]
        package = artifact.extract(COREML, tmp_path / "out")
        again = artifact.extract(COREML, tmp_path / "out")
    assert package == again == tmp_path / "out" / PACKAGE
    files = {
        p.relative_to(package).as_posix(): p.read_bytes()
        for p in package.rglob("*.*")
        if p.is_file()
    }
    assert files == {"Manifest.json": b"{}", "Data/model.mlmodel": b"\x08\x07"}


def test_extract_to_where_one_cannot_write(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with Artifact(write(path)) as artifact:
        with pytest.raises(UsageError, match="cannot be written: Not a directory"):
            artifact.extract(ONNX, tmp_path / "file")
        (tmp_path / "out" / MODEL).mkdir(parents=True)
        with pytest.raises(UsageError, match="is a folder"):
            artifact.extract(ONNX, tmp_path / "out")


LYING: dict[str, tuple[dict[str, Any], str]] = {
    "a variant outside": ({"variants": (variant("a", "../../etc/passwd"),)}, "no files .* a[.]"),
    "an absolute variant": ({"variants": (variant("a", "/etc/passwd"),)}, "no files .* a[.]"),
    "a variant of nothing": ({"variants": (variant("a", ""),)}, "no files .* a[.]"),
    "a variant of all": ({"variants": (variant("a", "."),)}, "no files .* a[.]"),
    "a variant elsewhere": ({"variants": (variant("a", "variants/b"),)}, "no files .* a[.]"),
    "a folder as a model": ({"variants": (variant("a", "variants"),)}, "has a folder .* a has"),
    "a variant twice": ({"variants": (ONNX, ONNX)}, "describes the variant onnx-fp32 2 times"),
    "another input": (
        {"signature": Signature(inputs=(tensor("z"),), outputs=SIGNATURE.outputs)},
        "other inputs or outputs in the variant onnx-fp32",
    ),
    "an output more": (
        {"variants": (variant("a", MODEL, signature=Signature(
            inputs=SIGNATURE.inputs, outputs=(tensor("y"), tensor("y")))),)},
        "other inputs or outputs in the variant a",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LYING)
def test_a_manifest_that_contradicts_itself(lie: str, path: Path) -> None:
    changes, why = LYING[lie]
    described = manifest(contents(), **changes)
    with pytest.raises(ArtifactError, match=rf"scale-1\.2\.0\.edge .*{why}"):
        Artifact(forge(path, described, contents()))
    path.unlink()
    with pytest.raises(UsageError, match="would not be an artifact: it "):
        pack(path, described, contents())
    assert not list(path.parent.iterdir())


def test_a_file_that_is_missing(path: Path) -> None:
    described = manifest(contents())
    without = contents(**{MODEL: None})
    with pytest.raises(ArtifactError, match=f"lacks {MODEL}, which its manifest lists"):
        Artifact(forge(path, described, without))
    with pytest.raises(UsageError, match=f"lacks {MODEL}"):
        pack(path, described, without)


def test_a_file_too_many(path: Path) -> None:
    described = manifest(contents())
    more = contents(**{"variants/evil.so": b"x"})
    with pytest.raises(
        ArtifactError, match=r"holds variants/evil\.so, which its manifest does not"
    ):
        Artifact(forge(path, described, more))
    with pytest.raises(UsageError, match=r"holds variants/evil\.so"):
        pack(path, described, more)


def test_a_manifest_that_lists_itself(path: Path) -> None:
    described = manifest({**contents(), MANIFEST: b"{}"})
    with pytest.raises(ArtifactError, match=r"lacks manifest\.json"):
        Artifact(forge(path, described, contents()))


@pytest.mark.parametrize(
    "names",
    [("README", "readme"), ("a", "a/b"), ("A", "a/b"), ("Manifest.json",), ("manifest.json/x",)],
    ids=str,
)
def test_files_that_would_overwrite_one_another(names: tuple[str, ...], path: Path) -> None:
    files = contents(**dict.fromkeys(names, b"x"))
    with pytest.raises(ArtifactError, match="twice, as a folder or in other letters"):
        Artifact(forge(path, manifest(files), files))
    with pytest.raises(UsageError, match="twice, as a folder or in other letters"):
        pack(path, manifest(files), files)


@pytest.mark.parametrize("name", sorted(contents()))
def test_a_content_changed_with_a_right_checksum(name: str, path: Path) -> None:
    """Whoever can write a file can mend its CRC; the manifest's SHA-256 still names it."""
    good = contents()
    changed = contents(**{name: good[name][:-1] + b"!"})
    with Artifact(forge(path, manifest(good), changed)) as artifact:
        with pytest.raises(ArtifactError, match=rf"{name} is not the file its manifest names"):
            list(artifact.verify_digests())
        with pytest.raises(ArtifactError, match=rf"{name} is not the file its manifest names"):
            artifact.read(name)
    with pytest.raises(UsageError, match="files that are not those its manifest names"):
        pack(path, manifest(good), changed)


def test_a_size_that_is_a_lie(path: Path) -> None:
    files = measure(contents())
    lying = {**files, MODEL: FileEntry(sha256=files[MODEL].sha256, size=1)}
    described = msgspec.structs.replace(manifest(contents()), files=lying)
    with (
        Artifact(forge(path, described, contents())) as artifact,
        pytest.raises(ArtifactError, match=f"{MODEL} is not the file"),
    ):
        artifact.read(MODEL)


def test_a_changed_file_is_not_extracted(path: Path, tmp_path: Path) -> None:
    changed = contents(**{MODEL: onnx_scale(3)})
    with (
        Artifact(forge(path, manifest(contents()), changed)) as artifact,
        pytest.raises(ArtifactError, match="is not the file"),
    ):
        artifact.extract(ONNX, tmp_path / "out")
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


def test_golden_vectors_that_are_not(path: Path) -> None:
    files = contents(**{golden.FILE: b"PK"})
    with (
        Artifact(write(path, files)) as artifact,
        pytest.raises(ArtifactError, match=r"scale-1\.2\.0\.edge: golden\.npz is not"),
    ):
        artifact.golden()


def test_an_archive_that_is_no_artifact(path: Path) -> None:
    path.write_bytes(forge(path, b"", {}).read_bytes())
    with pytest.raises(ArtifactError, match=r"manifest\.json cannot be read"):
        Artifact(path)
    file = io.BytesIO()
    container.write(file, {"a": b""})
    path.write_bytes(file.getvalue())
    with pytest.raises(ArtifactError, match=r"has no manifest\.json") as raised:
        Artifact(path)
    assert raised.value.hint
    with zipfile.ZipFile(path, "w"):
        pass
    with pytest.raises(ArtifactError, match=r"has no manifest\.json"):
        Artifact(path)


@pytest.mark.parametrize(
    ("change", "error", "why"),
    [
        ({"schema": 2}, UnavailableError, "asks for edgeloop"),
        ({"min_agent": "99.0.0"}, UnavailableError, r"asks for edgeloop 99\.0\.0"),
        ({"name": "NOT A NAME"}, ArtifactError, "name"),
        ({"version": "one"}, ArtifactError, "version"),
    ],
)
def test_manifests_that_are_refused(
    change: dict[str, Any], error: type[Exception], why: str, path: Path
) -> None:
    described = manifest(contents(), **change)
    with pytest.raises(error, match=rf"scale-1\.2\.0\.edge: manifest\.json.*{why}"):
        Artifact(forge(path, described, contents()))


def test_a_manifest_that_cannot_be_written(path: Path) -> None:
    with pytest.raises(UsageError, match=r"name"):
        write(path, name="NOT A NAME")
    assert not path.exists()


def test_what_cannot_be_packed(path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be packed"):
        write(path, contents(**{"a\\b": b""}))
    missing = {"a": path.parent / "missing"}
    with pytest.raises(UsageError, match="missing cannot be read"):
        pack(path, manifest({"a": b""}, variants=()), missing)
    assert not list(path.parent.iterdir())


def test_packing_to_where_one_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")  # as little to be replaced as /dev/null, and less missed
    for target, why in (
        (tmp_path / "none" / "x.edge", "No such file"),
        (tmp_path / "file" / "x.edge", "Not a directory"),
        (tmp_path, "is a folder"),
        (tmp_path / "pipe", "not an ordinary file"),
        (Path("/proc/x.edge"), "cannot be written"),
    ):
        with pytest.raises(UsageError, match=why) as raised:
            write(target)
        assert str(target) in raised.value.message
        assert raised.value.hint
    assert (tmp_path / "pipe").is_fifo()


@contextmanager
def unprivileged() -> Iterator[None]:
    """As root every folder is writable; be nobody for a moment."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(was)


def test_packing_into_a_folder_of_somebody_else() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        path = write(folder / "x.edge")
        before = path.read_bytes()
        folder.chmod(0o555)
        with unprivileged(), pytest.raises(UsageError, match="written: Permission denied"):
            write(path, version="9.9.9")
        assert path.read_bytes() == before
        assert list(folder.iterdir()) == [path]
        folder.chmod(0o755)


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_packing_beyond_a_limit_on_files(path: Path) -> None:
    write(path)
    before = path.read_bytes()
    with files_at_most(4096), pytest.raises(UnavailableError, match="no room") as raised:
        write(path, version="9.9.9")
    assert "df -h" in raised.value.hint
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a file system takes root's rights")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_packing_onto_a_full_disk(small_disk: Path) -> None:
    path = small_disk / "x.edge"
    write(path)
    before = path.read_bytes()
    with pytest.raises(UnavailableError, match=r"no room to write .*No space left"):
        write(path, contents(big=os.urandom(100_000)))
    assert path.read_bytes() == before
    assert [p.name for p in small_disk.iterdir()] == ["x.edge"]
    with Artifact(path) as artifact, pytest.raises(UnavailableError, match="no room"):
        (small_disk / "filler").write_bytes(bytes(1 << 14))
        with pytest.raises(OSError, match="No space"):
            (small_disk / "filler2").write_bytes(bytes(1 << 16))
        artifact.extract(ONNX, small_disk / "out")


PACKER = """
import os, sys, time
sys.path[:0] = {paths!r}
from pathlib import Path
from artifact_samples import write
def wait(descriptor):
    print("written", flush=True)
    time.sleep(60)
os.fsync = wait
write(Path({path!r}), version="9.9.9")
"""


@pytest.mark.parametrize("nameless", [True, False], ids=["nameless", "named"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_an_interrupted_packing(number: signal.Signals, nameless: bool, path: Path) -> None:
    """Interrupted as late as can be: all is written, nothing has the name yet.

    A part is left by nothing but a kill, on a filesystem where a file must have a name.
    """
    write(path)
    before = path.read_bytes()
    program = PACKER.format(paths=[str(Path(__file__).parent), *sys.path], path=str(path))
    if not nameless:
        program = "import os\ndel os.O_TMPFILE\n" + program
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as packer:
        assert packer.stdout is not None
        assert packer.stdout.readline() == b"written\n"
        packer.send_signal(number)
        assert packer.wait(30) != 0
    assert path.read_bytes() == before
    others = [p.name for p in path.parent.iterdir() if p != path]
    assert len(others) == int(number == signal.SIGKILL and not nameless)
    assert all(name.startswith(".") and name.endswith(".part") for name in others)
    write(path, version="2.0.0")


def test_half_of_an_artifact_is_none(path: Path) -> None:
    """What a power cut leaves of a ``.part`` cannot be taken for an artifact."""
    data = write(path).read_bytes()
    for length in reversed(range(len(data))):
        os.truncate(path, length)
        with pytest.raises(ArtifactError, match=r"scale-1\.2\.0\.edge"):
            Artifact(path)
    path.write_bytes(data)
    with Artifact(path) as artifact:
        assert list(artifact.verify_digests())
