"""Which operations of a TFLite model run where, worked out from an interpreter's node list.

Engines do not tell. After delegation the list still holds every original node, followed by one
``DELEGATE`` node per partition; a partition's operations are those between its inputs and outputs.
Nodes of an external delegate appear when the interpreter is built, XNNPACK's when tensors are
allocated: that order tells whose partition is whose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(slots=True)
class Share:
    """What one delegate has: operations by kind, partitions, and what is handed over per run."""

    kinds: Counter[str] = field(default_factory=Counter)
    partitions: int = 0
    handed_over_bytes: int = 0

    @property
    def operations(self) -> int:
        """How many operations."""
        return self.kinds.total()


def shares(interpreter: Any, before_xnnpack: int) -> tuple[Share, Share, Share]:
    """What an external delegate, XNNPACK and the plain kernels have of a prepared interpreter.

    Args:
        interpreter: with its tensors allocated.
        before_xnnpack: how many nodes it had when it was built.
    """
    nodes = interpreter._get_ops_details()
    original = {node["index"]: node for node in nodes if node["op_name"] != "DELEGATE"}
    producers = {int(t): node for node in original.values() for t in node["outputs"]}
    moving = {int(each["index"]) for each in interpreter.get_input_details()} | set(producers)
    external, xnnpack, plain = Share(), Share(), Share()
    left = dict(original)
    for node in nodes:
        if node["op_name"] != "DELEGATE":
            continue
        share = external if node["index"] < before_xnnpack else xnnpack
        share.partitions += 1
        for index in between(node, producers):
            share.kinds[original[index]["op_name"]] += 1
            left.pop(index, None)
        share.handed_over_bytes += sum(
            _size(interpreter, int(tensor))
            for side in ("inputs", "outputs")
            for tensor in node[side]
            if int(tensor) in moving
        )
    plain.kinds.update(node["op_name"] for node in left.values())
    return external, xnnpack, plain


def between(delegate: dict[str, Any], producers: dict[int, Any]) -> Iterator[int]:
    """The original nodes that a DELEGATE node stands for: walk from its outputs to its inputs."""
    stop = {int(tensor) for tensor in delegate["inputs"]}
    stack, seen = [int(tensor) for tensor in delegate["outputs"]], set()
    while stack:
        tensor = stack.pop()
        node = producers.get(tensor)
        if node is None or node["index"] in seen:
            continue
        seen.add(node["index"])
        yield node["index"]
        stack += [int(t) for t in node["inputs"] if int(t) not in stop]


def _size(interpreter: Any, tensor: int) -> int:
    detail = interpreter._get_tensor_details(tensor, 0)
    dtype = np.dtype(detail["dtype"])
    return 0 if dtype.hasobject else int(np.prod(detail["shape"], dtype=np.int64)) * dtype.itemsize
