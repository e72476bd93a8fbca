"""Columns of categories as inputs of a model: ids by label, the same in every later frame and after bp.load."""

import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from helpers.nets import same_weights

rng = np.random.default_rng(0)
N = 60
CITY, SIZE, A = rng.integers(0, 4, N), rng.integers(0, 2, N), rng.normal(size=N).astype(np.float32)
NAMES, SIZES = ["bari", "cork", "ghent", "oslo"], ["l", "s"]
Y = (A + np.array([2.0, -1.0, 0.0, 1.0])[CITY] * (1 + SIZE)).astype(np.float32)[:, None]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.city, self.size, self.out = nn.Embedding(5, 3), nn.Embedding(2, 2), nn.Linear(6, 1)

    def forward(self, a: Any, city: Any, size: Any) -> Any:
        return self.out(bp.cat([a.reshape(a.shape[0], 1), self.city(city), self.size(size)], 1))


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.out = nn.FeatureTokenizer(1, 4, (5, 2)), nn.Linear(4, 1)

    def forward(self, x: Any, categories: Any) -> Any:
        return self.out(self.tokens(x, categories).mean(1))


def pandas() -> Any:
    return pytest.importorskip("pandas")


def category(values: Any, labels: Any) -> Any:
    return pandas().Categorical(values, labels)


def frame(**others: Any) -> Any:
    columns = {
        "a": A,
        "city": category(np.array(NAMES)[CITY], NAMES),
        "size": category(np.array(SIZES)[SIZE], SIZES),
    }
    return pandas().DataFrame({**columns, **others})


def polars_frame(**others: Any) -> Any:
    polars = pytest.importorskip("polars")
    columns = {"a": A, "city": np.array(NAMES)[CITY], "size": np.array(SIZES)[SIZE], **others}
    return polars.DataFrame(columns).cast({"city": polars.Categorical, "size": polars.Enum(SIZES)})


def fitted(X: Any = None) -> bp.Model:
    model = bp.Model(Net(), optimizer=bp.optim.Adam(0.02))
    model.fit(frame() if X is None else X, Y, epochs=3)
    return model


IDS = {"a": A, "city": CITY, "size": SIZE}


@pytest.mark.parametrize(
    "table", [frame, polars_frame, lambda: dict(frame()), lambda: tuple(dict(frame()).values())]
)
def test_columns_are_ids(table: Any) -> None:
    model, wanted = fitted(table()), fitted(IDS)
    assert same_weights(model, wanted)
    assert np.array_equal(model.predict(table()), wanted.predict(IDS))
    assert model.evaluate(table(), Y) == wanted.evaluate(IDS, Y)
    assert model.step(table(), Y) == wanted.step(IDS, Y)


def test_a_frame_of_columns_is_one_input() -> None:
    chosen = ["city", "size"]
    X = {"x": frame()[["a"]], "categories": frame()[chosen]}
    ids = {"x": A[:, None], "categories": np.stack([CITY, SIZE], 1)}
    mixed = {"x": A[:, None], "categories": frame(size=SIZE)[chosen]}
    models = [bp.Model(Tokens()) for _ in range(3)]
    for model, given in zip(models, (X, ids, mixed), strict=True):
        model.fit(given, Y, epochs=2)
        assert same_weights(model, models[0])
    assert np.array_equal(models[0].predict(X), models[1].predict(ids))
    of_one_name = {"x": X["x"], "categories": X["categories"].set_axis(["city", "city"], axis=1)}
    of_places = bp.Model(Tokens())
    of_places.fit(of_one_name, Y, epochs=2)
    assert same_weights(of_places, models[0])
    plain = bp.Model(nn.FeatureTokenizer(0, 4, (5, 2)))
    plain.fit(frame()[chosen], np.zeros((N, 2, 4)))
    assert np.array_equal(plain.predict(frame()[chosen]), plain.predict(ids["categories"]))
    with pytest.raises(ValueError, match="X has 1 columns, expected 2 as in the first fit"):
        plain.predict(frame()[["city"]])
    one = bp.Model(nn.Sequential(nn.Embedding(4, 2), nn.Linear(2, 1)))
    one.fit(frame()["city"], Y)
    assert np.array_equal(one.predict(frame()["city"]), one.predict(CITY))


def test_later_frames_are_read_by_label(tmp_path: Path) -> None:
    model = fitted()
    wanted = model.predict(frame())
    turned = frame(city=category(np.array(NAMES)[CITY], ["paris", *NAMES[::-1]]))
    few = frame()[CITY > 1].assign(city=category(np.array(NAMES)[CITY[CITY > 1]], ["oslo", "ghent"]))
    model.save(tmp_path / "model.safetensors")
    loaded = bp.load(tmp_path / "model.safetensors", net=Net())
    for one in (model, loaded, pickle.loads(pickle.dumps(model)), deepcopy(model)):
        assert np.array_equal(one.predict(turned), wanted)
        assert np.array_equal(one.predict(few), wanted[CITY > 1])
        assert one.evaluate(turned, Y) == model.evaluate(frame(), Y)
        with pytest.raises(
            ValueError,
            match=r"X\['city'\] holds 'paris' at row 2, which is none of the categories of the first fit: \['bari'",
        ):
            one.predict(frame(city=category(["oslo", "bari", "paris"] * 20, ["oslo", "bari", "paris"])))
    assert bp.gradcheck(model, turned[:4], Y[:4]).worst_relative_error < 1e-5
    histories = [fitted_with(frame(), (table, Y)).history["val_loss"] for table in (frame(), turned)]
    assert histories[0] == histories[1]
    chunks = [(frame()[:30], Y[:30]), (turned[30:], Y[30:])]
    in_chunks, plain = bp.Model(Net()), bp.Model(Net())
    in_chunks.fit(chunks, epochs=2)
    plain.fit(
        [({k: v[:30] for k, v in IDS.items()}, Y[:30]), ({k: v[30:] for k, v in IDS.items()}, Y[30:])],
        epochs=2,
    )
    assert same_weights(in_chunks, plain)


