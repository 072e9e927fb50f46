"""From pictures to tensors and from tensors to answers: the arithmetic of declared processing.

``Processing`` is what a session uses. Converters feed their data through ``ImagePreprocessor``, so
that a model is calibrated and judged on the very numbers that a device will feed it.
"""

from edge_sdk.processing.affine import dequantize, quantize
from edge_sdk.processing.classification import classify
from edge_sdk.processing.detection import Detector
from edge_sdk.processing.geometry import Geometry
from edge_sdk.processing.image import ImagePreprocessor
from edge_sdk.processing.processing import Processing
from edge_sdk.processing.segmentation import Mask
from edge_sdk.processing.spec_file import read_labels, read_processing

__all__ = [
    "Detector",
    "Geometry",
    "ImagePreprocessor",
    "Mask",
    "Processing",
    "classify",
    "dequantize",
    "quantize",
    "read_labels",
    "read_processing",
]
