"""The wire is for ever: messages that devices in the field send must be read, and read the same.

``tests/contract/wire/*.msgpack`` are payloads as version 1 wrote them. They are never written
again; a new message, and an old one with new fields (``TYPE-2``), gets a file of its own (run this
module as a program).
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from edge_sdk.errors import FleetError
from edge_sdk.spec.bench import (
    BenchReport,
    Conditions,
    Configuration,
    Measurement,
    Skipped,
    Timings,
)
from edge_sdk.spec.deployment import (
    AppState,
    ArtifactRef,
    Assignment,
    Desired,
    Reported,
    Signed,
    State,
)
from edge_sdk.spec.envelope import has_expired, open_, read, seal
from edge_sdk.spec.placement import Attempt, Placement
from edge_sdk.spec.profile import DeviceProfile, Runtime
from edge_sdk.spec.sketch import BinCounts, Comparison, LogHistogram, Window
from edge_sdk.spec.tensor import TensorSpec
from edge_sdk.spec.wire import (
    BODIES,
    MAX_MESSAGE_BYTES,
    Acknowledged,
    BenchMessage,
    Chunk,
    ChunkRequest,
    DesiredMessage,
    Dismissed,
    Hello,
    Message,
    ReportedMessage,
    TelemetryMessage,
    device_of,
    down,
    up,
)

FOLDER = Path(__file__).with_name("wire")
OLD = ArtifactRef(digest="ab" * 32, name="flowers", version="1.1.0")
NEW = ArtifactRef(digest="cd" * 32, name="flowers", version="1.2.0-rc.1")
REPORTED = Reported(
    counter=7,
    apps={
        "doors": AppState(
            serving=OLD,
            previous=None,
            shadow=NEW,
            target=NEW,
            state=State.PROBATION,
            attempt=3,
            reason="",
            refused=("ef" * 32,),
        )
    },
)
DESIRED = Desired(
    device="cam-1",
    counter=8,
    issued_ms=1_790_000_000_000,
    apps={"doors": Assignment(serve=OLD, shadow=NEW, rollout="r-1")},
)
WINDOW = Window(
    app="doors",
    artifact="ab" * 32,
    role="shadow",
    started_ms=1_790_000_000_000,
    ended_ms=1_790_000_010_000,
    boot="b-1",
    monotonic_ms=5000,
    inferences=200,
    errors=1,
    dropped=2,
    crashes=1,
    unread=4,
    latency=LogHistogram(counts={-3: 1, 250: 199}, zeros=1),
    classes={0: 150, 9: 50},
    features={"brightness": BinCounts(counts=(1, 2, 3), missing=1)},
    comparison=Comparison(compared=199, disagreed=20),
    memory_bytes=47_000_000,
)
PROFILE = DeviceProfile(
    name="pi",
    system="Linux 6.12",
    machine="aarch64",
    python="3.11.2",
    cpu="Cortex-A76",
    cpu_features=("asimd", "asimddp"),
    cores=4,
    memory_bytes=8_000_000_000,
    runtimes=(Runtime(backend="litert", version="2.3.0", delegates=("xnnpack", "cpu")),),
    edgeloop="0.1.0",
)
BENCH = BenchReport(
    model="flowers@1.1.0",
    profile=PROFILE,
    inputs=(TensorSpec(name="image", dtype="uint8", shape=(1, 224, 224, 3)),),
    seconds=5.0,
    measurements=(
        Measurement(
            configuration=Configuration(backend="litert", threads=2, variant="tflite-int8"),
            placement=Placement(
                backend="litert",
                backend_version="2.3.0",
                requested=(),
                attempts=(Attempt(delegate="xnnpack", active=True, operations=65),),
                operations=65,
                threads=2,
            ),
            load_ms=12.5,
            first_ms=9.75,
            timings=Timings(
                calls=1000, mean_ms=4.5, p50_ms=4.25, p90_ms=5.0, p99_ms=7.5, per_second=222.25
            ),
            memory_growth_bytes=9_000_000,
            energy_mj=17.5,
            power_w=4.125,
            throttled=True,
        ),
    ),
    skipped=(Skipped(variant="coreml-fp16", reason="no engine"),),
    fastest=Configuration(backend="litert", threads=2, variant="tflite-int8"),
    artifact=OLD,
    conditions=Conditions(
        energy_sensor="ina219",
        energy_hint="",
        governor="ondemand",
        before_c=50.5,
        after_c=80.25,
        throttling=("the firmware throttles the processor",),
    ),
)
MESSAGES: tuple[Message, ...] = (
    Hello(boot="b-1", profile=PROFILE, reported=REPORTED),
    DesiredMessage(
        desired=Signed(
            payload=msgspec.msgpack.encode(DESIRED), key="12" * 32, signature=bytes(range(64))
        )
    ),
    ReportedMessage(at_ms=1_790_000_001_000, reported=REPORTED),
    TelemetryMessage(windows=(WINDOW,)),
    BenchMessage(at_ms=1_790_000_001_500, report=BENCH),
    ChunkRequest(path="targets/ab/manifest.json", offset=131072),
    Chunk(path="targets/ab/manifest.json", offset=131072, size=131077, data=b"\0\1\2\3\xff"),
    Acknowledged(outbox="o-1", sequences=(1, 2, 5)),
    Dismissed(),
)
MORE_REPORTED = replace(
    REPORTED,
    apps={"doors": replace(REPORTED.apps["doors"], problems=("no input since noon: no camera",))},
)
NEWER_REPORTED = replace(
    MORE_REPORTED,
    apps={"doors": replace(MORE_REPORTED.apps["doors"], limits="limits are off on the device")},
)
MORE_WINDOW = replace(WINDOW, refused={"dark": 12, "out of range: x": 3}, unrecorded=6)
GROWN: dict[str, Message] = {
    "hello-2": Hello(boot="b-1", profile=PROFILE, reported=MORE_REPORTED),
    "reported-2": ReportedMessage(at_ms=1_790_000_001_000, reported=MORE_REPORTED),
    "hello-3": Hello(boot="b-1", profile=PROFILE, reported=NEWER_REPORTED),
    "reported-3": ReportedMessage(at_ms=1_790_000_001_000, reported=NEWER_REPORTED),
    "telemetry-2": TelemetryMessage(windows=(MORE_WINDOW,)),
}
"""Messages that have got fields since: each with them, by the name of its file."""
GOLDEN = {**{message.TYPE: message for message in MESSAGES}, **GROWN}
NEWEST = {message.TYPE: name for name, message in GOLDEN.items()}


def sealed(message: Message) -> bytes:
    return seal(
        message,
        id="m-1",
        sent_ms=1_790_000_002_000,
        answers="m-0",
        expires_ms=1_790_000_062_000,
        outbox="o-1",
        sequence=5,
    )


def test_every_message_has_a_golden_one() -> None:
    assert {message.TYPE for message in MESSAGES} == set(BODIES)
    assert {path.stem for path in FOLDER.glob("*.msgpack")} == set(GOLDEN)


@pytest.mark.parametrize("name", GOLDEN)
def test_what_was_sent_once_is_read_for_ever(name: str) -> None:
    message = GOLDEN[name]
    payload = (FOLDER / f"{name}.msgpack").read_bytes()
    envelope = open_(payload)
    assert (envelope.id, envelope.answers, envelope.outbox, envelope.sequence) == (
        "m-1",
        "m-0",
        "o-1",
        5,
    )
    assert read(envelope) == message


@pytest.mark.parametrize("kind", NEWEST)
def test_today_s_bytes_are_the_newest_golden_ones(kind: str) -> None:
    """After adding a field, add ``TYPE-N`` beside the others; never change one of them."""
    assert sealed(GOLDEN[NEWEST[kind]]) == (FOLDER / f"{NEWEST[kind]}.msgpack").read_bytes()


@pytest.mark.parametrize("name", GROWN)
def test_what_has_grown_says_to_an_older_edgeloop_what_it_always_said(name: str) -> None:
    """It passes over what it does not know, at every depth."""

    def known(now: object, then: object) -> object:
        if isinstance(now, dict) and isinstance(then, dict):
            return {key: known(now[key], then[key]) for key in then}
        if isinstance(now, list) and isinstance(then, list):
            return [known(*pair) for pair in zip(now, then, strict=True)]
        return now

    def body(stem: str) -> object:
        envelope = open_((FOLDER / f"{stem}.msgpack").read_bytes())
        return msgspec.msgpack.decode(envelope.body, strict=False)

    then = body(GROWN[name].TYPE)
    assert body(name) != then
    assert known(body(name), then) == then


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.TYPE)
def test_fields_of_a_newer_edgeloop_are_passed_over_and_survive(message: Message) -> None:
    plain = msgspec.msgpack.decode(sealed(message))
    plain["from_the_future"] = {"a": 1}
    body = msgspec.msgpack.decode(msgspec.msgpack.encode(message))
    body["also_new"] = [1, 2]
    plain["body"] = body
    envelope = open_(msgspec.msgpack.encode(plain))
    assert read(envelope) == message
    assert msgspec.msgpack.decode(envelope.body)["also_new"] == [1, 2]


def test_a_type_that_is_not_known_is_nothing_and_no_error() -> None:
    plain = msgspec.msgpack.decode(sealed(MESSAGES[-1]))
    plain["type"] = "from-the-future"
    assert read(open_(msgspec.msgpack.encode(plain))) is None


def test_a_newer_envelope_is_refused_with_the_remedy() -> None:
    plain = msgspec.msgpack.decode(sealed(MESSAGES[-1]))
    plain["version"] = 2
    with pytest.raises(FleetError, match="version 2") as refused:
        open_(msgspec.msgpack.encode(plain))
    assert "upgrade" in refused.value.hint


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"hello", b"\x81\xa4type\xa1x", b"\x90" * 70])
def test_garbage_is_refused_and_nothing_else_happens(garbage: bytes) -> None:
    with pytest.raises(FleetError):
        open_(garbage)


def test_a_message_too_large_is_not_sent() -> None:
    with pytest.raises(FleetError, match="over the limit"):
        seal(Chunk(path="x", offset=0, data=bytes(MAX_MESSAGE_BYTES)), id="m", sent_ms=0)


def test_expiry_is_a_matter_of_the_envelope() -> None:
    envelope = open_(sealed(MESSAGES[0]))
    assert not has_expired(envelope, envelope.expires_ms)
    assert has_expired(envelope, envelope.expires_ms + 1)
    assert not has_expired(open_(seal(MESSAGES[0], id="m", sent_ms=0)), 10**15)


@pytest.mark.parametrize("device", ["cam-1", "a", "0" * 63])
def test_a_topic_says_whose_it_is(device: str) -> None:
    assert device_of(up(device)) == device
    assert device_of(down(device)) is None
    assert device_of(up(device).replace("edge/v1", "edge/v2")) is None


def test_topics_of_today_are_those_of_the_field() -> None:
    assert up("cam-1") == "edge/v1/15/cam-1/up"
    assert down("cam-1") == "edge/v1/15/cam-1/dn"


def test_a_topic_of_the_wrong_shard_is_nobody_s() -> None:
    assert device_of("edge/v1/04/cam-1/up") is None


if __name__ == "__main__":
    for stem, fresh in GOLDEN.items():
        path = FOLDER / f"{stem}.msgpack"
        if path.exists():
            print(f"{path.name} is kept as it is", file=sys.stderr)
        else:
            path.write_bytes(sealed(fresh))
