"""Recipes: decodable names for what is done to a model's numbers, and what each must live up to.

A name says the precision of weights and, where they differ, of activations:

    fp32           as trained
    fp16           weights in half precision; arithmetic as the engine pleases
    int16x8        weights per channel in 8 bits, activations in 16, calibrated
    mixed          int8, but for the layers that break: those stay in floating point
    int8           weights per channel and activations in 8 bits, calibrated; inputs and outputs too
    int8-dynamic   weights in 8 bits, activations quantized on the fly
    int8-weights   weights stored in 8 bits, arithmetic in floating point
    int4-weights   weights stored in 4 bits where the engine has them, else in 8
    palette4       each weight is one of 16 values of its tensor, stored as a number of 4 bits
    as-is          a file that already is what was asked for: wrapped, not touched
    described      such a file with metadata added; what it computes is untouched, to the last bit

**How the limits were chosen.** They are to let pass what the arithmetic of a recipe costs a sound
model and to stop what a wrong build costs it. A uniform step of ``span/255`` makes noise of
``step/sqrt(12)``, about 0.1 % of a tensor's span or 40 to 50 dB below its signal, layer upon layer;
40 % of what the answers vary by is an order of magnitude above what sound nets show, and below the
100 % of an output that is doubled or says nothing. Four bits are 24 dB coarser (6.02 dB a bit), so
their limits are wider; 16-bit activations leave the weights' error alone, so theirs are narrower.
``mixed`` exists to be good: it is held to half of what ``int8`` may lose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from edge_sdk.errors import UsageError
from edge_sdk.spec import Format, Limits
from edge_sdk.text import nearest

AS_IS = "as-is"
DESCRIBED = "described"
MIXED = "mixed"
Method = Literal["minmax", "percentile", "mse", "entropy"]
METHODS: tuple[Method, ...] = ("minmax", "percentile", "mse", "entropy")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to do, where it can be done, and what the result is held to.

    Attributes:
        name: as above.
        formats: targets that have it.
        calibrated: whether it needs real inputs to choose ranges from.
        limits: what a variant must measure before it is called converted. They catch a build
            that is wrong; how much loss is too much for a use is its owner's to say (a budget).
        error: the greatest root-mean-square difference of any output, as a share of how much the
            original's answers vary from input to input. Cosines and argmaxes do not see a factor,
            nor much of a single number.
        tolerance: the floor of its golden tolerance, as a share of the outputs' span: what another
            machine's arithmetic may add to the difference measured here.
        method: how ranges are chosen from those inputs (see ``converters.ranges``).
        wide: layers that are left in floating point, by the tensor they make; ``mixed`` alone.
    """

    name: str
    formats: tuple[Format, ...]
    limits: Limits
    error: float
    tolerance: float
    calibrated: bool = False
    method: Method = "minmax"
    wide: tuple[str, ...] = ()


_FAITHFUL = Limits(argmax=0.999, cosine=0.9999)
_QUANTIZED = Limits(argmax=0.9, cosine=0.95, accuracy_drop=0.02)
_NARROW = Limits(argmax=0.95, cosine=0.98, accuracy_drop=0.01)
_COARSE = Limits(argmax=0.8, cosine=0.9, accuracy_drop=0.05)
_IN_EIGHT_BITS: Any = {"limits": _QUANTIZED, "error": 0.4}
_IN_FOUR_BITS: Any = {"limits": _COARSE, "error": 0.6}

