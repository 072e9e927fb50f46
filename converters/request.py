"""What is asked of a conversion, checked before the hard work."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from converters.evidence import Data
from converters.identity import Identity
from converters.recipe import AS_IS
from converters.scores import scores_output
from converters.sources import Source, is_engine_file
from edge_sdk.artifact import SUFFIX
from edge_sdk.errors import UsageError
from edge_sdk.guard import check_fit, check_limits, check_travels
from edge_sdk.processing import Processing
from edge_sdk.spec import Classification
from edge_sdk.spec.manifest import NAME_PATTERN, SEMVER_PATTERN


def checked_name(name: str | None, output: Path) -> str:
    """The artifact's name, by default from the output's. Raises UsageError."""
    if output.suffix != SUFFIX:
        raise UsageError(
            f"{output} is not a name for an artifact.",
            f"Call it {output.with_suffix(SUFFIX) if output.stem.strip('.') else 'model.edge'}.",
        )
    if name is None:
        # model-1.2.0.edge is model, version 1.2.0
        name = re.sub(r"-\d+\.\d+\.\d+.*$", "", output.stem).lower()
    if not re.match(NAME_PATTERN, name):
        raise UsageError(
            f"{name!r} is not a name for an artifact.",
            "Use small letters, digits, '.', '_' and '-', 63 at most: --name flowers",
        )
    return name


def checked_version(version: str) -> str:
    """The version, if it is one. Raises UsageError."""
    if not re.match(SEMVER_PATTERN, version):
        raise UsageError(f"{version!r} is not a version.", "Write it as 1.2.0: --version 1.2.0")
    return version


def declared(original: Source, identity: Identity) -> Identity:
    """The identity, with the postprocessing that labels imply where only one output has scores.

    Raises:
        UsageError: processing, labels or limits do not fit the model; better now than after the
            hard work.
    """
    if identity.labels and identity.postprocess is None:
        scores = scores_output(original.signature, None)
        declared = Classification(output=scores) if scores else None
        identity = replace(identity, postprocess=declared)
    Processing(
        signature=original.signature,
        engine_signature=original.signature,
        preprocess=identity.preprocess,
        postprocess=identity.postprocess,
        labels=identity.labels,
    )
    if identity.guard is not None:
        pictures = identity.preprocess is not None
        check_travels(check_limits(identity.guard))
        check_fit(identity.guard, original.signature, pictures=pictures)
    return identity


def is_wrapped(
    source: Any, formats: Sequence[str], recipes: Sequence[str], budget: str | None
) -> bool:
    """Whether a model file that an engine runs already is to stay as it is: nothing is asked."""
    asked = formats or budget is not None or not set(recipes) <= {AS_IS}
    return is_engine_file(source) and not asked


def check_wrappable(original: Source, calibrate: Data | None) -> None:
    """Raises UsageError where more is asked of a model file than to be wrapped."""
    if calibrate is not None:
        raise UsageError(
            f"{original.name} is wrapped as it is: there is nothing to calibrate.",
            "Ask for what is to be made of it: --recipe int8; or leave out --calibrate: "
            "--evaluate DATA measures it on data of yours.",
        )
