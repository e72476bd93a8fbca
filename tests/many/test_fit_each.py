"""fit_each: a model for each key, with the bits of its own fit; only weights are kept, and go into one file."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from helpers.nets import small, with_everything

RNG = np.random.default_rng(3)
USERS = RNG.permutation(np.repeat(["ann", "bo", "cy", "di"], [30, 7, 16, 26]))
DATA = {"user": USERS, "x": RNG.standard_normal((79, 6)).astype(np.float32), "y": RNG.integers(0, 3, 79)}
CALL: dict[str, Any] = {"by": "user", "X": "x", "y": "y", "epochs": 3, "batch_size": 8}


def build(key: Any = None) -> bp.Model:
    optimizer = optim.AdamW(lr=optim.schedules.cosine(1e-2, 20))
    return bp.Model(with_everything(8), "cross_entropy", optimizer, seed=4)


def alone(model: bp.Model, key: str, **fit: Any) -> bp.Model:
    rows = np.flatnonzero(key == USERS)
    size = min(8, len(rows) - int(len(rows) * fit.get("validation_split", 0)))
    model.fit(DATA["x"][rows], DATA["y"][rows], epochs=3, batch_size=size, **fit)
    return model


def same(one: bp.Model, other: bp.Model) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return all(np.array_equal(a[key], b[key]) for key in b)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("make", [build, build()], ids=["function", "model"])
def test_each_has_the_bits_of_its_own_fit(make: Any, threads: int) -> None:
    models = bp.fit_each(make, DATA, **CALL, threads=threads)
    assert [*models] == ["ann", "bo", "cy", "di"]
    for key, model in models.items():
        assert same(model, alone(build(), key)), key
        assert model.epoch == 0
    predicted = models.predict(DATA)
    for key in models:
        rows = key == USERS
        assert np.array_equal(predicted[rows], models[key].predict(DATA["x"][rows]))


def test_copies_of_a_trained_model_take_its_moments_along() -> None:
    common = build()
    common.fit(DATA["x"], DATA["y"], epochs=1)
    weights = common.state_dict()
    models = bp.fit_each(common, DATA, **CALL, validation_split=0.3)
    again = build()
    again.fit(DATA["x"], DATA["y"], epochs=1)
    assert same(models["ann"], alone(again, "ann", validation_split=0.3))
    assert all(np.array_equal(weights[key], array) for key, array in common.state_dict().items())
    assert [row["epochs"] for row in models.rows] == [3] * 4
    assert len(models.to_pandas()) == 4


def test_a_callback_that_changes_settings_changes_one_model() -> None:
    class Faster(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            self.model.optimizer.lr = 0.5

    def callbacks(key: str) -> list[bp.Callback]:
        return [Faster()] if key == "ann" else []

    models = bp.fit_each(build(), DATA, **CALL, callbacks=callbacks)
    assert same(models["ann"], alone(build(), "ann", callbacks=[Faster()]))
    assert same(models["bo"], alone(build(), "bo"))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames(library: str) -> None:
    frames = pytest.importorskip(library)
    columns = {f"x{n}": DATA["x"][:, n] for n in range(6)}
    frame = frames.DataFrame(columns | {"user": DATA["user"], "y": DATA["y"]})
    models = bp.fit_each(build(), frame, **CALL | {"X": [*columns]})
    expected = bp.fit_each(build(), DATA, **CALL)
    assert all(same(models[key], expected[key]) for key in expected)
    assert np.array_equal(models.predict(frame), expected.predict(DATA))


def test_one_file(tmp_path: Path) -> None:
    numbers = DATA | {"user": np.arange(79) % 39}
    net = nn.Sequential(nn.Linear(6, 40), nn.BatchNorm1d(40), nn.Linear(40, 3))
    models = bp.fit_each(bp.Model(net, "cross_entropy"), numbers, **CALL)
    models.save(tmp_path / "file")
    loaded = bp.ModelsByKey.load(tmp_path / "file")
    assert [*loaded] == [*range(39)]
    assert np.array_equal(loaded.predict(numbers), models.predict(numbers))
    assert loaded[3].fit(DATA["x"], DATA["y"]).epoch == [0]
    weights = sum(array.nbytes for array in models[0].state_dict().values())
    assert os.path.getsize(tmp_path / "file") < 1.5 * 39 * weights
    with pytest.raises(bp.CheckpointError, match=r"bp\.ModelsByKey\.load"):
        bp.Ensemble.load(tmp_path / "file")


def test_a_failure_ends_that_model_alone(tmp_path: Path) -> None:
    def broken(key: str) -> bp.Model:
        if key == "di":
            raise OSError("no such user")
        return small("cross_entropy", outputs=4 if key == "cy" else 3)

    with pytest.warns(RuntimeWarning, match="2 of 4 models failed, see errors; that of 'cy': ValueError"):
        models = bp.fit_each(broken, DATA, **CALL)
    assert [*models] == ["ann", "bo"]
    assert isinstance(models.errors["di"], OSError)
    assert "2 failed" in repr(models)
    with pytest.raises(KeyError, match="the model of 'cy' failed: a model has the weights"):
        models.predict(DATA)
    with pytest.raises(KeyError, match="no model has the key 'eve'"):
        _ = models["eve"]
    models.save(tmp_path / "file")
    assert same(bp.ModelsByKey.load(tmp_path / "file")["bo"], models["bo"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"build": nn.Linear(6, 3)}, "build is Linear"),
        ({"build": lambda key: 3}, "build made 3 for 'ann'"),
        ({"by": "usr"}, "by is 'usr', expected one of"),
        ({"by": "x"}, r"data\['x'\] has shape \(79, 6\)"),
        ({"X": []}, r"X is \[\]"),
        ({"X": ["x", "y"]}, r"data\['x'\] has shape \(79, 6\), expected \(N,\)"),
        ({"y": "z"}, "y is 'z'"),
        ({"data": np.ones(3)}, "data is a ndarray"),
        ({"data": DATA | {"user": np.full(79, np.nan)}}, "holds no key somewhere"),
        ({"data": DATA | {"y": DATA["y"][1:]}}, "y has 78 rows, expected 79"),
        ({"sample_weight": 1}, "no argument 'sample_weight'"),
        ({"epoch": 1}, "no argument 'epoch'"),
        ({"epochs": -1}, "epochs is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        bp.fit_each(**{"build": build, "data": DATA} | CALL | arguments)
