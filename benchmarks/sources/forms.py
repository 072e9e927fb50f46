"""The classifier of Fashion-MNIST in every form that is a source.

The network of ``examples.fashion_mnist.model``, trained once, its weights carried over to
TensorFlow 1 and to PyTorch: all forms are the same function, in their frameworks' own layouts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.engines import engine, quiet
from converters.sources import open_source
from converters.trunks import open_trunk
from examples.fashion_mnist.dataset import load
from examples.fashion_mnist.train import classifier

HERE = "benchmarks.sources.forms"
OLDEST, NEWEST = 9, 21
CALIBRATED, JUDGED = 128, 256
Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Form:
    """One form of the network.

    Attributes:
        name: what it is called in the table.
        make: writes it into a folder; answers the source as it is typed.
        channels_first: how pictures lie in its input.
        options: what else is typed, for what the source does not say itself.
    """

    name: str
    make: Callable[[Path], str]
    channels_first: bool = False
    options: tuple[str, ...] = ()


def keras_model() -> Any:
    """As an object in memory, the way a user's function returns one."""
    with quiet():
        return engine("keras").models.load_model(classifier("good"))


def torch_model() -> Any:
    """The same network in PyTorch, with an example input."""
    torch = engine("torch")
    return _twin(torch), (torch.zeros(1, 1, 28, 28),)


def write_pictures(folder: Path) -> None:
    """``ranges.npz`` and ``judged.npz`` as Keras takes pictures, and the same channels first."""
    few, others = load("train"), load("test")
    parts = {"ranges": (few, CALIBRATED), "judged": (others, JUDGED)}
    for name, (split, count) in parts.items():
        pixels, labels = split.pixels()[:count], split.labels[:count].astype(np.int64)
        np.savez(folder / f"{name}.npz", x=pixels, y=labels)
        first = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        np.savez(folder / f"{name}-first.npz", x=first, y=labels)


def _weights() -> dict[str, list[Numbers]]:
    return {layer.name: layer.get_weights() for layer in keras_model().layers}


def _h5(folder: Path) -> str:
    path = folder / "fashion.h5"
    with quiet():
        keras_model().save(path)
    return str(path)


def _saved_model(folder: Path) -> str:
    path = folder / "fashion"
    with quiet():
        keras_model().export(path, verbose=False)
    return str(path)


def _old_saved_model(folder: Path) -> str:
    """As TensorFlow 1 wrote them: a graph, a session, variables, a signature."""
    tf, weights, path = engine("tensorflow"), _weights(), folder / "old"
    v1, graph = tf.compat.v1, tf.Graph()

    def convolution(x: Any, name: str, stride: int) -> Any:
        (kernel,), (gamma, beta, mean, variance) = weights[name], weights[f"{name}_norm"]
        held = v1.get_variable(name, initializer=kernel, use_resource=False)
        x = tf.nn.conv2d(x, held, stride, "SAME")
        return tf.nn.relu(tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3))

    with quiet(), graph.as_default(), v1.Session(graph=graph) as session:
        image = v1.placeholder(tf.float32, [None, 28, 28, 1], name="image")
        x = tf.nn.max_pool2d(convolution(image, "conv1", 2), 2, 2, "VALID")
        x = tf.reshape(convolution(convolution(x, "conv2", 1), "conv3", 1), [-1, 7 * 7 * 64])
        kernel, bias = (v1.get_variable(f"dense{at}", initializer=w, use_resource=False)
                        for at, w in enumerate(weights["dense"]))  # fmt: skip
        scores = tf.nn.softmax(x @ kernel + bias)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(path), {"image": image}, {"probabilities": scores})
    return str(path)


def _tflite(folder: Path) -> str:
    path = folder / "fashion.tflite"
    with tempfile.TemporaryDirectory() as place:
        trunk: Any = open_trunk("tflite", open_source(classifier("good")), Path(place))
        path.write_bytes(trunk.build())
    return str(path)


