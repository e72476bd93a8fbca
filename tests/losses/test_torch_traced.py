"""Losses that are written as an expression, beside their PyTorch form: the same losses over many steps, in float64."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional
from backpass import nn, optim
from backpass.backends import Backend
from backpass.backends.numpy import NumPyBackend
from helpers.backends import once

ROWS, SIZE, ACTIONS, STEPS, LIMIT = 16, 6, 3, 30, 1e-10


def huber(torch: Any, F: Any) -> Callable[[Any, Any], Any]:
    def loss(pred: Any, y: Any) -> Any:
        d = (pred - y).abs()
        return torch.where(d < 0.7, 0.5 * d * d, 0.7 * (d - 0.35)).mean()

    return loss


def ppo(torch: Any, F: Any) -> Callable[[Any, Any], Any]:
    """PPO's clipped objective, a value loss and an entropy bonus; y: action, advantage, old log probability, return."""

    def loss(pred: Any, y: Any) -> Any:
        logits, value = pred[:, :ACTIONS], pred[:, ACTIONS]
        action, advantage, old, returns = y[:, 0], y[:, 1], y[:, 2], y[:, 3]
        logp = F.log_softmax(logits, dim=1)
        chosen = (logp * (action[:, None] == torch.arange(ACTIONS)[None, :])).sum(dim=1)
        ratio = (chosen - old).exp()
        clipped = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
        entropy = -(logp.exp() * logp).sum(dim=1)
        return (-clipped + 0.5 * (value - returns) ** 2 - 0.01 * entropy).mean()

    return loss


def contrastive(torch: Any, F: Any) -> Callable[[Any, Any], Any]:
    """InfoNCE: the two halves of a row are a pair, all other rows are not."""

    def loss(pred: Any, y: Any) -> Any:
        half = pred.shape[1] // 2
        a, b = F.normalize(pred[:, :half], dim=1), F.normalize(pred[:, half:], dim=1)
        similar = a @ b.T / 0.2
        rows = torch.arange(similar.shape[0])
        same = rows[:, None] == rows[None, :]
        return (
            -torch.where(same, F.log_softmax(similar, dim=1), torch.zeros(1)).sum(dim=1).mean() + 0 * y.sum()
        )

    return loss


def ignoring(torch: Any, F: Any) -> Callable[[Any, Any], Any]:
    """Cross entropy of the classes that count, and a margin between a class and the largest."""

    def loss(pred: Any, y: Any) -> Any:
        margin = pred.amax(dim=1) - pred.gather(1, y[:, None])[:, 0]
        return F.cross_entropy(pred, y, ignore_index=1) + 0.1 * margin.mean()

    return loss


LOSSES = {
    "ignoring": (ignoring, ACTIONS, lambda rng: rng.integers(0, ACTIONS, ROWS)),
    "huber": (huber, 4, lambda rng: rng.standard_normal((ROWS, 4))),
    "ppo": (ppo, ACTIONS + 1, lambda rng: np.column_stack([
        rng.integers(0, ACTIONS, ROWS), rng.standard_normal(ROWS), -rng.random(ROWS), rng.standard_normal(ROWS),
    ])),
    "contrastive": (contrastive, 8, lambda rng: rng.standard_normal((ROWS, 1))),
}  # fmt: skip


def body(nn: Any, outputs: int) -> Any:
    return nn.Sequential(nn.Linear(SIZE, 12), nn.Tanh(), nn.Linear(12, outputs))


@pytest.mark.torch
@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_those_of_torch(name: str, backend: Backend) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)

    make, outputs, targets = LOSSES[name]
    ours, theirs = make(bp, backpass.nn.functional), make(torch, torch.nn.functional)
    model = bp.Model(
        body(nn, outputs), nn.traced(ours), optim.SGD(lr=0.05, momentum=0.9), dtype="float64", backend="numpy"
    )
    model.backend = backend
    peer = body(torch.nn, outputs).double()
    peer.load_state_dict({key: torch.from_numpy(value) for key, value in model.state_dict().items()})
    optimizer = torch.optim.SGD(peer.parameters(), lr=0.05, momentum=0.9)
    rng = np.random.default_rng(2)
    for step in range(STEPS):
        x, y = rng.standard_normal((ROWS, SIZE)), targets(rng)
        optimizer.zero_grad()
        loss = theirs(peer(torch.from_numpy(x)), torch.from_numpy(y))
        loss.backward()
        optimizer.step()
        assert model.step(x, y) == pytest.approx(loss.item(), rel=LIMIT), step


class VAE(nn.Module):
    """Variational autoencoder: reconstruction, mean and log variance side by side."""

    def __init__(self, hidden: int = 2) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(SIZE, 2 * hidden), nn.Linear(hidden, SIZE)

    def forward(self, x: Any) -> Any:
        mean, log_var = self.encode(x).chunk(2, dim=1)
        z = mean + (0.5 * log_var).exp() * bp.randn_like(mean)
        return bp.cat([self.decode(z), mean, log_var], dim=1)


def negative_elbo(pred: Any, x: Any) -> Any:
    decoded, mean, log_var = pred.split([SIZE, 2, 2], dim=1)
    return ((decoded - x) ** 2).sum(dim=1) - 0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(dim=1)


