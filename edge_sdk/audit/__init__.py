"""A local trail of decisions: what was answered, by which model, and that nobody changed it since.

    with edge_sdk.audit.AuditLog("audit.jsonl") as log:
        answer = session.predict(picture)
        log.record(session, picture, answer)

Nothing of it leaves the machine, nothing is written unless it is asked for, and no input is ever in
it. ``edge audit verify audit.jsonl`` says whether it is whole.
"""

from edge_sdk.audit.chain import AuditReport, BadLine, verify
from edge_sdk.audit.log import AuditLog

__all__ = ["AuditLog", "AuditReport", "BadLine", "verify"]
