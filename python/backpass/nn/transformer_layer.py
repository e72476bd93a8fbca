"""What transformer layers share: their settings, the feed-forward part, normalisation before or behind a part."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal

from ..ops import add
from ..program import Builder, Tensor
from ..program.activation import activation as activated
from ..program.symbolic import SymbolicTensor
from .attention import MultiheadAttention
from .dropout import Dropout
from .layer_norm import LayerNorm
from .linear import Linear
from .module import Module
from .sequences import batch_first_only

# A function of tensors, or the name of one.
ActivationOf = Literal["relu", "gelu"] | Callable[[Any], Any]


class TransformerLayer(Module):
    """Base of the layers of a transformer: attentions, then a feed-forward network, each with a residual branch."""

    # Attentions and parts, in PyTorch's order.
    attentions: ClassVar[tuple[str, ...]] = ()
    structural: ClassVar[tuple[str, ...]] = (
        *("d_model", "nhead", "dim_feedforward", "activation", "layer_norm_eps", "bias"),
    )

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: ActivationOf = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = True,
        norm_first: bool = False,
        bias: bool = True,
        *,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.d_model = width = self.positive_int("d_model", d_model)
        if width % self.positive_int("nhead", nhead):
            raise ValueError(
                f"{type(self).__name__}: nhead is {nhead}, expected a divisor of d_model, which is {width}"
            )
        self.nhead = int(nhead)
        self.dim_feedforward = self.positive_int("dim_feedforward", dim_feedforward)
        self.p = self.in_range("dropout", dropout, 0, 1)
        if not isinstance(activation, str) and (not callable(activation) or isinstance(activation, type)):
            raise ValueError(
                f"{type(self).__name__}: activation is {activation!r}, expected 'relu', 'gelu', a layer or a function"
            )
        self.activation = (
            self.one_of("activation", activation, ("relu", "gelu"))
            if isinstance(activation, str)
            else activation
        )
        eps = self.in_range("layer_norm_eps", layer_norm_eps, 0, 1)
        batch_first_only(self, batch_first)
        self.norm_first = self.flag("norm_first", norm_first)
        self.causal = self.flag("causal", causal)
        bias = self.flag("bias", bias)
        self.parts: dict[str, Module] = {
            name: MultiheadAttention(width, nhead, dropout=dropout, bias=bias) for name in self.attentions
        }
        self.parts["linear1"] = Linear(width, self.dim_feedforward, bias)
        self.parts["dropout"] = Dropout(dropout)
        self.parts["linear2"] = Linear(self.dim_feedforward, width, bias)
        for kind in ("norm", "dropout"):
            for place in range(1, len(self.attentions) + 2):
                made = LayerNorm(width, eps, bias=bias) if kind == "norm" else Dropout(dropout)
                self.parts[f"{kind}{place}"] = made
        if isinstance(self.activation, Module):
            self.parts["activation"] = self.activation

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return iter(self.parts.items())

    def adopt(self, twin: Any, name: str) -> None:
        """A changed setting; the weights stay."""
        made = self._flat is not None
        if made:
            twin.__dict__["parts"] = self.parts
        super().adopt(twin, name)
        for part in self.parts.values() if made and name == "dropout" else ():
            if isinstance(part, MultiheadAttention):
                part.dropout = self.p
            elif isinstance(part, Dropout):
                part.p = self.p

    def __getattr__(self, name: str) -> Any:
        parts = self.__dict__.get("parts", {})
        return parts[name] if name in parts else super().__getattr__(name)

    def part(self, builder: Builder, name: str, x: Tensor) -> Tensor:
        """What one of the modules within gives."""
        with builder.inside(name):
            y: Tensor = self.parts[name].emit(builder, x)
        return y

    def _called(self, x: SymbolicTensor) -> SymbolicTensor:
        """activation(x), where it is a function."""
        function: Any = self.activation
        y = function(x)
        if not isinstance(y, SymbolicTensor) or y.shape != x.shape:
            raise TypeError(
                f"{type(self).__name__}: activation is {self.activation!r:.80}, which gives {y!r:.60}, expected a tensor like x"
            )
        return y

    def feed_forward(self, builder: Builder, x: Tensor) -> Tensor:
        """linear2(dropout(activation(linear1(x))))."""
        x = self.part(builder, "linear1", x)
        if isinstance(self.activation, str):
            x = activated(builder, x, self.activation)
        elif isinstance(self.activation, Module):
            x = self.part(builder, "activation", x)
        else:
            x = self._called(SymbolicTensor(builder, x, 1)).tensor
        return self.part(builder, "linear2", self.part(builder, "dropout", x))

    def branch(
        self, builder: Builder, place: int, x: Tensor, inner: Callable[[Builder, Tensor], Tensor]
    ) -> Tensor:
        """norm(x + dropout(inner(x))), or with norm_first x + dropout(inner(norm(x)))."""
        y = self.part(builder, f"norm{place}", x) if self.norm_first else x
        y = self.part(builder, f"dropout{place}", inner(builder, y))
        y = builder.emit(add, a=builder.contiguous(x), b=y)
        return y if self.norm_first else self.part(builder, f"norm{place}", y)

    def attention(
        self, builder: Builder, name: str, x: Tensor, memory: Tensor | None = None, **given: Any
    ) -> Tensor:
        """One of the attentions: to x itself, or to another sequence."""
        layer = self.parts[name]
        assert isinstance(layer, MultiheadAttention)
        other = x if memory is None else memory
        with builder.inside(name):
            return layer.attend(builder, x, other, other, **given)[0]

    def expect_sequence(self, x: Tensor, name: str = "the input") -> None:
        """ValueError for another shape than (N, steps, d_model)."""
        if len(x.shape) != 3 or x.shape[2] != self.d_model:
            raise self.unfit(x, f"(batch, steps, {self.d_model})", name)
