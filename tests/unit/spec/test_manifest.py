"""The manifest: read for ever, by agents older and newer than its writer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import ArtifactError, UnavailableError, UsageError
from edge_sdk.spec import (
    AGENT_VERSION,
    SCHEMA,
    Classification,
    Detection,
    Manifest,
    Provenance,
    Signature,
    Word,
    decode_manifest,
    encode,
)
from edge_sdk.spec.version import precedence

GOLDEN = sorted((Path(__file__).parent / "golden").glob("manifest-*.json"))
NEWEST = GOLDEN[-1]
MAPPINGS = {"files", "tools", "ranges"}
"""Fields whose keys are contents, not field names."""


def plain(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {**json.loads(NEWEST.read_text("utf-8")), **changes}
    return document


def read(document: Any) -> Manifest:
    return decode_manifest(json.dumps(document).encode())


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_golden_manifests_decode_for_ever(path: Path) -> None:
    """What a released edgeloop wrote keeps its meaning: nothing is lost or reads otherwise."""
    written = json.loads(path.read_text("utf-8"))
    again = json.loads(encode(decode_manifest(path.read_bytes())))
    assert kept(written, again) == written


def kept(written: Any, again: Any) -> Any:
    """``again`` without the fields that ``written`` did not have yet."""
    if isinstance(written, dict) and isinstance(again, dict):
        return {name: kept(written[name], again[name]) for name in written if name in again}
    if isinstance(written, list) and isinstance(again, list) and len(written) == len(again):
        return [kept(old, new) for old, new in zip(written, again, strict=True)]
    return again


def test_the_newest_golden_manifest_is_canonical_to_the_byte() -> None:
    """After adding a field, add ``manifest-N.json`` beside the others; never change one of them."""
    assert encode(decode_manifest(NEWEST.read_bytes())) == NEWEST.read_bytes()


def test_the_newest_golden_manifest_has_every_field() -> None:
    """Every field, and of every field that may be empty, one that is not."""
    filled: dict[type[Word], set[str]] = {}

    def visit(value: Any) -> None:
        if isinstance(value, Word):
            present = filled.setdefault(type(value), set())
            for name in value.__struct_fields__:
                field = getattr(value, name)
                if field not in (None, (), {}, ""):
                    present.add(name)
                visit(field)
        elif isinstance(value, tuple | dict):
            for item in value.values() if isinstance(value, dict) else value:
                visit(item)

    visit(decode_manifest(NEWEST.read_bytes()))
    missing = {word.__name__: set(word.__struct_fields__) - got for word, got in filled.items()}
    assert {word: names for word, names in missing.items() if names} == {
        "Provenance": {"evaluation_sha256"}
    }


def test_unknown_fields_are_ignored_everywhere() -> None:
    def extended(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            more = {} if name in MAPPINGS else {"from_the_future": {"deep": [1, None]}}
            return {**more, **{key: extended(item, key) for key, item in value.items()}}
        return [extended(item) for item in value] if isinstance(value, list) else value

    assert json.dumps(extended(plain())).count("from_the_future") > 20
    assert read(extended(plain())) == decode_manifest(NEWEST.read_bytes())


def test_limits_do_not_keep_an_older_edgeloop_from_the_rest() -> None:
    """It answers what it always answered; so limits raise neither ``schema`` nor ``min_agent``."""
    older = msgspec.defstruct(
        "Manifest",
        [
            (field.name, field.type)
            if field.default is msgspec.NODEFAULT
            else (field.name, field.type, field.default)
            for field in msgspec.structs.fields(Manifest)
            if field.name != "guard"
        ],
        bases=(Word,),
        frozen=True,
        kw_only=True,
    )
    with_limits = NEWEST.read_bytes()
    assert b'"guard": {' in with_limits
    read_by_older: Any = msgspec.json.decode(with_limits, type=older)
    now = decode_manifest(with_limits)
    assert (now.schema, now.min_agent) == (1, decode_manifest(GOLDEN[-2].read_bytes()).min_agent)
    for name in older.__struct_fields__:
        assert getattr(read_by_older, name) == getattr(now, name)


def test_an_artifact_from_before_there_were_limits_has_none() -> None:
    for path in GOLDEN[:-1]:
        assert b"guard" not in path.read_bytes()
        assert decode_manifest(path.read_bytes()).guard is None


NONSENSE: dict[str, Any] = {
    "preprocess": {"kind": "hologram"},
    "variants": 3,
    "files": None,
    "name": "NOT A NAME",
}


@pytest.mark.parametrize(
    "newer",
    [
        {"schema": SCHEMA + 1},
        {"schema": SCHEMA + 1, "min_agent": 3.0} | {"min_agent": "0.1.0"},
        {"min_agent": "0.1.1"},
        {"min_agent": "0.2.0-alpha"},
        {"min_agent": "99999999999999999999.0.0"},
        {"min_agent": "9" * 5000 + ".0.0"},
    ],
    ids=lambda newer: str(newer)[:60],
)
def test_newer_is_refused_before_anything_else_is_looked_at(newer: dict[str, Any]) -> None:
    for document in (plain(**newer), plain(**NONSENSE, **newer), newer | {"schema": SCHEMA + 1}):
        with pytest.raises(UnavailableError, match=f"this is {AGENT_VERSION}") as raised:
            read(document)
        assert raised.value.hint == "pip install --upgrade edgeloop"


@pytest.mark.parametrize("agent", ["0.0.1", "0.1.0-rc.1", AGENT_VERSION])
def test_as_old_as_this_or_older_is_read(agent: str) -> None:
    assert read(plain(min_agent=agent)).min_agent == agent


@pytest.mark.parametrize(
    "broken",
    [
        {"preprocess": {"kind": "hologram"}},
        {"postprocess": {"boxes": "b"}},
        {"schema": 0},
        {"schema": -1},
        {"schema": 1.5},
        {"schema": "1"},
        {"schema": None},
        {"min_agent": "zero"},
        {"min_agent": "\u0660.\u0661.\u0660"},
        {"min_agent": "0.1.²"},
        {"min_agent": "0.1"},
        {"min_agent": None},
        {"files": {"golden.npz": {"sha256": "0" * 64}}},
        {"files": {"golden.npz": {"sha256": "0" * 64, "size": -1}}},
        {"files": {"golden.npz": {"sha256": "G" * 64, "size": 1}}},
        {"files": {"golden.npz": {"sha256": "0" * 64 + "\n", "size": 1}}},
        {"labels": "cat"},
        {"variants": [{}]},
        {"provenance": {}},
    ],
    ids=str,
)
def test_a_malformed_manifest(broken: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError, match=r"manifest\.json cannot be read: .*"):
        read(plain(**broken))


def test_a_format_that_this_edgeloop_does_not_know() -> None:
    """A new format, like a new kind of preprocessing, must raise ``min_agent``."""
    document = plain()
    document["variants"][0]["format"] = "executorch"
    with pytest.raises(ArtifactError, match="format"):
        read(document)


def test_a_field_that_is_missing() -> None:
    for name in ("name", "version", "signature", "variants", "provenance", "files", "schema"):
        with pytest.raises(ArtifactError, match=name):
            read({key: value for key, value in plain().items() if key != name})


@pytest.mark.parametrize(
    "version",
    ["", "1", "1.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0-a..b", "1.0.0+5", "1.0.0\n", "v1.0.0"],
)
def test_what_is_no_version(version: str) -> None:
    with pytest.raises(ArtifactError, match="version"):
        read(plain(version=version))


@pytest.mark.parametrize("version", ["0.0.0", "1.0.0-0", "1.0.0-alpha-7.0a.x", "10.20.30"])
def test_what_is_a_version(version: str) -> None:
    assert read(plain(version=version)).version == version


@pytest.mark.parametrize(
    "name", ["", "A", "-a", ".a", "a/b", "a b", "a\n", "é", "a" * 64, "..", "a\0"]
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ArtifactError, match="name"):
        read(plain(name=name))
    with pytest.raises(UsageError, match="name"):
        encode(msgspec.structs.replace(decode_manifest(NEWEST.read_bytes()), name=name))


def test_precedence_is_that_of_semver() -> None:
    """The examples of semver.org §11, in their order, and some more."""
    for text in (
        "1.0.0 2.0.0 2.1.0 2.1.1",
        "1.0.0-alpha 1.0.0",
        "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 "
        "1.0.0-rc.1 1.0.0",
        "0.9.0 0.10.0 0.11.0-9 0.11.0-10 0.11.0-10a 0.11.0",
        "nonsense 0.0.0",
    ):
        versions = text.split()
        keys = [precedence(version) for version in versions]
        assert keys == sorted(keys)
        assert len(set(keys)) == len(keys)
    assert precedence("1.0.0+20130313144700") == precedence("1.0.0+exp.sha-5114f85")
    assert precedence("1.0.0-beta+exp") == precedence("1.0.0-beta")


@given(*[st.tuples(*[st.integers(0, 10**30)] * 3)] * 2)
def test_precedence_of_any_two_releases(
    one: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    before = precedence("{}.{}.{}".format(*one)) < precedence("{}.{}.{}".format(*other))
    assert before == (one < other)


@given(st.text())
def test_precedence_takes_any_text(text: str) -> None:
    assert precedence(text) <= precedence(text)


def test_variants_by_id() -> None:
    manifest = decode_manifest(NEWEST.read_bytes())
    assert manifest.variant("coreml-fp16").format == "coreml"
    with pytest.raises(KeyError, match="onnx-fp32"):
        manifest.variant("onnx-fp32")


def test_a_postprocess_is_told_by_its_kind() -> None:
    assert isinstance(read(plain()).postprocess, Detection)
    other = {"kind": "classification", "output": "scores"}
    assert read(plain(postprocess=other)).postprocess == Classification(output="scores")


def test_defaults_are_written_too() -> None:
    """An old agent's defaults need not be a newer one's, so nothing is left to them."""
    bare = Manifest(
        name="m",
        version="1.0.0",
        signature=Signature(inputs=(), outputs=()),
        variants=(),
        provenance=Provenance(source="m", source_format="onnx", source_sha256="0" * 64, tools={}),
        files={},
    )
    assert set(json.loads(encode(bare))) == set(Manifest.__struct_fields__)
    assert decode_manifest(encode(bare)) == bare
