"""Networks that are exported: every layer in small ones, with rows for each; and C programs that predict those rows."""

import subprocess
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

import backpass as bp
from backpass import nn
from helpers.graphs import Graph

RNG = np.random.default_rng(0)
ROWS = 5


class Branches(nn.Module):
    """A traced module: branches, a slice with steps, a mean, and all of them side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x: Any) -> Any:
        h = self.a(x).relu() * 0.5
        return bp.cat([x + self.b(h), h[:, ::2], x.mean(1, keepdim=True), (x - h).abs().sqrt()], 1)


class InputsAndOutputs(nn.Module):
    """A traced module with two inputs, one of indices, and three outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.linear = nn.Embedding(7, 4), nn.Linear(6, 4)

    def forward(self, x: Any, index: Any) -> Any:
        e, y = self.table(index), self.linear(x)
        return {"score": (e * y).sum(1), "chosen": bp.where(y > 0, y, e.exp()), "shares": y.softmax(1)}


class LastStates(nn.Module):
    """A traced module that reads the states of an LSTM, and gives a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(3, 5, 2, bidirectional=True), nn.Linear(10, 2)

    def forward(self, x: Any) -> Any:
        y, (h, c) = self.lstm(x)
        return self.head(y[:, -1]) + h.mean(0)[:, :2], c.transpose(0, 1)


class ClassToken(nn.Module):
    """A traced module that puts a learned token before each row: an expansion to the size of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(np.linspace(-1, 1, 8).reshape(1, 1, 8))
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16)

    def forward(self, x: Any) -> Any:
        return self.encoder(bp.cat([self.token.expand(x.shape[0], -1, -1), x], 1))[:, 0]


class Tied(nn.Module):
    """A table that is the weight of a linear layer too."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: Any) -> Any:
        return self.head(self.embed(x))


class Functions(nn.Module):
    """Functions of tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        y = self.linear(x)
        chosen = y.argmax(1)
        outer = bp.einsum("bi,bj->bij", y, y)
        parts = (
            y.max(1)[0],
            chosen,
            y.gather(1, chosen.unsqueeze(1)),
            y[:, [2, 0]],
            y.std(1),
            y.logsumexp(1),
            outer.sum(2),
            y.flip(1) - y.roll(1, 1) * bp.zeros_like(y[:, :1]),
            outer.flip((1, 2)).cumsum(2),
        )
        return (*parts, y.clamp(-0.2, 0.3), bp.where(y >= 0.1, y, x), outer @ outer.transpose(1, 2))


