"""The words that all of edgeloop shares: pure data, no numpy, no IO, only stdlib and msgspec.

``converters``, ``device_agent`` and ``fleet`` never import each other; they meet here.
"""

from edge_sdk.spec.codec import decode, decode_manifest, encode
from edge_sdk.spec.decision import ArrayDigest, Decision, Identity, OutputDigests, Placed
from edge_sdk.spec.guard import GuardReport, InputLimits
from edge_sdk.spec.manifest import (
    SCHEMA,
    Agreement,
    FileEntry,
    Format,
    Manifest,
    Provenance,
    Variant,
)
from edge_sdk.spec.placement import Attempt, Placement
from edge_sdk.spec.processing import (
    Classification,
    Detection,
    ImageInput,
    Postprocess,
    Preprocess,
    Segmentation,
    SsdAnchors,
)
from edge_sdk.spec.profile import DeviceProfile, Runtime
from edge_sdk.spec.report import (
    ConversionReport,
    Coverage,
    GoldenCheck,
    InputCheck,
    Latency,
    LayerError,
    LayerNoise,
    Limits,
    Search,
    Shortfall,
    Trial,
    TriedInput,
    VariantReport,
)
from edge_sdk.spec.results import Area, Box, Boxes, Classes, ClassScore, Explained, Result
from edge_sdk.spec.tensor import Dim, DType, Quantization, Signature, TensorSpec
from edge_sdk.spec.version import AGENT_VERSION
from edge_sdk.spec.word import Word

__all__ = [
    "AGENT_VERSION",
    "SCHEMA",
    "Agreement",
    "Area",
    "ArrayDigest",
    "Attempt",
    "Box",
    "Boxes",
    "ClassScore",
    "Classes",
    "Classification",
    "ConversionReport",
    "Coverage",
    "DType",
    "Decision",
    "Detection",
    "DeviceProfile",
    "Dim",
    "Explained",
    "FileEntry",
    "Format",
    "Identity",
    "GoldenCheck",
    "GuardReport",
    "ImageInput",
    "InputLimits",
    "InputCheck",
    "Latency",
    "LayerError",
    "LayerNoise",
    "Limits",
    "Placed",
    "Manifest",
    "OutputDigests",
    "Placement",
    "Postprocess",
    "Preprocess",
    "Provenance",
    "Quantization",
    "Result",
    "Runtime",
    "Search",
    "Segmentation",
    "Shortfall",
    "Signature",
    "SsdAnchors",
    "TensorSpec",
    "Trial",
    "TriedInput",
    "Variant",
    "VariantReport",
    "Word",
    "decode",
    "decode_manifest",
    "encode",
]
