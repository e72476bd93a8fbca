"""Metrics of outputs with places: channels behind convolutions, the last dimension of sequences, and what is refused."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn

RNG = np.random.default_rng(3)
IMAGES = RNG.normal(size=(12, 1, 6, 6)).astype(np.float32)
# Pixels of two columns of each image.
ONES = np.zeros((12, 1, 6, 6), np.float32)
ONES[..., 2] = IMAGES[..., 2] > 0
ONES[..., 3] = IMAGES[..., 3] > 1
WEIGHT = RNG.uniform(0.2, 2, 12)
OF_LABELS = ["f1", "precision", "recall", "auc", "f1_macro"]


class Forward(nn.Module):
    """Layers by name, and what they do."""

    def __init__(self, function: Any, **layers: Any) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: Any) -> Any:
        return self.function(self, x)


def columns(array: np.ndarray, channels: int = 1) -> np.ndarray:
    """(places, outputs)."""
    return np.moveaxis(array, channels, -1).reshape(-1, array.shape[channels])


def of_labels(pred: np.ndarray, y: np.ndarray, weight: Any = None) -> dict[str, float]:
    """What scikit-learn says of logits (places, outputs)."""
    scores = pytest.importorskip("sklearn.metrics")
    average = "binary" if y.shape[1] == 1 else "macro"
    y, guess = y.astype(int), (pred > 0).astype(int)
    if y.shape[1] == 1:
        y, guess = y[:, 0], guess[:, 0]
    options = {"zero_division": 0.0, "sample_weight": weight}
    found = {
        name: getattr(scores, f"{name}_score")(y, guess, average=average, **options)
        for name in ("f1", "precision", "recall")
    }
    macro = scores.f1_score(y, guess, average="macro", **options)
    return found | {"auc": scores.roc_auc_score(y, pred, sample_weight=weight), "f1_macro": macro}


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_rows(channels: int, weight: Any) -> None:
    y = np.concatenate([ONES, ONES[::-1], ONES[:, :, ::-1]], axis=1)[:, :channels]
    model = bp.Model(nn.Sequential(nn.Conv2d(1, channels, 1)), "bce_with_logits", metrics=OF_LABELS)
    if channels == 1:
        model.load_state_dict({"0.weight": np.ones((1, 1, 1, 1)), "0.bias": np.zeros(1)})
    each = None if weight is None else np.repeat(weight, 36)
    expected = of_labels(columns(model.predict(IMAGES)), columns(y), each)
    found = model.evaluate(IMAGES, y, sample_weight=weight)
    assert {name: found[name] for name in OF_LABELS} == pytest.approx(expected, rel=1e-5)
    model.optimizer = bp.optim.SGD(lr=0.0)
    history = model.fit(IMAGES, y, batch_size=5, sample_weight=weight).history
    assert {name: history[name][0] for name in OF_LABELS} == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("lengths", [None, RNG.integers(1, 7, 12)], ids=["", "lengths"])
def test_r2_of_channels_of_sequences(lengths: Any, weight: Any) -> None:
    scores = pytest.importorskip("sklearn.metrics")
    x = RNG.normal(size=(12, 6, 2)).astype(np.float32)
    y = (RNG.normal(size=(12, 2, 6)) * [[1], [9]] + [[3], [-7]]).astype(np.float32)
    net = Forward(lambda self, x: self.conv(x.transpose(1, 2)), conv=nn.Conv1d(2, 2, 1))
    seen: list[Any] = []

    def own(y: Any, pred: Any, sample_weight: Any = None) -> float:
        seen.append(pred)
        return 0.0

    model = bp.Model(net, metrics=["r2", own])
    found = model.evaluate(x, y, weight, lengths)
    counts = np.ones((12, 6), bool) if lengths is None else np.arange(6) < lengths[:, None]
    each = None if weight is None else np.repeat(weight, 6)[counts.ravel()]
    pred, y = (columns(array)[counts.ravel()] for array in (model.predict(x, lengths), y))
    assert found["r2"] == pytest.approx(scores.r2_score(y, pred, sample_weight=each), rel=1e-4)
    if lengths is not None:
        assert np.array_equal(seen[0], pred)


def net_of(kind: str) -> tuple[nn.Module, tuple[int, ...], int]:
    """A network, the shape of a row of its input, and the dimension that holds its outputs."""
    conv = nn.Conv2d(1, 3, 1)
    return {
        "steps": (nn.Sequential(nn.GRU(2, 4), nn.Linear(4, 3)), (5, 2), 2),
        "one of steps": (nn.Sequential(nn.Linear(2, 1)), (5, 2), 2),
        "transposed": (Forward(lambda self, x: self.a(x).transpose(1, 2), a=nn.Linear(2, 3)), (5, 2), 1),
        "horizon": (nn.Sequential(nn.Conv1d(2, 4, 1), nn.Linear(6, 3)), (2, 6), 2),
        "copied channels": (nn.Sequential(nn.Conv2d(1, 6, 1), nn.GLU(1)), (1, 4, 5), 1),
        "copied steps": (nn.Sequential(nn.Conv1d(2, 6, 1), nn.GLU(1)), (2, 6), 1),
        "channels last": (Forward(lambda self, x: self.c(x).permute(0, 2, 3, 1), c=conv), (1, 4, 5), 3),
        "decoder": (
            Forward(
                lambda self, x: self.c(self.a(x).reshape(-1, 2, 2, 2)),
                a=nn.Linear(4, 8),
                c=nn.ConvTranspose2d(2, 3, 2, 2),
            ),
            (4,),
            1,
        ),
    }[kind]


KINDS = [
    "steps", "one of steps", "transposed", "horizon", "copied channels", "copied steps", "channels last", "decoder"
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_where_the_outputs_are(kind: str) -> None:
    scores = pytest.importorskip("sklearn.metrics")
    net, row, at = net_of(kind)
    X = RNG.normal(size=(12, *row)).astype(np.float32)
    model = bp.Model(net, metrics=["r2"])
    pred = model.predict(X)
    noise = RNG.normal(size=pred.shape) * (np.arange(pred[0].size) % 7).reshape(pred.shape[1:])
    y = (pred + 0.2 * noise).astype(np.float32)
    found = model.evaluate(X, y)["r2"]
    assert found == pytest.approx(scores.r2_score(columns(y, at), columns(pred, at)), rel=1e-4)


def test_outputs_that_nobody_can_tell_are_refused() -> None:
    net = Forward(lambda self, x: self.a(x).reshape(-1, 1, 4, 4), a=nn.Linear(6, 16))
    X, y = RNG.normal(size=(12, 6)), np.zeros((12, 1, 4, 4))
    for loss, name in (("bce_with_logits", "auc"), ("mse", "r2")):
        model = bp.Model(net, loss, metrics=[name])
        for call in (model.fit, model.evaluate):
            with pytest.raises(
                ValueError, match=rf"metrics has '{name}', but which dimension .* \(1, 4, 4\) holds its"
            ):
                call(X, y)
        assert not model.engine.step_count[0]
        net = net.__class__(net.function, a=nn.Linear(6, 16))
    assert bp.Model(net, metrics=["mae"]).evaluate(X, y)["mae"] > 0


def test_each_of_several_outputs_is_looked_at() -> None:
    scores = pytest.importorskip("sklearn.metrics")

    def forward(self: Any, x: Any) -> Any:
        maps = self.c(x).relu()
        return {"maps": maps, "numbers": self.a(maps.reshape(-1, 48)), "one": maps[:, 0]}

    net = Forward(forward, c=nn.Conv2d(1, 3, 3), a=nn.Linear(48, 2))
    model = bp.Model(
        net,
        dict.fromkeys(("maps", "numbers", "one"), "mse"),
        metrics={"maps": ["r2"], "numbers": ["r2"], "one": ["mae"]},
    )
    pred = model.predict(IMAGES)
    y = {name: (array + RNG.normal(size=array.shape)).astype(np.float32) for name, array in pred.items()}
    found = model.evaluate(IMAGES, y)
    for name in ("maps", "numbers"):
        expected = scores.r2_score(columns(y[name]), columns(pred[name]))
        assert found[f"{name}_r2"] == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match=r"metrics has 'one_r2', but which dimension .* \(4, 4\) holds its"):
        model.evaluate(IMAGES, y, metrics={"one": ["r2"]})


def test_a_function_gets_steps_of_a_loss_with_more_outputs_than_targets() -> None:
    X, y, lengths = RNG.normal(size=(4, 5, 2)), RNG.normal(size=(4, 5, 1)), np.arange(1, 5)
    shapes: list[Any] = []

    def own(y: Any, pred: Any) -> float:
        shapes.append((y.shape, pred.shape))
        return 0.0

    model = bp.Model(nn.Sequential(nn.GRU(2, 3), nn.Linear(3, 2)), "gaussian_nll", metrics=[own])
    model.evaluate(X, y, lengths=lengths)
    assert shapes == [((10, 1), (10, 2))]


def test_weights_of_rows_of_a_traced_loss() -> None:
    X, y = RNG.normal(size=(12, 5, 2)), RNG.normal(size=(12, 5, 2))
    loss = nn.traced(lambda pred, y: ((pred - y) ** 2).mean(dim=(1, 2)))
    model = bp.Model(nn.Sequential(nn.Linear(2, 2)), loss, metrics=["mse"])
    found = model.evaluate(X, y, sample_weight=WEIGHT)
    assert found["mse"] == pytest.approx(found["loss"], rel=1e-5)


def test_a_changed_network_holds_its_outputs_elsewhere() -> None:
    x, y = (RNG.normal(size=(12, 4, size)).astype(np.float32) for size in (2, 4))
    net = Forward(lambda self, x: self.inner(x).transpose(1, 2) if self.turned else self.inner(x))
    net.inner, net.turned = nn.Linear(2, 4), False
    model = bp.Model(net, metrics=["r2"])

    def expected(turned: bool) -> float:
        scores = pytest.importorskip("sklearn.metrics")
        pairs = (columns(array, 1 if turned else 2) for array in (y, model.predict(x)))
        return float(scores.r2_score(*pairs))

    before = model.evaluate(x, y)["r2"]
    assert before == pytest.approx(expected(turned=False), rel=1e-4)
    net.turned = True
    assert model.evaluate(x, y)["r2"] == pytest.approx(expected(turned=True), rel=1e-4) != before
