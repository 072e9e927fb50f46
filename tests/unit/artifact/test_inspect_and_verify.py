"""``edge inspect`` and ``edge verify`` on real artifacts: what they say, and the exit code."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from artifact_samples import (
    COREML,
    MODEL,
    ONNX,
    SIGNATURE,
    WEIGHT,
    X,
    contents,
    manifest,
    onnx_scale,
    tensor,
    variant,
    vectors,
    write,
)

from edge_sdk.artifact import Artifact, Golden, container, golden
from edge_sdk.cli.inspect import Inspection
from edge_sdk.cli.main import main
from edge_sdk.cli.verify import Verification
from edge_sdk.errors import ArtifactError
from edge_sdk.runtime.selfcheck import check
from edge_sdk.spec import (
    Classification,
    Detection,
    ImageInput,
    Provenance,
    Signature,
    SsdAnchors,
)
from edge_sdk.text import bytes_text

Edge = Callable[..., tuple[int, str, str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scale-1.2.0.edge"


@pytest.fixture
def edge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Edge:
    """Run a command line here; answers exit code, stdout and stderr."""
    told = tmp_path / "site" / "sample-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(
        "[edge.commands]\ninspect = edge_sdk.cli.inspect\nverify = edge_sdk.cli.verify\n"
    )
    monkeypatch.syspath_prepend(str(told.parent))

    def edge(*words: str | Path) -> tuple[int, str, str]:
        code = main(list(map(str, words)))
        return code, *capfd.readouterr()

    return edge


def verified(edge: Edge, path: Path) -> tuple[int, Verification]:
    """The words of ``edge verify --json``, and its exit code."""
    code, out, err = edge("verify", path, "--json")
    assert out, err
    return code, msgspec.json.decode(out, type=Verification)


def onnx_only(path: Path, model: bytes | None = None, **changes: Any) -> Path:
    """The sample with one variant and other golden vectors or model."""
    replaced: dict[str, bytes | None] = {golden.FILE: golden.pack(vectors(**changes))}
    if model is not None:
        replaced[MODEL] = model
    files = {name: data for name, data in contents(**replaced).items() if "coreml" not in name}
    return write(path, files, variants=(ONNX,))


def test_verify_passes(edge: Edge, path: Path) -> None:
    code, out, err = edge("verify", write(path))
    assert code == 0
    lines = out.splitlines()
    size = bytes_text(sum(map(len, contents().values())))
    assert lines[0] == f"digests   6 files, {size}: all as the manifest says"
    assert lines[1].startswith("golden    onnx-fp32: right on 2 samples, onnxruntime ")
    assert lines[1].endswith(": y differs by 0 at most (allowed 1e-06)")
    assert lines[2].startswith("golden    coreml-fp16: not run here: ")
    assert lines[3].strip().startswith("Take another variant here, tflite or onnx")
    assert lines[4] == "trust     unsigned"
    assert lines[5] == "verdict   whole, and 1 of 2 variants proven on this machine"
    assert err == "running onnx-fp32 …\nrunning coreml-fp16 …\n"


def test_verify_in_json(edge: Edge, path: Path) -> None:
    code, found = verified(edge, write(path))
    assert code == 0
    assert found.passed
    assert (found.files, found.trust, found.path) == (6, "unsigned", str(path))
    with Artifact(path) as artifact:
        assert found.digest == artifact.digest
    run, skipped = found.golden
    assert (run.variant, run.status, run.differences) == ("onnx-fp32", "passed", {"y": 0.0})
    assert (run.tolerance, run.reason) == ({"y": 1e-6}, "")
    assert (skipped.variant, skipped.status, skipped.backend) == ("coreml-fp16", "skipped", "")


def test_a_model_that_was_changed_with_its_manifest(edge: Edge, path: Path) -> None:
    """Digests are right, since whoever changed the model wrote them anew; the answers are not."""
    code, out, _ = edge("verify", onnx_only(path, onnx_scale(2.5)))
    assert code == 1
    assert "onnx-fp32: WRONG on 2 samples" in out
    assert "y differs by 1.5 at most (allowed 1e-06)" in out
    assert "verdict   FAILED: a variant does not answer here as the original did" in out
    code, found = verified(edge, path)
    assert (code, found.passed) == (1, False)
    assert found.golden[0].reason == "y differs by 1.5, allowed are 1e-06"


def test_just_within_and_just_beyond_the_tolerance(edge: Edge, path: Path) -> None:
    for limit, passes in ((0.5, True), (0.49999, False)):
        onnx_only(
            path,
            outputs={"y": X * WEIGHT + np.float32(0.5)},
            tolerance={"onnx-fp32": {"y": limit}},
        )
        code, found = verified(edge, path)
        assert (code, found.passed) == (0 if passes else 1, passes)
        assert found.golden[0].differences == {"y": 0.5}


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf])
def test_an_answer_that_is_not_finite_fails(weight: float, edge: Edge, path: Path) -> None:
    limit = {"onnx-fp32": {"y": 1e30}}
    code, out, _ = edge("verify", onnx_only(path, onnx_scale(weight), tolerance=limit))
    assert code == 1
    assert "WRONG on 2 samples" in out
    assert "y is not finite or not of its shape" in out
    _, found = verified(edge, path)
    assert found.golden[0].differences == {"y": None}
    assert found.golden[0].status == "failed"


def test_where_the_original_was_not_finite_neither_need_be_the_variant(
    edge: Edge, path: Path
) -> None:
    """A log of nothing is minus infinity in the laboratory, and on the roof."""
    x = np.array([[[1.0, math.inf, -math.inf]], [[math.nan, 0.0, 1.0]]], np.float32)
    onnx_only(path, inputs={"x": x}, outputs={"y": x * 2})
    code, found = verified(edge, path)
    assert (code, found.golden[0].differences) == (0, {"y": 0.0})


def test_an_answer_of_another_shape_fails(edge: Edge, path: Path) -> None:
    """Numpy would stretch a vector to whatever it is compared with."""
    for outputs in (X[:, :, :1] * WEIGHT, X[:, 0, :] * WEIGHT, np.float32([2.0, 4.0])):
        onnx_only(path, outputs={"y": outputs})
        code, found = verified(edge, path)
        assert (code, found.golden[0].differences) == (1, {"y": None})


def test_inputs_that_the_model_does_not_take(edge: Edge, path: Path) -> None:
    onnx_only(path, inputs={"x": X.repeat(2, axis=-1)})
    code, out, _ = edge("verify", path)
    assert code == 1
    assert "onnx-fp32: WRONG: The input 'x' has shape 1x6; the model takes 1x3." in out


def test_a_variant_without_a_tolerance_must_be_exact(edge: Edge, path: Path) -> None:
    onnx_only(path, tolerance={})
    assert verified(edge, path)[0] == 0
    onnx_only(path, onnx_scale(np.nextafter(np.float32(WEIGHT), np.float32(3))), tolerance={})
    assert verified(edge, path)[0] == 1


def test_a_model_file_that_is_none(edge: Edge, path: Path) -> None:
    code, out, _ = edge("verify", onnx_only(path, b"not a model"))
    assert code == 1
    assert "onnx-fp32: WRONG: " in out
    assert "not an ONNX model" in out


def test_no_golden_vectors(edge: Edge, path: Path) -> None:
    code, out, _ = edge("verify", write(path, contents(**{golden.FILE: None})))
    assert code == 0
    assert "golden    none inside: nothing was run" in out
    assert "verdict   whole; no answer was checked" in out
    assert verified(edge, path)[1].golden == ()


def test_vectors_of_another_model(edge: Edge, path: Path) -> None:
    vectors_of_z = Golden({"z": X}, {"y": X})
    write(path, contents(**{golden.FILE: golden.pack(vectors_of_z)}))
    code, out, err = edge("verify", path)
    assert (code, out) == (4, "")
    assert "golden vectors and signature do not agree on ['x', 'z']" in err


def test_an_engine_that_is_missing(edge: Edge, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    onnx_only(path)
    code, out, _ = edge("verify", path)
    assert code == 0
    assert "onnx-fp32: not run here: ONNX Runtime is not usable here: " in out
    assert "pip install 'edgeloop[onnx]'" in out
    assert "verdict   whole; no answer was checked" in out
    _, found = verified(edge, path)
    assert found.golden[0].status == "skipped"
    assert found.golden[0].hint == "pip install 'edgeloop[onnx]'"


def test_the_name_of_the_file_does_not_matter(edge: Edge, path: Path) -> None:
    """A device's slots and a browser's downloads are not called ``.edge``."""
    other = path.with_name("download.bin")
    onnx_only(path).rename(other)
    code, found = verified(edge, other)
    assert (code, found.golden[0].status) == (0, "passed")


def test_an_artifact_corrupted_between_the_checks(path: Path) -> None:
    """Verification must not pass as a failed answer what is a corrupt file."""
    onnx_only(path)
    with Artifact(path) as artifact:
        vectors_inside = artifact.golden()
        assert vectors_inside is not None
        data = path.read_bytes()
        path.write_bytes(data[:200] + b"\xff" + data[201:])
        with pytest.raises(ArtifactError):
            check(artifact, vectors_inside, ONNX)


def test_flipped_bytes_exit_4_and_name_the_file(edge: Edge, path: Path) -> None:
    data = write(path).read_bytes()
    for at in range(0, len(data), len(data) // 16):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        for command in ("verify",) if at > 100 else ("verify", "inspect"):
            code, out, err = edge(command, path)
            assert (code, out) == (4, ""), f"byte {at}"
            assert str(path) in err
            assert "Fetch the artifact again" in err
    path.write_bytes(data)
    place = data.index(contents()[MODEL]) + 10
    path.write_bytes(data[:place] + b"\xff" + data[place + 1 :])
    code, _, err = edge("verify", path, "--json")
    assert code == 4
    error = json.loads(err.splitlines()[-1])["error"]
    assert error == f"{path}: {MODEL} is corrupt: its bytes do not match their checksum."


def test_what_is_no_artifact(edge: Edge, tmp_path: Path) -> None:
    (tmp_path / "empty.edge").write_bytes(b"")
    (tmp_path / "text.edge").write_text("hello\n" * 99)
    for command in ("inspect", "verify"):
        for name, code, why in (
            ("missing.edge", 2, "cannot be opened: No such file or directory"),
            (".", 2, "is not a file"),
            ("empty.edge", 4, "is empty"),
            ("text.edge", 4, "is not an edgeloop archive, or it was cut short"),
        ):
            found, out, err = edge(command, tmp_path / name)
            assert (found, out) == (code, "")
            assert why in err
            assert len(err.splitlines()) == 2, "a message and a hint"
        found, _, err = edge(command)
        assert found == 2
        assert "X.edge" in err


def test_newer_artifacts(edge: Edge, path: Path) -> None:
    file = io.BytesIO()
    container.write(file, {"manifest.json": b'{"schema": 2, "min_agent": "2.0.0"}'})
    path.write_bytes(file.getvalue())
    for command in ("inspect", "verify"):
        code, out, err = edge(command, path)
        assert (code, out) == (3, "")
        assert "asks for edgeloop 2.0.0 (schema 2)" in err
        assert "pip install --upgrade edgeloop" in err


def test_inspect(edge: Edge, path: Path) -> None:
    write(
        path,
        description="Twice as much",
        labels=tuple(f"class {number}" for number in range(8)),
        preprocess=ImageInput(input="x", size=(1, 1)),
        postprocess=Classification(output="y"),
    )
    code, out, err = edge("inspect", path)
    assert (code, err) == (0, "")
    with Artifact(path) as artifact:
        digest = artifact.digest
    lines = out.splitlines()
    assert lines[0].startswith("scale 1.2.0   ")
    assert lines[0].endswith(f"sha256:{digest}")
    assert lines[1] == "Twice as much"
    assert "input     x: float32 1x3" in lines
    assert "output    y: float32 1x3" in lines
    assert "labels    class 0, class 1, class 2, class 3, class 4, class 5, … (8)" in lines
    assert (
        "before    image: input x, size 1 1, channels rgb, resize stretch, interpolation bilinear, "
        "mean 0, std 255, layout hwc"
    ) in lines
    assert "after     classification: output y, activation none, top 3" in lines
    assert any(line.startswith("onnx-fp32 ") and line.endswith("the original") for line in lines)
    assert any(line.startswith("coreml-fp16 ") and "2 random inputs" in line for line in lines)
    assert "beside    empty.txt, golden.npz" in lines


def test_inspect_of_a_detector(edge: Edge, path: Path) -> None:
    anchors = SsdAnchors(strides=(8, 16), per_cell=2)
    write(path, postprocess=Detection(boxes="y", scores="y", anchors=anchors, min_score=0.25))
    line = next(line for line in edge("inspect", path)[1].splitlines() if "detection" in line)
    assert "anchors strides 8 16 per_cell 2, " in line
    assert "min_score 0.25, " in line


def test_inspect_in_json(edge: Edge, path: Path) -> None:
    code, out, _ = edge("inspect", write(path), "--json")
    assert code == 0
    found = msgspec.json.decode(out, type=Inspection)
    assert found.manifest == manifest(contents())
    assert found.size == path.stat().st_size
    assert found.path == str(path)


def test_inspect_of_the_least_there_may_be(edge: Edge, path: Path) -> None:
    write(path, {}, variants=())
    code, out, _ = edge("inspect", path)
    assert code == 0
    assert "beside    nothing" in out
    assert edge("verify", path)[0] == 0


def test_what_an_artifact_says_does_nothing_to_a_terminal(edge: Edge, path: Path) -> None:
    """Names and texts are whatever the artifact's maker put there."""
    evil = "\x1b[2J\nverdict   whole\u202e"
    named = Signature(inputs=(tensor(evil),), outputs=(tensor(evil),))
    write(
        path,
        contents(**{golden.FILE: golden.pack(Golden({evil: X}, {evil: X}))}),
        description=evil,
        labels=(evil,),
        signature=named,
        variants=(
            variant("a", MODEL, signature=named, backends=(evil,)),
            msgspec.structs.replace(COREML, signature=named),
        ),
        preprocess=ImageInput(input=evil, size=(1, 1)),
        provenance=Provenance(
            source=evil, source_format=evil, source_sha256="0" * 64, tools={evil: evil}
        ),
    )
    for command in ("inspect", "verify"):
        _, out, err = edge(command, path)
        for line in (out + err).splitlines():
            assert line.isprintable()
            assert not line.startswith("verdict   whole\u202e")
    assert named != SIGNATURE


def test_a_file_name_that_is_not_unicode(edge: Edge, path: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9.edge")
    write(path).rename(odd)
    for command in ("inspect", "verify"):
        code, out, _ = edge(command, odd, "--json")
        assert code == 0
        assert json.loads(out)["path"].endswith(r"caf\udce9.edge")
        assert edge(command, odd)[0] == 0