@pytest.mark.torch
def test_variational_autoencoder(backend: Backend) -> None:
    """The noise is that of the op; with it PyTorch gives the same losses. Every backend draws the same."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)

    model = bp.Model(
        VAE(), nn.traced(negative_elbo), optim.SGD(lr=0.01), dtype="float64", backend="numpy", seed=5
    )
    model.backend = backend
    weights = {k: torch.from_numpy(v).requires_grad_() for k, v in model.state_dict().items()}
    x = np.random.default_rng(0).standard_normal((ROWS, SIZE))
    for step in range(10):
        noise = np.zeros((ROWS, 2))
        NumPyBackend().call(
            "gaussian_noise", x=np.zeros((ROWS, 2)), step=np.array([step]), y=noise, std=1.0, seed=5, stream=1
        )
        X = torch.from_numpy(x)
        mean, log_var = (X @ weights["encode.weight"].T + weights["encode.bias"]).chunk(2, dim=1)
        z = mean + (0.5 * log_var).exp() * torch.from_numpy(noise)
        decoded = z @ weights["decode.weight"].T + weights["decode.bias"]
        loss = negative_elbo(torch.cat([decoded, mean, log_var], dim=1), X).mean()
        grads = torch.autograd.grad(loss, [*weights.values()])
        assert model.step(x, x) == pytest.approx(loss.item(), rel=LIMIT)
        weights = {
            k: (w.detach() - 0.01 * g).requires_grad_()
            for (k, w), g in zip(weights.items(), grads, strict=True)
        }


def test_one_number_a_row_takes_weights(backend: Backend) -> None:
    """A loss with one number a row is the mean that PyTorch's users write: weighted, over epochs as well."""
    rng = np.random.default_rng(1)
    x, y, w = rng.standard_normal((40, SIZE)), rng.standard_normal((40, 2)), rng.random(40)
    histories = []
    for loss in (nn.MSELoss(), nn.traced(lambda pred, y: ((pred - y) ** 2).mean(dim=1))):
        model = bp.Model(nn.Linear(SIZE, 2), loss, dtype="float64", backend="numpy")
        model.backend = backend
        model.fit(x, y, sample_weight=w, epochs=3, batch_size=16, progress=False)
        histories.append(model.evaluate(x, y)["loss"])
    assert histories[0] == pytest.approx(histories[1], rel=1e-12)


def test_weights_where_the_rows_of_the_loss_see_each_other(backend: Backend) -> None:
    """One number a row is weighted, also where it depends on the other rows, as in a contrastive loss."""
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((12, SIZE)), rng.random(12)
    model = bp.Model(
        nn.Linear(SIZE, 2), nn.traced(lambda p, y: (p @ p.T).sum(dim=1) + 0 * y.sum()), backend="numpy"
    )
    model.backend = backend
    pred = model.predict(x)
    found = model.evaluate(x, x, sample_weight=w)["loss"]
    assert found == pytest.approx(float((w * (pred @ pred.T).sum(axis=1)).sum() / w.sum()), rel=1e-5)


def test_columns_of_whole_numbers(backend: Backend) -> None:
    """Targets that are integers are numbers in an expression, however they are viewed and summed."""
    x, y = np.ones((8, SIZE)), np.arange(16).reshape(8, 2)
    model = bp.Model(
        nn.Linear(SIZE, 2),
        nn.traced(lambda p, y: (p[:, 0] * y[:, 1] + y.T.sum(dim=0)).mean()),
        backend="numpy",
    )
    model.backend = backend
    pred = model.predict(x)
    assert model.evaluate(x, y)["loss"] == pytest.approx(
        float((pred[:, 0] * y[:, 1] + y.sum(axis=1)).mean()), rel=1e-5
    )


@once
def test_what_a_loss_may_be() -> None:
    x, y = np.ones((8, SIZE)), np.ones((8, 2))

    def step(f: Any, **fit: Any) -> None:
        bp.Model(nn.Linear(SIZE, 2), nn.traced(f)).fit(x, y, epochs=1, progress=False, **fit)

    step(lambda pred, y: (pred - y).abs().mean())
    step(lambda pred, y: (pred - y).abs(), sample_weight=np.ones(8))
    for wrong, shape in (
        (lambda pred, y: (pred - y)[:, :, None] * y[:, None, :], r"\(8, 2, 2\)"),
        (lambda pred, y: pred[:, :1] - y[:, 0], r"\(8, 8\)"),
        (lambda pred, y: (pred - y).sum(dim=0), r"\(2,\)"),
    ):
        with pytest.raises(
            ValueError, match=rf"the loss gave a tensor of shape {shape}, expected one number, or one for"
        ):
            step(wrong)
    with pytest.raises(ValueError, match=r"the loss gave 1\.0, expected one number"):
        step(lambda pred, y: 1.0)
    with pytest.raises(
        ValueError, match="sample_weight or class_weight is given, but the loss is one number"
    ):
        step(lambda pred, y: (pred - y).abs().mean(), sample_weight=np.ones(8))
    with pytest.raises(TypeError, match=r"an `if` on a tensor.*\n  in .*test_torch_traced.py:\d+: .*if pred"):
        step(lambda pred, y: pred.mean() if pred.sum() > 0 else y.mean())
    with pytest.raises(TypeError, match="an `if` on a tensor"):
        step(max)  # Python says of it no arguments
    with pytest.raises(TypeError, match="TracedLoss: f is 3, expected a function"):
        nn.traced(3)  # type: ignore[arg-type]
    assert math.isfinite(bp.Model(nn.Linear(SIZE, 2), nn.traced(lambda p, y: (p * y).mean())).step(x, y))
