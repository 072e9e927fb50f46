"""TFLite metadata: what a ``.tflite`` says about itself, so that MediaPipe Tasks runs it as it is.

Our manifest declares how a picture becomes numbers and what the numbers mean. A program that knows
nothing of our artifacts reads the same out of the file's own ``TFLITE_METADATA`` buffer
(``metadata_schema.fbs`` of TensorFlow Lite Support, identifier M001): the input's colours, size,
mean and standard deviation, the outputs' names, and the class names, in a text file that is
appended to the model as a zip. Everything is numbered after that schema.

What the format cannot say, and what is done about it:

* **BGR.** Tasks feeds RGB whatever the model wants. Such an input gets no normalisation, without
  which Tasks refuses a float model: better than swapped colours.
* **How a picture is fitted.** ImageClassifier and ImageSegmenter stretch, FaceDetector letterboxes.
* **An activation** that is still to be applied to the scores: Tasks takes them as they are.

The artifact's version is left out on purpose: the same weights stay the same file, which a device
that has it need not fetch again.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

from converters.engines import engine
from converters.identity import Identity
from converters.tflite.buffers import buffer_of, with_buffer
from edge_sdk.spec import Classification, Detection, ImageInput

NAME = "TFLITE_METADATA"
IDENTIFIER = b"M001"
LABELS = "labels.txt"
OLDEST_PARSER = "1.0.0"
"""The version of the metadata parser that knows all that is written here."""

_AXIS_LABELS = 2  # AssociatedFileType
_IMAGE = 2  # ContentProperties: ImageProperties
_FEATURES = 1  # ContentProperties: FeatureProperties
_NORMALIZATION = 1  # ProcessUnitOptions: NormalizationOptions
_COLOURS = {"rgb": 1, "gray": 2}  # ColorSpaceType


def describes(identity: Identity) -> bool:
    """Whether there is anything declared for a file to say."""
    return bool(identity.preprocess or identity.postprocess or identity.labels)


def with_metadata(model: bytes, identity: Identity) -> bytes:
    """The model with what ``identity`` declares inside; what it said before is replaced.

    The computation is untouched, to the byte (see ``converters.tflite.buffers``).
    """
    labels = "".join(f"{label}\n" for label in identity.labels)
    model = _without_files(model)
    stamped = with_buffer(model, NAME, _metadata(model, identity))
    if stamped is model or not labels:
        return stamped
    file = io.BytesIO(stamped)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(LABELS, (1980, 1, 1, 0, 0, 0)), labels)
    return file.getvalue()


def has_metadata(model: bytes) -> bool:
    """Whether the file says something about itself."""
    return buffer_of(model, NAME) is not None


def _without_files(model: bytes) -> bytes:
    """The model without the zip at its end: the files of the metadata that it had."""
    file = io.BytesIO(model)
    if not zipfile.is_zipfile(file):
        return model
    with zipfile.ZipFile(file) as archive:
        return model[: min((m.header_offset for m in archive.infolist()), default=len(model))]


def _metadata(model: bytes, identity: Identity) -> bytes:
    builder = engine("flatbuffers").Builder(1024)
    inputs, outputs = _tensor_names(model)
    feeds = [_input(builder, name, identity.preprocess) for name in inputs]
    answers = [_output(builder, name, identity) for name in outputs]
    graph = _table(builder, 10, {2: _vector(builder, feeds), 3: _vector(builder, answers)})
    text = builder.CreateString
    fields = {
        0: text(identity.name),
        1: text(identity.description) if identity.description else 0,
        3: _vector(builder, [graph]),
        7: text(OLDEST_PARSER),
    }
    builder.Finish(_table(builder, 8, fields), IDENTIFIER)
    return bytes(builder.Output())


def _tensor_names(model: bytes) -> tuple[list[str], list[str]]:
    """Inputs and outputs in the graph's own order, by the names of its signature if it has one."""
    root = engine("ai_edge_litert.schema_py_generated").Model.GetRootAs(model, 0)
    graph = root.Subgraphs(0)
    names: dict[int, str] = {}
    if root.SignatureDefsLength():
        signature = root.SignatureDefs(0)
        for count, at in (
            (signature.InputsLength(), signature.Inputs),
            (signature.OutputsLength(), signature.Outputs),
        ):
            names |= {at(i).TensorIndex(): at(i).Name().decode() for i in range(count)}

    def listed(count: int, at: Callable[[int], int]) -> list[str]:
        tensors = [at(i) for i in range(count)]
        return [names.get(t) or graph.Tensors(t).Name().decode() for t in tensors]

    return listed(graph.InputsLength(), graph.Inputs), listed(graph.OutputsLength(), graph.Outputs)


def _input(builder: Any, name: str, preprocess: ImageInput | None) -> int:
    if preprocess is None or preprocess.input != name:
        return _tensor(builder, name, 0, [], [])
    height, width = preprocess.size
    builder.StartObject(2)
    builder.PrependUint32Slot(0, width, 0)
    builder.PrependUint32Slot(1, height, 0)
    size = builder.EndObject()
    builder.StartObject(2)
    builder.PrependInt8Slot(0, _COLOURS.get(preprocess.channels, 0), 0)
    builder.PrependUOffsetTRelativeSlot(1, size, 0)
    content = _content(builder, _IMAGE, builder.EndObject())
    units = []
    if preprocess.channels in _COLOURS:
        mean, std = (_floats(builder, numbers) for numbers in (preprocess.mean, preprocess.std))
        units.append(_union(builder, _NORMALIZATION, _table(builder, 2, {0: mean, 1: std})))
    return _tensor(builder, name, content, units, [])


def _output(builder: Any, name: str, identity: Identity) -> int:
    files = []
    if identity.labels and name == _scores(identity):
        title = builder.CreateString(LABELS)
        builder.StartObject(5)
        builder.PrependUOffsetTRelativeSlot(0, title, 0)
        builder.PrependInt8Slot(2, _AXIS_LABELS, 0)
        files.append(builder.EndObject())
    content = _content(builder, _FEATURES, _table(builder, 0, {}))
    return _tensor(builder, name, content, [], files)


def _scores(identity: Identity) -> str | None:
    """The output whose last axis the labels name."""
    declared = identity.postprocess
    if isinstance(declared, Classification):
        return declared.output
    return declared.scores if isinstance(declared, Detection) else None


def _tensor(
    builder: Any, name: str, content: int, units: Sequence[int], files: Sequence[int]
) -> int:
    fields = {
        0: builder.CreateString(name),
        3: content,
        4: _vector(builder, units) if units else 0,
        6: _vector(builder, files) if files else 0,
    }
    return _table(builder, 7, fields)


def _content(builder: Any, kind: int, properties: int) -> int:
    return _union(builder, kind, properties, fields=3)


def _union(builder: Any, kind: int, value: int, fields: int = 2) -> int:
    """A table whose first two fields are a union: which table it is, and where."""
    builder.StartObject(fields)
    builder.PrependUint8Slot(0, kind, 0)
    builder.PrependUOffsetTRelativeSlot(1, value, 0)
    made: int = builder.EndObject()
    return made


def _table(builder: Any, count: int, fields: dict[int, int]) -> int:
    """A table of ``count`` fields of which some point to what was written before."""
    builder.StartObject(count)
    for field, offset in fields.items():
        builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    made: int = builder.EndObject()
    return made


def _vector(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    made: int = builder.EndVector()
    return made


def _floats(builder: Any, numbers: Sequence[float]) -> int:
    builder.StartVector(4, len(numbers), 4)
    for number in reversed(numbers):
        builder.PrependFloat32(number)
    made: int = builder.EndVector()
    return made
