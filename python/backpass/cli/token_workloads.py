"""Workloads of tokens: transformers on text and on tables, and tables with embeddings."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .network_workload import NetworkWorkload


@dataclass(frozen=True)
class TokenWorkload(NetworkWorkload):
    """A network on integers, and on numbers beside them.

    vocabulary: the values of each column of integers (one for all of a text); numbers: columns of numbers.
    """

    vocabulary: tuple[int, ...] = ()
    numbers: int = 0

    def data(self, seed: int = 0) -> tuple[Any, np.ndarray]:
        rng = np.random.default_rng(seed)
        rows = self.batch * self.steps_per_epoch
        if self.text:
            ids = rng.integers(0, self.vocabulary[0], (rows, self.shape[0] + 1))
            return ids[:, :-1], ids[:, 1:]
        # Columns share one table: each has values of its own in it.
        starts = np.cumsum([0, *self.vocabulary[:-1]])
        ids = np.stack(
            [rng.integers(0, n, rows) + s for n, s in zip(self.vocabulary, starts, strict=True)], axis=1
        )
        y = rng.integers(0, 2, (rows, 1)).astype(np.float32)
        if not self.numbers:
            return ids, y
        return (rng.standard_normal((rows, self.numbers), dtype=np.float32), ids), y

    @property
    def text(self) -> bool:
        """Whether each token is followed by the next one."""
        return self.loss == "cross_entropy"


def gpt(layers: int, heads: int, width: int, steps: int) -> Any:
    """A decoder of transformer blocks without biases, its table tied to its head (nanoGPT)."""

    def build(nn: Any) -> Any:
        F = nn.functional

        class Block(nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.norm1, self.norm2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
                self.qkv = nn.Linear(width, 3 * width, bias=False)
                self.project = nn.Linear(width, width, bias=False)
                self.up, self.down = (
                    nn.Linear(width, 4 * width, bias=False),
                    nn.Linear(4 * width, width, bias=False),
                )

            def forward(self, x: Any) -> Any:
                batch, length, _ = x.shape
                parts = self.qkv(self.norm1(x)).split(width, 2)
                q, k, v = (p.view(batch, length, heads, width // heads).transpose(1, 2) for p in parts)
                y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
                x = x + self.project(y.transpose(1, 2).reshape(batch, length, width))
                return x + self.down(F.gelu(self.up(self.norm2(x))))

        class GPT(nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.tokens, self.positions = nn.Embedding(65, width), nn.Embedding(steps, width)
                self.blocks = nn.Sequential(*[Block() for _ in range(layers)])
                self.norm, self.head = nn.LayerNorm(width, bias=False), nn.Linear(width, 65, bias=False)
                self.head.weight = self.tokens.weight

            def forward(self, x: Any) -> Any:
                h = self.tokens(x) + self.positions.weight[: x.shape[1]]
                return self.head(self.norm(self.blocks(h)))

        return GPT()

    return build


def table_transformer(
    numbers: int, categories: int, values: int, width: int, heads: int, layers: int, hidden: int
) -> Any:
    """Each column a token, and one for the answer; pre-norm blocks with ReGLU (FT-Transformer, Gorishniy et al. 2021)."""

    def build(nn: Any) -> Any:
        F = nn.functional
        tokens = numbers + categories + 1

        class Block(nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
                self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
                self.up, self.down = nn.Linear(width, 2 * hidden), nn.Linear(hidden, width)

            def forward(self, x: Any) -> Any:
                batch = x.shape[0]
                parts = self.qkv(self.norm1(x)).split(width, 2)
                q, k, v = (p.view(batch, tokens, heads, width // heads).transpose(1, 2) for p in parts)
                y = F.scaled_dot_product_attention(q, k, v)
                x = x + self.project(y.transpose(1, 2).reshape(batch, tokens, width))
                a, b = self.up(self.norm2(x)).split(hidden, 2)
                return x + self.down(a * F.relu(b))

        class Table(nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.scale, self.shift = nn.Embedding(numbers, width), nn.Embedding(numbers, width)
                self.table, self.answer = nn.Embedding(categories * values, width), nn.Embedding(1, width)
                self.blocks = nn.Sequential(*[Block() for _ in range(layers)])
                self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, 1)

            def forward(self, x: Any, ids: Any) -> Any:
                rows = x.shape[0]
                of_numbers = x[:, :, None] * self.scale.weight + self.shift.weight
                answer = (x[:, :1] * 0)[:, :, None] + self.answer.weight
                h = self.blocks(cat(nn)([answer.reshape(rows, 1, width), of_numbers, self.table(ids)], 1))
                return self.out(F.relu(self.norm(h[:, 0])))

        return Table()

    return build


def cat(nn: Any) -> Any:
    """The function of the library that a namespace of layers belongs to."""
    if nn.__name__ == "torch.nn":
        import torch

        return torch.cat
    from ..program.functions import cat as ours

    return ours


def recommender(rows: int, width: int, hidden: int, sparse: bool = True) -> Any:
    """Two large tables, of users and of items, and a small network on both rows."""

    def build(nn: Any) -> Any:
        class Recommender(nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.table = nn.Embedding(2 * rows, width, sparse=sparse)
                self.net = nn.Sequential(
                    nn.Linear(2 * width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
                )  # fmt: skip

            def forward(self, ids: Any) -> Any:
                return self.net(self.table(ids).reshape(ids.shape[0], 2 * width))

        return Recommender()

    return build


VALUES = (5, 10, 20, 40, 80, 120, 250, 400, 700, 1000)


def table_network(numbers: int, width: int) -> Any:
    """Columns of integers by one table, beside columns of numbers, then a small network."""

    def build(nn: Any) -> Any:
        inputs = len(VALUES) * width + numbers

        class Table(nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.table = nn.Embedding(sum(VALUES), width)
                self.net = nn.Sequential(
                    nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1)
                )  # fmt: skip

            def forward(self, x: Any, ids: Any) -> Any:
                return self.net(cat(nn)([x, self.table(ids).reshape(x.shape[0], len(VALUES) * width)], 1))

        return Table()

    return build


TOKENS = (
    TokenWorkload(
        "nanogpt", (128, 65), 12, shape=(64,), build=gpt(4, 4, 128, 64), vocabulary=(65,), optimizer="AdamW",
        clip_grad_norm=1.0,
    ),
    TokenWorkload(
        "fttransformer", (29, 64, 1), 256, loss="bce_with_logits", build=table_transformer(20, 8, 10, 64, 4, 3, 85),
        vocabulary=(10,) * 8, numbers=20, optimizer="AdamW",
    ),
    TokenWorkload(
        "embedrec", (64, 64, 64, 1), 1024, loss="bce_with_logits", build=recommender(50_000, 32, 64),
        vocabulary=(50_000, 50_000),
    ),
    TokenWorkload(
        "tabemb", (132, 128, 64, 1), 256, loss="bce_with_logits", build=table_network(12, 12), vocabulary=VALUES,
        numbers=12,
    ),
)  # fmt: skip
TOKEN_WORKLOADS = {w.name: w for w in TOKENS} | {"nanogpt_b1": replace(TOKENS[0], name="nanogpt_b1", batch=1)}
