"""Metadata into an artifact's files, before they are proven: what ships is what was compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from converters.engines import at_work
from converters.identity import Identity
from converters.recipe import DESCRIBED
from converters.samples import Samples
from converters.sources.engine_file import EngineFileSource
from converters.targets.base import Emitted
from converters.targets.engine_runner import EngineRunner
from converters.tflite.metadata import describes, has_metadata, with_metadata
from edge_sdk.errors import ConversionError, UsageError
from edge_sdk.spec import Format, Signature

FORMAT: Format = "tflite"
LOOKED_AT = 16


def stamped(emitted: Emitted, identity: Identity, declared: Signature) -> Emitted:
    """What a target made, with metadata inside if it is a ``.tflite`` and anything is declared.

    Raises:
        ConversionError: the engine does not load the file with metadata in it.
    """
    if emitted.path.suffix != f".{FORMAT}" or not describes(identity):
        return emitted
    with at_work(f"Describing {emitted.path.name}"):
        model = with_metadata(emitted.path.read_bytes(), identity)
        emitted.path.write_bytes(model)
    runner = EngineRunner(model, FORMAT, declared, emitted.path.stem)
    return Emitted(emitted.path, runner.signature, runner)


def check_describable(original: object, identity: Identity) -> None:
    """Whether metadata can be added to a file that is to be wrapped.

    Raises:
        UsageError: it is another format, or there is nothing to say.
    """
    if not isinstance(original, EngineFileSource) or original.kind != FORMAT:
        raise UsageError(
            "--metadata is for a .tflite that is wrapped as it is.",
            "Leave it out: the .tflite files that edgeloop makes have metadata already.",
        )
    if not describes(identity):
        raise UsageError(
            f"Nothing is declared that {original.name} could say about itself.",
            "Declare it: --preprocess SPEC.toml and, for classes, --labels FILE",
        )


def described(
    original: EngineFileSource, identity: Identity, folder: Path, judged: Samples
) -> EngineFileSource:
    """A copy of a model file with metadata inside, proven to answer the same to the last bit.

    Raises:
        ConversionError: it does not, or the engine does not load it.
    """
    path = folder / f"{FORMAT}-{DESCRIBED}.{FORMAT}"
    with at_work(f"Describing {original.name}"):
        path.write_bytes(with_metadata(original.path.read_bytes(), identity))
    copy = EngineFileSource(path, FORMAT)
    inputs = judged.at(judged.pick(LOOKED_AT))
    expected, found = original.run(inputs), copy.run(inputs)
    for name, answer in expected.items():
        if not np.array_equal(answer, found[name], equal_nan=answer.dtype.kind in "fc"):
            raise ConversionError(
                f"{original.name} answers something else with metadata inside ({name!r}).",
                "Wrap it without: leave out --metadata",
            )
    return copy


def is_described(file: Path) -> bool:
    """Whether a variant's file says what it is to programs that do not know our manifest."""
    return file.suffix == f".{FORMAT}" and has_metadata(file.read_bytes())
