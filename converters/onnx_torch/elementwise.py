"""Operations on each number by itself: arithmetic, comparisons, logic, casts, activations."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from converters.onnx_torch.node import Node, Operator, Tensor, lengths

_FRACTIONS, _WHOLE, _BOOL = (1, 10, 11, 16), (6, 7), (9,)
"""``TensorProto.DataType``: float, float16, double, bfloat16; int32, int64; bool."""


def _torch(name: str) -> Operator:
    """PyTorch's function of that name, on the operation's inputs."""

    def function(at: Node, *inputs: Tensor) -> Tensor:
        return getattr(at.torch, name)(*inputs)

    return Operator(function)


def _from_left(combine: Callable[[Node, Tensor, Tensor], Tensor]) -> Operator:
    """Any number of inputs, two at a time."""

    def function(at: Node, *inputs: Tensor) -> Tensor:
        return reduce(lambda a, b: combine(at, a, b), inputs)

    return Operator(function)


def _add(_at: Node, a: Tensor, b: Tensor) -> Tensor:
    return a + b


def _mean(_at: Node, *inputs: Tensor) -> Tensor:
    return reduce(lambda a, b: a + b, inputs) / len(inputs)


def _divide(at: Node, a: Tensor, b: Tensor) -> Tensor:
    """Whole numbers are divided towards zero."""
    if a.dtype.is_floating_point:
        return a / b
    return at.torch.div(a, b, rounding_mode="trunc")


def _remainder(at: Node, a: Tensor, b: Tensor) -> Tensor:
    """With the sign of the divisor; ``fmod`` asks for that of the dividend."""
    if not at.term("fmod", 0):
        return at.torch.remainder(a, b)
    size = at.torch.remainder(a.abs(), b.abs())
    return at.torch.where(a < 0, -size, size)


def _power(at: Node, x: Tensor, exponent: Tensor) -> Tensor:
    """A square is a product: a power of a negative number is not one on every engine."""
    known = at.known(1)
    if known is not None and known.size == 1 and x.dtype.is_floating_point:
        match float(known.reshape(-1)[0]):
            case 1.0:
                return x
            case 2.0:
                return x * x
            case 3.0:
                return x * x * x
            case 0.5:
                return x.sqrt()
            case -1.0:
                return _reciprocal(at, x)
    return at.torch.pow(x, exponent.to(x.dtype))


def _clip(at: Node, x: Tensor, low: Tensor = None, high: Tensor = None) -> Tensor:
    least, most = at.number("min", 1), at.number("max", 2)
    if x.dtype.is_floating_point and not (at.unknown(1) or at.unknown(2)):
        return x if least is None and most is None else at.torch.clamp(x, least, most)
    x = x if low is None else at.torch.maximum(x, low)
    return x if high is None else at.torch.minimum(x, high)


def _cast(at: Node, x: Tensor) -> Tensor:
    """Half and double precision are computed in single, as everything is here."""
    wanted, torch = at.term("to", 1), at.torch
    if wanted in _FRACTIONS:
        return x.to(torch.float32)
    if wanted in _BOOL:
        return x != 0
    return x.to(torch.int32 if wanted == 6 else torch.int64)


def _unknown_cast(at: Node) -> str:
    kind = at.term("to", 1)
    return "" if kind in _FRACTIONS + _WHOLE + _BOOL else "a cast to that type"


def _inverse_sinh(at: Node, x: Tensor) -> Tensor:
    """By logarithm, as Core ML has no such function; of the size, lest it lose digits below 0."""
    size = x.abs()
    return at.torch.sign(x) * at.torch.log(size + at.torch.sqrt(size * size + 1))


def _reciprocal(at: Node, x: Tensor) -> Tensor:
    """A quotient of tensors: of PyTorch's ``reciprocal`` coremltools makes ``1 / (x + 0.0001)``."""
    return at.torch.div(at.torch.ones(1), x)