def test_columns_of_a_frame_keep_their_places(tmp_path: Path) -> None:
    """Both columns have the same labels, so that those of the other one would be found."""
    labels = ["no", "yes"]
    table = pandas().DataFrame({k: category(np.array(labels)[rng.integers(0, 2, N)], labels) for k in "ab"})
    model = bp.Model(nn.Sequential(nn.Embedding(2, 3), nn.Flatten(), nn.Linear(6, 1)))
    model.fit(table, Y)
    model.save(tmp_path / "model.safetensors")
    loaded = bp.load(tmp_path / "model.safetensors")
    for one in (model, loaded, pickle.loads(pickle.dumps(model)), deepcopy(model)):
        assert np.array_equal(one.predict(table), model.predict(table))
        for call in (one.predict, lambda X: one.evaluate(X, Y), lambda X: one.fit(X, Y)):  # noqa: B023
            with pytest.raises(
                ValueError,
                match=r"X has the columns \['b', 'a'\], expected \['a', 'b'\], in this order, as in the first fit",
            ):
                call(table[["b", "a"]])


def fitted_with(X: Any, validation_data: Any) -> bp.History:
    return bp.Model(Net()).fit(X, Y, validation_data=validation_data)


def test_numbers_that_are_categories_stay_numbers_where_the_network_takes_numbers() -> None:
    a = category(np.round(A), sorted({*np.round(A).tolist()}))
    model, wanted = fitted(frame(a=a)), fitted({**IDS, "a": np.round(A)})
    assert same_weights(model, wanted)
    assert np.array_equal(model.predict(frame(a=a)), wanted.predict({**IDS, "a": np.round(A)}))
    big = 2**62 + CITY  # labels, of which the table needs five rows
    assert same_weights(fitted(frame(city=category(big, sorted({*big.tolist()})))), fitted(IDS))


def test_what_is_missing_or_unknown_is_refused_by_name() -> None:
    holes = frame(city=category(np.where(np.arange(N) == 7, None, np.array(NAMES)[CITY]), NAMES))
    model = bp.Model(Net())
    with pytest.raises(
        ValueError, match=r"X\['city'\] has no value at row 7, expected a category: drop such rows, or fill"
    ):
        model.fit(holes, Y)
    # Nothing has been trained: the next fit begins anew.
    model.fit(frame(city=category(["paris"] * N, ["paris"])), Y[:, :1] * 0, epochs=0)
    model.fit(frame(), Y)
    with pytest.raises(ValueError, match=r"X\['city'\] has no value at row 7"):
        model.predict(holes)
    with pytest.raises(ValueError, match=r"X\['categories'\]\['city'\] has no value at row 7"):
        bp.Model(Tokens()).fit({"x": A[:, None], "categories": holes[["city", "size"]]}, Y)
    dates = pandas().date_range("2020", periods=2)
    with pytest.raises(
        TypeError,
        match=r"X\['city'\] has the category Timestamp.*, expected strings or numbers.*rename_categories",
    ):
        fitted(frame(city=category(dates[SIZE], dates)))
    with pytest.raises(ValueError, match=r"X\['city'\] holds 5 at row 5, expected 0 to 4"):
        fitted(frame(city=category(np.arange(N) % 6, [*range(6)])))
    with pytest.raises(TypeError, match=r"X\['city'\] has dtype .*columns of dtype category"):
        fitted(frame(city=np.array(NAMES)[CITY]))


def test_ids_of_another_meaning_are_refused() -> None:
    message = r"X\['city'\] holds categories, of which the model was taught none: expected such a column in its first fit"
    fresh = bp.Model(Net())
    fresh.load_state_dict(fitted().state_dict())
    for model in (fresh, fitted(IDS)):
        with pytest.raises(ValueError, match=message):
            model.predict(frame())
    with pytest.raises(ValueError, match=message):
        fitted(IDS).fit(frame(), Y)


def test_a_file_with_other_labels_is_damaged(tmp_path: Path) -> None:
    import json

    from backpass.checkpoint import files
    from backpass.errors import CheckpointError

    path = tmp_path / "model.safetensors"
    fitted().save(path)
    tensors, metadata = files.read(path)
    written = json.loads(metadata["backpass"])
    for wrong in (
        [],
        {"pairs": [["city", [["a", "a"]]]]},
        {"pairs": [["city", [[[1]]]]]},
        {"pairs": [[1, []]]},
    ):
        metadata["backpass"] = json.dumps({**written, "categories": wrong})
        files.write(path, tensors, {k: v for k, v in metadata.items() if k != "sha256"}, 1, False)
        with pytest.raises(CheckpointError, match="categories"):
            bp.load(path, net=Net())
    for wrong in ([], {"pairs": [["city", [1]]]}, {"pairs": [["city", "a"]]}):
        metadata["backpass"] = json.dumps({**written, "category_columns": wrong})
        files.write(path, tensors, {k: v for k, v in metadata.items() if k != "sha256"}, 1, False)
        with pytest.raises(CheckpointError, match="category_columns"):
            bp.load(path, net=Net())
    del written["categories"], written["category_columns"]  # as in files of the first version
    metadata["backpass"] = json.dumps(written)
    files.write(path, tensors, {k: v for k, v in metadata.items() if k != "sha256"}, 1, False)
    assert bp.load(path, net=Net()).epoch == 3