def _pt2(folder: Path) -> str:
    torch, path = engine("torch"), folder / "fashion.pt2"
    model, example = torch_model()
    with quiet():
        torch.export.save(torch.export.export(model, example), path)
    return str(path)


def _torchscript(folder: Path) -> str:
    torch, path = engine("torch"), folder / "fashion.pt"
    model, example = torch_model()
    with quiet():
        torch.jit.save(torch.jit.trace(model, example), str(path))
    return str(path)


def _onnx(name: str, *, opset: int, dynamic: bool = False) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        torch, path = engine("torch"), folder / f"{name}.onnx"
        engine("onnxscript")
        model, example = torch_model()
        modern = opset > OLDEST
        more: dict[str, Any] = {"dynamo": modern}
        if modern and dynamic:
            more["dynamic_shapes"] = ({0: torch.export.Dim.DYNAMIC},)
            example = (torch.zeros(2, 1, 28, 28),)
        with quiet():
            torch.onnx.export(
                model,
                example,
                str(path),
                opset_version=opset,
                input_names=["image"],
                output_names=["probabilities"],
                **({"external_data": False} if modern else {}),
                **more,
            )
        return str(path)

    return make


def _twin(torch: Any) -> Any:
    nn, functional, weights = torch.nn, torch.nn.functional, _weights()

    def tensor(array: Numbers) -> Any:
        return torch.from_numpy(np.array(array))

    class Convolution(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, name: str, stride: int, edges: tuple[int, ...]) -> None:
            super().__init__()
            (kernel,), norm = weights[name], weights[f"{name}_norm"]
            out, inner, size = kernel.shape[3], kernel.shape[2], kernel.shape[0]
            self.edges = edges
            self.conv = nn.Conv2d(inner, out, size, stride, bias=False)
            self.norm = nn.BatchNorm2d(out, eps=1e-3)
            self.conv.weight.data = tensor(kernel.transpose(3, 2, 0, 1))
            names = ("weight", "bias", "running_mean", "running_var")
            for key, array in zip(names, norm, strict=True):
                getattr(self.norm, key).data = tensor(array)

        def forward(self, x: Any) -> Any:
            return functional.relu(self.norm(self.conv(functional.pad(x, self.edges))))

    class Fashion(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = Convolution("conv1", 2, (1, 2, 1, 2))
            self.conv2 = Convolution("conv2", 1, (1, 1, 1, 1))
            self.conv3 = Convolution("conv3", 1, (1, 1, 1, 1))
            self.dense = nn.Linear(7 * 7 * 64, 10)
            kernel, bias = weights["dense"]
            self.dense.weight.data, self.dense.bias.data = tensor(kernel.T), tensor(bias)

        def forward(self, image: Any) -> Any:
            x = functional.max_pool2d(self.conv1(image), 2)
            x = self.conv3(self.conv2(x)).permute(0, 2, 3, 1).flatten(1)
            return self.dense(x).softmax(-1)

    return Fashion().eval()


FORMS = (
    Form("Keras object", lambda _: f"{HERE}:keras_model"),
    Form("`.keras`", lambda _: str(classifier("good"))),
    Form("`.h5`", _h5),
    Form("SavedModel", _saved_model),
    Form("old SavedModel", _old_saved_model),
    Form("PyTorch `module:function`", lambda _: f"{HERE}:torch_model", True),
    Form("`.pt2`", _pt2, True),
    Form("TorchScript", _torchscript, True, ("--input", "image:1x1x28x28")),
    Form("ONNX, shapes fixed", _onnx("static", opset=18), True),
    Form("ONNX, batch open", _onnx("dynamic", opset=18, dynamic=True), True),
    Form(f"ONNX, opset {OLDEST}", _onnx("oldest", opset=OLDEST), True),
    Form(f"ONNX, opset {NEWEST}", _onnx("newest", opset=NEWEST), True),
    Form("`.tflite`", _tflite),
)
