"""Mixup: each row of a batch is mixed with another one while training, and so are their targets."""

from typing import Any, ClassVar

import numpy as np

from ..ops import gather, gather_labels, mixed_loss, mixup_draw, mixup_forward
from ..program import Builder, EmitLoss, OwnLoss, Several, Tensor
from ..system.memory import aligned
from .module import Module

# Equally likely shares that stand for the Beta distribution.
QUANTILES = 4096
# Shares are multiples of 1/65536: they and 1 - share are exact in float32.
FRACTION = 2**16


def beta_quantiles(alpha: float, count: int = QUANTILES) -> np.ndarray:
    """The quantiles of Beta(alpha, alpha) at the middles of `count` equal parts of [0, 1], float64 (count,)."""
    power = min(alpha, 1.0)  # over u = s^power the density s^(alpha - 1) (1 - s)^(alpha - 1) has no pole
    u = np.linspace(0, 0.5**power, 2**16 + 1)
    s = u ** (1 / power)
    density = s ** (alpha - power) * (1 - s) ** (alpha - 1)
    mass = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    middles = (np.arange(count // 2) + 0.5) / count
    below = np.interp(middles, mass / (2 * mass[-1]), u) ** (1 / power)
    return np.concatenate([below, 1 - below[::-1]])


class Mixture:
    """How a MixUp mixed the rows of a batch: what the loss has to do alike. A target transform of the Builder."""

    def __init__(self, share: np.ndarray, partner: np.ndarray) -> None:
        """share: (1,) of a row's own part; partner: (B,) the row that it is mixed with."""
        self.share, self.partner = share, partner

    def drawn(self) -> tuple[float, np.ndarray]:
        """The share and a copy of the partners, as the last forward pass drew them."""
        return float(self.share[0]), self.partner.copy()

    def emit(
        self, loss: EmitLoss, builder: Builder, pred: Tensor, target: np.ndarray, weight: np.ndarray | None
    ) -> tuple[Tensor, Tensor]:
        """Emit the loss of mixed rows. Class indices cannot be mixed: the losses of both rows' are."""
        if isinstance(pred, Several) or isinstance(target, Several):
            raise ValueError("nn.MixUp mixes one output and its targets, but there are several")
        if target.dtype != np.int64:
            mixed_weight = None if weight is None else self._mixed(builder, weight)
            return loss(builder, pred, self._mixed(builder, target), mixed_weight)
        fields: dict[str, Any] = {}
        for name, take in (("a", lambda builder, array: array), ("b", self._partners)):
            separate = Tensor(pred.array, requires_grad=True)
            fields[f"loss_{name}"], fields[f"count_{name}"] = loss(
                builder, separate, take(builder, target), None if weight is None else take(builder, weight)
            )
            fields[f"dpred_{name}"] = builder.gradient(separate)
        value = builder.emit(mixed_loss, share=self.share, **fields)
        builder.add_gradient(pred, builder.output("gradient"))
        return value, builder.output("count")

    def call(self, loss: OwnLoss, pred: np.ndarray, y: Any) -> tuple[float, np.ndarray]:
        """Call a loss of the user's for mixed rows: both rows' targets have their share."""
        share, partner = self.drawn()
        # The loss may overwrite what it gets.
        value, gradient = loss(pred.copy(), y)
        others, slope = loss(pred, y[partner])
        return share * value + (1 - share) * others, share * gradient + (1 - share) * slope

    def _matrix(self, array: np.ndarray) -> np.ndarray:
        return array.reshape(len(self.partner), -1)

    def _mixed(self, builder: Builder, array: np.ndarray) -> np.ndarray:
        out = builder.emit(mixup_forward, x=self._matrix(array), share=self.share, partner=self.partner)
        return out.array.reshape(array.shape)

    def _partners(self, builder: Builder, array: np.ndarray) -> np.ndarray:
        out = builder.tensor(self._matrix(array).shape, array.dtype)
        taking = gather_labels if array.dtype == np.int64 else gather
        builder.emit(
            taking, source=self._matrix(array), index=self.partner, cursor=aligned((1,), np.int64), out=out
        )
        return out.array.reshape(array.shape)


class MixUp(Module):
    """Mixup: y = share · row + (1 - share) · other row of the batch, while training (Zhang et al. 2018); else the identity.

    Each step draws one share for its batch from Beta(alpha, alpha), as in torchvision. The loss mixes along: sample weights,
    and targets that are numbers, in the same way. Of class indices, and of a callable loss, it is
    share · loss(y of the row) + (1 - share) · loss(y of the other). For a loss of your own around
    `model.forward(x, training=True)`, `model.mixing` says how the rows were mixed.

    Args:
        alpha: in [0.001, 1000], default 0.2.

    Shapes: input and output alike. It stands first, behind other augmentation, or further inside (manifold mixup).

    Raises:
        ValueError: an alpha out of range; a second MixUp in one network, when the network first meets its input.

    Example:
        >>> nn.Sequential(nn.MixUp(0.4), nn.Linear(8, 3))
        Sequential(MixUp(alpha=0.4), Linear(8, 3))
    """

    always_shown: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, alpha: float = 0.2) -> None:
        super().__init__()
        self.alpha = self.in_range("alpha", alpha, 1e-3, 1e3)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        if not builder.training:
            return x
        if builder.targets:
            raise ValueError("net holds more than one nn.MixUp, expected at most one")
        quantiles = builder.tensor((QUANTILES,), np.float64)
        quantiles.array[:] = np.round(beta_quantiles(self.alpha) * FRACTION) / FRACTION
        rows = x.shape[0]
        share, partner = builder.tensor((1,), np.float64), builder.tensor((rows,), np.int64)
        builder.emit(
            mixup_draw, step=builder.step, quantiles=quantiles, share=share, partner=partner, seed=builder.seed,
            stream=builder.stream(),
        )  # fmt: skip
        builder.targets.append(Mixture(share.array, partner.array))
        flat = builder.reshape(x, (rows, x.array[:1].size))
        return builder.reshape(builder.emit(mixup_forward, x=flat, share=share, partner=partner), x.shape)
