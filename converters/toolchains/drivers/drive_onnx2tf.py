"""Run by the Python of the toolchain onnx2tf: ``drive_onnx2tf.py MODEL.onnx OUT.tflite``.

The float32 file of onnx2tf's direct path, the one way of it that makes files LiteRT loads; what it
quantizes by itself does not run. The model comes prepared: shapes fixed, constants folded, names
plain. Every input keeps the source's own layout.

Nothing is fetched while it works: a connection is an error. Its last line says why it failed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

FAILED, DAMAGED = 1, 3


def _no_network(event: str, _arguments: Any) -> None:
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise PermissionError("a conversion has no business on the network")


def _reason(error: BaseException) -> str:
    """The innermost cause: what onnx2tf raises at last only says that something went wrong."""
    seen = [error]
    while (inner := seen[-1].__cause__ or seen[-1].__context__) and inner not in seen:
        seen.append(inner)
    told = [each for each in seen if not isinstance(each, SystemExit) and str(each)]
    return " ".join(str((told or [error])[-1]).split()) or type(error).__name__


def _convert(source: str, target: str) -> None:
    import onnx
    import onnx2tf

    model = onnx.load(source)
    with tempfile.TemporaryDirectory() as folder:
        onnx2tf.convert(
            onnx_graph=model,
            output_folder_path=folder,
            tflite_backend="flatbuffer_direct",
            keep_shape_absolutely_input_names=[value.name for value in model.graph.input],
            not_use_onnxsim=True,
            not_use_opname_auto_generate=True,
            output_signaturedefs=True,
            non_verbose=True,
        )
        (made,) = Path(folder).glob("*_float32.tflite")
        Path(target).write_bytes(made.read_bytes())


def main(arguments: list[str]) -> int:
    """Convert; with ``--check`` only see whether the engine imports."""
    sys.addaudithook(_no_network)
    try:
        import onnx2tf.onnx2tf
        import onnx2tf.tflite_builder  # noqa: F401
    except Exception as error:  # noqa: BLE001 - whatever an import of foreign code raises
        print(f"reason: {type(error).__name__}: {error}", file=sys.stderr)
        return DAMAGED
    if arguments == ["--check"]:
        return 0
    source, target = arguments
    try:
        _convert(source, target)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - engines raise anything, and exit
        print(f"\nreason: {_reason(error)}", file=sys.stderr)
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
