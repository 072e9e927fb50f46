"""What the fleet refuses, by the answer that HTTP has for it."""

from __future__ import annotations

from edge_sdk.errors import UsageError


class NotFoundError(UsageError):
    """There is no such device, artifact or rollout: 404."""


class ConflictError(UsageError):
    """It would contradict what is there or going on: 409."""


class UnauthorizedError(UsageError):
    """No token, or a wrong one: 401."""