class Integers(nn.Module):
    """All arithmetic of integers that become indices, quotients and rests by 0 among them."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 3)

    def forward(self, a: Any, b: Any, x: Any) -> Any:
        chosen = bp.where(x > 0, a - 2 * b, a // 3)
        whole = [
            a + b,
            a * b,
            a // b,
            a % b,
            a % 7,
            a // -4,
            chosen,
            x.long(),
            (x * 1e30).long(),
            a.clamp(-3, 5),
        ]
        compared = [a < b, a <= b, a > b, a >= b, a == b, a != 2]
        return self.table(bp.cat(whole, 1) % 50), bp.cat(compared, 1)


def numbers(*shape: int) -> Any:
    return lambda: RNG.standard_normal((ROWS, *shape)).astype(np.float32)


def below(high: int, *shape: int) -> Any:
    return lambda: RNG.integers(0, high, (ROWS, *shape))


def _activations() -> list[nn.Module]:
    layers = [
        nn.ELU(),
        nn.Softplus(beta=2),
        nn.Softplus(),
        nn.LeakyReLU(0.1),
        nn.GELU("tanh"),
        nn.GELU(),
        nn.SiLU(),
        nn.Sigmoid(),
        nn.Hardtanh(-0.5, 0.8),
        nn.ReLU6(),
        nn.Hardsigmoid(),
        nn.Hardswish(),
        nn.SELU(),
        nn.CELU(0.5),
        nn.LogSigmoid(),
        nn.Mish(),
        nn.Softsign(),
        nn.PReLU(),
        nn.PReLU(4),
    ]
    return [one for layer in layers for one in (nn.Linear(4, 4), layer)]


# By name: layers of a Sequential, or one module; and rows.
NETS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "mlp": (lambda: [nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)], numbers(4)),
    "activations": (lambda: [*_activations(), nn.LogSoftmax()], numbers(4)),
    "norms": (
        lambda: [
            nn.BatchNorm1d(4),
            nn.Tanh(),
            nn.LayerNorm(4),
            nn.RMSNorm(4),
            nn.Linear(4, 6),
            nn.GLU(),
            nn.Softmax(),
        ],
        numbers(4),
    ),
    "residual": (lambda: [nn.Residual(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 1)], numbers(4)),
    "nothing": (lambda: [nn.Identity()], numbers(4)),
    "flat": (lambda: [nn.Flatten()], numbers(4, 2)),
    "unflat": (
        lambda: [nn.Linear(4, 18), nn.Unflatten(1, (2, 3, -1)), nn.PReLU(2), nn.Conv2d(2, 3, 2), nn.PReLU(3)],
        numbers(4),
    ),
    "conv1d": (
        lambda: [
            nn.Conv1d(3, 4, 3, padding=1),
            nn.BatchNorm1d(4, affine=False),
            nn.MaxPool1d(2),
            nn.Conv1d(4, 6, 2, stride=2, dilation=2, groups=2),
            nn.InstanceNorm1d(6, affine=True),
            nn.Flatten(),
            nn.Linear(12, 3),
        ],
        numbers(3, 12),
    ),
    "conv2d": (
        lambda: [
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(4, 8, 3),
            nn.GELU(),
            nn.AvgPool2d(2, padding=1),
            nn.Flatten(),
            nn.Linear(72, 3),
        ],
        numbers(3, 13, 13),
    ),
    "residual_conv": (
        lambda: [
            nn.Residual(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout2d()),
            nn.GlobalAvgPool(),
            nn.Linear(3, 2),
        ],
        numbers(3, 6, 5),
    ),
    "transposed": (
        lambda: [
            nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
            nn.SiLU(),
            nn.GroupNorm(2, 4),
        ],
        numbers(4, 4, 5),
    ),
    "transposed1d": (lambda: [nn.ConvTranspose1d(3, 4, 3, stride=2), nn.GlobalMaxPool()], numbers(3, 4)),
    "padded": (
        lambda: [
            nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"),
            nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        ],
        numbers(3, 6, 6),
    ),
    "adaptive": (
        lambda: [nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d((3, 4)), nn.AdaptiveMaxPool2d(2)],
        numbers(3, 9, 9),
    ),
    "average": (
        lambda: [
            nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
            nn.AvgPool2d(2, ceil_mode=True),
        ],
        numbers(3, 10, 9),
    ),
    "dilated": (
        lambda: [nn.MaxPool2d(3, stride=2, padding=1, dilation=2), nn.RandomHorizontalFlip()],
        numbers(3, 10, 9),
    ),
    "upsampled": (
        lambda: [
            nn.Upsample(scale_factor=2),
            nn.Upsample(size=(7, 9), mode="bilinear"),
            nn.Upsample(scale_factor=1.7, mode="bilinear", align_corners=True),
        ],
        numbers(3, 4, 5),
    ),
    "rnn": (
        lambda: [nn.RNN(3, 5, nonlinearity="relu"), nn.RNN(5, 5, returns="last"), nn.Linear(5, 2)],
        numbers(6, 3),
    ),
    "lstm": (lambda: [nn.LSTM(3, 5, 2, bidirectional=True, returns="last"), nn.Linear(10, 2)], numbers(6, 3)),
    "gru": (
        lambda: [nn.GRU(3, 5, bidirectional=True), nn.GRU(10, 4, bias=False), nn.Linear(4, 2)],
        numbers(6, 3),
    ),
    "embedding": (lambda: [nn.Embedding(9, 4), nn.LSTM(4, 3, returns="last")], below(9, 6)),
    "bag": (lambda: [nn.EmbeddingBag(9, 4, padding_idx=0)], below(3, 3)),
    "bag_of_largest": (lambda: [nn.EmbeddingBag(9, 4, mode="max", padding_idx=0)], below(2, 2)),
    "bag_of_sums": (lambda: [nn.EmbeddingBag(9, 4, mode="sum")], below(9, 2)),
    "transformer": (
        lambda: [
            nn.Embedding(9, 8),
            nn.PositionalEmbedding(6, 8),
            nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2),
            nn.Flatten(),
            nn.Linear(48, 2),
        ],
        below(9, 6),
    ),
    "prenorm": (
        lambda: [
            nn.Linear(3, 8),
            nn.SinusoidalPositions(8),
            nn.TransformerEncoderLayer(8, 2, 16, norm_first=True),
        ],
        numbers(6, 3),
    ),
    "cropped": (
        lambda: [nn.RandomCrop((4, 9), padding=(0, 2)), nn.Conv2d(3, 2, 3), nn.RandomCrop(2)],
        numbers(3, 7, 6),
    ),
    "branches": (Branches, numbers(6)),
    "inputs_and_outputs": (InputsAndOutputs, lambda: (numbers(6)(), below(7)())),
    "last_states": (LastStates, numbers(6, 3)),
    "class_token": (ClassToken, numbers(4, 8)),
    "tied": (Tied, below(9, 3)),
    "functions": (Functions, numbers(4)),
    "integers": (
        Integers,
        lambda: (RNG.integers(-20, 20, (ROWS, 6)), RNG.integers(-3, 4, (ROWS, 6)), numbers(6)() * 9),
    ),
}


def drawn_anew(name: str, rows: Any) -> Any:
    """Rows that are the same whatever was drawn before: in float32 some draws miss a tolerance of training."""

    def draw() -> Any:
        RNG.bit_generator.state = np.random.default_rng(crc32(name.encode())).bit_generator.state
        return rows()

    return draw


NETS = {name: (make, drawn_anew(name, rows)) for name, (make, rows) in NETS.items()}
# Those of which bp.export.c takes each op, with one input and output.
FOR_C = [
    "mlp", "activations", "norms", "residual", "nothing", "flat", "unflat", "conv1d", "conv2d", "residual_conv", "transposed",
    "transposed1d", "padded", "adaptive", "average", "dilated", "cropped", "rnn", "lstm", "gru", "branches",
]  # fmt: skip


# Random graphs, whose rows do not depend on each other.
SEEDS = (9, 26, 76, 79, 94, 124, 138, 140, 156, 159)
NETS |= {f"graph_{seed}": (partial(Graph, seed), numbers(*Graph(seed).row)) for seed in SEEDS}
FOR_C += [f"graph_{seed}" for seed in SEEDS]


def used(name: str) -> tuple[bp.Model, Any]:
    """A model of this name that has predicted its rows, with running statistics as after some training; and the rows."""
    make, rows = NETS[name]
    net = make()
    model = bp.Model(nn.Sequential(*net) if isinstance(net, list) else net, seed=3)
    state = model.state_dict()
    for key in state:
        if key.endswith("running_var"):
            state[key] = RNG.uniform(0.5, 2, state[key].shape)
        elif key.endswith("running_mean"):
            state[key] = RNG.standard_normal(state[key].shape)
    model.load_state_dict(state)
    x = rows()
    model.predict(x)
    return model, x


def program(rows: Mapping[str, np.ndarray], outputs: Mapping[str, int], show: str) -> str:
    """A C program that predicts a row with each model, by name, and shows each number of y; show: C of `void show(float v)`."""
    before, main = ["#include <string.h>", show, "static float x[2048], y[2048];"], []
    for name, row in rows.items():
        bits = ", ".join(f"0x{word:08x}u" for word in row.ravel().view(np.uint32))
        before.append(f"void {name}_predict(const float *x, float *y);")
        before.append(f"static const unsigned {name}_row[] = {{{bits}}};")
        main.append(f"    memcpy(x, {name}_row, sizeof {name}_row);\n    {name}_predict(x, y);")
        main.append(f"    for (int i = 0; i < {outputs[name]}; i++)\n        show(y[i]);")
    return "\n".join([*before, "int main(void)\n{", *main, "    return 0;\n}\n"])


def shown(text: str) -> np.ndarray:
    """The numbers that a program has shown, as the bits of each in a line."""
    return np.array([int(line, 16) for line in text.split()], np.uint32).view(np.float32)


def compiled(compiler: str, sources: Iterable[Path], into: Path, *flags: str) -> None:
    """Compile C files without a warning."""
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    done = subprocess.run(
        [compiler, *strict, "-O1", *flags, *sources, "-o", into, "-lm"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
