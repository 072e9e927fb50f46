"""The agent's configuration: its fields are its documentation (``edge agent config show``)."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge_sdk.config import Configuration, Flag, PathText, read_configuration
from edge_sdk.errors import ArtifactError, UsageError
from edge_sdk.spec import decode
from edge_sdk.spec.enrolment import Enrolment
from edge_sdk.spec.guard import InputLimits, check_limits, describe_limits
from edge_sdk.spec.manifest import Name

PREFIX = "EDGELOOP_AGENT_"

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Positive = Annotated[int, Meta(gt=0)]
Count = Annotated[int, Meta(ge=0)]


class AppSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One application: where its inputs come from, and how they are run.

    Attributes:
        source: ``folder`` of pictures or arrays (``.npy``, ``.npz``), or ``video`` file; both are
            repeated for ever.
        path: of it.
        interval_ms: from the beginning of one inference to the beginning of the next, at least.
        delegates: names in order of preference; none for the engine's best CPU path.
        threads: for CPU kernels.
        audit: leave a record of every answer that is served, without its input, in the state's
            ``audit/NAME.jsonl``; ``edge audit verify`` checks it. One that cannot be written is
            counted and told, and holds up no answer.
        guard: whether inputs are held to limits (``edge convert --guard``); the fleet is told if
            not.
        limits: a table of such limits, which take the place of those that artifacts declare; the
            fleet is told.
    """

    source: Literal["folder", "video"]
    path: PathText
    interval_ms: Count = 50
    delegates: tuple[str, ...] = ()
    threads: Positive = 1
    audit: bool = False
    guard: bool = True
    limits: InputLimits | None = None

    @property
    def guarding(self) -> InputLimits | bool:
        """As ``edge_sdk.load`` takes it: the artifact's limits, none, or these."""
        return self.limits or self.guard

    @property
    def guarding_text(self) -> str:
        """What the fleet is told of that; nothing where an artifact's limits are kept."""
        if self.limits is not None:
            told = describe_limits(self.limits, pictures=None) or "none of them"
            return f"limits of the device's own: {told}"
        return "" if self.guard else "limits are off on the device"


def app_flags(text: str) -> dict[str, object]:
    """``NAME=PATH`` as the flags of one application: a file is a video, anything else a folder.

    Raises:
        UsageError: it is not of that form.
    """
    name, equals, path = text.partition("=")
    if not (name and equals and path) or "." in name:
        raise UsageError(
            f"--app {text} is not NAME=PATH.",
            "The fleet's name for the application, and its inputs: --app doorbell=pictures/",
        )
    source = "video" if Path(path).is_file() else "folder"
    written = f"--app {text}"
    return {
        f"apps.{name}.source": Flag(source, written),
        f"apps.{name}.path": Flag(path, written),
    }


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All of it.

    Attributes:
        enrolment: the file that ``edge fleet enroll`` wrote for this device.
        device: must be the enrolment's, if given: guards against a file for another device.
        state: a folder of the agent's own.
        window_s: length of a telemetry window.
        probation_s: how long a new version must answer before it is committed.
        probation_inferences: how many times it must have answered by then.
        probation_max_errors: how many of its inferences may fail meanwhile.
        probation_deadline_s: after this long without enough answers it has failed; where inputs
            were missing, probation begins anew.
        check_timeout_s: for loading a version and its golden vectors, beside the running one.
        activation_timeout_s: for the worker to take a version into service or shadow.
        worker_silence_s: a worker that says nothing for so long is killed.
        stop_timeout_s: for a worker to end by itself.
        hello_every_s: between two hellos that were answered; less than the fleet's ``away_s``, or
            a device that has nothing else to say looks away.
        request_timeout_s: for the answer to a request for bytes.
        requests_in_flight: at most, at a time.
        outbox_max_bytes: of messages that the fleet has not acknowledged.
        min_free_bytes: room that downloads must leave on the state's disk.
        apps: by application name, the names that the fleet uses.
    """

    enrolment: PathText
    device: str = ""
    state: PathText = "state"
    window_s: Seconds = 10.0
    probation_s: Seconds = 5.0
    probation_inferences: Count = 10
    probation_max_errors: Count = 0
    probation_deadline_s: Seconds = 120.0
    check_timeout_s: Seconds = 300.0
    activation_timeout_s: Seconds = 120.0
    worker_silence_s: Seconds = 60.0
    stop_timeout_s: Seconds = 5.0
    hello_every_s: Seconds = 45.0
    request_timeout_s: Seconds = 10.0
    requests_in_flight: Positive = 4
    outbox_max_bytes: Positive = 32 * 1024 * 1024
    min_free_bytes: Count = 16 * 1024 * 1024
    apps: dict[Name, AppSettings] = {}


def read_settings(
    file: Path | None, environment: Mapping[str, str], flags: Mapping[str, object]
) -> Configuration[AgentSettings]:
    """The configuration from all its sources; without a file the others have to do.

    Raises:
        UsageError: something in it is wrong; says what, where, and what would be right.
        UnavailableError: Python 3.10 without ``tomli``.
    """
    found = read_configuration(
        AgentSettings, file, prefix=PREFIX, environment=environment, flags=flags
    )
    settings = found.value
    if settings.probation_deadline_s < settings.probation_s:
        raise UsageError(
            f"probation_deadline_s is {settings.probation_deadline_s:g}, less than probation_s, "
            f"{settings.probation_s:g}: no version could pass.",
            "Raise probation_deadline_s.",
        )
    for name, app in settings.apps.items():
        _check_guard(name, app)
    return found


def _check_guard(name: str, app: AppSettings) -> None:
    if app.limits is None:
        return
    if not app.guard:
        raise UsageError(
            f"apps.{name} has limits, and guard = false, which is none.", "Leave out one of them."
        )
    try:
        check_limits(app.limits)
    except UsageError as error:
        error.message = f"apps.{name}.limits: {error.message}"
        raise


def missing(settings: AgentSettings) -> list[str]:
    """What is not there and may come yet, in words: without it an agent runs and serves nothing."""
    if not settings.apps:
        return ["No application is configured, so nothing can be served: --app NAME=PATH"]
    return [
        f"The inputs of {name} are not there yet: {app.path}"
        for name, app in settings.apps.items()
        if not Path(app.path).exists()
    ]


def read_enrolment(settings: AgentSettings) -> Enrolment:
    """The enrolment that the configuration names.

    Raises:
        UsageError: it cannot be read, others may read it, or it is another device's.
        ArtifactError: it is no enrolment.
    """
    path = Path(settings.enrolment)
    device = settings.device or "DEVICE"
    again = f"edge fleet enroll {device} -o {path.name}   # on the fleet's machine"
    try:
        data = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        raise UsageError(
            f"The enrolment {path} cannot be read: {error.strerror or error}.", again
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(
            f"The enrolment {path} holds a password, and others on this machine may read it.",
            f"chmod 600 {path}",
        )
    try:
        enrolment = decode(data, Enrolment, str(path))
    except ArtifactError as error:
        raise ArtifactError(error.message, again) from error
    if settings.device and settings.device != enrolment.device:
        raise UsageError(
            f"The enrolment {path} is of {enrolment.device!r}; this device is {settings.device!r}.",
            again,
        )
    return enrolment