RECIPES: dict[str, Recipe] = {
    r.name: r
    for r in (
        Recipe(
            "fp32",
            ("tflite", "coreml", "onnx"),
            limits=_FAITHFUL,
            error=2e-3,
            tolerance=1e-4,
        ),
        Recipe(
            "fp16",
            ("tflite", "coreml", "onnx"),
            limits=_FAITHFUL,
            error=5e-2,
            tolerance=5e-3,
        ),
        Recipe("int16x8", ("tflite",), limits=_NARROW, error=0.2, tolerance=5e-3, calibrated=True),
        Recipe(
            MIXED,
            ("tflite", "onnx"),
            limits=_NARROW,
            error=0.2,
            tolerance=5e-2,
            calibrated=True,
        ),
        Recipe("int8", ("tflite", "onnx"), **_IN_EIGHT_BITS, tolerance=5e-2, calibrated=True),
        Recipe("int8-dynamic", ("tflite", "onnx"), **_IN_EIGHT_BITS, tolerance=5e-2),
        Recipe("int8-weights", ("tflite", "coreml", "onnx"), **_IN_EIGHT_BITS, tolerance=5e-3),
        Recipe("int4-weights", ("tflite", "coreml", "onnx"), **_IN_FOUR_BITS, tolerance=5e-3),
        Recipe("palette4", ("coreml",), **_IN_FOUR_BITS, tolerance=5e-3),
    )
}

FORMATS: tuple[Format, ...] = ("tflite", "coreml", "onnx")


@dataclass(frozen=True, slots=True)
class Order:
    """One variant to make."""

    format: Format
    recipe: Recipe

    @property
    def id(self) -> str:
        """The variant's id."""
        return f"{self.format}-{self.recipe.name}"


def plan(
    formats: list[str], recipes: list[str], *, calibrated: bool, method: str = "minmax"
) -> tuple[Order, ...]:
    """Which variants to make, in the order asked for.

    Args:
        formats: target names; empty means ``tflite``.
        recipes: recipe names; each is made in every chosen format that has it. Empty means what
            each format can do without loss, and ``int8`` where there is calibration data.
        calibrated: whether there is calibration data.
        method: how calibrated recipes choose their ranges.

    Raises:
        UsageError: an unknown name, a recipe no chosen format has, a format left with nothing to
            do, or a recipe that needs the calibration data that is missing.
    """
    chosen = _formats(formats)
    ranges = _method(method, calibrated=calibrated)
    if not recipes:
        recipes = ["fp32", "fp16", *(["int8"] if calibrated else [])]
        recipes = [name for name in recipes if set(RECIPES[name].formats) & set(chosen)]
    orders: list[Order] = []
    for name in dict.fromkeys(recipes):
        if name not in RECIPES:
            raise UsageError(f"There is no recipe {name!r}.", nearest(name, RECIPES))
        recipe = RECIPES[name]
        here = [f for f in chosen if f in recipe.formats]
        if not here:
            raise UsageError(
                f"{' and '.join(chosen)}: no recipe {name!r}.",
                f"It exists for {', '.join(recipe.formats)}: add --formats {recipe.formats[0]}",
            )
        if recipe.calibrated and not calibrated:
            raise UsageError(
                f"The recipe {name!r} needs real inputs to choose its ranges from.",
                "Give a few hundred: --calibrate FOLDER|FILE.npz|MODULE:FUNCTION",
            )
        recipe = replace(recipe, method=ranges) if recipe.calibrated else recipe
        orders += [Order(f, recipe) for f in here]
    for target in chosen:
        if all(order.format != target for order in orders):
            has = [r.name for r in RECIPES.values() if target in r.formats]
            raise UsageError(
                f"No recipe was chosen that {target} has.", f"{target} has {', '.join(has)}."
            )
    return tuple(sorted(orders, key=lambda order: chosen.index(order.format)))


def _method(name: str, *, calibrated: bool) -> Method:
    for method in METHODS:
        if method == name:
            if method != METHODS[0] and not calibrated:
                raise UsageError(
                    f"Ranges by {method} are chosen from real inputs, and there are none.",
                    "Give a few hundred: --calibrate FOLDER|FILE.npz|MODULE:FUNCTION",
                )
            return method
    raise UsageError(f"There is no calibration {name!r}.", nearest(name, METHODS))


def _formats(names: list[str]) -> list[Format]:
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"There is no format {name!r}.", nearest(name, FORMATS))
    return [f for f in FORMATS if f in names] or ["tflite"]
