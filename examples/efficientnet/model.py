"""The network and its photographs, as ``edge convert`` takes them.

edge convert examples.efficientnet.model:lite0 -o lite0-1.0.0.edge \\
    --formats tflite,coreml,onnx --recipe fp32,fp16,int8 \\
    --preprocess examples/efficientnet/photo.toml \\
    --calibrate examples.efficientnet.model:photos --evaluate examples.efficientnet.model:photos

Its code and its weights are two assets (see ``examples/assets.toml``); the weights are a
``state_dict``, which holds no model, so that a function must put the two together.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from edge_sdk.pipeline import read_picture
from edge_sdk.processing import ImagePreprocessor, read_processing
from edge_sdk.spec import ImageInput, TensorSpec
from examples.assets import asset

SPEC = Path(__file__).with_name("photo.toml")


def lite0() -> Any:
    """The network with its weights, and the shape of its input."""
    import torch

    network = _code().EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(asset("efficientnet-lite0"), map_location="cpu", weights_only=True)
    network.load_state_dict(weights)
    return network, (torch.zeros(1, 3, 224, 224),)


def photos() -> dict[str, np.ndarray]:
    """Twenty photographs and their classes: for agreement, too few for accuracy."""
    preprocess, _ = read_processing(SPEC)
    files = sorted(asset("imagenet-photos").glob("*.jpg"))
    tensor = TensorSpec(name="inputs", dtype="float32", shape=(1, 3, 224, 224))
    if not isinstance(preprocess, ImageInput):
        raise TypeError(f"{SPEC} declares no picture")
    preparer = ImagePreprocessor(preprocess, tensor)
    return {
        "x": np.concatenate([preparer.prepare(read_picture(file))[0] for file in files]),
        "y": np.asarray([int(re.split(r"[_.]", file.name)[2]) for file in files]),
    }


def _code() -> ModuleType:
    """The package ``efficientnet-lite-pytorch``, imported from its asset without installing it."""
    name = "efficientnet_lite_pytorch"
    if name not in sys.modules:
        folder = asset("efficientnet-lite-code")
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{folder} holds no package")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
