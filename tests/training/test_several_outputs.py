"""Networks with several outputs: a loss for each, weights, every call that takes or gives them; beside PyTorch."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend

rng = np.random.default_rng(0)
X = rng.standard_normal((40, 4))
VALUE, CLASS = rng.standard_normal((40, 2)), rng.integers(0, 3, 40)
Y = {"value": VALUE, "kind": CLASS}
WEIGHT = rng.uniform(0.5, 2, 40)


def network(nn: Any, named: bool = True) -> Any:
    class Net(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(4, 8)
            self.value, self.kind = nn.Linear(8, 2), nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            h = self.body(x).relu()
            return {"value": self.value(h), "kind": self.kind(h)} if named else (self.value(h), self.kind(h))

    return Net()


def made(named: bool = True, **settings: Any) -> bp.Model:
    losses: Any = {"value": "mse", "kind": "cross_entropy"} if named else ["mse", "cross_entropy"]
    settings.setdefault("loss_weights", {"kind": 0.5} if named else [1, 0.5])
    return bp.Model(network(nn, named), losses, optim.Adam(1e-2), dtype="float64", **settings)


@pytest.mark.torch
@pytest.mark.parametrize("named", [True, False])
def test_trains_as_in_torch(named: bool, backend: Backend) -> None:
    torch = pytest.importorskip("torch")
    model, peer = made(named), network(torch.nn, True).double()
    model.backend = backend
    peer.load_state_dict({key: torch.from_numpy(value) for key, value in model.state_dict().items()})
    optimizer = torch.optim.Adam(peer.parameters(), 1e-2)
    for _ in range(30):
        out = peer(torch.from_numpy(X))
        value = torch.nn.functional.mse_loss(out["value"], torch.from_numpy(VALUE))
        loss = value + 0.5 * torch.nn.functional.cross_entropy(out["kind"], torch.from_numpy(CLASS))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert model.step(X, Y if named else (VALUE, CLASS)) == pytest.approx(loss.item(), rel=1e-10)


def test_predict_and_evaluate(backend: Backend) -> None:
    model, twin = made(), made(named=False)
    model.backend = twin.backend = backend
    out, pair = model.predict(X), twin.predict(X)
    assert [*out] == ["value", "kind"]
    assert isinstance(pair, tuple)
    assert np.array_equal(out["kind"], pair[1])
    assert out["value"].shape == (40, 2)
    found = model.evaluate(X, Y, WEIGHT)
    assert found["loss"] == pytest.approx(found["value_loss"] + 0.5 * found["kind_loss"])
    error = ((out["value"] - VALUE) ** 2).mean(axis=1)
    assert found["value_loss"] == pytest.approx(np.average(error, weights=WEIGHT))
    right = out["kind"].argmax(axis=1) == CLASS
    assert found["kind_accuracy"] == pytest.approx(np.average(right, weights=WEIGHT))
    assert [*twin.evaluate(X, (VALUE, CLASS))] == [
        "loss",
        "output_0_loss",
        "output_1_loss",
        "output_1_accuracy",
    ]


def test_fit_split_chunks_and_maps_agree(tmp_path: Path) -> None:
    """One batch an epoch, so that all orders of rows give the same sums up to rounding."""
    for name, array in (("x", X), ("value", VALUE), ("kind", CLASS)):
        np.save(tmp_path / f"{name}.npy", array)
    paths = {name: str(tmp_path / f"{name}.npy") for name in ("value", "kind")}
    histories = []
    halves = [
        (X[rows], {name: y[rows] for name, y in Y.items()}, WEIGHT[rows])
        for rows in (slice(25), slice(25, 40))
    ]
    mapped = [(str(tmp_path / "x.npy"), paths, WEIGHT)]
    for data in ((X, Y, WEIGHT), (halves, None, None), (mapped, None, None)):
        model = made()
        history = model.fit(
            *data[:2], sample_weight=data[2], epochs=4, batch_size=40, validation_data=(X, Y), progress=False
        )
        histories.append(history.history)
    assert {"loss", "val_loss", "val_value_loss", "val_kind_loss", "val_kind_accuracy"} <= {*histories[0]}
    for history in histories[1:]:
        assert history["val_loss"] == pytest.approx(histories[0]["val_loss"])
    validated = made(named=False)
    for held_out in ((X, (VALUE, CLASS)), [(X, (VALUE, CLASS))], ((X, (VALUE, CLASS)),)):
        history = validated.fit(X, (VALUE, CLASS), epochs=1, validation_data=held_out, progress=False)
        assert "val_output_1_accuracy" in history.history
    split = made().fit(X, Y, epochs=2, validation_split=0.25, batch_size=7, progress=False)
    assert len(split.history["val_kind_accuracy"]) == 2


def test_weights_of_tokens() -> None:
    """A weight of a row counts for each of its targets."""

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tag, self.whole = nn.Linear(2, 3), nn.Linear(4, 1)

        def forward(self, x: Any) -> Any:
            return self.tag(x.reshape(-1, 2, 2)), self.whole(x)

    tags, target = rng.integers(0, 3, (40, 2)), VALUE[:, :1]
    model = bp.Model(Tagger(), ["cross_entropy", "mse"], dtype="float64")
    some = np.where(np.arange(40) < 10, 1.0, 0.0)
    whole = model.evaluate(X, [tags, target], some)
    part = model.evaluate(X[:10], [tags[:10], target[:10]])
    assert whole["loss"] == pytest.approx(part["loss"])
    model.fit(X, [tags, target], sample_weight=some, epochs=1, progress=False)


def test_own_and_traced_losses(backend: Backend) -> None:
    """Both see the outputs and the targets as `forward` and the caller arranged them."""

    def own(pred: Any, y: Any) -> Any:
        apart = pred["value"] - y["value"]
        shifted = np.exp(pred["kind"] - pred["kind"].max(axis=1, keepdims=True))
        p = shifted / shifted.sum(axis=1, keepdims=True)
        rows = np.arange(len(p))
        value = (apart**2).mean() - 0.5 * np.log(p[rows, y["kind"]]).mean()
        p[rows, y["kind"]] -= 1
        return value, {"kind": 0.5 * p / len(p), "value": 2 * apart / apart.size}

    def traced(pred: Any, y: Any) -> Any:
        return ((pred["value"] - y["value"]) ** 2).mean() + 0.5 * nn.functional.cross_entropy(
            pred["kind"], y["kind"]
        )

    models = [
        made(),
        *(bp.Model(network(nn), f, optim.Adam(1e-2), dtype="float64") for f in (own, nn.traced(traced))),
    ]
    for model in models:
        model.backend = backend
        model.fit(X, Y, epochs=5, batch_size=16, progress=False)
        assert bp.gradcheck(model, X[:5], {name: y[:5] for name, y in Y.items()}).worst_relative_error < 1e-6
    for model in models[1:]:
        assert model.predict(X)["kind"] == pytest.approx(models[0].predict(X)["kind"], rel=1e-8, abs=1e-10)


def test_one_pass_at_a_time() -> None:
    model, twin = made(named=False), made(named=False)
    out = model.forward(X, training=True)
    assert isinstance(out, tuple)
    apart = out[0] - VALUE
    model.backward([2 * apart / apart.size, np.zeros((40, 3))])
    model.update()
    twin.loss.weights = [1, 0]  # type: ignore[union-attr]
    twin.step(X, (VALUE, CLASS))
    assert model.predict(X)[0] == pytest.approx(twin.predict(X)[0], rel=1e-9, abs=1e-12)
    model.forward(X, training=True)
    with pytest.raises(
        ValueError, match=r"dout is a ndarray, expected a tuple of 2 like the network's output"
    ):
        model.backward(np.zeros((40, 2)))


def test_files_copies_and_resume(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    whole, cut = made(), made()
    whole.fit(X, Y, epochs=6, batch_size=16, progress=False)
    with pytest.raises(RuntimeError, match="the end"):
        cut.fit(X, Y, epochs=6, batch_size=16, progress=False, callbacks=[bp.ModelCheckpoint(path), Stop(3)])
    again = bp.load(path, net=network(nn))
    assert repr(again.loss) == repr(cut.loss)
    again.fit(X, Y, epochs=6, batch_size=16, progress=False, resume=True)
    assert again.predict(X)["kind"].tobytes() == whole.predict(X)["kind"].tobytes()
    assert copy.deepcopy(again).evaluate(X, Y) == again.evaluate(X, Y)


class Stop:
    """Ends a run after so many epochs."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        if epoch + 1 == self.after:
            raise RuntimeError("the end")


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("mse", Y, r"the network has several outputs \(\['value', 'kind'\]\), but the loss is MSELoss\(\)"),
        (
            ["mse", "mse"],
            Y,
            r"the network has a dict with \['value', 'kind'\] of outputs, but loss is a tuple of 2",
        ),
        ({"value": "mse"}, Y, r"but loss is a dict with \['value'\]"),
        (
            {"value": "mse", "kind": "cross_entropy"},
            VALUE,
            r"y is a ndarray, expected a dict with \['value', 'kind'\]",
        ),
        ({"value": "mse", "kind": "cross_entropy"}, {"value": VALUE}, r"y is \['value'\], expected a dict"),
        (
            {"value": "mse", "kind": "cross_entropy"},
            {"value": VALUE, "kind": CLASS[:9]},
            r"y\['kind'\] has 9 rows, but X has 40",
        ),
        (
            {"value": "mse", "kind": "cross_entropy"},
            {"value": VALUE, "kind": CLASS + 1},
            r"y\['kind'\]: .*expected a class index from 0 to 2",
        ),
    ],
)
def test_what_does_not_fit(loss: Any, y: Any, message: str) -> None:
    model = bp.Model(network(nn), loss)
    before = model.state_dict()
    for call in (model.fit, model.step, model.evaluate):
        with pytest.raises((ValueError, TypeError), match=message):
            call(X, y)
    assert all(np.array_equal(before[key], value) for key, value in model.state_dict().items())


