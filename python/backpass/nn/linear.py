"""Linear: y = x Wᵀ + b, fused with the activation beside it."""

import numpy as np

from ..ops import linear_forward
from ..program import Builder, Tensor
from .initial_weights import INIT, InitName
from .module import Module


class Linear(Module):
    """Linear layer on the last dimension: y = x Wᵀ + b (PyTorch's `nn.Linear`, Keras's Dense).

    Args:
        in_features: size of the last dimension of the input, at least 1.
        out_features: size of the last dimension of the output, at least 1.
        bias: whether b is learned, default True.
        init: "torch" (default, U(±1/√in_features) for W and b), "xavier_uniform", "xavier_normal", "he_uniform", "he_normal",
            "lecun_normal", "orthogonal", "zeros", "keras" (as xavier_uniform) or "sklearn" (W and b alike); all but "torch" and
            "sklearn" start b at zero.

    Shapes: input (..., in_features), output (..., out_features), `weight` (out_features, in_features), `bias` (out_features,).

    Raises:
        ValueError: a size below 1, an unknown init; an input with another last dimension, when the network first meets it.

    Example:
        >>> nn.Linear(8, 3, init="he_normal")
        Linear(8, 3, init='he_normal')
    """

    reads_sparse = True
    gives = "logits"
    reads_any_layout = ("weight",)
    weight: np.ndarray
    bias: np.ndarray | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, init: InitName = "torch"
    ) -> None:
        super().__init__()
        self.in_features = self.positive_int("in_features", in_features)
        self.out_features = self.positive_int("out_features", out_features)
        self.init = self.one_of("init", init, INIT)
        shape = self.in_features, self.out_features
        self.parameter("weight", shape, INIT[init].weight, axes=(1, 0))
        if self.flag("bias", bias):
            self.parameter("bias", shape[1:], INIT[init].bias, fan_in=shape[0])

    @property
    def row_shape(self) -> tuple[int, ...]:
        return (self.in_features,)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        self.expect_last(x, self.in_features)
        if self.learned["weight"].axes is None:
            return self._emit_tied(builder, x)
        return builder.emit(linear_forward, x=x, weight=self.tensor("weight"), bias=self.tensor("bias"))

    def _emit_tied(self, builder: Builder, x: Tensor) -> Tensor:
        """The product with a weight of another layer that is stored as (out_features, in_features), such as a table."""
        from ..program.arithmetic import elementwise  # here: `import backpass` is to be quick
        from ..program.products import matmul
        from ..program.views import permute

        weight, bias = self.tensor("weight"), self.tensor("bias")
        assert weight is not None
        y = matmul(builder, x, permute(builder, weight, (1, 0)))
        return y if bias is None else elementwise(builder, "add", y, bias)
