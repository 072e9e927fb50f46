"""Products of matrices, normalisations, softmax."""

from __future__ import annotations

import math

from converters.onnx_torch.node import Node, Operator, Tensor, lengths, positive


def _matmul(at: Node, a: Tensor, b: Tensor) -> Tensor:
    return at.torch.matmul(a, b)


def _gemm(at: Node, a: Tensor, b: Tensor, c: Tensor = None) -> Tensor:
    """``alpha * A @ B + beta * C``, as a dense layer where it is one."""
    alpha, beta = at.attribute("alpha", 1.0), at.attribute("beta", 1.0)
    a = a.t() if at.term("transA", 0) else a
    turned = bool(at.term("transB", 0))
    if alpha != 1.0:
        a = a * alpha
    if c is not None and beta != 1.0:
        c = c * beta
    if c is None or (len(lengths(c)) == 1 and lengths(c)[0] == lengths(b)[0 if turned else 1]):
        return at.torch.nn.functional.linear(a, b if turned else b.t(), c)
    return at.torch.matmul(a, b.t() if turned else b) + c


def _einsum(at: Node, *inputs: Tensor) -> Tensor:
    return at.torch.einsum(at.attribute("equation"), *inputs)


def _batch_norm(
    at: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    epsilon = at.attribute("epsilon", 1e-5)
    if len(lengths(x)) > 2:
        normal = at.torch.nn.functional.batch_norm
        return normal(x, mean, variance, scale, bias, False, 0.0, epsilon)
    by = scale / at.torch.sqrt(variance + epsilon)
    return x * by + (bias - mean * by)


def _batch_norm_lacks(at: Node) -> str:
    if at.term("training_mode", 0):
        return "its statistics taken of the batch"
    return at.unknown(1, 2, 3, 4)


def _instance_norm(at: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    normal = at.torch.nn.functional.instance_norm
    return normal(x, weight=scale, bias=bias, eps=at.attribute("epsilon", 1e-5))


def _layer_norm(at: Node, x: Tensor, scale: Tensor, bias: Tensor = None) -> Tensor:
    shape, epsilon = lengths(x), at.attribute("epsilon", 1e-5)
    axis = positive(at.term("axis", -1), len(shape))
    normal = at.torch.nn.functional.layer_norm
    if lengths(scale) == shape[axis:] and (bias is None or lengths(bias) == shape[axis:]):
        return normal(x, shape[axis:], scale, bias, epsilon)
    made = normal(x, shape[axis:], None, None, epsilon) * scale
    return made if bias is None else made + bias


def _layer_norm_lacks(at: Node) -> str:
    return "its mean and deviation as outputs" if at.asks(1) or at.asks(2) else ""


def _softmax(name: str) -> Operator:
    def function(at: Node, x: Tensor) -> Tensor:
        """Before opset 13 over all axes from ``axis`` on, as if they were one."""
        of, shape = getattr(at.torch.nn.functional, name), lengths(x)
        if at.opset >= 13:
            return of(x, at.term("axis", -1))
        axis = positive(at.term("axis", 1), len(shape))
        if axis == len(shape) - 1:
            return of(x, axis)
        rows = x.reshape(math.prod(shape[:axis]), math.prod(shape[axis:]))
        return of(rows, 1).reshape(shape)

    return Operator(function)


OPERATORS: dict[str, Operator] = {
    "BatchNormalization": Operator(_batch_norm, _batch_norm_lacks),
    "Einsum": Operator(_einsum),
    "Gemm": Operator(_gemm),
    "InstanceNormalization": Operator(_instance_norm),
    "LayerNormalization": Operator(_layer_norm, _layer_norm_lacks),
    "LogSoftmax": _softmax("log_softmax"),
    "MatMul": Operator(_matmul),
    "Softmax": _softmax("softmax"),
}