def test_losses_and_weights_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"loss_weights is \[1\], but loss is 'mse'"):
        bp.Model(network(nn), "mse", loss_weights=[1])
    with pytest.raises(ValueError, match=r"weights is {'other': 1}, expected a number for each"):
        made(loss_weights={"other": 1})
    with pytest.raises(ValueError, match=r"weights\['kind'\] is -1"):
        made(loss_weights={"kind": -1})
    with pytest.raises(
        ValueError, match=r"loss\['kind'\] is 'cross_entropi', expected .* did you mean 'cross_entropy'"
    ):
        bp.Model(network(nn), {"value": "mse", "kind": "cross_entropi"})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="losses is empty"):
        bp.Model(network(nn), [])
    with pytest.raises(RuntimeError, match=r"the network has 2 outputs"):
        made().predict_proba(X)
    with pytest.raises(ValueError, match="class_weight is given, but y holds several targets"):
        made().fit(X, Y, class_weight="balanced")
    with pytest.raises(ValueError, match="Sequential: layer 0 gives several outputs"):
        bp.Model(nn.Sequential(network(nn), nn.ReLU())).predict(X)


def test_the_loss_of_an_epoch_does_not_depend_on_the_order_of_outputs() -> None:
    """Nor is a batch left out that the first loss ignores."""
    kind = np.where(np.arange(40) < 20, -100, CLASS)
    orders: list[Any] = [
        {"value": "mse", "kind": "cross_entropy"},
        {"kind": "cross_entropy", "value": "mse"},
    ]
    found = []
    for losses in orders:
        model = bp.Model(network(nn), losses, optim.SGD(0.0), dtype="float64")
        history = model.fit(X, {"value": VALUE, "kind": kind}, batch_size=20, shuffle=False, progress=False)
        found.append(history.history["loss"][0])
    assert found[0] == pytest.approx(found[1], rel=1e-12)
    batches = [
        model.evaluate(X[rows], {"value": VALUE[rows], "kind": kind[rows]})["loss"]
        for rows in (slice(20), slice(20, 40))
    ]
    assert found[0] == pytest.approx(np.average(batches, weights=[20, 40]))


def test_chunks_are_evaluated_as_at_once() -> None:
    kind = np.where(np.arange(40) < 15, -100, CLASS)
    model, y = made(), {"value": VALUE, "kind": kind}
    chunks = [
        (X[rows], {name: part[rows] for name, part in y.items()}, WEIGHT[rows])
        for rows in (slice(20), slice(20, 40))
    ]
    assert model.evaluate(chunks) == pytest.approx(model.evaluate(X, y, WEIGHT), rel=1e-12)


def test_weights_change_as_a_whole() -> None:
    """One that is written in place would go unnoticed by the programs that are compiled."""
    model = made()
    model.step(X, Y)
    with pytest.raises(TypeError):
        model.loss.weights["kind"] = 0.0  # type: ignore[union-attr]
    model.loss.weights = {"kind": 0.0}  # type: ignore[union-attr]
    found = copy.deepcopy(model).evaluate(X, Y)
    assert found["loss"] == found["value_loss"] == pytest.approx(model.step(X, Y))
