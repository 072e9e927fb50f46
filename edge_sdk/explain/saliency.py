"""The map: what a score owes to each part of a picture, from the answers of the model alone.

Random masks hide parts of the picture (``masks``), and the model is asked about each. Over all of
them, the score is regressed on how much of a pixel was shown: the slope is the map. That is RISE
(Petsiuk, Das and Saenko, BMVC 2018) with its mean taken out, so that a pixel which does not matter
comes to 0, and a model that looks at nothing to 0 everywhere, exactly. Grids of several grains are
mixed: coarse ones find what is large in few runs, fine ones say where it ends.

The model's own input is what is masked, not the picture in its full size: engines' integers are
affine in the pixels, so a mixture of two prepared pictures is the prepared mixture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UsageError
from edge_sdk.explain.explanation import Explanation, Floats, depends
from edge_sdk.explain.masks import mask_pairs
from edge_sdk.explain.target import Score, find_target
from edge_sdk.processing import Processing
from edge_sdk.processing.opencv import import_cv2
from edge_sdk.processing.picture import Picture, check_picture
from edge_sdk.spec import ImageInput, Signature
from edge_sdk.text import nearest

Array: TypeAlias = npt.NDArray[Any]
Hide: TypeAlias = Literal["mean", "blur", "black"]

RUNS = 600
LEAST_RUNS = 20
CELLS = (5, 10)
"""Cells of a mask's grid along the shorter side, one grain after the other."""
_MOST_PAIRS, _MOST_BYTES = 16, 32 << 20
"""Of inputs that are made at once."""


class Asked(Protocol):
    """What is asked of an ``edge_sdk.Session``."""

    signature: Signature
    engine_signature: Signature
    processing: Processing
    raw: bool

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See ``Session.run``."""

    def run_batch(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See ``Session.run_batch``."""


