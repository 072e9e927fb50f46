"""An agent's status, for a person."""

from __future__ import annotations

from device_agent.control import AppStatus, Status
from device_agent.link import DISMISSED, NO_ANSWER
from edge_sdk.spec.deployment import ArtifactRef
from edge_sdk.text import bytes_text, table

_COUNTED = ("answered", "failed", "refused", "unrecorded")


def describe(status: Status) -> str:
    """A few lines: the connection, one row an application, and what is wrong with each."""
    fleet = f" of {status.fleet}" if status.fleet else ""
    lines = [
        f"{status.device}{fleet}, process {status.pid}",
        f"broker   {status.broker}: {_connection(status)}",
        f"outbox   {status.outbox.messages} waiting ({bytes_text(status.outbox.bytes)}), "
        f"{status.outbox.dropped} dropped",
    ]
    if status.apps:
        rows = [_row(name, app) for name, app in sorted(status.apps.items())]
        header = ("app", "state", "serving", "previous", "shadow", *_COUNTED)
        lines += ["", table(header, rows, "<<<<<>>>>")]
    for name, app in sorted(status.apps.items()):
        if app.state.reason:
            lines.append(f"{name}: {app.state.state.value}: {app.state.reason}")
        if app.worker.refused:
            why = ", ".join(f"{count} {reason}" for reason, count in app.worker.refused.items())
            lines.append(f"{name}: its limits refused {why}")
        if app.state.limits:
            lines.append(f"{name}: {app.state.limits}")
        lines += [f"{name}: {problem}" for problem in app.state.problems]
        if app.worker.problem:
            lines.append(f"{name}: {app.worker.problem}")
    return "\n".join(lines)


def _connection(status: Status) -> str:
    if not status.connected:
        ended = "not authorized" in status.refusal.lower()
        hint = f" Was it removed, or enrolled anew? edge fleet enroll {status.device}" * ended
        return f"not connected. {status.refusal}{hint}".rstrip()
    if status.dismissed:
        return f"connected, but {DISMISSED}"
    return f"connected, {'the fleet answers' if status.answered else NO_ANSWER}"


def _row(name: str, app: AppStatus) -> tuple[str, ...]:
    state = app.state
    return (
        name,
        state.state.value + (f" {state.target.version}" if state.target else ""),
        *(_version(ref) for ref in (state.serving, state.previous, state.shadow)),
        str(app.worker.inferences),
        str(app.worker.errors),
        str(sum(app.worker.refused.values())),
        str(app.worker.unrecorded),
    )


def _version(ref: ArtifactRef | None) -> str:
    return f"{ref.name} {ref.version}" if ref else "-"
