"""The source's names, given to what engines made under names of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from converters.engines import engine
from edge_sdk.errors import ConversionError


def renamed(model: bytes, names: Mapping[str, str]) -> bytes:
    """The TFLite model with other names in its signatures."""
    schema, builder = engine("ai_edge_litert.schema_py_generated"), engine("flatbuffers").Builder()
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    for signature in tree.signatureDefs:
        for tensor in (*signature.inputs, *signature.outputs):
            tensor.name = names.get(tensor.name.decode(), tensor.name.decode())
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def rename_features(ct: Any, spec: Any, names: list[str], wanted: list[str]) -> None:
    """Rename a Core ML model's inputs and outputs.

    By way of names nobody has: an old name may be another's new one. Values inside the program that
    have a wanted name get another first; otherwise those who read the input would read them.

    Raises:
        ConversionError: it has no input or output of one of these names.
    """
    features = {f.name for f in (*spec.description.input, *spec.description.output)}
    if missing := set(names) - features:
        raise ConversionError(
            f"coremltools left out {', '.join(sorted(missing))}.",
            "Leave out of the model the inputs that nothing reads, and outputs that are twins.",
        )
    for function in spec.mlProgram.functions.values():
        for block in function.block_specializations.values():
            inner = {
                output.name: f"{output.name}_edgeloop_inner"
                for operation in _operations(block)
                for output in operation.outputs
                if output.name in wanted and output.name not in names
            }
            _rename_values(block, inner)
    for number, name in enumerate(names):
        ct.utils.rename_feature(spec, name, f"edgeloop_{number}")
    for number, name in enumerate(wanted):
        ct.utils.rename_feature(spec, f"edgeloop_{number}", name)


def _operations(block: Any) -> Iterator[Any]:
    """The operations of a MIL block, those of the blocks inside them too."""
    for operation in block.operations:
        yield operation
        for nested in operation.blocks:
            yield from _operations(nested)


def _rename_values(block: Any, names: Mapping[str, str]) -> None:
    """Give values of a MIL block other names, where they are made and where they are read."""
    for operation in _operations(block):
        for output in operation.outputs:
            output.name = names.get(output.name, output.name)
        for argument in operation.inputs.values():
            for binding in argument.arguments:
                if binding.WhichOneof("binding") == "name":
                    binding.name = names.get(binding.name, binding.name)
        for nested in operation.blocks:
            nested.outputs[:] = [names.get(name, name) for name in nested.outputs]
    block.outputs[:] = [names.get(name, name) for name in block.outputs]
