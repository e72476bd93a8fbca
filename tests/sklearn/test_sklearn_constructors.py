"""The constructors of the estimators are what their tables of parameters say, and so are the docstrings.

scikit-learn, editors and type checkers want explicit signatures: `python tests/sklearn/test_sklearn_constructors.py` writes them.
"""

import doctest
import inspect
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from backpass import sklearn as ours
from backpass.sklearn.cnn import parameters as cnn
from backpass.sklearn.elm import parameters as elm
from backpass.sklearn.mlp import parameters as mlp
from backpass.sklearn.parameters import Parameter
from backpass.sklearn.rnn import parameters as rnn

pytestmark = pytest.mark.skipif(
    "BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"
)
ROOM = Path(ours.__file__).parent
TABLES: dict[str, tuple[Parameter, ...]] = {
    "mlp/classifier.py": mlp.CLASSIFIER,
    "mlp/regressor.py": mlp.REGRESSOR,
    "cnn/classifier.py": cnn.CLASSIFIER,
    "rnn/classifier.py": rnn.CLASSIFIER,
    "rnn/regressor.py": rnn.REGRESSOR,
    "elm/classifier.py": elm.CLASSIFIER,
    # ELMRegressor inherits its constructor.
    "elm/base.py": elm.REGRESSOR,
}
CONSTRUCTOR = re.compile(r"    def __init__\(\n        self,\n.*?\n    \) -> None:\n", re.DOTALL)
ESTIMATORS = {
    ours.MLPClassifier: mlp.CLASSIFIER,
    ours.MLPRegressor: mlp.REGRESSOR,
    ours.CNNClassifier: cnn.CLASSIFIER,
    ours.RNNClassifier: rnn.CLASSIFIER,
    ours.RNNRegressor: rnn.REGRESSOR,
    ours.ELMClassifier: elm.CLASSIFIER,
    ours.ELMRegressor: elm.REGRESSOR,
}


def constructor(parameters: Sequence[Parameter]) -> str:
    """The signature of `__init__` as it stands in the source."""
    lines = [
        f"        {parameter.name}: {parameter.annotation} = {parameter.literal}," for parameter in parameters
    ]
    positional = sum(parameter.positional for parameter in parameters)
    lines = ["    def __init__(", "        self,", *lines[:positional], "        *,", *lines[positional:]]
    return "\n".join([*lines, "    ) -> None:", ""])


@pytest.mark.parametrize("path", TABLES)
def test_constructors_are_those_of_the_tables(path: str) -> None:
    (written,) = CONSTRUCTOR.findall((ROOM / path).read_text("utf-8"))
    assert written == constructor(TABLES[path]), (
        "run python tests/sklearn/test_sklearn_constructors.py, which writes it"
    )


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: estimator.__name__)
def test_docstrings_name_every_parameter_with_its_default(estimator: Any) -> None:
    text = inspect.getdoc(estimator)
    assert text is not None
    arguments = text.partition("\nArgs:\n")[2].partition("\n\n")[0]
    for parameter in ESTIMATORS[estimator]:
        entry = re.search(rf"^    {parameter.name}: (.*(?:\n        .*)*)", arguments, re.MULTILINE)
        assert entry, parameter.name
        assert f"default {parameter.literal}" in " ".join(entry[1].split()), parameter.name
    for section in ("Attributes:", "Shapes:", "Raises:", "Source:", "Example:"):
        assert f"\n{section}" in text, section
    assert max(map(len, text.splitlines())) <= 126


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: estimator.__name__)
def test_docstrings_name_every_fitted_attribute(estimator: Any) -> None:
    model = estimator(
        random_state=0,
        **({} if "ELM" in estimator.__name__ else {"max_iter": 2000 if "MLP" in estimator.__name__ else 2}),
    )
    table = "MLP" in estimator.__name__ or "ELM" in estimator.__name__
    model.fit(np.zeros((2, 3, 3)) if not table else [[0.0], [1.0]], [0, 1])
    text = inspect.getdoc(estimator) or ""
    for name in vars(model):
        if name.endswith("_") and not name.startswith("_"):
            assert re.search(rf"\b{name}\b", text), name


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: estimator.__name__)
def test_docstrings_of_methods_name_every_argument(estimator: Any) -> None:
    own = [
        name
        for name in dir(estimator)
        if not name.startswith("_") and getattr(estimator, name).__module__.startswith("backpass.")
    ]
    assert {"fit", "partial_fit", "predict"} <= {*own}
    for name in own:
        method = getattr(estimator, name)
        for argument in [*inspect.signature(method).parameters][1:]:
            assert re.search(rf"\b{argument}\b", method.__doc__), f"{name}: {argument}"


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: estimator.__name__)
def test_examples_run(estimator: Any) -> None:
    for test in doctest.DocTestFinder(recurse=False).find(estimator, globs={}):
        assert test.examples
        assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_subclass_has_parameters_of_its_own(cls: type) -> None:
    from sklearn.base import clone

    class Mine(cls):  # type: ignore[misc]
        def __init__(self, units: int = 3) -> None:
            super().__init__(random_state=units)
            self.units = units

    mine = clone(Mine(units=5))
    assert mine.get_params() == {"units": 5}
    assert mine.random_state == 5
    assert [name for name in cls().get_params() if not hasattr(mine, name)] == []


if __name__ == "__main__":
    for path, parameters in TABLES.items():
        source = (ROOM / path).read_text("utf-8")
        text = constructor(parameters)
        (ROOM / path).write_text(CONSTRUCTOR.sub(lambda _, text=text: text, source), "utf-8")
