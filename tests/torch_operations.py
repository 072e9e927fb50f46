"""Tiny PyTorch modules for a preflight to foretell: one or two operations, some hard to convert.

Each is a function of one tensor, made into a module with a layer called ``inner``. What comes of
them is not written down here: the engines decide, and change with their versions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from converters.engines import engine

torch: Any = engine("torch")
nn: Any = engine("torch.nn")
F: Any = engine("torch.nn.functional")

Function = Callable[[Any], Any]


def _layers() -> dict[str, tuple[tuple[int, ...], Any]]:
    return {
        "lstm": ((1, 4, 6), nn.LSTM(6, 5, batch_first=True)),
        "gru": ((1, 4, 6), nn.GRU(6, 5, batch_first=True)),
        "attention": ((1, 4, 8), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)),
        "group norm": ((1, 8, 4, 4), nn.GroupNorm(2, 8)),
        "transposed conv": ((1, 2, 4, 4), nn.ConvTranspose2d(2, 8, 3, 2, output_padding=1)),
        "conv of volumes": ((1, 2, 4, 4, 4), nn.Conv3d(2, 4, 3)),
        "adaptive pool": ((1, 2, 7, 7), nn.AdaptiveAvgPool2d(3)),
        "pixel shuffle": ((1, 8, 4, 4), nn.PixelShuffle(2)),
        "prelu": ((1, 8, 4, 4), nn.PReLU(8)),
    }


OPERATIONS: dict[str, tuple[tuple[int, ...], Function]] = {
    "matmul": ((1, 8), lambda x: x @ _weights(8, 12)),
    "conv": ((1, 2, 8, 8), lambda x: F.conv2d(x, _weights(8, 2, 3, 3)).relu()),
    "softmax": ((1, 8), lambda x: (3 * x).softmax(-1)),
    "gelu": ((1, 8), lambda x: F.gelu(x @ _weights(8, 12))),
    "hard swish": ((1, 8), lambda x: F.hardswish(x * 4 - 2)),
    "erf": ((1, 8), lambda x: torch.erf(x - 0.5)),
    "erfinv": ((1, 8), lambda x: torch.erfinv(x - 0.5)),
    "lgamma": ((1, 8), lambda x: torch.lgamma(x + 1)),
    "digamma": ((1, 8), lambda x: torch.digamma(x + 1)),
    "bessel": ((1, 8), lambda x: torch.special.i0(x) * 2),
    "bilinear": ((1, 2, 4, 4), lambda x: F.interpolate(x, size=(9, 9), mode="bilinear")),
    "bicubic": ((1, 2, 4, 4), lambda x: F.interpolate(x, size=(8, 8), mode="bicubic")),
    "grid sample": (
        (1, 2, 4, 4),
        lambda x: F.grid_sample(x, _weights(1, 3, 3, 2), align_corners=False),
    ),
    "mirrored edges": ((1, 2, 6, 6), lambda x: F.pad(x, (2, 2, 2, 2), mode="reflect")),
    "unfold": ((1, 2, 6, 6), lambda x: F.unfold(x, 3)),
    "top two": ((1, 8), lambda x: x.topk(2)[0]),
    "sorted": ((1, 8), lambda x: x.sort(1)[0]),
    "cumulated sum": ((1, 8), lambda x: x.cumsum(1)),
    "cumulated product": ((1, 8), lambda x: (x + 0.5).cumprod(1)),
    "cumulated maximum": ((1, 8), lambda x: x.cummax(1)[0]),
    "gathered": ((1, 8), lambda x: x[:, [3, 1, 2]]),
    "scattered": (
        (1, 8),
        lambda x: x.scatter(1, torch.tensor([[0, 1]]), torch.tensor([[5.0, 6.0]])),
    ),
    "one-hot": ((1, 8), lambda x: F.one_hot(x.argmax(1), 8) + x),
    "masked": ((1, 8), lambda x: x.masked_fill(x > 0.5, 0.0)),
    "what is chosen": ((1, 8), lambda x: x[x > 0.5]),
    "distinct": ((1, 8), lambda x: torch.unique((x * 3).round())),
    "where not zero": ((1, 8), lambda x: torch.nonzero(x > 0.5)),
    "einsum": ((1, 4, 6), lambda x: torch.einsum("bij,jk->bki", x, _weights(6, 12))),
    "distances": ((1, 4, 6), lambda x: torch.cdist(x, _weights(1, 5, 6))),
    "spectrum": ((1, 64), lambda x: torch.fft.rfft(x).abs()),
    "inverse matrix": ((1, 4, 4), lambda x: torch.linalg.inv(x + 3 * torch.eye(4))),
    "eigenvalues": ((1, 4, 4), lambda x: torch.linalg.eigvalsh(x @ x.mT)),
    "cholesky": ((1, 4, 4), lambda x: torch.linalg.cholesky(x @ x.mT + torch.eye(4))),
    "determinant": ((1, 4, 4), lambda x: torch.linalg.det(x + 3 * torch.eye(4))),
    "median": ((1, 9), lambda x: x.median(1)[0]),
    "histogram": ((1, 8), lambda x: torch.histc(x, 4, 0.0, 1.0)),
    "atan2": ((1, 8), lambda x: torch.atan2(x - 0.5, x + 0.1)),
    "double precision": ((1, 8), lambda x: (x.double() @ _weights(8, 12).double()).float()),
    "rolled": ((1, 8), lambda x: x.roll(3, 1)),
    "pool with places": ((1, 2, 8, 8), lambda x: F.max_pool2d(x, 2, return_indices=True)[1]),
    "dropout": ((1, 8), lambda x: F.dropout(x, 0.5, training=False) * 2),
    "bits": ((1, 8), lambda x: ((x * 100).int() & 7).float()),
    "branch": ((1, 8), lambda x: x * 2 if x.sum() > 3 else x - 1),
    "batched branch": (
        (1, 8),
        lambda x: torch.cond(x.sum() > 3, lambda y: y * 2, lambda y: y - 1, (x,)),
    ),
}


@cache
def _weights(*shape: int) -> Any:
    """Constant weights; made before anything is exported, or they would be made by the model."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(*shape, generator=generator) * 0.4


class _Function(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


class _Outer(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Any:
        answer = self.inner(x)
        return answer[0] if isinstance(answer, tuple) else answer


NAMES = (*OPERATIONS, "lstm", "gru", "attention", "group norm", "transposed conv",
         "conv of volumes", "adaptive pool", "pixel shuffle", "prelu")  # fmt: skip


def model(name: str) -> Any:
    """A pair of a module and an example input, as a user's function would return it."""
    torch.manual_seed(3)
    if name in OPERATIONS:
        shape, function = OPERATIONS[name]
        function(torch.rand(shape))
        inner = _Function(function)
    else:
        shape, inner = _layers()[name]
    return _Outer(inner).eval(), (torch.rand(shape),)
