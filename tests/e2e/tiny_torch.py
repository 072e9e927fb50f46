"""PyTorch modules of two or three layers, with weights that are the same every time."""

from __future__ import annotations

from typing import Any

from converters.engines import engine

torch: Any = engine("torch")
nn = torch.nn


class Picture(nn.Module):
    """``image`` 1 x 3 x 8 x 8 to three scores."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU6(), nn.AvgPool2d(2)
        )
        self.scores = nn.Linear(8 * 4 * 4, 3)

    def forward(self, image):
        return self.scores(self.features(image).flatten(1))


class Pair(nn.Module):
    """Two inputs, and outputs in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(4, 4)

    def forward(self, left, right):
        # In no order that sorting would give.
        return {"zeta": self.mix(left) * right, "alpha": (left - right).softmax(-1)}


class Words(nn.Module):
    """``ids`` 1 x 9 through an LSTM to a tuple of scores and the last state."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.lstm = nn.LSTM(6, 7, batch_first=True)
        self.scores = nn.Linear(7, 3)

    def forward(self, ids):
        steps, (state, _) = self.lstm(self.embed(ids))
        return self.scores(steps[:, -1]), state[0]


class Strange(nn.Module):
    """Asks for what no target has."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = _Spectrum()

    def forward(self, x):
        return self.inner(x)


class _Spectrum(nn.Module):
    def forward(self, x):
        return torch.linalg.eigvalsh(x @ x.mT)  # the line that a refusal names


class Branching(nn.Module):
    """Does one thing or another, by its numbers."""

    def forward(self, x):
        return x * 2 if x.sum() > 0 else x - 1


def seeded(kind: Any) -> Any:
    torch.manual_seed(3)
    model = kind()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):  # statistics as training leaves them
            part.running_mean.uniform_(-0.5, 0.5)
            part.running_var.uniform_(0.5, 2)
    return model


def picture() -> Any:
    return seeded(Picture)


def picture_with_example() -> Any:
    return picture(), torch.zeros(1, 3, 8, 8)


def pair() -> Any:
    return seeded(Pair)


def words() -> Any:
    return seeded(Words), {"ids": torch.zeros(1, 9, dtype=torch.long)}


def strange() -> Any:
    return Strange()


def branching() -> Any:
    return Branching(), torch.ones(1, 4)


def number() -> Any:
    return 7
