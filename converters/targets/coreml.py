"""Core ML: coremltools makes the ``.mlpackage``; on Linux our own evaluator runs it.

coremltools converts everywhere but predicts on macOS only. What it made is checked here through
its MIL program, in float32 on the stored weights: the graph and the weights are proven, Apple's own
half-precision arithmetic is not.

Two builds of one model differ in random UUIDs and a date; both are normalised away, so that the
same model gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from converters.engines import at_work, engine, quiet, tool_version
from converters.mil import MilProgram
from converters.recipe import Recipe
from converters.samples import Samples
from converters.sources.base import Arrays, Source
from converters.targets.base import Emitted, check_names
from converters.targets.coreml_recipes import SYSTEM, SYSTEMS, compressed
from converters.trunks import CoreMlTrunk, open_trunk
from edge_sdk.backends import Array
from edge_sdk.backends.coreml_terms import KEY, Terms, in_terms, metadata_of, terms_of
from edge_sdk.errors import ConversionError
from edge_sdk.runtime import Session
from edge_sdk.spec import Format, Placement, Signature

_DATE = "com.github.apple.coremltools.conversion_date"
_MODEL = Path("Data/com.apple.CoreML/model.mlmodel")


class CoreMlTarget:
    """See ``Target``."""

    format: Format = "coreml"
    backends: tuple[str, ...] = ("coreml",)

    def __init__(self, source: Source, folder: Path) -> None:
        self._source = source
        self._folder = folder
        self._trunk = cast(CoreMlTrunk, open_trunk(self.format, source, folder))
        self._models: dict[tuple[str, str], Any] = {}

    def emit(self, recipe: Recipe, calibration: Samples | None) -> Emitted:
        """See ``Target.emit``."""
        what = f"{self.format}-{recipe.name}"
        package = self._folder / f"{what}.mlpackage"
        precision = "fp32" if recipe.name == "fp32" else "fp16"
        model = self._converted(precision, SYSTEMS.get(recipe.name, SYSTEM))
        with at_work(f"Writing {what}"):
            model = compressed(model, recipe.name)
            if package.exists():
                shutil.rmtree(package)
            model.save(str(package))
            _normalise(package, metadata_of(_terms(self._source.signature)))
        runner = MilRunner(package, self._source.signature, what)
        if recipe.name not in ("fp32", "fp16") and not runner.compressed:
            raise ConversionError(
                f"{what} is the fp16 build unchanged: coremltools found no weights to compress.",
                "Leave the recipe out.",
            )
        return Emitted(package, runner.signature, runner)

    def trunk(self) -> Any:
        """See ``Target.trunk``."""
        return self._converted("fp32", SYSTEM)

    def tools(self) -> Mapping[str, str]:
        """See ``Target.tools``."""
        return self._trunk.tools()

    def _converted(self, precision: str, system: str) -> Any:
        if (precision, system) not in self._models:
            self._models[precision, system] = self._trunk.build(precision, system)
        return self._models[precision, system]


class MilRunner:
    """An ``.mlpackage`` run by our evaluator, in the source's terms."""

    def __init__(self, package: Path, declared: Signature, what: str) -> None:
        """Read it.

        Raises:
            ConversionError: it cannot be read, or its inputs and outputs are not the source's.
        """
        with quiet():
            self._program = MilProgram.load(package)
        found = self._program.signature
        self._terms = terms = _terms(declared)
        self._names = {in_terms(t, terms).name: t.name for t in found.inputs}
        self.signature = Signature(
            inputs=tuple(in_terms(t, terms) for t in found.inputs),
            outputs=tuple(in_terms(t, terms) for t in found.outputs),
            name=found.name,
        )
        check_names(self.signature, declared, what)
        self.operations = self._program.operations
        self.compressed = any(op.startswith("constexpr_") for op in self.operations)
        self.unchecked_ops = self._program.unchecked
        self.placement: Placement | None = None
        self.session: Session | None = None
        self.checked_by = f"MIL evaluator, coremltools {tool_version('coremltools')}"

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Runner.run``. What is a single number in the source is a row of one here."""
        outputs = self._program.run_many({self._names[n]: a for n, a in inputs.items()})
        return {self._terms[name].name: array for name, array in outputs.items()}

    def run_one(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Runner.run_one``."""
        feeds = {self._names[name]: array for name, array in inputs.items()}
        outputs = self._program.run(
            {n: np.reshape(a, 1) if self._terms[n].scalar else a for n, a in feeds.items()}
        )
        return {
            self._terms[n].name: np.reshape(a, ()) if self._terms[n].scalar else a
            for n, a in outputs.items()
        }


def _terms(signature: Signature) -> dict[str, Terms]:
    """By Core ML's name, how the source calls its inputs and outputs."""
    return terms_of((*signature.inputs, *signature.outputs))


def _normalise(package: Path, terms: str) -> None:
    """Take out what differs between two builds of the same model; put in the source's terms."""
    manifest = package / "Manifest.json"
    document = json.loads(manifest.read_text())
    items = sorted(document["itemInfoEntries"].values(), key=lambda item: item["path"])
    names = {item["path"]: f"00000000-0000-4000-8000-{i:012}" for i, item in enumerate(items)}
    document["itemInfoEntries"] = {names[item["path"]]: item for item in items}
    document["rootModelIdentifier"] = names[str(_MODEL.relative_to("Data"))]
    manifest.write_text(json.dumps(document, indent=4, sort_keys=True) + "\n")
    proto = engine("coremltools.proto.Model_pb2").Model()
    proto.ParseFromString((package / _MODEL).read_bytes())
    proto.description.metadata.userDefined.pop(_DATE, None)
    if terms:
        proto.description.metadata.userDefined[KEY] = terms
    (package / _MODEL).write_bytes(proto.SerializeToString(deterministic=True))
