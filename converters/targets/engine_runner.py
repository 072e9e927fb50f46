"""Running an emitted file in the very engine, and through the very session, a device would use."""

from __future__ import annotations

from converters.engines import at_work
from converters.sources.base import Arrays, one_by_one
from converters.targets.base import check_names
from edge_sdk.backends import Array, backend_for
from edge_sdk.errors import ConversionError, EdgeError
from edge_sdk.processing import Processing
from edge_sdk.runtime import Session
from edge_sdk.runtime.choosing import default_threads
from edge_sdk.spec import Format, Placement, Signature


class EngineRunner:
    """One emitted file, loaded.

    Attributes:
        signature: the engine's inputs and outputs under the source's names.
        session: as a device would open it.
    """

    unchecked_ops: tuple[str, ...] = ()

    def __init__(self, model: bytes, format_: Format, declared: Signature, what: str) -> None:
        """Load it.

        Raises:
            ConversionError: the engine that is to run it refuses it, or its inputs and outputs are
                not those of the source.
        """
        engine = backend_for(format_)
        self.checked_by = f"{engine.name} {engine.version()}"
        try:
            loaded = engine.open(model, delegates=(), threads=default_threads())
        except EdgeError as error:
            raise ConversionError(
                f"{what} was made, but {self.checked_by} does not load it: {error.message}",
                error.hint,
            ) from error
        self.signature: Signature = loaded.signature
        check_names(self.signature, declared, what)
        self.session = Session(
            loaded,
            declared,
            self.signature,
            variant=what,
            processing=Processing(signature=declared, engine_signature=self.signature),
        )

    @property
    def placement(self) -> Placement | None:
        """See ``Answering.placement``."""
        return self.session.placement

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Runner.run``: sample by sample, as a device would."""
        with at_work(f"Running {self.session.variant}"):
            return one_by_one(self.run_one, inputs, self.session.signature)

    def run_one(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Runner.run_one``."""
        return self.session.run(inputs)
