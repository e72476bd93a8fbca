"""Faults of kind D: data as people have them train, or the message names what is wrong and what to do."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from helpers.nets import LABELS, X, Y, same_weights, small
from helpers.refusals import with_value

TWO = LABELS % 2
NAMES = np.array(["u", "v", "w"])[LABELS]


def pandas() -> Any:
    return pytest.importorskip("pandas")


def sparse() -> Any:
    return pytest.importorskip("scipy.sparse")


def torch() -> Any:
    return pytest.importorskip("torch")


def cases(table: Any) -> list[Any]:
    """Its names; those that PyTorch makes belong to the tests of PyTorch."""
    of_torch = ("tensor", "a tensor with a gradient", "a dataset", "a loader")
    return [pytest.param(name, marks=pytest.mark.torch if name in of_torch else ()) for name in table]


def frame(**columns: Any) -> Any:
    """The six columns of X, of which others may take the place."""
    return pandas().DataFrame({**dict(zip("abcdef", X.astype(np.float64).T, strict=True)), **columns})


def nullable(values: Any, dtype: str) -> Any:
    return pandas().array(values, dtype=dtype)


# ---- the same numbers in another form --------------------------------------------------------------------------------

FORMS: dict[str, Callable[[], Any]] = {
    "bool and float": lambda: frame(f=TWO > 0),
    "int and float": lambda: frame(f=TWO),
    "Int64": lambda: frame(f=nullable(TWO, "Int64")),
    "boolean": lambda: frame(f=nullable(TWO > 0, "boolean")),
    "Float64": lambda: frame().astype("Float64"),
    "Float32 and boolean": lambda: frame().astype("Float32").assign(f=nullable(TWO > 0, "boolean")),
    "UInt8": lambda: frame(f=nullable(TWO, "UInt8")),
    "category of numbers": lambda: frame(f=pandas().Categorical(TWO)),
    "columns of one name": lambda: frame(f=nullable(TWO, "Int64")).set_axis([*"aacdef"], axis=1),
    "names of two levels": lambda: frame(f=TWO > 0).set_axis(pandas().MultiIndex.from_product([[1, 2], [*"xyz"]]), axis=1),
    "dummies": lambda: pandas().get_dummies(frame(f=np.array(["p", "q"])[TWO])).drop(columns="f_p"),
    "polars": lambda: pytest.importorskip("polars").DataFrame({**dict(zip("abcde", X.T, strict=False)), "f": TWO > 0}),
    "csr": lambda: sparse().csr_matrix(frame(f=TWO).to_numpy()),
    "coo": lambda: sparse().coo_matrix(frame(f=TWO).to_numpy()),
    "csc array": lambda: sparse().csc_array(frame(f=TWO).to_numpy()),
    "sparse, of bool": lambda: sparse().csr_matrix(X > 0),
    "tensor": lambda: torch().tensor(frame(f=TWO).to_numpy()),
    "masked, nothing hidden": lambda: np.ma.array(frame(f=TWO).to_numpy()),
}  # fmt: skip


def plain(table: Any) -> np.ndarray:
    """As the columns say, one by one."""
    if hasattr(table, "toarray"):
        return table.toarray().astype(np.float64)
    if hasattr(table, "iloc"):
        return np.column_stack([np.asarray(table.iloc[:, i], dtype=float) for i in range(table.shape[1])])
    return np.asarray(table, dtype=float)


@pytest.mark.parametrize("form", cases(FORMS))
def test_forms_of_x_train_as_the_numbers_do(form: str) -> None:
    table = FORMS[form]()
    numbers = plain(table)
    model, wanted = small(), small()
    history = model.fit(table, Y, validation_data=(table, Y)).history
    for name, values in wanted.fit(numbers, Y, validation_data=(numbers, Y)).history.items():
        assert history[name] == pytest.approx(values, rel=1e-5)
    assert all(
        np.allclose(a, b, atol=1e-6) for a, b in zip(model.parameters(), wanted.parameters(), strict=True)
    )
    assert np.allclose(model.predict(table), wanted.predict(numbers), atol=1e-5)
    assert model.evaluate(table, Y)["loss"] == pytest.approx(wanted.evaluate(numbers, Y)["loss"], rel=1e-5)
    assert model.score(table, Y) == pytest.approx(wanted.score(numbers, Y), rel=1e-4)


TARGETS: dict[str, Callable[[], Any]] = {
    "one-hot integers": lambda: np.eye(3, dtype=int)[LABELS],
    "one-hot bools": lambda: np.eye(3, dtype=bool)[LABELS],
    "one-hot uint8": lambda: np.eye(3, dtype=np.uint8)[LABELS],
    "one-hot lists": lambda: np.eye(3, dtype=int)[LABELS].tolist(),
    "dummies": lambda: pandas().get_dummies(NAMES),
    "a column": lambda: LABELS[:, None],
    "floats": lambda: LABELS.astype(float),
    "uint64": lambda: LABELS.astype(np.uint64),
    "Series": lambda: pandas().Series(LABELS, index=range(5, 75)),
    "Int64": lambda: pandas().Series(nullable(LABELS, "Int64")),
    "a frame": lambda: pandas().DataFrame({"y": nullable(LABELS, "Int64")}),
    "category of numbers": lambda: pandas().Categorical(LABELS),
    "tensor": lambda: torch().tensor(LABELS),
}  # fmt: skip


@pytest.mark.parametrize("loss", ["cross_entropy", "nll"])
@pytest.mark.parametrize("form", cases(TARGETS))
def test_forms_of_labels_train_as_the_indices_do(form: str, loss: str) -> None:
    given = TARGETS[form]()
    model, wanted = small(loss), small(loss)
    options: dict[str, Any] = {"class_weight": "balanced", "validation_split": 0.2}
    assert model.fit(X, given, **options).history == wanted.fit(X, LABELS, **options).history
    assert model.step(X, given) == wanted.step(X, LABELS)
    assert model.evaluate(X, given) == wanted.evaluate(X, LABELS)
    assert same_weights(model, wanted)


def test_weights_as_people_have_them() -> None:
    weight, wanted = np.linspace(0, 2, 70), small()
    wanted.fit(X, Y, sample_weight=weight)
    for form in (weight.tolist(), pandas().Series(weight, index=range(9, 79)), nullable(weight, "Float64")):
        model = small()
        model.fit(X, Y, sample_weight=form)
        assert same_weights(model, wanted)
    classes = small("cross_entropy"), small("cross_entropy")
    for model, given in zip(classes, ([1.0, 2.0, 3.0], pandas().Series([1.0, 2.0, 3.0])), strict=True):
        model.fit(X, LABELS, class_weight=given)
    assert same_weights(*classes)


# ---- what cannot train -----------------------------------------------------------------------------------------------

BROKEN: dict[str, tuple[Callable[[], Any], str]] = {
    "strings": (lambda: frame(c=NAMES), "column 'c' holds .*get_dummies"),
    "strings as objects": (lambda: frame(c=NAMES.astype(object)), "column 'c' holds .*get_dummies"),
    "categories": (lambda: frame(c=pandas().Categorical(NAMES)), "column 'c' holds category.*get_dummies"),
    "dates": (lambda: frame(c=pandas().date_range("2020", periods=70)), "column 'c' holds datetime64.*seconds"),
    "spans of time": (lambda: frame(c=pandas().to_timedelta(LABELS, "s")), "column 'c' holds timedelta64.*seconds"),
    "Decimals": (lambda: frame(c=[Decimal(1)] * 70), r"column 'c' holds object.*astype\(float\)"),
    "numbers as objects": (lambda: frame(c=TWO.astype(object)), r"column 'c' holds object.*astype\(float\)"),
    "lists": (lambda: frame(c=[[1]] * 70), "column 'c' holds object"),
    "polars": (lambda: pytest.importorskip("polars").DataFrame({"a": X[:, 0], "f": NAMES}), "column 'f' holds"),
    "an array of objects": (lambda: X.astype(object), r"X has dtype object.* X.astype\(float\)"),
    "an array of strings": (lambda: X.astype(str), "X has dtype <U.*OneHotEncoder"),
    "one column": (lambda: frame()["a"], r"X has shape \(70,\).*reshape\(-1, 1\)"),
    "a tensor with a gradient": (lambda: torch().tensor(X, requires_grad=True), r"that requires grad, expected X.detach\(\)"),
    "a dataset": (lambda: torch().utils.data.TensorDataset(torch().tensor(X)), r"is a TensorDataset, .* X.tensors\[0\]"),
    "a loader": (lambda: torch().utils.data.DataLoader(X), "it is a DataLoader: give its arrays"),
    "a generator": (lambda: (row for row in X), "it is a generator: give its arrays"),
    "a function": (lambda: square, "it is a function"),
}  # fmt: skip
NANS: dict[str, tuple[Callable[[], Any], str]] = {
    "NaN": (lambda: frame(c=np.where(np.arange(70) == 5, np.nan, 1.0)), "X holds nan at row 5, column 'c'"),
    "infinity": (lambda: frame(c=np.where(np.arange(70) == 5, np.inf, 1.0)), "X holds inf at row 5, column 'c'"),
    "no integer": (lambda: frame(c=nullable([*TWO[:5], None, *TWO[6:]], "Int64")), "X .*column 'c'|X.'c'. has no value at row 5"),
    "no bool": (lambda: frame(c=nullable([None, *(TWO[1:] > 0)], "boolean")), "row 0"),
    "sparse": (lambda: sparse().csr_matrix(with_value(X, np.nan, 3, 2)), "X holds nan at row 3, column 2"),
    "too large": (lambda: frame(c=np.where(np.arange(70) == 5, 1e300, 1.0)), "X holds inf at row 5, column .*too large"),
}  # fmt: skip


def square(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    return float(((pred - y) ** 2).mean()), 2 * (pred - y) / pred.size


CALLS: dict[str, Callable[[bp.Model, Any], Any]] = {
    "fit": lambda model, table: model.fit(table, Y),
    "evaluate": lambda model, table: model.evaluate(table, Y),
    "score": lambda model, table: model.score(table, Y),
    "step": lambda model, table: model.step(table, Y),
    "forward": lambda model, table: model.forward(table, training=True),
    "predict": lambda model, table: model.predict(table),
    "validation_data": lambda model, table: model.fit(X, Y, validation_data=(table, Y)),
    "a chunk": lambda model, table: model.fit([(X, Y), (table, Y)]),
    "a callable loss": lambda model, table: small(square).fit(table, Y),
}
PLACES = {"validation_data": "validation_data: ", "a chunk": r"X\[1\]: "}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("what", cases(BROKEN))
def test_what_is_no_number_is_named_in_every_call(what: str, call: str) -> None:
    make, message = BROKEN[what]
    model = small()
    with pytest.raises((TypeError, ValueError), match=PLACES.get(call, "") + ".*" + message):
        CALLS[call](model, make())
    assert model.engine.step_count[0] == 0


@pytest.mark.parametrize("call", ["fit", "evaluate", "validation_data", "a chunk", "a callable loss"])
@pytest.mark.parametrize("what", NANS)
def test_a_number_that_is_missing_is_named_with_its_column(what: str, call: str) -> None:
    make, message = NANS[what]
    table = make()
    if what == "sparse" and call in ("a chunk", "a callable loss"):
        pytest.skip("no sparse matrices there")
    with pytest.raises(ValueError, match=PLACES.get(call, "") + ".*" + message):
        CALLS[call](small(), table)


BAD_TARGETS: dict[str, tuple[Callable[[], Any], str]] = {
    "strings": (lambda: NAMES, "y has dtype <U1.*np.unique.*MLPClassifier"),
    "a Series of strings": (lambda: pandas().Series(NAMES), "y has dtype .*np.unique.*MLPClassifier"),
    "categories": (lambda: pandas().Categorical(NAMES), "y has dtype object.*np.unique"),
    "numbers as objects": (lambda: LABELS.astype(object), r"y has dtype object.* y.astype\(float\)"),
    "dates": (lambda: pandas().date_range("2020", periods=70), "y has dtype datetime64.*make numbers"),
    "a missing one": (lambda: pandas().Series(nullable([*LABELS[:4], None, *LABELS[5:]], "Int64")), "y .*row 4"),
    "sparse": (lambda: sparse().csr_matrix(np.eye(3)[LABELS]), r"y is a csr_matrix, expected a dense array: y.toarray\(\)"),
    "a tensor with a gradient": (lambda: torch().tensor(LABELS * 1.0, requires_grad=True), r"y is a tensor .*y.detach\(\)"),
    "from 1 on": (lambda: LABELS + 1, r"y\[\d+\] is 3, expected a class index from 0 to 2"),
    "two labels a row": (lambda: np.eye(3, dtype=int)[LABELS] | np.eye(3, dtype=int)[0], "bce_with_logits"),
    "a generator": (lambda: (label for label in LABELS), "it is a generator"),
}  # fmt: skip


@pytest.mark.parametrize("what", cases(BAD_TARGETS))
def test_what_is_no_label_is_named(what: str) -> None:
    make, message = BAD_TARGETS[what]
    model = small("cross_entropy")
    for call in (model.fit, model.evaluate, model.step):
        with pytest.raises((TypeError, ValueError), match=message):
            call(X, make())
    with pytest.raises((TypeError, ValueError), match="^validation_data: .*" + message):
        model.fit(X, LABELS, validation_data=(X, make()))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["a"] * 70, "sample_weight has dtype <U1, expected numbers .float32, float64 or integers.$"),
        (np.r_[np.nan, np.ones(69)], "sample_weight holds nan at row 0"), (-np.ones(70), "sample_weight holds -1"),
        (np.ones(69), r"sample_weight has shape \(69,\), expected \(70,\)"), (np.zeros(70), "sample_weight is 0 everywhere"),
    ],
)  # fmt: skip
def test_wrong_weights_are_named(given: Any, message: str) -> None:
    model = small()
    for call in (model.fit, model.evaluate, model.score):
        with pytest.raises((TypeError, ValueError), match=message):
            call(X, Y, sample_weight=given)
    with pytest.raises((TypeError, ValueError), match="^validation_data: " + message):
        model.fit(X, Y, validation_data=(X, Y, given))


# ---- weights that leave no row ---------------------------------------------------------------------------------------

W = np.ones(35)


@pytest.mark.parametrize("place", [0, 1])
def test_a_chunk_that_weighs_nothing_trains_as_the_arrays_do(place: int) -> None:
    chunks = [(X[:35], Y[:35], W * (place != 0)), (X[35:], Y[35:], W * (place != 1))]
    model, wanted = small(), small()
    losses = model.fit(chunks, shuffle=False, validation_data=chunks).history
    weight = np.concatenate([chunk[2] for chunk in chunks])
    assert (
        losses
        == wanted.fit(X, Y, shuffle=False, sample_weight=weight, validation_data=(X, Y, weight)).history
    )
    assert same_weights(model, wanted)
    assert model.evaluate(chunks) == pytest.approx(model.evaluate(X, Y, weight), rel=1e-6)


def test_a_chunk_of_one_class_whose_weight_is_zero() -> None:
    order = np.argsort(LABELS, kind="stable")
    x, y = X[order], LABELS[order]
    at = int((LABELS == 0).sum())
    model, wanted = small("cross_entropy"), small("cross_entropy")
    losses = model.fit([(x[:at], y[:at]), (x[at:], y[at:])], shuffle=False, class_weight={0: 0.0}).history
    assert losses == wanted.fit(x, y, shuffle=False, class_weight={0: 0.0}).history
    assert same_weights(model, wanted)


def test_a_batch_that_weighs_nothing_changes_nothing() -> None:
    model = small(optimizer="sgd")
    before = model.state_dict()

    class Watch(bp.Callback):
        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            if batch == 0:
                assert all(np.array_equal(v, before[k]) for k, v in self.model.state_dict().items())

    model.fit(X, Y, batch_size=35, shuffle=False, sample_weight=np.r_[0 * W, W], callbacks=[Watch()])
    assert np.isfinite(model.predict(X)).all()
    assert any(not np.array_equal(v, before[k]) for k, v in model.state_dict().items())


ZEROS = {0: 0, 1: 0, 2: 0}
NOTHING: dict[str, tuple[Callable[[bp.Model], Any], str]] = {
    "class_weight": (lambda m: m.fit(X, LABELS, class_weight=ZEROS), "^class_weight is .*no row of y counts"),
    "class_weight in an array": (lambda m: m.fit(X, LABELS, class_weight=np.zeros(3)), "^class_weight is .*no row of y counts"),
    "class_weight of chunks": (lambda m: m.fit([(X, LABELS)], class_weight=ZEROS), "^class_weight is .*no row of y counts"),
    "class_weight beside sample_weight": (
        lambda m: m.fit(X, LABELS, sample_weight=(LABELS == 0) * 1.0, class_weight={0: 0.0}),
        "^class_weight is .*no row of y counts",
    ),
    "sample_weight beside class_weight": (
        lambda m: m.fit(X, LABELS, sample_weight=np.zeros(70), class_weight="balanced"), "^sample_weight is 0 everywhere",
    ),
    "all chunks": (lambda m: m.fit([(X, LABELS, np.zeros(70))]), "^sample_weight is 0 everywhere in all chunks of X"),
    "all chunks that are evaluated": (lambda m: m.evaluate([(X, LABELS, np.zeros(70))]), "^sample_weight is 0 .*all chunks"),
    "validation_data": (
        lambda m: m.fit(X, LABELS, validation_data=(X, LABELS, np.zeros(70))), "^validation_data: sample_weight is 0",
    ),
    "the rows of a split": (
        lambda m: m.fit(X, LABELS, sample_weight=np.arange(70) < 50, validation_split=0.2),
        "validation_split is 0.2, .* held out all weigh 0",
    ),
    "all other rows": (
        lambda m: m.fit(X, LABELS, sample_weight=np.arange(70) > 60, validation_split=0.2),
        "validation_split is 0.2, .* trained on all weigh 0",
    ),
    "score": (lambda m: small().score(X, Y, np.zeros(70)), "^sample_weight is 0 everywhere"),
    "beside chunks": (lambda m: m.evaluate([(X, LABELS)], sample_weight=np.ones(70)), "X are chunks, expected it in them"),
}  # fmt: skip


@pytest.mark.parametrize("what", NOTHING)
def test_weights_that_leave_no_row_name_what_did_it(what: str) -> None:
    call, message = NOTHING[what]
    model = small("cross_entropy")
    with pytest.raises(ValueError, match=message):
        call(model)
    assert model.engine.step_count[0] == 0


# ---- batches ---------------------------------------------------------------------------------------------------------


def normed(loss: Any = "mse") -> bp.Model:
    return bp.Model(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)), loss)


LEFT: dict[str, Callable[..., Any]] = {
    "arrays": lambda **o: normed().fit(X[:65], Y[:65], batch_size=32, **o),
    "chunks": lambda **o: normed().fit([(X[:40], Y[:40]), (X[40:65], Y[40:65])], batch_size=32, **o),
    "a split": lambda **o: normed().fit(X[:68], Y[:68], batch_size=9, validation_split=0.2, **o),
    "the default": lambda **o: normed().fit(X[:65], Y[:65], **o),
    "a callable loss": lambda **o: normed(square).fit(X[:65], Y[:65], batch_size=32, **o),
    "sparse": lambda **o: normed().fit(sparse().csr_matrix(X[:65]), Y[:65], batch_size=32, **o),
}  # fmt: skip


@pytest.mark.parametrize("what", LEFT)
def test_a_last_batch_of_one_row_offers_drop_last(what: str) -> None:
    fit = LEFT[what]
    with pytest.raises(
        ValueError, match=r"BatchNorm1d\(8\): .*last batch of an epoch has 1 of \d+ rows: drop_last=True"
    ):
        fit()
    assert np.isfinite(fit(drop_last=True).history["loss"]).all()


@pytest.mark.parametrize(
    "call",
    [lambda m: m.step(X[:1], Y[:1]), lambda m: m.fit(X[:1], Y[:1]), lambda m: m.fit(X, Y, batch_size=1)],
    ids=["step", "a row", "size 1"],
)  # fmt: skip
def test_where_every_batch_has_one_row_drop_last_is_no_help(call: Callable[[bp.Model], Any]) -> None:
    with pytest.raises(
        ValueError, match=r"BatchNorm1d\(8\): cannot train on a batch with one value"
    ) as error:
        call(normed())
    assert "drop_last" not in str(error.value)


@pytest.mark.parametrize(
    ("call", "rows"),
    [
        (lambda m: m.fit(X, Y, batch_size=1000), 70), (lambda m: m.fit([(X, Y)], batch_size=1000), 70),
        (lambda m: m.fit(X, Y, batch_size=1000, validation_split=0.5), 35),
        (lambda m: m.fit(X, Y, batch_size=71, drop_last=True), 70),
        (lambda m: m.fit(X[:1], Y[:1], batch_size=np.int64(2)), 1),
    ],
)  # fmt: skip
def test_a_batch_larger_than_all_rows_is_all_rows(call: Callable[[bp.Model], Any], rows: int) -> None:
    model = small()
    with pytest.warns(UserWarning, match=rf"batch_size is \d+, but X has only {rows} rows") as told:
        call(model)
    assert len(told) == 1
    assert model.engine.step_count[0] == 1


# ---- datasets, loaders, chunks ---------------------------------------------------------------------------------------


@pytest.mark.torch
def test_a_dataset_of_tensors_is_its_arrays() -> None:
    x, y, weight = (torch().tensor(array) for array in (X, Y, np.linspace(0, 2, 70)))
    dataset = torch().utils.data.TensorDataset
    for given, arrays in ((dataset(x, y), (X, Y)), (dataset(x, y, weight), (X, Y, weight.numpy()))):
        model, wanted = small(), small()
        rest = dict(zip(["sample_weight"], arrays[2:], strict=False))
        wanted_history = wanted.fit(X, Y, validation_data=arrays, **rest).history
        assert model.fit(given, validation_data=given).history == wanted_history
        assert model.evaluate(given) == wanted.evaluate(*arrays)
        assert same_weights(model, wanted)
    for wrong in (dataset(x), dataset(x, y, weight, weight)):
        for call in (lambda: small().fit(wrong), lambda: small().evaluate(wrong)):  # noqa: B023 called at once
            with pytest.raises(
                ValueError, match=r"X is a dataset of \d tensors, expected X, y and at most sample_weight"
            ):
                call()
    with pytest.raises(ValueError, match="X is a dataset of 3 tensors"):
        small().fit(dataset(x, y, weight), sample_weight=weight)


LOADERS: dict[str, tuple[Callable[[], Any], str]] = {
    "a loader": (lambda: torch().utils.data.DataLoader(torch().utils.data.TensorDataset(torch().tensor(X))), "is a DataLoader"),
    "a generator": (lambda: ((X, Y) for _ in range(3)), "is a generator"),
    "zip": (lambda: zip(X, Y, strict=True), "is a zip"),
    "a dict": (lambda: {"X": X, "y": Y}, "is a dict"),
    "a function": (lambda: square, "is a function"),
}  # fmt: skip


@pytest.mark.parametrize("what", cases(LOADERS))
def test_what_comes_once_or_in_no_order_is_told_what_to_be(what: str) -> None:
    make, message = LOADERS[what]
    model = small()
    for name, call in (
        ("X", lambda given: model.fit(given)), ("X", lambda given: model.evaluate(given)),
        ("validation_data", lambda given: model.fit(X, Y, validation_data=given)),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=f"^{name} {message}.*(sequence|tuple)"):
            call(make())


@pytest.mark.torch
@pytest.mark.parametrize("name", ["X", "validation_data"])
def test_rows_are_no_chunks(name: str) -> None:
    """A list of pairs (row, target), or a map-style dataset of them."""
    rows = [*zip(X, Y[:, 0], strict=True)]
    tensors = torch().utils.data.TensorDataset(torch().tensor(X), torch().tensor(Y[:, 0]))
    for given in (rows, torch().utils.data.Subset(tensors, range(9))):
        with pytest.raises(ValueError, match=rf"{name}\[0\] is a single row, expected a chunk of many"):
            small().fit(given) if name == "X" else small().fit(X, Y, validation_data=given)


def test_chunks_are_evaluated_wherever_data_are(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X[:30])
    np.save(tmp_path / "y.npy", LABELS[:30])
    arrays = [(X[:30], LABELS[:30]), (X[30:], LABELS[30:])]
    files = [(tmp_path / "x.npy", str(tmp_path / "y.npy")), arrays[1]]
    model = small("cross_entropy")
    whole = model.evaluate(X, LABELS)
    for chunks in (arrays, tuple(arrays), files):
        assert model.evaluate(chunks) == pytest.approx(whole, rel=1e-6)
        logs = (
            small("cross_entropy", optimizer=bp.optim.SGD(0.0)).fit(X, LABELS, validation_data=chunks).history
        )
        assert logs["val_loss"] == [pytest.approx(whole["loss"], rel=1e-6)]
        assert logs["val_accuracy"] == [pytest.approx(whole["accuracy"], rel=1e-6)]
    for wrong in ([], ()):
        with pytest.raises((TypeError, ValueError), match="X is a"):
            model.evaluate(wrong)


def test_a_sparse_matrix_where_it_cannot_be_read() -> None:
    csr = sparse().csr_matrix(X)
    flat = bp.Model(nn.Sequential(nn.Flatten(), nn.Linear(6, 3)))
    for call in (lambda: flat.fit(csr, Y), lambda: flat.predict(csr), lambda: flat.evaluate(csr, Y)):
        with pytest.raises(
            TypeError, match=r"X is a csr_matrix, but Flatten\(\) comes first .*: expected X.toarray\(\)"
        ):
            call()
    for call, message in (
        (lambda: small().step(csr, Y), r"x.toarray\(\)"), (lambda: small().forward(csr, training=True), r"x.toarray\(\)"),
        (lambda: small().fit([(csr, Y)]), r"X\[0\] is a sparse matrix"), (lambda: small(square).fit(csr, Y), r"X.toarray\(\)"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=message):
            call()
