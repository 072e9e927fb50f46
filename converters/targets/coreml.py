"""Core ML: coremltools makes the ``.mlpackage``; on Linux our own evaluator runs it.

coremltools converts everywhere but predicts on macOS only. What it made is checked here through
its MIL program, in float32 on the stored weights: the graph and the weights are proven, Apple's own
half-precision arithmetic is not.

Two builds of one model differ in random UUIDs and a date; both are normalised away, so that the
same model gives the same bytes.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from converters.engines import at_work, engine, quiet, tool_version
from converters.mil import MilProgram
from converters.recipe import Recipe
from converters.samples import Samples
from converters.sources.base import Arrays
from converters.sources.tensorflow import TensorFlowSource
from converters.targets.base import Emitted, check_distinct, check_names
from edge_sdk.backends import Array
from edge_sdk.errors import ConversionError
from edge_sdk.spec import Format, Signature

_DATE = "com.github.apple.coremltools.conversion_date"
_MODEL = Path("Data/com.apple.CoreML/model.mlmodel")


class CoreMlTarget:
    """See ``Target``."""

    format: Format = "coreml"
    backends: tuple[str, ...] = ("coreml",)

    def __init__(self, source: TensorFlowSource, folder: Path) -> None:
        self._source = source
        self._folder = folder
        self._models: dict[str, Any] = {}

    def emit(self, recipe: Recipe, calibration: Samples | None) -> Emitted:
        """See ``Target.emit``."""
        what = f"{self.format}-{recipe.name}"
        package = self._folder / f"{what}.mlpackage"
        model = self._converted("fp32" if recipe.name == "fp32" else "fp16")
        with at_work(f"Writing {what}"):
            if recipe.name == "int8-weights":
                optimize = engine("coremltools.optimize.coreml")
                config = optimize.OptimizationConfig(
                    global_config=optimize.OpLinearQuantizerConfig(
                        mode="linear_symmetric", weight_threshold=0
                    )
                )
                model = optimize.linear_quantize_weights(model, config)
            if package.exists():
                shutil.rmtree(package)
            model.save(str(package))
            _normalise(package)
        runner = MilRunner(package, self._source.signature, what)
        if recipe.name == "int8-weights" and not runner.compressed:
            raise ConversionError(
                f"{what} is the fp16 build unchanged: coremltools found no weights to quantize.",
                "Leave the recipe out.",
            )
        return Emitted(package, runner.signature, runner)

    def tools(self) -> Mapping[str, str]:
        """See ``Target.tools``."""
        return {"coremltools": tool_version("coremltools")}

    def _converted(self, precision: str) -> Any:
        """The model as coremltools converts it, with our names and float32 at both ends."""
        if precision in self._models:
            return self._models[precision]
        ct = engine("coremltools")
        frozen = self._source.frozen()
        inputs, outputs = _plain_names(frozen.inputs), _plain_names(frozen.outputs)
        signature = self._source.signature
        wanted = [t.name for t in (*signature.inputs, *signature.outputs)]
        _check_names(wanted)
        check_distinct(signature, "Core ML")
        remedy = "Another target may have the operation: --formats tflite"
        if any("While" in operation.type for operation in frozen.graph.get_operations()):
            remedy = (
                "coremltools does not read every loop: build recurrent layers with unroll=True, "
                "or take another target: --formats tflite"
            )
        with at_work(f"Converting {self._source.name} to Core ML", remedy):
            model = ct.convert(
                [frozen],
                source="tensorflow",
                convert_to="mlprogram",
                minimum_deployment_target=ct.target.iOS17,
                compute_precision=getattr(
                    ct.precision, "FLOAT32" if precision == "fp32" else "FLOAT16"
                ),
                inputs=[
                    ct.TensorType(
                        name=name, shape=tuple(tensor.shape), dtype=tensor.dtype.as_numpy_dtype
                    )
                    for name, tensor in zip(inputs, frozen.inputs, strict=True)
                ],
                outputs=[ct.TensorType(name=name, dtype=np.float32) for name in outputs],
                skip_model_load=True,
            )
            spec = model.get_spec()
            _rename(ct, spec, [*inputs, *outputs], wanted)
            model = ct.models.MLModel(spec, weights_dir=model.weights_dir, skip_model_load=True)
        self._models[precision] = model
        return model


class MilRunner:
    """An ``.mlpackage`` run by our evaluator."""

    def __init__(self, package: Path, declared: Signature, what: str) -> None:
        """Read it.

        Raises:
            ConversionError: it cannot be read, or its inputs and outputs are not the source's.
        """
        with quiet():
            self._program = MilProgram.load(package)
        self.signature: Signature = self._program.signature
        check_names(self.signature, declared, what)
        self.compressed = any(op.startswith("constexpr_") for op in self._program.operations)
        self.unchecked_ops = self._program.unchecked
        self.checked_by = f"MIL evaluator, coremltools {tool_version('coremltools')}"

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Runner.run``."""
        return self._program.run_many(inputs)

    def run_one(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Runner.run_one``."""
        return self._program.run(inputs)


def _plain_names(tensors: list[Any]) -> list[str]:
    """The names of a graph's operations, without the number of the operation's output."""
    return [tensor.name.partition(":")[0] for tensor in tensors]


def _check_names(names: list[str]) -> None:
    for name in names:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ConversionError(
                f"Core ML cannot have an input or output called {name!r}: only letters, digits "
                "and _ are allowed.",
                "Rename that layer of the model, or leave the format out: --formats tflite,onnx",
            )


def _rename(ct: Any, spec: Any, names: list[str], wanted: list[str]) -> None:
    """Rename by way of names nobody has: an old name may be another's new one."""
    for number, name in enumerate(names):
        ct.utils.rename_feature(spec, name, f"edgeloop_{number}")
    for number, name in enumerate(wanted):
        ct.utils.rename_feature(spec, f"edgeloop_{number}", name)


def _normalise(package: Path) -> None:
    """Take out what differs between two builds of the same model."""
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
    (package / _MODEL).write_bytes(proto.SerializeToString(deterministic=True))
