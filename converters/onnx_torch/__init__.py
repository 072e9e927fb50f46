"""ONNX models as PyTorch modules, for engines that read PyTorch and no ONNX: Core ML's.

``network`` makes the module, ``unmapped`` says beforehand which operations stand in the way. Why
this is ours, and not onnx2torch's: ``docs/adr/0008``.
"""

from converters.onnx_torch.network import Lacking, engine_dtype, named, network, unmapped

__all__ = ["Lacking", "engine_dtype", "named", "network", "unmapped"]
