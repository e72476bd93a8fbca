"""PyTorch as backpass's peer: what torch.nn and torch.optim lack, and one run of a case there."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus
from torch.optim import lr_scheduler

from golden.cases import Case, batches, rows

torch.set_num_threads(1)


class Residual(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module, shortcut: torch.nn.Module | None = None) -> None:
        super().__init__()
        self.inner, self.shortcut = inner, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x if self.shortcut is None else self.shortcut(x)) + self.inner(x)


class Permute(torch.nn.Module):
    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(self.dims)


class GlobalAvgPool(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).mean(-1)


class GlobalMaxPool(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_max_pool1d(x.flatten(2), 1)[..., 0]


class PositionalEmbedding(torch.nn.Embedding):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.weight[: x.shape[-2]]


class SinusoidalPositions(torch.nn.Module):
    """As in PyTorch's tutorials."""

    def __init__(self, embedding_dim: int, max_len: int = 5000, base: float = 10000.0) -> None:
        super().__init__()
        position = torch.arange(max_len, dtype=torch.float64).unsqueeze(1)
        rate = torch.exp(
            torch.arange(0, embedding_dim, 2, dtype=torch.float64) * (-math.log(base) / embedding_dim)
        )
        self.table = torch.zeros(max_len, embedding_dim, dtype=torch.float64)
        self.table[:, 0::2] = torch.sin(position * rate)
        self.table[:, 1::2] = torch.cos(position * rate)[:, : embedding_dim // 2]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.table[: x.shape[-2]].to(x.dtype)


class RotaryPositions(torch.nn.Module):
    """By complex numbers: features of a pair are the parts of one, turned by a product."""

    def __init__(self, dim: int, max_len: int, base: float = 10000.0, interleaved: bool = False) -> None:
        super().__init__()
        rates = base ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
        self.turns, self.interleaved = (
            torch.polar(
                torch.ones(max_len, dim // 2, dtype=torch.float64), torch.arange(max_len)[:, None] * rates
            ),
            interleaved,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pairs = x.unflatten(-1, (-1, 2)) if self.interleaved else x.unflatten(-1, (2, -1)).transpose(-1, -2)
        z = torch.view_as_real(torch.view_as_complex(pairs.contiguous().double()) * self.turns[: x.shape[-2]])
        return (z if self.interleaved else z.transpose(-1, -2)).flatten(-2).to(x.dtype)


class FeatureTokenizer(torch.nn.Module):
    """As rtdl's, of numbers or of categories."""

    def __init__(
        self, num_features: int, embedding_dim: int, cardinalities: Any = (), cls_token: bool = False
    ) -> None:
        super().__init__()
        if num_features:
            self.weight = torch.nn.Parameter(torch.empty(num_features, embedding_dim))
            self.bias = torch.nn.Parameter(torch.empty(num_features, embedding_dim))
        if cls_token:
            self.cls = torch.nn.Parameter(torch.empty(embedding_dim))
        self.tables = torch.nn.ModuleList([torch.nn.Embedding(size, embedding_dim) for size in cardinalities])

    def forward(self, x: torch.Tensor, categories: torch.Tensor | None = None) -> torch.Tensor:
        parts = []
        if hasattr(self, "weight"):
            parts.append(self.weight * x[..., None] + self.bias)
        else:
            categories = x
        if self.tables:
            parts.append(torch.stack([t(c) for t, c in zip(self.tables, categories.T, strict=True)], dim=1))
        if hasattr(self, "cls"):
            parts.insert(0, self.cls.expand(len(x), 1, -1))
        return torch.cat(parts, dim=1)


def classes_last(base: type) -> type:
    """A class-index loss on outputs (batch, ..., C), with its class weights given as a list."""

    class ClassesLast(base):
        def __init__(self, weight: Any = None, **arguments: Any) -> None:
            super().__init__(None if weight is None else torch.tensor(weight), **arguments)

        def forward(self, p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return super().forward(p.movedim(-1, 1), y)

    return ClassesLast


def formula(f: Callable[..., torch.Tensor]) -> Callable[..., Any]:
    """A loss that torch.nn lacks (or spells otherwise): f gives it element by element."""

    def make(reduction: str = "mean", **arguments: Any) -> torch.nn.Module:
        module = torch.nn.Module()
        module.forward = lambda p, y: getattr(torch, reduction)(f(p, y, **arguments))
        return module

    return make


def mse(reduction: str = "mean") -> torch.nn.Module:
    return half_mse() if reduction == "half" else torch.nn.MSELoss(reduction=reduction)


half_mse = formula(lambda p, y: (y - p) ** 2 / 2)


class GaussianNLLLoss(torch.nn.GaussianNLLLoss):
    def forward(self, p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return super().forward(*p.chunk(2, -1)[:1], y, p.chunk(2, -1)[1])


nn = SimpleNamespace(
    **vars(torch.nn)
    | {
        "Residual": Residual,
        "Permute": Permute,
        "GlobalAvgPool": GlobalAvgPool,
        "GlobalMaxPool": GlobalMaxPool,
        "PositionalEmbedding": PositionalEmbedding,
        "SinusoidalPositions": SinusoidalPositions,
        "RotaryPositions": RotaryPositions,
        "FeatureTokenizer": FeatureTokenizer,
        "MSELoss": mse,
        "CrossEntropyLoss": classes_last(torch.nn.CrossEntropyLoss),
        "NLLLoss": classes_last(torch.nn.NLLLoss),
        "BCEWithLogitsLoss": lambda pos_weight=1.0, **arguments: torch.nn.BCEWithLogitsLoss(
            pos_weight=torch.tensor(pos_weight), **arguments
        ),
        "PoissonNLLLoss": lambda **arguments: torch.nn.PoissonNLLLoss(full=False, **arguments),
        "GaussianNLLLoss": GaussianNLLLoss,
        "QuantileLoss": formula(
            lambda p, y, quantile=0.5: torch.where(y > p, quantile * (y - p), (1 - quantile) * (p - y))
        ),
        "FocalLoss": formula(
            lambda p, y, gamma=2.0: (
                y * torch.sigmoid(-p) ** gamma * softplus(-p)
                + (1 - y) * torch.sigmoid(p) ** gamma * softplus(p)
            )
        ),
        "HingeLoss": formula(lambda p, y, margin=1.0: torch.relu(margin - y * p)),
    }
)


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of Chen et al. 2023."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            (beta1, beta2), lr = group["betas"], group["lr"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                direction = torch.sign(beta1 * m + (1 - beta1) * p.grad)
                self.state[p]["m"] = beta2 * m + (1 - beta2) * p.grad
                p.sub_(lr * (direction + group["weight_decay"] * p))


def warmup_cosine(step: int, warmup: int, total: int, end: float) -> float:
    """The factor on lr; `end` is a factor, too."""
    if step < warmup:
        return (step + 1) / warmup
    done = min((step - warmup) / (total - warmup), 1)
    return end + (1 - end) * math.cos(math.pi * done / 2) ** 2


SCHEDULES: dict[str, Callable[..., Any]] = {
    "step": lambda o, lr, every, factor: lr_scheduler.StepLR(o, every, factor),
    "exponential": lambda o, lr, every, factor: lr_scheduler.ExponentialLR(o, factor ** (1 / every)),
    "cosine": lambda o, lr, total_steps, end=0.0: lr_scheduler.CosineAnnealingLR(o, total_steps, end),
    "one_cycle": lambda o, lr, total_steps: lr_scheduler.OneCycleLR(o, lr, total_steps, cycle_momentum=False),
    "warmup_cosine": lambda o, lr, warmup_steps, total_steps, end=0.0: lr_scheduler.LambdaLR(
        o, lambda step: warmup_cosine(step, warmup_steps, total_steps, end / lr)
    ),
    "piecewise": lambda o, lr, factors: lr_scheduler.LambdaLR(
        o, lambda step: math.prod(factor for at, factor in factors.items() if step >= at)
    ),
}


@dataclass
class Run:
    """What a run gave: the loss and the learning rate of each step; then, for inference, the outputs and the loss of all rows."""

    net: torch.nn.Module
    losses: list[float]
    rates: list[float]
    predictions: np.ndarray
    evaluation: float


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def net_of(case: Case, state: dict[str, np.ndarray], dtype: str) -> torch.nn.Module:
    """The network of a case with backpass's weights: the keys and the shapes have to be PyTorch's."""
    net = case.net(nn).to(getattr(torch, dtype))
    net.load_state_dict({key: tensor(array) for key, array in state.items()}, strict=True)
    return net


def optimizer_of(case: Case, net: torch.nn.Module) -> tuple[torch.optim.Optimizer, Any]:
    """The optimizer of a case and its schedule, if any."""
    hyper = dict(case.hyper)
    if case.schedule:
        hyper["lr"] = case.schedule[1]["lr"]
    optimizer = {**vars(torch.optim), "Lion": Lion}[case.optimizer](net.parameters(), **hyper)
    return optimizer, SCHEDULES[case.schedule[0]](optimizer, **case.schedule[1]) if case.schedule else None


def clip(case: Case, net: torch.nn.Module) -> None:
    if "clip_grad_norm" in case.clip:
        torch.nn.utils.clip_grad_norm_(net.parameters(), case.clip["clip_grad_norm"])
    if "clip_grad_value" in case.clip:
        torch.nn.utils.clip_grad_value_(net.parameters(), case.clip["clip_grad_value"])


def train(case: Case, state: dict[str, np.ndarray], dtype: str) -> Run:
    """Train a case from given weights."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))  # NAdam keeps its product of momenta in the default dtype
    try:
        net, loss = net_of(case, state, dtype), case.loss(nn).to(getattr(torch, dtype))
        optimizer, schedule = optimizer_of(case, net)
        losses, rates = [], []
        for x, y in batches(case, dtype):
            optimizer.zero_grad()
            value = loss(net(tensor(x)), tensor(y))
            value.backward()
            clip(case, net)
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            if schedule and len(rates) < case.steps:
                schedule.step()
            losses.append(value.item())
        x, y = rows(case, dtype)
        net.eval()
        with torch.no_grad():
            out = net(tensor(x))
            return Run(net, losses, rates, out.numpy(), loss(out, tensor(y)).item())
    finally:
        torch.set_default_dtype(before)
