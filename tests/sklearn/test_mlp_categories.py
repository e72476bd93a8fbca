"""Columns of categories in the MLP estimators: which they are, what they are worth, and what is refused."""

import os
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

import backpass as bp
from backpass import nn
from backpass.sklearn import MLPClassifier, MLPRegressor
from backpass.sklearn.mlp.solver import STOCHASTIC

pytestmark = [
    pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
rng = np.random.default_rng(0)
N = 120
NUMBERS = rng.normal(size=(N, 2))
CITY = rng.integers(0, 5, N)
SIZE = rng.integers(0, 3, N)
NAMES, SIZES = np.array(["bari", "cork", "ghent", "oslo", "turku"]), np.array(["l", "m", "s"])
y = NUMBERS[:, 0] + np.array([2.0, -1.0, 0.0, 3.0, -2.0])[CITY] * (1 + SIZE)


def pandas() -> Any:
    return pytest.importorskip("pandas")


def polars() -> Any:
    return pytest.importorskip("polars")


def columns(city: Any = None, size: Any = None) -> dict[str, Any]:
    """The columns of the table, of which others may take the place."""
    return {
        "city": NAMES[CITY] if city is None else city,
        "a": NUMBERS[:, 0],
        "size": SIZES[SIZE] if size is None else size,
        "b": NUMBERS[:, 1],
    }


def frame(**others: Any) -> Any:
    return pandas().DataFrame(columns(**others))


def categorical(**others: Any) -> Any:
    return frame(**others).astype({"city": "category", "size": "category"})


def objects(city: Any = None) -> np.ndarray:
    """An array of the same."""
    table = np.empty((N, 4), object)
    for place, column in enumerate(columns(city).values()):
        table[:, place] = column
    return table


def regressor(**parameters: Any) -> Any:
    options = {"hidden_layer_sizes": (8,), "max_iter": 8, "random_state": 0, "learning_rate_init": 0.02}
    return MLPRegressor(**{**options, "categorical_features": "from_dtype", **parameters})


def classifier(**parameters: Any) -> Any:
    options = {"hidden_layer_sizes": (8,), "max_iter": 8, "random_state": 0, "learning_rate_init": 0.02}
    return MLPClassifier(**{**options, "categorical_features": "from_dtype", **parameters})


def unknown_rows(model: Any) -> list[np.ndarray]:
    return [table.view("weight")[-1] for table in model._network.tables]


# ---- which columns ---------------------------------------------------------------------------------------------------

FORMS: dict[str, tuple[Callable[[], Any], Any]] = {
    "category": (categorical, "from_dtype"),
    "names of strings": (frame, ["city", "size"]),
    "names of categories": (categorical, np.array(["size", "city"], object)),
    "indices": (frame, [2, 0]),
    "a mask": (frame, [True, False, True, False]),
    "objects": (objects, (0, 2)),
    "lists": (lambda: objects().tolist(), [0, 2]),
    "string": (lambda: frame().astype({"city": "string"}), ["city", "size"]),
    "ordered": (lambda: categorical().assign(size=pandas().Categorical(SIZES[SIZE], [*"sml"], ordered=True)), "from_dtype"),
    "polars": (lambda: polars().DataFrame(columns()), ["city", "size"]),
    "polars, Categorical": (
        lambda: polars().DataFrame(columns()).cast({"city": polars().Categorical, "size": polars().Enum([*"xsml"])}),
        "from_dtype",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_table_are_one(form: str) -> None:
    table, chosen = FORMS[form]
    model, wanted = (
        regressor(categorical_features=chosen).fit(table(), y),
        regressor().fit(categorical(), y),
    )
    assert np.array_equal(model.predict(table()), wanted.predict(categorical()))
    assert [labels.tolist() for labels in model.categories_] == [NAMES.tolist(), SIZES.tolist()]
    assert [labels.dtype for labels in model.categories_] == [object, object]
    assert model.is_categorical_.tolist() == [True, False, True, False]
    assert [table.shape for table in model.embeddings_] == [(5, 3), (3, 2)]
    assert model.n_features_in_ == 4


def test_a_network_by_hand_gives_the_same() -> None:
    class ByHand(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.city, self.size = nn.Embedding(5, 3), nn.Embedding(3, 2)
            self.hidden, self.out = nn.Linear(7, 8), nn.Linear(8, 1)

        def forward(self, x: Any, city: Any, size: Any) -> Any:
            return self.out(bp.relu(self.hidden(bp.cat([x, self.city(city), self.size(size)], 1))))

    model = regressor(alpha=0.0, shuffle=False, batch_size=40, max_iter=1).fit(categorical(), y)
    start = regressor(shuffle=False, max_iter=1, solver="sgd", learning_rate_init=1e-300, momentum=0.0).fit(
        categorical(), y
    )
    assert all(abs(table).max() < 1e-200 for table in start.embeddings_)
    net = ByHand()
    adam = bp.optim.Adam(0.02, (0.9, 0.999), 1e-8, eps_hat=True)
    by_hand = bp.Model(net, nn.MSELoss(reduction="half_batchmean"), adam, dtype="float64")
    for layer, coef, intercept in zip((net.hidden, net.out), start.coefs_, start.intercepts_, strict=True):
        layer.weight[...], layer.bias[...] = coef.T, intercept
    net.city.weight[...] = net.size.weight[...] = 0
    by_hand.fit((NUMBERS, CITY, SIZE), y[:, None], batch_size=40, shuffle=False)
    for ours, theirs in zip(model.embeddings_, (net.city.weight, net.size.weight), strict=True):
        assert np.allclose(ours, theirs, rtol=0, atol=1e-13)
        assert ours.any()
    assert np.allclose(model.predict(categorical()), by_hand.predict((NUMBERS, CITY, SIZE))[:, 0], atol=1e-12)


@pytest.mark.parametrize("only", [["city"], ["city", "size"]], ids=len)
def test_nothing_but_categories(only: list[str]) -> None:
    for table in (categorical()[only], polars().DataFrame(columns())[only]):
        model = regressor(categorical_features=only, solver="lbfgs", max_iter=200).fit(table, y)
        of_city = np.array([y[city == CITY].mean() for city in range(5)])[CITY]
        assert ((model.predict(table) - y) ** 2).mean() < 1.1 * ((of_city - y) ** 2).mean()


def test_an_array_has_no_dtypes_to_choose_by() -> None:
    model, plain = regressor().fit(NUMBERS, y), regressor(categorical_features=None).fit(NUMBERS, y)
    assert np.array_equal(model.predict(NUMBERS), plain.predict(NUMBERS))
    again = regressor().fit(categorical(), y).fit(NUMBERS, y)
    assert not hasattr(again, "categories_")
    assert np.array_equal(again.predict(NUMBERS), plain.predict(NUMBERS))


def test_widths() -> None:
    many = np.arange(N) % 110
    table = pandas().DataFrame({"many": many, "one": 7, **columns()}).astype({"many": "category"})
    chosen = ["many", "one", "city", "size"]

    def widths(dim: Any) -> list[int]:
        model = regressor(categorical_features=chosen, embedding_dim=dim, max_iter=1).fit(table, y)
        return [table.shape[1] for table in model.embeddings_]

    assert widths(None) == widths("auto") == [50, 1, 3, 2]
    assert widths(4) == [4, 4, 4, 4]
    assert widths({"many": 7, "size": "auto"}) == [7, 1, 3, 2]
    by_place = regressor(categorical_features=[0, 2], embedding_dim={2: 9}, max_iter=1).fit(objects(), y)
    assert [table.shape for table in by_place.embeddings_] == [(5, 3), (3, 9)]


# ---- what a category is ----------------------------------------------------------------------------------------------

BIG = 2**40 + 5 * CITY
KINDS: dict[str, tuple[Any, list[Any]]] = {
    "int64": (BIG, sorted({*BIG.tolist()})),
    "beyond float64": (2**62 + CITY, [2**62 + city for city in range(5)]),
    "uint64": (np.uint64(2**63) + CITY.astype(np.uint64), [2**63 + city for city in range(5)]),
    "negative": (CITY - 2, [-2, -1, 0, 1, 2]),
    "floats": (CITY / 4, [0.0, 0.25, 0.5, 0.75, 1.0]),
    "bools": (CITY > 2, [False, True]),
    "one": (np.full(N, "x"), ["x"]),
    "thousands": (np.arange(N) * 1000, [*range(0, N * 1000, 1000)]),
    "tuples": ([(int(city), "x") for city in CITY], [(city, "x") for city in range(5)]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_labels(kind: str) -> None:
    values, labels = KINDS[kind]
    table = frame(city=values)
    model = regressor(categorical_features=["city"]).fit(table.drop(columns="size"), y)
    assert model.categories_[0].tolist() == labels
    predicted = model.predict(table.drop(columns="size"))
    assert np.isfinite(predicted).all()
    turned = table.assign(city=table["city"].to_numpy()[::-1]).drop(columns="size")
    assert (len(labels) == 1) == np.array_equal(model.predict(turned), predicted)


MISSING: dict[str, Callable[[], Any]] = {
    "None": lambda: np.where(CITY == 4, None, NAMES[CITY]),
    "NaN": lambda: np.where(CITY == 4, np.nan, NAMES[CITY].astype(object)),
    "category": lambda: pandas().Categorical(np.where(CITY == 4, None, NAMES[CITY])),
    "string": lambda: pandas().array([None if c == 4 else NAMES[c] for c in CITY], dtype="string"),
}


@pytest.mark.parametrize("form", MISSING)
def test_a_missing_value_is_a_category_where_fit_saw_one(form: str) -> None:
    chosen = ["city", "size"]
    table, whole = frame(city=MISSING[form]()), frame()
    model = regressor(categorical_features=chosen).fit(table, y)
    *labels, last = model.categories_[0].tolist()
    assert labels == NAMES[:4].tolist()
    assert np.isnan(last)
    # NaN comes last, as the name that it has hidden did.
    wanted = regressor(categorical_features=chosen).fit(whole, y)
    assert np.array_equal(model.predict(table), wanted.predict(whole))
    assert model.embeddings_[0][4].any()
    # Where fit saw none it is unknown.
    for value in (None, np.nan, "elsewhere"):
        here = whole.assign(city=pandas().Series([value] * N, dtype=object))
        wanted.embeddings_[0][0] = 0
        assert np.array_equal(wanted.predict(here), wanted.predict(whole.assign(city=NAMES[0])))


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (pytest.param([None] * N, [np.nan], id="objects")),
        (pytest.param(np.full(N, np.nan), [np.nan], id="floats")),
        (pytest.param([None, *(2**62 + CITY[1:]).tolist()], [*(2**62 + np.arange(5)).tolist(), np.nan], id="integers")),
        (pytest.param([None, *(CITY[1:] / 2)], [0, 0.5, 1, 1.5, 2, np.nan], id="numbers")),
    ],
)  # fmt: skip
def test_categories_with_what_is_missing(values: Any, labels: list[Any]) -> None:
    model = regressor(categorical_features=[0, 2]).fit(objects(values), y)
    assert [repr(float(label)) for label in model.categories_[0]] == [repr(float(label)) for label in labels]
    assert model.categories_[0].tolist()[:-1] == labels[:-1]  # integers are exact
    assert np.isfinite(model.predict(objects(values))).all()


@pytest.mark.parametrize("solver", [*STOCHASTIC, "lbfgs"])
def test_unknown_categories_stay_at_zero(solver: str) -> None:
    decay = {} if solver == "lbfgs" else {"weight_decay": 0.1}
    model = regressor(solver=solver, alpha=1.0, **decay).fit(categorical(), y)
    assert all(table.any() for table in model.embeddings_)
    assert not any(row.any() for row in unknown_rows(model))
    table = categorical(city=pandas().Categorical(["paris"] * N))
    before = model.predict(table)
    assert np.isfinite(before).all()
    model.embeddings_[0][...] = 5  # of those that are known
    assert np.array_equal(model.predict(table), before)


def test_categories_are_known_by_their_labels() -> None:
    model = regressor().fit(categorical(), y)
    wanted = model.predict(categorical())
    turned = pandas().Categorical(NAMES[CITY], ["paris", *NAMES[::-1]])
    assert np.array_equal(model.predict(categorical(city=turned)), wanted)
    part = CITY < 2  # "bari" has code 0 in both, "cork" has not
    few = categorical()[part].assign(city=pandas().Categorical(NAMES[CITY[part]], ["cork", "bari"]))
    assert np.array_equal(model.predict(few), wanted[part])


# ---- the network -----------------------------------------------------------------------------------------------------


def test_tables_count_in_the_penalty() -> None:
    model = regressor(batch_size=N, shuffle=False, solver="sgd").fit(categorical(), y)
    plain = ((model.predict(categorical()) - y) ** 2).mean() / 2
    squares = sum(float((w**2).sum()) for w in (*model.coefs_, *model.embeddings_))
    model.set_params(alpha=3.0, learning_rate_init=1e-12).partial_fit(categorical(), y)
    assert model.loss_ == pytest.approx(plain + 3.0 * squares / 2 / N, rel=1e-9)


def test_writing_to_a_table_changes_the_network_and_a_pickle_keeps_it() -> None:
    model = regressor().fit(categorical(), y)
    before = model.predict(categorical())
    model.embeddings_[0][2] += 1
    after = model.predict(categorical())
    assert np.array_equal(before != after, CITY == 2)
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.predict(categorical()), after)
    assert np.array_equal(
        copy.partial_fit(categorical(), y).predict(categorical()),
        model.partial_fit(categorical(), y).predict(categorical()),
    )
    copy.embeddings_ = [np.zeros_like(table) for table in copy.embeddings_]
    assert not np.array_equal(copy.predict(categorical()), after)


@pytest.mark.parametrize(
    "options",
    [
        {"early_stopping": True}, {"solver": "lbfgs"}, {"dropout": 0.2, "batch_norm": True}, {"dtype": "float32"},
        {"residual": True, "hidden_layer_sizes": (7, 7)},
    ],
    ids=str,
)  # fmt: skip
def test_options_work_with_categories(options: dict[str, Any]) -> None:
    many = {"max_iter": 60, "batch_size": 20}
    model = regressor(**{**many, **options}).fit(categorical(), y)
    mean = ((y - y.mean()) ** 2).mean()
    assert ((model.predict(categorical()) - y) ** 2).mean() < 0.5 * mean
    labels = np.where(y > 2, "high", "low")
    judged = classifier(**{**many, **options}).fit(categorical(), labels)
    assert judged.score(categorical(), labels) > 0.8
    assert clone(judged).get_params() == judged.get_params()


@pytest.mark.parametrize("make", [regressor, classifier])
def test_the_reference_computes_the_same(make: Callable[..., Any]) -> None:
    target = y if make is regressor else np.where(y > 2, "high", "low")
    few = {"max_iter": 2, "batch_size": 20}
    reference = make(backend="numpy", **few).fit(categorical(), target)
    model = make(**few).fit(categorical(), target)
    for ours, theirs in zip(model.embeddings_, reference.embeddings_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
        assert ours.any()
    np.testing.assert_allclose(model.loss_, reference.loss_, rtol=1e-12)


def test_weights_and_eval_set() -> None:
    options = {"batch_size": 10_000, "alpha": 0.0, "solver": "lbfgs", "max_iter": 15}
    times = rng.integers(0, 3, N)
    times[:5] = 1
    weighted = regressor(**options).fit(categorical(), y, sample_weight=times)
    repeated = regressor(**options).fit(
        categorical().iloc[np.repeat(np.arange(N), times)], np.repeat(y, times)
    )
    assert np.allclose(weighted.predict(categorical()), repeated.predict(categorical()), atol=1e-5)
    elsewhere = categorical(city=pandas().Categorical(["paris"] * N))
    model = regressor().fit(categorical(), y, eval_set=[(categorical(), y), (elsewhere, y)])
    assert model.evals_result_["validation_0"]["r2"][-1] == pytest.approx(model.score(categorical(), y))
    assert model.evals_result_["validation_1"]["r2"][-1] == pytest.approx(model.score(elsewhere, y))


def test_a_grid() -> None:
    grid = {"embedding_dim": [1, "auto"], "categorical_features": ["from_dtype", ["city", "size"]]}
    search = GridSearchCV(regressor(), grid, cv=3).fit(categorical(), y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_partial_fit_knows_the_categories_of_its_first_call() -> None:
    first, second = np.flatnonzero(CITY < 2), np.flatnonzero(CITY >= 2)
    model = regressor(categorical_features=["city", "size"])
    for rows in (first, second, first):
        model.partial_fit(frame().iloc[rows], y[rows])
    assert model.categories_[0].tolist() == ["bari", "cork"]
    assert not any(row.any() for row in unknown_rows(model))
    # Those that a dtype lists can be learned later.
    enums = {"city": polars().Enum(NAMES.tolist()), "size": polars().Enum(SIZES.tolist())}
    of_polars = polars().DataFrame(columns()).cast(enums)
    for parts in (
        [categorical().iloc[rows] for rows in (first, second)],
        [of_polars[first], of_polars[second]],
    ):
        listing = regressor().partial_fit(parts[0], y[first])
        assert listing.categories_[0].tolist() == NAMES.tolist()
        assert not listing.embeddings_[0][2:].any()
        assert listing.partial_fit(parts[1], y[second]).embeddings_[0].all()
    # fit sees all rows, so that what does not occur is unknown.
    assert regressor().fit(categorical().iloc[first], y[first]).categories_[0].tolist() == ["bari", "cork"]


def test_warm_start_goes_on_with_the_tables() -> None:
    model = regressor(warm_start=True, alpha=0.0, solver="sgd", momentum=0.0).fit(categorical(), y)
    tables = [table.copy() for table in model.embeddings_]
    loss = model.loss_
    model.fit(categorical(city=pandas().Categorical(np.where(CITY == 0, "paris", NAMES[CITY]))), y)
    assert model.categories_[0].tolist() == NAMES.tolist()
    # Nobody lives in the first city any more, and without momentum nothing moves it.
    assert np.array_equal(model.embeddings_[0][0], tables[0][0])
    assert (model.embeddings_[0][1:] != tables[0][1:]).all()
    assert model.loss_ < loss


@parametrize_with_checks(
    [MLPRegressor(categorical_features=[0], embedding_dim=1, max_iter=50)],
    expected_failed_checks=lambda _: {"check_estimators_nan_inf": "NaN is a category of column 0"},
)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


# ---- what is refused -------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], Callable[[], Any], str]] = {
    "no name": ({"categorical_features": ["town"]}, frame, r"categorical_features is \['town'\], but X has no column 'town'"),
    "names of an array": ({"categorical_features": ["city"]}, objects, "categorical_features .* X has no names of columns"),
    "an index": ({"categorical_features": [4]}, frame, r"categorical_features is \[4\], expected indices from 0 to 3"),
    "below 0": ({"categorical_features": [-1]}, frame, r"categorical_features is \[-1\], expected indices"),
    "a short mask": ({"categorical_features": [True]}, frame, "categorical_features is .* a mask of 1, but X has 4 columns"),
    "floats": ({"categorical_features": [0.5]}, frame, r"categorical_features is \[0.5\], expected None, \"from_dtype\""),
    "two dimensions": ({"categorical_features": [[0], [2]]}, frame, "categorical_features is .*, expected None"),
    "a word": ({"categorical_features": "auto"}, frame, "categorical_features.*from_dtype"),
    "nothing to embed": (
        {"categorical_features": None, "embedding_dim": 3}, frame, "embedding_dim is 3, but categorical_features is None"
    ),
    "a width of 0": ({"embedding_dim": 0}, categorical, "embedding_dim"),
    "a width of half": ({"embedding_dim": {"city": 1.5}}, categorical, r"embedding_dim\['city'\] is 1.5, expected 'auto'"),
    "a width of another": ({"embedding_dim": {"a": 3}}, categorical, r"embedding_dim names 'a', expected .*\['city', 'size'\]"),
    "mixed": (
        {"categorical_features": [0, 2]}, lambda: objects([1, "x"] * (N // 2)), "column 0 holds int and str; .*of one kind"
    ),
    "no labels": ({"categorical_features": [0, 2]}, lambda: objects([[1]] * N), "X: column 0 holds list; "),
    "a column of strings": ({}, frame, "X: column 'city' has dtype(.|\n)*categorical_features='from_dtype', or the names"),
    "by default": (
        {"categorical_features": None}, categorical, "X: column 'city' has dtype(.|\n)*categorical_features='from_dtype'"
    ),
    "NaN among numbers": (
        {}, lambda: categorical().assign(a=np.where(CITY == 0, np.nan, 1.0)), "X: column 'a' holds nan at row"
    ),
    "a sparse matrix": (
        {"categorical_features": [0]}, lambda: pytest.importorskip("scipy.sparse").csr_matrix(NUMBERS),
        "X is a sparse csr_matrix, but categorical_features is given",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_refusals_name_the_argument(what: str) -> None:
    options, table, message = REFUSED[what]
    with pytest.raises((TypeError, ValueError), match=message):
        regressor(**options).fit(table(), y)


def test_what_goes_on_keeps_its_columns() -> None:
    model = regressor(categorical_features=["city", "size"], max_iter=1).fit(frame(), y)
    model.set_params(categorical_features=["city"])
    with pytest.raises(
        ValueError, match=r"categorical_features is \['city'\], expected \[0, 2\]: partial_fit"
    ):
        model.partial_fit(frame(), y)
    model.set_params(categorical_features=[0, 2], embedding_dim=9)
    with pytest.raises(
        ValueError, match=r"embedding_dim is 9, which makes \[9, 9\], expected \[3, 2\]: partial_fit"
    ):
        model.partial_fit(frame(), y)
    model.predict(frame())
    with pytest.raises(TypeError, match="X: column 'city' holds what is no category"):
        model.predict(frame(city=[[1]] * N))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame().rename(columns={"city": "town"}))
    numbers = regressor(categorical_features=None, max_iter=1).fit(NUMBERS, y)
    with pytest.raises(ValueError, match=r"categorical_features is \[0\], expected None: partial_fit"):
        numbers.set_params(categorical_features=[0]).partial_fit(NUMBERS, y)
