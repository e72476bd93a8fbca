"""nn.MixUp: what it does to rows, targets and weights, with the same bits on every backend and for any number of threads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from backpass.nn.mixup import beta_quantiles
from helpers.registered import SampleLoss, sample_losses

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 6)).astype(np.float32)
LABELS, NUMBERS = rng.integers(0, 3, 40), rng.normal(size=(40, 3))
WEIGHT = rng.uniform(0.1, 2, 40)


def network() -> nn.Module:
    return nn.Sequential(nn.GaussianNoise(0.1), nn.MixUp(0.4), nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def test_rows_are_mixed_in_pairs(backend: Backend) -> None:
    for dtype in ("float32", "float64"):
        model = bp.Model(nn.Sequential(nn.MixUp()), "mse", bp.optim.SGD(lr=0.0), dtype=dtype, seed=7)
        model.backend = backend
        x, shares, seconds = X.astype(dtype), [], []
        assert np.array_equal(model.predict(x), x), "inference leaves the data alone"
        for _ in range(60):
            out = model.forward(x, training=True)
            assert model.mixing is not None
            share, partner = model.mixing
            assert np.array_equal(partner[partner], np.arange(40))
            own, other = x.dtype.type(share), x.dtype.type(1 - share)
            assert np.array_equal(out, own * x + other * x[partner]), "the bits of NumPy"
            dx = model.backward(2 * x)
            assert np.array_equal(dx, own * (2 * x) + other * (2 * x)[partner])
            shares.append(share)
            seconds.append(partner[0])
            model.update()
        assert len(set(shares)) > 50
        assert len(set(seconds)) > 20
        assert min(shares) < 0.01
        assert max(shares) > 0.99


def test_shares_are_beta_distributed() -> None:
    for alpha in (0.05, 0.2, 1, 3, 500):
        q = beta_quantiles(alpha)
        assert np.all(np.diff(q) >= 0)
        assert np.allclose(q + q[::-1], 1)
        assert q.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=1e-3)
    assert np.allclose(
        beta_quantiles(0.5), np.sin(np.pi / 2 * (np.arange(4096) + 0.5) / 4096) ** 2, atol=1e-8
    )


def takes_blends(sample: SampleLoss) -> bool:
    """Whether what lies between two targets is a target as well; of classes it is the loss that is mixed."""
    try:
        sample.make().targets(0.3 * sample.y + 0.7 * sample.y[::-1], (sample.outputs,), np.dtype(float))
    except ValueError:
        return sample.of_classes
    return True


MIXED = {name: sample for name, sample in sample_losses().items() if takes_blends(sample)}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", [*MIXED, "callable"])
def test_targets_are_mixed_along(loss: str, weighted: bool, backend: Backend) -> None:
    """One step's loss and gradients against a plain network's on rows and targets that are mixed here."""

    def squares(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        return float(((pred - y) ** 2).mean()), 2 * (pred - y) / y.size

    made: Any = squares if loss == "callable" else loss
    sample = MIXED["mse" if loss == "callable" else loss]
    y: Any = sample.y[:40] if sample.of_classes else sample.y[:40].astype(np.float64)
    layers = nn.Sequential(nn.Linear(6, sample.outputs), nn.LogSoftmax())
    model = bp.Model(nn.Sequential(nn.MixUp(2.0), layers), made, "sgd", dtype="float64", seed=5)
    plain = bp.Model(nn.Sequential(nn.Identity(), layers.__deepcopy__({})), made, "sgd", dtype="float64")
    plain.load_state_dict(model.state_dict())
    model.backend = plain.backend = backend
    weight = WEIGHT if weighted and loss != "callable" else None
    model.forward(X, training=True)
    assert model.mixing is not None
    share, partner = model.mixing
    found = model.fit(X, y, batch_size=40, shuffle=False, sample_weight=weight).history["loss"][0]
    x = X.astype(np.float64)
    mixed = share * x + (1 - share) * x[partner]
    if sample.of_classes or loss == "callable":
        parts = []
        for rows, part in ((np.arange(40), share), (partner, 1 - share)):
            one = bp.Model(
                nn.Sequential(nn.Identity(), layers.__deepcopy__({})), made, "sgd", dtype="float64"
            )
            one.load_state_dict(plain.state_dict())
            w = None if weight is None else weight[rows]
            value = one.fit(mixed, y[rows], batch_size=40, shuffle=False, sample_weight=w).history["loss"][0]
            parts.append((part, value, one.gradients()))
        expected = sum(part * value for part, value, _ in parts)
        gradients = [
            sum(p * g for p, g in zip((share, 1 - share), pair, strict=True))
            for pair in zip(parts[0][2], parts[1][2], strict=True)
        ]
    else:
        blend = share * y + (1 - share) * y[partner]
        w = None if weight is None else share * weight + (1 - share) * weight[partner]
        expected = plain.fit(mixed, blend, batch_size=40, shuffle=False, sample_weight=w).history["loss"][0]
        gradients = plain.gradients()
    assert found == pytest.approx(expected, rel=1e-12)
    for got, want in zip(model.gradients(), gradients, strict=True):
        assert got == pytest.approx(want, rel=1e-9, abs=1e-14)


def test_gradients_of_a_mixed_loss_are_right() -> None:
    for loss, y in (("cross_entropy", LABELS), ("huber", NUMBERS)):
        model = bp.Model(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.MixUp(1.0), nn.Linear(5, 3)), loss)
        assert bp.gradcheck(model, X, y).worst_relative_error < 1e-5, "manifold mixup"


def test_a_killed_run_goes_on_to_the_same_bits(backend: Backend, tmp_path: Path) -> None:
    """Save, load and resume in mid-epoch; for any number of threads."""

    def fresh(threads: int) -> bp.Model:
        model = bp.Model(network(), "cross_entropy", seed=3, threads=threads)
        model.backend = backend
        return model

    class Stop(bp.Callback):
        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            if self.model.engine.step_count[0] == 5:
                self.model.save(tmp_path / "run.safetensors")

    whole, threads = fresh(1), fresh(3)
    options: dict[str, Any] = {"epochs": 4, "batch_size": 16, "sample_weight": WEIGHT}
    losses = whole.fit(X, LABELS, callbacks=[Stop()], **options).history["loss"]
    assert threads.fit(X, LABELS, **options).history["loss"] == losses
    loaded = bp.load(tmp_path / "run.safetensors")
    assert repr(loaded.net) == repr(whole.net)
    loaded.backend = backend
    assert loaded.fit(X, LABELS, resume=True, **options).history["loss"] == losses
    for a, b, c in zip(whole.parameters(), loaded.parameters(), threads.parameters(), strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)


def test_one_row_is_mixed_with_itself() -> None:
    model = bp.Model(nn.Sequential(nn.MixUp()))
    assert model.forward(X[:1], training=True) == pytest.approx(X[:1])


def test_errors() -> None:
    for wrong in (0, -1, float("nan"), "a"):
        with pytest.raises(ValueError, match="MixUp: alpha is"):
            nn.MixUp(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"more than one nn\.MixUp"):
        bp.Model(nn.Sequential(nn.MixUp(), nn.MixUp())).forward(X, training=True)
