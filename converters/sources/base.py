"""What a source is to the rest of the conversion: a signature, and answers to compare with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from edge_sdk.backends import Array
from edge_sdk.errors import ConversionError
from edge_sdk.spec import Signature, TensorSpec

Arrays = Mapping[str, Array]


class Source(Protocol):
    """A trained model, opened: the original that every variant is held against.

    Attributes:
        name: its file name, or the object's own name.
        family: which engines can read it (see ``converters.trunks``).
        sha256: digest of its bytes (of a folder: of its files' names and digests).
        size: bytes.
        signature: inputs and outputs; the batch axis is ``"batch"`` where it may vary.
    """

    name: str
    family: str
    sha256: str
    size: int
    signature: Signature

    @property
    def kind(self) -> str:
        """Its format: ``keras``, ``savedmodel``, ``pytorch``, ``pt2``, ``torchscript``, …."""

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """The original's answers to many samples, by output name.

        Args:
            inputs: one array per input, samples along its first axis: an input of 1 x 28 x 28, or
                of batch x 28 x 28, takes N x 28 x 28, and so does one of 28 x 28.

        Returns:
            The outputs, samples along their first axis in the same way.
        """

    def run_one(self, inputs: Arrays) -> dict[str, Array]:
        """The answer to one sample, everything in the signature's own shapes."""

    def tools(self) -> dict[str, str]:
        """Versions of what was needed to read and run it."""


def has_batch_axis(tensor: TensorSpec) -> bool:
    """Whether the first axis counts samples; else one sample is the whole tensor (a waveform)."""
    return bool(tensor.shape) and (tensor.shape[0] == 1 or isinstance(tensor.shape[0], str))


def alone(inputs: Arrays, signature: Signature, index: int) -> dict[str, Array]:
    """One of many samples, in the signature's own shapes."""
    return {
        tensor.name: inputs[tensor.name][index : index + 1]
        if has_batch_axis(tensor)
        else np.asarray(inputs[tensor.name][index])
        for tensor in signature.inputs
    }


def one_by_one(
    run_one: Callable[[Arrays], dict[str, Array]], inputs: Arrays, signature: Signature
) -> dict[str, Array]:
    """Many samples through ``run_one``; takes and answers as ``Source.run`` does.

    Raises:
        ConversionError: answers differ in shape from sample to sample.
    """
    count = len(next(iter(inputs.values())))
    rows = [run_one(alone(inputs, signature, index)) for index in range(count)]
    joined = {}
    for tensor in signature.outputs:
        parts = [row[tensor.name] for row in rows]
        if len({part.shape for part in parts}) > 1:
            raise ConversionError(
                f"{tensor.name!r} is of another length for each input, so that answers cannot be "
                "compared.",
                "Export the model without that last step (non-maximum suppression, say).",
            )
        batched = has_batch_axis(tensor) and parts[0].shape[:1] == (1,)
        joined[tensor.name] = np.concatenate(parts) if batched else np.stack(parts)
    return joined


def same_together(
    run_one: Callable[[Arrays], dict[str, Array]], inputs: Arrays, signature: Signature
) -> bool:
    """Whether samples run together give what they give alone, but for rounding.

    Not so where a model mixes samples: a transpose, a softmax over axis 0. On a device it will see
    one sample at a time.
    """
    single = one_by_one(run_one, inputs, signature)
    try:
        together = run_one(inputs)
    except ConversionError:
        return False
    return all(
        together[name].shape == array.shape
        and np.allclose(together[name], array, rtol=1e-3, atol=1e-5, equal_nan=True)
        for name, array in single.items()
    )