def explain(
    session: Asked,
    picture: Any,
    target: int | str | None = None,
    *,
    score: Score | None = None,
    runs: int = RUNS,
    seed: int = 0,
    hide: Hide = "mean",
    progress: Callable[[int, int], None] | None = None,
) -> Explanation:
    """See ``Session.explain``.

    Args:
        session: of a model that takes pictures.
        picture, target, score, runs, seed, hide: as there.
        progress: told of the runs that are done, and of how many there will be.
    """
    _check(session, runs, seed, hide)
    processing = session.processing
    shown, geometry = processing.before(picture)
    ((name, whole),) = shown.items()
    hidden = processing.before(hidden_picture(check_picture(picture), hide))[0][name]
    if np.array_equal(whole, hidden):
        raise UsageError(
            f"Nothing of this picture can be hidden: to the model it is the same as {hide!r}.",
            "Take a picture with something in it, or hide in another way: mean, blur, black.",
        )
    outputs = session.run(shown)
    aim = find_target(processing, outputs, geometry, target, score)
    whole_score, hidden_score = aim.score(outputs), aim.score(session.run({name: hidden}))
    spec = processing.preprocess
    assert spec is not None, "it was checked"
    masks = mask_pairs(runs // 2, *spec.size, CELLS, np.random.default_rng(seed))
    slope = _Slope(spec.size)
    for pairs in _batches(masks, whole.nbytes):
        scores = np.array([aim.score(o) for o in _ask(session, name, pairs, whole, hidden, spec)])
        slope.add(pairs, scores[: len(pairs)], scores[len(pairs) :])
        if progress is not None:
            progress(2 * slope.pairs, 2 * (runs // 2))
    extremes = slope.least, slope.greatest, whole_score, hidden_score
    spread = max(extremes) - min(extremes)
    found, noise = slope.fit()
    if not depends(spread, whole_score, hidden_score):
        found, noise = np.zeros_like(found), 0.0
    return Explanation(
        map=found,
        geometry=geometry,
        target=aim.name,
        index=aim.index,
        score=whole_score,
        hidden_score=hidden_score,
        spread=spread,
        noise=noise,
        runs=2 * slope.pairs,
        seed=seed,
        hide=hide,
    )


def hidden_picture(picture: Picture, hide: Hide) -> Picture:
    """What is seen where nothing is shown: the picture's mean colour, a blur of it, or black.

    Raises:
        UnavailableError: it is to be blurred, and OpenCV is not installed.
    """
    if hide == "black":
        return np.zeros_like(picture)
    if hide == "mean":
        colour = picture.mean(axis=(0, 1))
        return np.broadcast_to(np.rint(colour).astype(np.uint8), picture.shape).copy()
    cv2 = import_cv2("Blurring a picture")
    height, width = picture.shape[:2]
    few = cv2.resize(picture, (min(width, 6), min(height, 6)), interpolation=cv2.INTER_AREA)
    blurred: Picture = cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR)
    return blurred


def _check(session: Asked, runs: int, seed: int, hide: str) -> None:
    if session.processing.preprocess is None:
        inputs = ", ".join(map(str, session.signature.inputs))
        several = len(session.signature.inputs) > 1
        raise UsageError(
            f"Only a model that takes one picture can be explained; this one takes {inputs}"
            f"{'' if several else ' and declares no preprocessing'}.",
            "" if several else "edge_sdk.load(…, preprocess=ImageInput(…)), or --preprocess",
        )
    if session.raw:
        raise UsageError("A raw session's numbers have no scores.", "Load it without raw.")
    if runs < LEAST_RUNS:
        raise UsageError(
            f"{runs} runs are too few to tell anything.", f"Give {LEAST_RUNS} or more, say {RUNS}."
        )
    if seed < 0:
        raise UsageError(f"The seed {seed} is none.", "Give 0 or more.")
    if hide not in get_args(Hide):
        raise UsageError(f"Nothing is hidden by {hide!r}.", nearest(hide, get_args(Hide)))


def _batches(masks: Iterator[Floats], input_bytes: int) -> Iterator[Floats]:
    """Masks in stacks, of which both inputs fit into memory."""
    most = max(1, min(_MOST_PAIRS, _MOST_BYTES // (2 * input_bytes)))
    while stack := list(islice(masks, most)):
        yield np.stack(stack)


def _ask(
    session: Asked, name: str, masks: Floats, shown: Array, hidden: Array, spec: ImageInput
) -> Iterator[dict[str, Array]]:
    """The outputs for each mask, then for each mask's complement."""
    share = masks
    if shown.ndim == 4:
        share = np.expand_dims(masks, 3 if spec.layout == "hwc" else 1)
    one, other = shown.astype(np.float32), hidden.astype(np.float32)
    mixed = np.concatenate([other + share * (one - other), one + share * (other - one)])
    if shown.dtype.kind in "iu":
        np.rint(mixed, out=mixed)
    inputs = mixed.astype(shown.dtype, copy=False)
    rows = [inputs[at : at + 1] for at in range(len(inputs))]
    if session.engine_signature.inputs[0].shape[0] == 1:
        yield from (session.run({name: row}) for row in rows)
        return
    outputs = session.run_batch({name: inputs})
    for at in range(len(inputs)):
        yield {key: values[at : at + 1] for key, values in outputs.items()}


class _Slope:
    """Least squares of the score on what is shown of each pixel, fed pair by pair."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.pairs = 0
        self.least, self.greatest = math.inf, -math.inf
        self._with_scores = np.zeros(size)
        self._with_itself = np.zeros(size)
        self._squares = 0.0

    def add(self, masks: Floats, scores: Array, complements: Array) -> None:
        """Pairs of runs: the scores of masks, and those of their complements."""
        shown = masks - 0.5  # the mean over a pair is a half, exactly
        half = (scores - complements) / 2
        self.pairs += len(masks)
        self.least = float(min(self.least, scores.min(), complements.min()))
        self.greatest = float(max(self.greatest, scores.max(), complements.max()))
        self._with_scores += np.tensordot(half, shown, 1)
        self._with_itself += np.square(shown).sum(axis=0)
        self._squares += float(np.square(half).sum())

    def fit(self) -> tuple[Floats, float]:
        """The slope at each pixel, and its standard error at the median pixel."""
        slope = self._with_scores / self._with_itself
        explained = slope * self._with_scores
        left = np.maximum(self._squares - explained, 0) / max(1, self.pairs - 1)
        noise = np.median(np.sqrt(left / self._with_itself))
        return slope.astype(np.float32), float(noise)