def _where(at: Node, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return at.torch.where(condition, x, y)


def _leaky_relu(at: Node, x: Tensor) -> Tensor:
    return at.torch.nn.functional.leaky_relu(x, at.attribute("alpha", 0.01))


def _elu(at: Node, x: Tensor) -> Tensor:
    return at.torch.nn.functional.elu(x, at.attribute("alpha", 1.0))


def _selu(at: Node, x: Tensor) -> Tensor:
    alpha = at.attribute("alpha", 1.6732632423543772)
    gamma = at.attribute("gamma", 1.0507009873554805)
    return gamma * at.torch.nn.functional.elu(x, alpha)


def _celu(at: Node, x: Tensor) -> Tensor:
    alpha = at.attribute("alpha", 1.0)
    below = alpha * (at.torch.exp(at.torch.clamp(x, max=0.0) / alpha) - 1)
    return at.torch.clamp(x, min=0.0) + below


def _prelu(at: Node, x: Tensor, slope: Tensor) -> Tensor:
    """As PyTorch's where there is one slope by channel, which engines have an operation for."""
    shape, many = lengths(slope), lengths(x)
    behind = len(many) - 2
    by_channel = len(many) > 2 and shape[-behind:] == (1,) * behind and len(shape) <= behind + 1
    if by_channel and shape[:1] == many[1:2] and not at.unknown(1):
        return at.torch.nn.functional.prelu(x, slope.reshape(-1))
    return at.torch.relu(x) - slope * at.torch.relu(-x)


def _hard_sigmoid(at: Node, x: Tensor) -> Tensor:
    alpha, beta = at.attribute("alpha", 0.2), at.attribute("beta", 0.5)
    return at.torch.clamp(x * alpha + beta, 0.0, 1.0)


def _thresholded_relu(at: Node, x: Tensor) -> Tensor:
    return at.torch.where(x > at.attribute("alpha", 1.0), x, at.torch.zeros_like(x))


def _gelu(at: Node, x: Tensor) -> Tensor:
    way = at.attribute("approximate", "none")
    return at.torch.nn.functional.gelu(x, approximate=way)


def _functional(name: str) -> Operator:
    def function(at: Node, x: Tensor) -> Tensor:
        return getattr(at.torch.nn.functional, name)(x)

    return Operator(function)


def _same(_at: Node, x: Tensor, *_: Any) -> Tensor:
    """What does nothing outside training."""
    return x


def _quantize(at: Node, x: Tensor, scale: Tensor, zero: Tensor = None) -> Tensor:
    """To whole numbers, kept as fractions: Core ML computes with nothing narrower."""
    known = at.known(2)
    kind = "uint8" if known is None else known.dtype.name
    low, high = {"int8": (-128.0, 127.0), "uint8": (0.0, 255.0)}[kind]
    steps = at.torch.round(x / _along(at, scale, x))
    if zero is not None:
        steps = steps + _along(at, zero, x)
    return at.torch.clamp(steps, low, high)


def _dequantize(at: Node, x: Tensor, scale: Tensor, zero: Tensor = None) -> Tensor:
    steps = x.to(at.torch.float32)
    if zero is not None:
        steps = steps - _along(at, zero, x)
    return steps * _along(at, scale, x)


def _along(at: Node, values: Tensor, x: Tensor) -> Tensor:
    """Scales or zero points, one for all or one for each place of the axis, as fractions."""
    shape = [1] * len(lengths(x))
    if lengths(values) and shape:
        shape[at.term("axis", 1)] = -1
        values = values.reshape(shape)
    return values.to(at.torch.float32)


def _unknown_steps(at: Node) -> str:
    zero, scale = at.known(2), at.known(1)
    if reason := at.unknown(1, 2):
        return reason
    if zero is not None and zero.dtype.name not in ("int8", "uint8", "int32"):
        return f"steps of the type {zero.dtype.name}"
    return "blocks of scales" if scale is not None and scale.ndim > 1 else ""


OPERATORS: dict[str, Operator] = {
    "Abs": _torch("abs"),
    "Acos": _torch("acos"),
    "Acosh": Operator(lambda at, x: at.torch.log(x + at.torch.sqrt(x * x - 1))),
    "Add": Operator(_add),
    "And": _torch("logical_and"),
    "Asin": _torch("asin"),
    "Asinh": Operator(_inverse_sinh),
    "Atan": _torch("atan"),
    "Atanh": _torch("atanh"),
    "Cast": Operator(_cast, _unknown_cast),
    "Ceil": _torch("ceil"),
    "Celu": Operator(_celu),
    "Clip": Operator(_clip),
    "Cos": _torch("cos"),
    "Cosh": _torch("cosh"),
    "DequantizeLinear": Operator(_dequantize, _unknown_steps),
    "Div": Operator(_divide),
    "Dropout": Operator(_same),
    "Elu": Operator(_elu),
    "Equal": _torch("eq"),
    "Erf": _torch("erf"),
    "Exp": _torch("exp"),
    "Floor": _torch("floor"),
    "Gelu": Operator(_gelu),
    "Greater": _torch("gt"),
    "GreaterOrEqual": _torch("ge"),
    "HardSigmoid": Operator(_hard_sigmoid),
    "HardSwish": _functional("hardswish"),
    "Identity": Operator(_same),
    "IsNaN": _torch("isnan"),
    "LeakyRelu": Operator(_leaky_relu),
    "Less": _torch("lt"),
    "LessOrEqual": _torch("le"),
    "Log": _torch("log"),
    "Max": _from_left(lambda at, a, b: at.torch.maximum(a, b)),
    "Mean": Operator(_mean),
    "Min": _from_left(lambda at, a, b: at.torch.minimum(a, b)),
    "Mish": _functional("mish"),
    "Mod": Operator(_remainder),
    "Mul": Operator(lambda _, a, b: a * b),
    "Neg": _torch("neg"),
    "Not": _torch("logical_not"),
    "Or": _torch("logical_or"),
    "PRelu": Operator(_prelu),
    "Pow": Operator(_power),
    "QuantizeLinear": Operator(_quantize, _unknown_steps),
    "Reciprocal": Operator(_reciprocal),
    "Relu": _torch("relu"),
    "Round": _torch("round"),
    "Selu": Operator(_selu),
    "Sigmoid": _torch("sigmoid"),
    "Sign": _torch("sign"),
    "Sin": _torch("sin"),
    "Sinh": _torch("sinh"),
    "Softplus": _functional("softplus"),
    "Softsign": _functional("softsign"),
    "Sqrt": _torch("sqrt"),
    "Sub": Operator(lambda _, a, b: a - b),
    "Sum": _from_left(_add),
    "Tan": _torch("tan"),
    "Tanh": _torch("tanh"),
    "ThresholdedRelu": Operator(_thresholded_relu),
    "Where": Operator(_where),
    "Xor": _torch("logical_xor"),
}
