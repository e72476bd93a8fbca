"""Linear layers and matrix products."""

from .activation import activated
from .call import Call


def linear(call: Call) -> None:
    """Gemm with the weight as PyTorch has it, (out, in); MatMul where x has more dimensions than two."""
    x = call.read("x")
    if call["x"].ndim == 2:
        bias = [call.read("bias")] if call.has("bias") else []
        y = call.node("Gemm", [x, call.read("weight", lambda w: w.T), *bias], transB=1)
    else:
        y = call.node("MatMul", [x, call.read("weight")])
        if call.has("bias"):
            y = call.node("Add", [y, call.read("bias")])
    call.write("y", activated(call, y))


def matmul(call: Call) -> None:
    """MatMul, which broadcasts leading dimensions by itself."""
    call.write("y", call.node("MatMul", [call.read("a"), call.read("b")]))
