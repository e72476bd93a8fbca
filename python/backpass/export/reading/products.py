"""Linear layers and matrix products."""

from collections.abc import Callable
from typing import Any

from ...nn import functional as F
from ...program.symbolic import SymbolicTensor
from .call import Call
from .turned import Turned, like

Reader = Callable[[Call], Any]


def matmul(call: Call) -> Any:
    """A matrix product; by a matrix of weights a linear layer."""
    a, b = call.raw(0), call.raw(1)
    if isinstance(b, SymbolicTensor) and b.ndim == 2 and not b.per_row and a.ndim >= 2:
        if isinstance(a, Turned) and a.at != a.ndim - 1:
            return like(F.linear(a.tensor, b.t()), a.at)
        return F.linear(call.tensor(0), b.t())
    return call.tensor(0) @ call.tensor(1)


def gemm(call: Call) -> Any:
    """alpha A B + beta C."""
    a, b = call.tensor(0), call.tensor(1)
    alpha, beta = call.attribute("alpha", 1.0), call.attribute("beta", 1.0)
    a = a.t() if call.attribute("transA", 0) else a
    b = b if call.attribute("transB", 0) else b.t()
    bias = call.raw(2)
    plain_bias = bias is not None and bias.shape == b.shape[:1] and alpha == beta == 1
    y = F.linear(a, b, bias if plain_bias else None)
    y = y if alpha == 1 else y * alpha
    if bias is None or plain_bias:
        return y
    return y + (bias if beta == 1 else call.as_tensor(bias) * beta)


PRODUCTS: dict[str, Reader] = {
    "MatMul": matmul, "Gemm": gemm,
}  # fmt: skip
