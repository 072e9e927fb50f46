"""One load, with everything decided: what is opened, and what it is held to."""

from __future__ import annotations

from dataclasses import dataclass

from edge_sdk.backends import LoadedModel
from edge_sdk.runtime.opening import Opening
from edge_sdk.runtime.promises import check_strict
from edge_sdk.runtime.session import with_disqualified
from edge_sdk.runtime.trial import Trial
from edge_sdk.spec import Attempt

Opened = tuple[LoadedModel, tuple[Attempt, ...]]
"""A model, and the delegates that it was tried on before and that gave wrong numbers."""


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How a model is to be loaded; see ``edge_sdk.load``.

    Attributes:
        opening: how it is opened.
        strict: whether it must run where it is asked to.
        trial: what it is held to; None if there are no golden vectors.
    """

    opening: Opening
    strict: bool
    trial: Trial | None

    def opened(self) -> Opened:
        """The model on the first of the delegates that is right. Raises as ``edge_sdk.load``."""
        opening = self.opening
        disqualified: tuple[Attempt, ...] = ()
        if self.trial is None:
            model = opening.open_with(opening.requests)
        else:
            model, disqualified = self.trial.first_right(opening.open_with, opening.requests)
        try:
            if self.strict:
                check_strict(with_disqualified(model.placement(), opening.requested, disqualified))
        except BaseException:
            model.close()
            raise
        return model, disqualified
