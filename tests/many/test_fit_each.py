"""fit_each: a model for each key, with the bits of its own fit; only weights are kept, and go into one file."""

import json
import os
import time
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


class Scaled(nn.Module):
    """Of a class that no file can describe."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.scale = nn.Linear(6, 3), 1.0

    def forward(self, x: Any) -> Any:
        return self.inner(x) * self.scale


class Scales(bp.Callback):
    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.model.net.scale = 2.0


def test_models_that_compute_something_else_with_equal_weights_are_refused() -> None:
    def other(key: str) -> bp.Model:
        loss = nn.CrossEntropyLoss(label_smoothing=0.1 if key == "di" else 0.0)
        return bp.Model(nn.Sequential(nn.Linear(6, 3), nn.ReLU() if key == "cy" else nn.Tanh()), loss)

    with pytest.warns(
        RuntimeWarning, match="2 of 4 models failed.*'cy'.*a model has another net than the first: Sequential"
    ):
        models = bp.fit_each(other, DATA, **CALL)
    assert [*models] == ["ann", "bo"]
    assert "a model has another loss than the first: CrossEntropyLoss(label_smoothing=0.1)" in str(
        models.errors["di"]
    )
    with pytest.warns(
        RuntimeWarning, match="1 of 4 models failed.*'bo'.*a model has another net than the first: Scaled"
    ):
        scaled = bp.fit_each(
            bp.Model(Scaled(), "cross_entropy"), DATA, **CALL,
            callbacks=lambda key: [Scales()] if key == "bo" else [],
        )  # fmt: skip
    assert same(scaled["cy"], alone(bp.Model(Scaled(), "cross_entropy"), "cy"))


def test_models_of_another_precision_or_library_are_refused() -> None:
    def other(key: str) -> bp.Model:
        like, precision = "torch" if key == "cy" else None, "bf16" if key == "di" else "float32"
        return bp.Model(nn.Linear(6, 3), "cross_entropy", like=like, precision=precision)  # type: ignore[arg-type]

    with pytest.warns(RuntimeWarning, match="another like than the first: 'torch', expected None"):
        models = bp.fit_each(other, DATA, **CALL)
    assert [*models] == ["ann", "bo"]
    assert (
        str(models.errors["di"]) == "a model has another precision than the first: 'bf16', expected 'float32'"
    )


@pytest.mark.parametrize("threads", [1, 3])
def test_build_and_callbacks_are_called_for_one_key_after_the_other(threads: int) -> None:
    called: list[str] = []

    def seeded(key: str) -> bp.Model:
        time.sleep(0.02 if key == "ann" else 0.0)
        called.append(f"build {key}")
        if key == "ann":
            raise OSError("no such user")
        return bp.Model(with_everything(8), "cross_entropy", seed=len(called))

    def callbacks(key: str) -> list[bp.Callback]:
        called.append(f"callbacks {key}")
        if key == "di":
            raise OSError("no callbacks")
        return []

    with pytest.warns(RuntimeWarning, match="2 of 4 models failed.*'ann'"):
        models = bp.fit_each(seeded, DATA, **CALL, callbacks=callbacks, threads=threads)
    assert called == [
        "build ann",
        *(f"{what} {key}" for key in ("bo", "cy", "di") for what in ("build", "callbacks")),
    ]
    assert [row["error"] for row in models.rows] == ["OSError: no such user", "", "", "OSError: no callbacks"]
    for key, seed in (("bo", 2), ("cy", 4)):
        assert same(models[key], alone(bp.Model(with_everything(8), "cross_entropy", seed=seed), key))


def test_where_all_failed_nothing_is_written(tmp_path: Path) -> None:
    with pytest.warns(RuntimeWarning, match="4 of 4 models failed"):
        models = bp.fit_each(bp.Model(nn.Linear(5, 3), "cross_entropy"), DATA, **CALL)
    with pytest.raises(bp.CheckpointError, match="all 4 models failed"):
        models.save(tmp_path / "file")
    assert not [*tmp_path.iterdir()]


def test_labels_of_categories_are_in_the_file(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"c": pandas.Categorical([*"bca"] * 20, ["c", "a", "b"])})
    common = bp.Model(nn.Sequential(nn.Embedding(3, 4), nn.Flatten(), nn.Linear(4, 1)))
    common.fit(frame, np.arange(60.0))
    data = {"k": np.arange(60) % 2, "c": np.arange(60)[:, None] % 3, "y": np.arange(60.0)}
    common.metrics = ["mae"]
    models = bp.fit_each(common, data, by="k", X="c", y="y")
    models.save(tmp_path / "file")
    loaded = bp.ModelsByKey.load(tmp_path / "file")
    with pytest.raises(ValueError, match=r"has the columns \['d'\], expected \['c'\]"):
        loaded[0].predict(frame.rename(columns={"c": "d"}))
    assert loaded[0].metrics == ["mae"]
    for key, model in models.items():
        assert np.array_equal(loaded[key].predict(frame), model.predict(frame))


@pytest.mark.parametrize(
    "changed",
    [
        {"model": {}}, {"model": 3}, {"keys": 3}, {"keys": [[1]]}, {"keys": [1, 1]}, {"by": 3}, {"X": [3]}, {"seed": "x"},
        {"categories": 3}, {"category_columns": 3}, {"metrics": 3}, {"metrics": [["bogus"], []]},
    ],
    ids=str,
)  # fmt: skip
def test_forged_files_are_refused(changed: dict[str, Any], tmp_path: Path) -> None:
    from backpass.checkpoint import files

    models = bp.fit_each(small("cross_entropy"), DATA, **CALL)
    models.save(tmp_path / "file")
    tensors, metadata = files.read(tmp_path / "file")
    metadata["backpass"] = json.dumps(json.loads(metadata["backpass"]) | changed)
    files.write(tmp_path / "forged", tensors, metadata)
    with pytest.raises(bp.CheckpointError, match="forged does not describe a model"):
        bp.ModelsByKey.load(tmp_path / "forged")
    if {*changed} & {"model", "categories", "category_columns"}:
        with pytest.raises(bp.CheckpointError, match="forged does not describe a model"):
            bp.ModelsByKey.load(tmp_path / "forged", build=lambda: small("cross_entropy"))


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
        ({"comm": 1}, "no argument 'comm': ranks train one model"),
        ({"reproducible": True}, "no argument 'reproducible': it belongs to comm"),
        (
            {"data": DATA | {"user": USERS.astype("S")}},
            r"data\['user'\] has dtype .S3.* expected numbers or strings",
        ),
        ({"data": DATA | {"x": np.float32(3)}}, r"data\['x'\] is the single number 3.0, expected \(N, ...\)"),
        ({"data": DATA | {"user": 3}}, r"data\['user'\] has shape \(\)"),
        ({"epoch": 1}, "no argument 'epoch'"),
        ({"epochs": -1}, "epochs is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        bp.fit_each(**{"build": build, "data": DATA} | CALL | arguments)
