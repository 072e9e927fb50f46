"""The manifest: an artifact's own description, and the only file whose digest names it.

``manifest.json`` lists every other file of the artifact with its digest and size; the artifact's
digest is the digest of the manifest's bytes. Whoever holds those bytes can check all the rest.
"""

from typing import Annotated, Literal

from msgspec import Meta

from edge_sdk.spec.guard import InputLimits
from edge_sdk.spec.processing import Postprocess, Preprocess
from edge_sdk.spec.tensor import Signature
from edge_sdk.spec.word import Word

SCHEMA = 1
"""The manifest schema this edgeloop writes. Added fields do not raise it; changed meaning does."""

# In a pattern, $ alone would let a final newline pass.
_END = r"$(?!\n)"
_NUMBER = "(0|[1-9][0-9]*)"
_IDENTIFIER = f"({_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"

Format = Literal["tflite", "coreml", "onnx"]
Sha256 = Annotated[str, Meta(pattern=f"^[0-9a-f]{{64}}{_END}")]
NAME_PATTERN = f"^[a-z0-9][a-z0-9._-]{{0,62}}{_END}"
SEMVER_PATTERN = rf"^{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_IDENTIFIER}(\.{_IDENTIFIER})*)?{_END}"
Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
SemVer = Annotated[str, Meta(pattern=SEMVER_PATTERN)]
Count = Annotated[int, Meta(ge=0)]


class FileEntry(Word, frozen=True, kw_only=True):
    """One file of the artifact: what its bytes must hash to and how many there are."""

    sha256: Sha256
    size: Count


class Agreement(Word, frozen=True, kw_only=True):
    """How far one variant answers as the original did, over the same real inputs.

    Differences are of the outputs in real units, over all outputs together. With operations that
    could not be run here there are no samples and no numbers.

    Attributes:
        samples: how many inputs were compared.
        on: what they were (``evaluation``, ``calibration`` or, failing both, ``random``).
        checked_by: the engine that ran the variant, with its version.
        max_difference, mean_difference: absolute; None also where they are not finite.
        cosine: mean cosine similarity of an output with the original's.
        argmax: share of inputs whose largest output stands at the same index; None where no output
            is a vector of scores.
        accuracy, source_accuracy: share of labelled inputs answered rightly, by the variant and by
            the original; None without labels.
        unchecked_ops: operations of the variant that could only be checked structurally.
    """

    samples: int
    on: Literal["evaluation", "calibration", "random"]
    checked_by: str
    max_difference: float | None = None
    mean_difference: float | None = None
    cosine: float | None = None
    argmax: float | None = None
    accuracy: float | None = None
    source_accuracy: float | None = None
    unchecked_ops: tuple[str, ...] = ()


class Variant(Word, frozen=True, kw_only=True):
    """One build of the model: a format and the recipe that made it.

    Attributes:
        id: ``FORMAT-RECIPE``, also its folder under ``variants/``.
        format: the container.
        recipe: the decodable name of its precision, or ``as-is`` for a file that was only wrapped,
            ``described`` where metadata were added to it.
        path: the model file, or the ``.mlpackage`` folder, inside the artifact.
        size: bytes of all its files.
        backends: engines that can run it, in order of preference.
        signature: inputs and outputs as its engine sees them, in the engine's order and types;
            names are the artifact signature's.
        agreement: the measured likeness to the original; None for the original itself, wrapped.
        described: whether the file itself says what goes in and comes out (a .tflite's metadata),
            for programs that know nothing of this manifest: MediaPipe Tasks runs it as it is.
    """

    id: Name
    format: Format
    recipe: str
    path: str
    size: Count
    backends: tuple[str, ...]
    signature: Signature
    agreement: Agreement | None = None
    described: bool = False


class Provenance(Word, frozen=True, kw_only=True):
    """Where an artifact came from. No times, no machine names: the same inputs, the same bytes.

    Attributes:
        source: file name and format of the original.
        source_sha256: digest of the original (of a folder: of its files' names and digests).
        calibration_sha256, evaluation_sha256: digests of the data used, None if there was none.
        tools: versions of everything that shaped the bytes.
    """

    source: str
    source_format: str
    source_sha256: Sha256
    tools: dict[str, str]
    calibration_sha256: Sha256 | None = None
    evaluation_sha256: Sha256 | None = None


class Manifest(Word, frozen=True, kw_only=True):
    """What an artifact is, promises and contains.

    Attributes:
        schema: see ``SCHEMA``.
        min_agent: the oldest edgeloop that understands everything this manifest means.
        signature: inputs and outputs in the original's terms; every variant is fed and read so.
        labels: class names by index, empty where there are none.
        files: every file of the artifact but this one.
        guard: what an input must keep to be worth asking about; an edgeloop that does not know it
            yet answers whatever it is given, as it always did.
    """

    name: Name
    version: SemVer
    signature: Signature
    variants: tuple[Variant, ...]
    provenance: Provenance
    files: dict[str, FileEntry]
    schema: Annotated[int, Meta(ge=1)] = SCHEMA
    min_agent: SemVer = "0.1.0"
    labels: tuple[str, ...] = ()
    preprocess: Preprocess | None = None
    postprocess: Postprocess | None = None
    description: str = ""
    guard: InputLimits | None = None

    def variant(self, variant_id: str) -> Variant:
        """The variant of that id. Raises KeyError if there is none."""
        for variant in self.variants:
            if variant.id == variant_id:
                return variant
        raise KeyError(variant_id)
