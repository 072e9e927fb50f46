"""What a probe is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from converters.sources.base import Arrays
from edge_sdk.backends import Array


@dataclass(frozen=True)
class Layer:
    """One operation of a build.

    Attributes:
        name: of the tensor it makes; where it makes several, of the first.
        op: the format's name of the operation.
        reads, makes: names of the tensors it reads (constants left out) and makes.
    """

    name: str
    op: str
    reads: tuple[str, ...]
    makes: tuple[str, ...]


class Probe(Protocol):
    """A build that shows what happens inside it.

    Attributes:
        layers: in the order they run in.
        inputs: names of the tensors that the build is fed.
        channel_axis: where a tensor of feature maps has its channels.
    """

    layers: tuple[Layer, ...]
    inputs: tuple[str, ...]
    channel_axis: int

    def tensors(self, inputs: Arrays) -> Iterator[tuple[str, Array]]:
        """Name and value of every tensor of real numbers, for one sample.

        Args:
            inputs: as ``Source.run_one`` takes them.

        A value is valid until the next one is asked for.
        """
