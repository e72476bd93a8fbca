"""Ensemble: what its members predict together, and its file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from helpers.nets import LABELS, X, Y, net, small


@pytest.fixture(scope="module")
def members() -> list[bp.Model]:
    """Two structures, two dtypes; BatchNorm has running statistics."""
    models = [small("cross_entropy", seed=s) for s in range(3)]
    models += [bp.Model(net(), "cross_entropy", seed=s, dtype="float64") for s in (7, 8)]
    return bp.fit_many(models, X, LABELS, epochs=2).trained


def test_mean_spread_quantiles_and_votes(members: list[bp.Model]) -> None:
    ensemble = bp.Ensemble(members)
    each = np.stack([model.predict(X) for model in members])
    mean, std = ensemble.predict(X, return_std=True)
    assert mean.dtype == np.float64
    np.testing.assert_allclose(mean, each.mean(0), rtol=1e-12)
    np.testing.assert_allclose(std, each.std(0), rtol=1e-9)
    assert np.array_equal(ensemble.predict(X), mean)
    assert np.array_equal(ensemble.quantile(X, 0.5), np.median(each, axis=0))
    assert ensemble.quantile(X, [0.1, 0.9]).shape == (2, 70, 3)
    likely = np.mean([model.predict_proba(X) for model in members], axis=0)
    np.testing.assert_allclose(ensemble.predict_proba(X), likely, rtol=1e-6)
    assert np.array_equal(ensemble.predict_classes(X), likely.argmax(1))
    votes = np.mean([np.eye(3)[model.predict_classes(X)] for model in members], axis=0)
    np.testing.assert_allclose(ensemble.vote(X), votes)


def test_members_that_agree_have_no_spread() -> None:
    mean, std = bp.Ensemble([small() for _ in range(3)]).predict(X, return_std=True)
    assert mean.dtype == std.dtype == np.float32
    assert not std.any()
    assert np.array_equal(mean, small().predict(X))


def test_several_labels() -> None:
    labels = (Y > 0).astype(int)
    models = bp.fit_many([small("bce_with_logits", seed=s) for s in range(3)], X, labels, epochs=3).trained
    ensemble = bp.Ensemble(models)
    likely = np.mean([model.predict_proba(X) for model in models], axis=0)
    assert np.array_equal(ensemble.predict_classes(X), likely > 0.5)
    assert ensemble.vote(X).shape == (70, 3)


def test_one_file(members: list[bp.Model], tmp_path: Path) -> None:
    path = tmp_path / "ensemble.safetensors"
    ensemble = bp.Ensemble(members)
    ensemble.save(path)
    loaded = bp.Ensemble.load(path)
    assert [model.seed for model in loaded.models] == [0, 1, 2, 7, 8]
    for one, other in zip(loaded.models, members, strict=True):
        assert np.array_equal(one.predict(X), other.predict(X))
    safetensors = pytest.importorskip("safetensors")
    with safetensors.safe_open(path, "numpy") as file:
        assert file.get_slice("group0.0.weight").get_shape() == [3, 8, 6]
    with pytest.raises(bp.CheckpointError, match=r"many models: bp\.Ensemble\.load reads it"):
        bp.load(path)
    members[0].save(tmp_path / "one.safetensors")
    with pytest.raises(bp.CheckpointError, match=r"holds no Ensemble: bp\.load reads it"):
        bp.Ensemble.load(tmp_path / "one.safetensors")
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(bp.CheckpointError, match="checksum"):
        bp.Ensemble.load(path)
    with pytest.raises(FileNotFoundError):
        bp.Ensemble.load(tmp_path / "none")


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        return self.inner(x).relu()


def test_classes_of_your_own_need_build(tmp_path: Path) -> None:
    ensemble = bp.Ensemble([bp.Model(Own(), seed=s) for s in range(2)])
    ensemble.save(tmp_path / "own")
    with pytest.raises(bp.CheckpointError, match=r"Own is not a class of backpass.*give build="):
        bp.Ensemble.load(tmp_path / "own")
    loaded = bp.Ensemble.load(tmp_path / "own", build=lambda: bp.Model(Own()))
    assert np.array_equal(loaded.predict(X), ensemble.predict(X))
    with pytest.raises(bp.CheckpointError, match="does not fit its models"):
        bp.Ensemble.load(tmp_path / "own", build=lambda: bp.Model(nn.Linear(6, 3)))
    with pytest.raises(TypeError, match="build made 3"):
        bp.Ensemble.load(tmp_path / "own", build=lambda: 3)  # type: ignore[arg-type, return-value]


def test_build_of_another_net_is_told(tmp_path: Path) -> None:
    class Scaled(Own):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.scale = scale

        def forward(self, x: Any) -> Any:
            return self.inner(x) * self.scale

    bp.Ensemble([bp.Model(Scaled(0.1)), bp.Model(Scaled(5.0), seed=1)]).save(tmp_path / "own")
    with pytest.warns(RuntimeWarning, match=r"net had other settings than Scaled\(0\.1\), which build made"):
        bp.Ensemble.load(tmp_path / "own", build=lambda: bp.Model(Scaled(0.1)))


def test_labels_of_categories_are_in_the_file(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")

    def frame(labels: str, declared: str) -> Any:
        return pandas.DataFrame({"c": pandas.Categorical([*labels], [*declared])})

    models = [
        bp.Model(nn.Sequential(nn.Embedding(3, 4), nn.Flatten(), nn.Linear(4, 1)), seed=s) for s in range(2)
    ]
    for model, declared in zip(models, ("abc", "cab"), strict=True):
        model.fit(frame("bca", declared), [1.0, 2.0, 3.0])
    ensemble = bp.Ensemble(models)
    ensemble.save(tmp_path / "file")
    asked = frame("cb", "cb")
    assert np.array_equal(bp.Ensemble.load(tmp_path / "file").predict(asked), ensemble.predict(asked))


@pytest.mark.parametrize(
    "broken",
    [
        "{",
        '{"seeds": [0], "groups": []}',
        '{"seeds": [], "groups": []}',
        "[]",
        '{"seeds": [0], "groups": [{"members": [0]}]}',
        '{"seeds": [0], "groups": [{"members": [0], "model": {}}]}',
        '{"seeds": [0], "groups": [{"members": [0], "model": 3}], "categories": []}',
        '{"seeds": [0], "groups": [{"members": ["0"], "model": {}}]}',
        '{"seeds": {"0": 0}, "groups": [{"members": [0], "model": {}}]}',
    ],
)
def test_forged_files_are_refused(broken: str, tmp_path: Path) -> None:
    from backpass.checkpoint import files

    metadata = {"backpass_holds": "Ensemble", "backpass": broken}
    files.write(tmp_path / "forged", {"group0.weight": np.zeros((1, 2))}, metadata)
    with pytest.raises(bp.CheckpointError):
        bp.Ensemble.load(tmp_path / "forged")


def test_refused(members: list[bp.Model], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="models is empty"):
        bp.Ensemble([])
    with pytest.raises(TypeError, match=r"models\[1\] is 3"):
        bp.Ensemble([members[0], 3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"models\[1\] predicts \(70, 4\), expected \(70, 3\)"):
        bp.Ensemble([members[0], small("cross_entropy", outputs=4)]).predict(X)
    with pytest.raises(ValueError, match=r"q is 1\.5"):
        bp.Ensemble(members).quantile(X, 1.5)
    with pytest.raises(RuntimeError, match="not one of classes"):
        bp.Ensemble([small()]).predict_proba(X)
    lost = small()
    lost.parameters()[0][0, 0] = np.nan
    with pytest.raises(bp.CheckpointError, match="NaN"):
        bp.Ensemble([lost]).save(tmp_path / "lost")
    assert json.dumps([*tmp_path.iterdir()]) == "[]"


def test_columns_of_categories_are_told_apart_by_name(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({name: pandas.Categorical([*"abab"]) for name in ("one", "two")})
    frame.two = frame.two[::-1].reset_index(drop=True)
    model = bp.Model(nn.Sequential(nn.Embedding(2, 4), nn.Flatten(), nn.Linear(8, 1)))
    model.fit(frame, np.arange(4.0))
    bp.Ensemble([model]).save(tmp_path / "file")
    loaded = bp.Ensemble.load(tmp_path / "file")
    assert np.array_equal(loaded.predict(frame), model.predict(frame))
    with pytest.raises(ValueError, match=r"has the columns \['two', 'one'\], expected \['one', 'two'\]"):
        loaded.predict(frame[["two", "one"]])


def own_metric(y: Any, pred: Any) -> float:
    return 0.0


def test_conventions_and_metrics_are_in_the_file(tmp_path: Path) -> None:
    models = [small(metrics=["mae", own_metric], like="keras"), small(metrics=["r2"], seed=1)]
    bp.Ensemble(models).save(tmp_path / "file")
    with pytest.warns(
        RuntimeWarning, match=r"metrics \['own_metric'\] are gone; assign them to the metrics of each"
    ):
        loaded = bp.Ensemble.load(tmp_path / "file").models
    assert [(model.like, model.metrics) for model in loaded] == [("keras", ["mae"]), (None, ["r2"])]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"precision": "float32"}, "precision was 'bf16', but build made 'float32'"),
        ({"like": "keras"}, "like was None, but build made 'keras'"),
        ({"loss": "mae"}, "loss had other settings than L1Loss"),
        ({"net": nn.Tanh}, "net had other settings than Sequential"),
    ],
    ids=["precision", "like", "loss", "net"],
)
def test_build_of_something_else_is_told(made: dict[str, Any], message: str, tmp_path: Path) -> None:
    def build(net: Any = nn.ReLU, **given: Any) -> bp.Model:
        return bp.Model(nn.Sequential(nn.Linear(6, 3), net()), **{"precision": "bf16"} | given)

    bp.Ensemble([build()]).save(tmp_path / "file")
    assert bp.Ensemble.load(tmp_path / "file", build=build).models[0].precision == "bf16"
    with pytest.warns(RuntimeWarning, match=message):
        bp.Ensemble.load(tmp_path / "file", build=lambda: build(**made))
