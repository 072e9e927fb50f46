"""A named buffer put into a ``.tflite`` without unpacking it.

A flatbuffer's offsets only ever point towards its end. So a new head, that is a root table, a list
of buffers and a list of metadata, can be laid *before* the old file, pointing into it; the old
bytes stay where they are to each other, and the head's length is a multiple of 64, so that weights
keep their alignment (which a Python unpack-and-pack loses: it does not know of ``force_align``).
What the old root table was is left over: some 40 bytes that nothing points to.

Fields by number, after TensorFlow's ``schema.fbs``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from converters.engines import engine

IDENTIFIER = b"TFL3"
ALIGNMENT = 64

_MODEL_FIELDS = 10
_VERSION, _BUFFERS, _METADATA = 0, 4, 6
_OFFSET = 4


def with_buffer(model: bytes, name: str, content: bytes) -> bytes:
    """The model with ``content`` as its metadata buffer ``name``; an older one is forgotten.

    The same arguments give the same bytes. A file that keeps weights outside its flatbuffer (over
    2 GB) counts offsets from its first byte and is returned unchanged.
    """
    schema, flatbuffers = engine("ai_edge_litert.schema_py_generated"), engine("flatbuffers")
    root = schema.Model.GetRootAs(model, 0)
    if any(root.Buffers(at).Offset() > 1 for at in range(root.BuffersLength())):
        return model
    old = model + b"\0" * (-len(model) % ALIGNMENT)
    builder = flatbuffers.Builder(len(old) + len(content) + 4096)
    # The old file is, to the builder, something already written: positions count from the end.
    builder.head -= len(old)
    builder.Bytes[builder.head :] = old
    buffers = [len(old) - root.Buffers(at)._tab.Pos for at in range(root.BuffersLength())]
    entries = [
        len(old) - entry._tab.Pos for entry in _entries(root) if entry.Name() != name.encode()
    ]
    builder.StartVector(1, len(content), ALIGNMENT)
    builder.head -= len(content)
    builder.Bytes[builder.head : builder.head + len(content)] = content
    stored = builder.EndVector()
    builder.StartObject(3)
    builder.PrependUOffsetTRelativeSlot(0, stored, 0)
    buffers.append(builder.EndObject())
    title = builder.CreateString(name)
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(0, title, 0)
    builder.PrependUint32Slot(1, len(buffers) - 1, 0)
    entries.append(builder.EndObject())
    replaced = {_BUFFERS: _vector(builder, buffers), _METADATA: _vector(builder, entries)}
    builder.StartObject(_MODEL_FIELDS)
    builder.PrependUint32Slot(_VERSION, root.Version(), 0)
    for field in range(_VERSION + 1, _MODEL_FIELDS):
        offset = replaced.get(field) or _kept(root, field, len(old))
        builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    head = builder.EndObject()
    builder.minalign = ALIGNMENT
    builder.Finish(head, IDENTIFIER)
    return bytes(builder.Output())


def buffer_of(model: bytes, name: str) -> bytes | None:
    """The content of the metadata buffer called ``name``; None if there is none."""
    root = engine("ai_edge_litert.schema_py_generated").Model.GetRootAs(model, 0)
    for entry in _entries(root):
        if entry.Name() == name.encode():
            return bytes(root.Buffers(entry.Buffer()).DataAsNumpy())
    return None


def _entries(root: Any) -> Iterator[Any]:
    return (root.Metadata(at) for at in range(root.MetadataLength()))


def _kept(root: Any, field: int, length: int) -> int:
    """Where the old root's field points to, counted from the end; 0 if it has none."""
    where = root._tab.Offset(4 + 2 * field)
    return length - root._tab.Indirect(root._tab.Pos + where) if where else 0


def _vector(builder: Any, offsets: list[int]) -> int:
    builder.StartVector(_OFFSET, len(offsets), _OFFSET)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    made: int = builder.EndVector()
    return made
