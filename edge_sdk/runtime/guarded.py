"""A session of a model that takes arrays and has limits: they hold for ``run`` too.

The limits of a model of pictures are of pictures, and ``run`` takes the tensors that a program has
made of them; those of a model of arrays are of the very arrays that ``run`` is given. A session
without limits is none of this kind, and its thin path stays as thin as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge_sdk.backends.base import Array
from edge_sdk.guard import RefusedRows
from edge_sdk.runtime.session import Session


class GuardedSession(Session):
    """See above; ``guard`` is set once the session is there."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """``Session.run``. Raises RefusedInput, and what that raises."""
        if self.guard is not None:
            self.guard.admit(inputs)
        return self._ask(inputs)

    def run_batch(
        self, inputs: Mapping[str, Array], *, rows: int | None = None
    ) -> dict[str, Array]:
        """``Session.run_batch``. Raises RefusedRows, which holds the others' outputs."""
        from edge_sdk.runtime.batches import run_batch

        faults = {} if self.guard is None else self.guard.admit_rows(inputs)
        if not faults:
            return run_batch(self._ask, self.engine_signature, inputs, rows)
        count = len(next(iter(inputs.values())))
        kept = [row for row in range(count) if row not in faults]
        outputs = {}
        if kept:
            part = {name: array[kept] for name, array in inputs.items()}
            outputs = run_batch(self._ask, self.engine_signature, part, rows)
        raise RefusedRows(faults, tuple(kept), outputs)
