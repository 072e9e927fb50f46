"""Every ONNX operation that can be said in PyTorch's, by its type; one module for each family.

To add one: write it in its family's module as a function of the node and its input tensors, name it
in that module's ``OPERATORS``, and give ``tests/unit/converters/test_onnx_torch.py`` a model of it,
which is run by ONNX Runtime, by PyTorch, and as a Core ML program.
"""

from __future__ import annotations

from converters.onnx_torch import dense, elementwise, recurrent, reduction, resize, shape, window
from converters.onnx_torch.node import Operator

OPERATORS: dict[str, Operator] = {
    **dense.OPERATORS,
    **elementwise.OPERATORS,
    **recurrent.OPERATORS,
    **reduction.OPERATORS,
    **resize.OPERATORS,
    **shape.OPERATORS,
    **window.OPERATORS,
}
