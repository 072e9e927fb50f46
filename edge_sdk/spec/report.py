"""Reports: what was tried, what came of it, and why. Values, never exceptions.

It travels in the artifact as ``report.json``, outside of what the digest covers: it tells how long
calls took where it was made, and the same conversion is to have the same digest everywhere.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from edge_sdk.spec.manifest import Agreement, Format, Provenance
from edge_sdk.spec.tensor import Signature
from edge_sdk.spec.word import Word


class Limits(Word, frozen=True, kw_only=True):
    """What a variant must measure up to before it is called converted; None is not asked.

    Attributes:
        argmax: least share of inputs with the original's argmax.
        cosine: least mean cosine similarity.
        max_difference: greatest absolute difference of any output.
        accuracy_drop: greatest loss of accuracy against the original, as a share (0.01 is a point).
    """

    argmax: float | None = None
    cosine: float | None = None
    max_difference: float | None = None
    accuracy_drop: float | None = None


class Shortfall(Word, frozen=True, kw_only=True):
    """One limit that was missed: which, by what number, against what.

    Attributes:
        measured: None if it is not a finite number, or is not known.
        unknown: that nothing tells it: an engine that is not here, a device that did not measure.
    """

    limit: str
    measured: float | None
    required: float
    unknown: bool = False

    def __str__(self) -> str:
        measured = "not known" if self.unknown else "not finite"
        measured = measured if self.measured is None else f"{self.measured:.6g}"
        return f"{self.limit} is {measured}, and must be {self.required:.6g}"


class TriedInput(Word, frozen=True, kw_only=True):
    """One other way of feeding the original, and how often it was right then.

    Attributes:
        what: ``channels bgr instead of rgb``.
        accuracy: as a share of ``samples``.
    """

    what: str
    accuracy: float
    samples: int


class InputCheck(Word, frozen=True, kw_only=True):
    """Whether the model is fed as it was trained: the classic mistakes held against the data.

    Attributes:
        verdict: ``confirmed`` (no classic mistake answers better), ``doubtful`` (one does, a
            little), ``contradicted`` (one does by far, or the data cannot be what is declared), or
            ``unchecked``, which ``said`` explains.
        said: a sentence.
        remedy: what to write instead.
        samples, accuracy: what the original was right on as declared; None without labels.
        tried: every alternative.
    """

    verdict: Literal["confirmed", "doubtful", "contradicted", "unchecked"]
    said: str
    remedy: str = ""
    samples: int = 0
    accuracy: float | None = None
    tried: tuple[TriedInput, ...] = ()


class Coverage(Word, frozen=True, kw_only=True):
    """Which delegate took how many of a variant's operations where it was proven.

    Attributes:
        operations: how many there are; None where the engine does not tell.
        taken: by delegate, in the order tried; None where the engine does not tell.
    """

    operations: int | None
    taken: dict[str, int | None]


class Latency(Word, frozen=True, kw_only=True):
    """How long one call takes, all variants having taken turns on one machine.

    Attributes:
        p50_ms, p90_ms: of the measured calls, as ``edge bench`` defines them.
        calls: how many were measured.
        backend: the engine and its version.
        threads: that it may use.
    """

    p50_ms: float
    p90_ms: float
    calls: int
    backend: str
    threads: int


class LayerError(Word, frozen=True, kw_only=True):
    """One layer's part in the error; see ``converters.sensitivity`` for what the numbers mean.

    Attributes:
        name: the tensor it makes.
        op: the format's name of the operation.
        sqnr_db, typical_db: signal to quantization noise, of all of it and of a typical channel; at
            most 120, which is float arithmetic itself.
        added: noise it adds, as a share of its signal's power (0.01 is 20 dB below it).
    """

    name: str
    op: str
    sqnr_db: float
    typical_db: float
    added: float


class LayerNoise(Word, frozen=True, kw_only=True):
    """Where, layer by layer, a quantized variant parts from a float one.

    Attributes:
        against: the float variant's id.
        samples: how many of the evaluation samples both were run on.
        layers: in the order they run in.
        culprit: the layer to look at first; None if all are alike.
    """

    against: str
    samples: int
    layers: tuple[LayerError, ...]
    culprit: str | None = None


class VariantReport(Word, frozen=True, kw_only=True):
    """What became of one requested variant.

    Attributes:
        status: ``converted`` (proven, in the artifact), ``wrapped`` (the original itself) or
            ``refused``.
        reason: for a refusal, what fell short or what the engine said.
        shortfalls: the limits that were missed.
        coverage: where its operations ran; None where no engine ran it.
        latency: of one call where it was made; None where no engine runs it there, or untold.
        wide: the layers of a mixed build that stayed in floating point.
        noise: its layers beside those of a float variant; None for one that is float itself, or
            where no float variant of its format was made beside it, or its tensors cannot be seen.
    """

    id: str
    format: Format
    recipe: str
    status: Literal["converted", "wrapped", "refused"]
    size: int = 0
    reason: str = ""
    limits: Limits | None = None
    shortfalls: tuple[Shortfall, ...] = ()
    agreement: Agreement | None = None
    coverage: Coverage | None = None
    latency: Latency | None = None
    wide: tuple[str, ...] = ()
    noise: LayerNoise | None = None


class Trial(Word, frozen=True, kw_only=True):
    """One variant that a search made and weighed.

    Attributes:
        size: bytes of its files; 0 if it could not be made.
        accuracy_drop: see ``converters.budget``; None if nothing says.
        latency_ms: median of one call; None if it was not asked for or is not known.
        holds: whether it is proven and within the budget.
        front: whether no other is as good in all three and better in one.
        missed: the budget's limits that it missed.
        reason: why it is no variant at all, budget or not.
        wide: see ``VariantReport``.
    """

    id: str
    format: Format
    recipe: str
    size: int
    accuracy_drop: float | None
    latency_ms: float | None
    holds: bool
    front: bool = False
    missed: tuple[Shortfall, ...] = ()
    reason: str = ""
    wide: tuple[str, ...] = ()


class Search(Word, frozen=True, kw_only=True):
    """What came of looking for the smallest variant within a budget.

    Attributes:
        budget: as it was written.
        latency_from: the file of a device's measurements; None for this machine.
        trials: everything that was made, the smallest first.
        chosen: the smallest that holds, in each format that has one.
    """

    budget: str
    trials: tuple[Trial, ...]
    chosen: tuple[str, ...]
    latency_from: str | None = None


class ConversionReport(Word, frozen=True, kw_only=True):
    """One run of ``converters.convert``.

    Attributes:
        source_size: bytes of the original.
        warnings: what a reader should know before believing the numbers.
        golden: how many golden vectors ship.
        input_check: whether the model is fed as it was trained.
        search: what else was tried, where a budget chose the variants.
        timed_on: the processor and the cores that latencies were measured on; empty if none were.
    """

    name: str
    version: str
    signature: Signature
    provenance: Provenance
    source_size: int
    variants: tuple[VariantReport, ...]
    warnings: tuple[str, ...] = ()
    golden: int = 0
    input_check: InputCheck | None = None
    search: Search | None = None
    timed_on: str = ""

    @property
    def passed(self) -> bool:
        """Whether every requested variant was converted and proven."""
        return bool(self.variants) and all(v.status != "refused" for v in self.variants)


class GoldenCheck(Word, frozen=True, kw_only=True):
    """What came of running one variant over the golden vectors, on one machine.

    Attributes:
        status: ``passed``, ``failed``, or ``skipped`` where no engine here can run it.
        differences: greatest absolute difference, by output; None where it is no finite number.
        tolerance: what was allowed, by output.
        reason: why it was skipped or failed.
        hint: for a skipped one, what would let it run here.
    """

    variant: str
    status: Literal["passed", "failed", "skipped"]
    backend: str = ""
    differences: dict[str, float | None] = msgspec.field(default_factory=dict)
    tolerance: dict[str, float] = msgspec.field(default_factory=dict)
    reason: str = ""
    hint: str = ""
