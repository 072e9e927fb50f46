"""ONNX Runtime's execution providers that come as packages of their own.

Such a package holds a library that is registered with ONNX Runtime once a process; then it is known
for which devices of this machine it is. None of that happens before its delegate is asked for: a
plugin takes tens of megabytes.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from edge_sdk.backends import vulkan
from edge_sdk.backends.delegates import ONNX_PROVIDERS
from edge_sdk.backends.notices import overheard

PACKAGES = {
    "gpu": ("onnxruntime_ep_webgpu", "onnxruntime-ep-webgpu"),
    "openvino": ("onnxruntime_ep_openvino", "onnxruntime-ep-openvino"),
    "qnn": ("onnxruntime_qnn", "onnxruntime-qnn"),
}
"""Delegate to the module and the distribution that bring it."""

_WANTS = {
    "gpu": "a graphics adapter with a Vulkan driver (ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER=1 lets "
    "it take one in software)",
    "openvino": "Intel hardware; onnxruntime-openvino, in place of onnxruntime, takes any CPU",
    "qnn": "a processor of Qualcomm's",
}

_registered: set[str] = set()


def registered() -> set[str]:
    """ONNX Runtime's names of the providers that were registered here: they are not built in."""
    return _registered


def obstacle(delegate: str) -> str:
    """Why a delegate of ``PACKAGES`` cannot be had here; empty if it can be tried."""
    module, distribution = PACKAGES[delegate]
    if find_spec(module) is None:
        return (
            f"this build of ONNX Runtime lacks {ONNX_PROVIDERS[delegate]}, and its plugin is not "
            f"installed: pip install {distribution}"
        )
    if failure := _register(delegate):
        return f"its plugin {distribution} cannot be registered: {failure}"
    if not devices(delegate):
        return f"its plugin {distribution} finds no device here; it takes {_WANTS[delegate]}"
    return ""


def devices(delegate: str) -> list[Any]:
    """The devices that a registered plugin is for."""
    import onnxruntime

    wanted = ONNX_PROVIDERS[delegate]
    return [each for each in onnxruntime.get_ep_devices() if each.ep_name == wanted]


def driver(delegate: str) -> tuple[str, str]:
    """What tells one build of a plugin and its device from the next, and what limits it."""
    if ONNX_PROVIDERS[delegate] not in _registered or not (found := devices(delegate)):
        return "", ""
    device = found[0]
    version = dict(device.ep_metadata).get("version", "")
    text = f"{PACKAGES[delegate][1]} {version} on {device.device.type.name} {device.device.vendor}"
    if delegate == "gpu" and (below := vulkan.drivers()):
        text += f", {below}"
    software = delegate == "gpu" and device.device.type.name == "CPU"
    return text, "on a software adapter, no graphics processor" if software else ""


@lru_cache(maxsize=len(PACKAGES))
def _register(delegate: str) -> str:
    """Register a plugin, once; why it cannot be, or nothing."""
    import onnxruntime

    register = getattr(onnxruntime, "register_execution_provider_library", None)
    if register is None:
        return f"ONNX Runtime {onnxruntime.__version__} knows no plugins, from 1.23 on it does"
    before = {each.ep_name for each in onnxruntime.get_ep_devices()}
    try:
        library = import_module(PACKAGES[delegate][0]).get_library_path()
        with overheard():
            register(ONNX_PROVIDERS[delegate], library)
    except Exception as error:  # noqa: BLE001 - foreign code at import; ONNX Runtime's own classes
        return " ".join(str(error).split())
    after = {each.ep_name for each in onnxruntime.get_ep_devices()}
    _registered.update(after - before, {ONNX_PROVIDERS[delegate]})
    return ""
