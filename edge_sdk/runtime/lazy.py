"""A model that is opened when it is first needed: for programs that may need it, or not today."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

from edge_sdk.backends.base import Array, LoadedModel
from edge_sdk.errors import UsageError
from edge_sdk.runtime.loading import Loading, Opened
from edge_sdk.runtime.session import Session
from edge_sdk.spec import Attempt, Placement, Signature


def lazy_session(loading: Loading, built: Signature) -> Session:
    """A session whose model is opened when it is first run, or asked where it runs.

    Args:
        loading: of an artifact.
        built: the build's signature, which the model will be held to.
    """
    model = Lazy(built, loading.opened)
    session = loading.opening.session(model)
    model.when_open = session._attach
    return session


class Lazy(LoadedModel):
    """Stands for a model until somebody asks for what only the model can tell or do.

    Attributes:
        when_open: told of the model, which then takes this one's place.
    """

    def __init__(self, signature: Signature, opened: Callable[[], Opened]) -> None:
        self.signature = signature
        self.when_open: Callable[[LoadedModel, Sequence[Attempt]], None] | None = None
        self._opened: Callable[[], Opened] | None = opened
        self._lock = Lock()
        self._model: LoadedModel | None = None
        self._closed = False

    @property
    def signatures(self) -> tuple[str, ...]:
        """See ``LoadedModel.signatures``."""
        return self._now().signatures

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See ``LoadedModel.run``. Raises what opening the model raises, at every try."""
        return self._now().run(inputs)

    def placement(self) -> Placement:
        """See ``LoadedModel.placement``."""
        return self._now().placement()

    def entry(self, name: str) -> LoadedModel:
        """See ``LoadedModel.entry``."""
        return self._now().entry(name)

    def reset(self) -> None:
        """See ``LoadedModel.reset``: what is not open has no state."""
        if self._model is not None:
            self._model.reset()

    def close(self) -> None:
        """See ``LoadedModel.close``."""
        with self._lock:
            self._closed = True
            if self._model is not None:
                self._model.close()

    def _now(self) -> LoadedModel:
        with self._lock:
            if self._closed:
                raise UsageError("The session is closed.", "Load the model again: edge_sdk.load(…)")
            if self._model is None:
                assert self._opened is not None, "it is forgotten when there is a model"
                self._model, disqualified = self._opened()
                self._opened = None  # it holds the model's content
                if self.when_open is not None:
                    self.when_open(self._model, disqualified)
            return self._model
