"""What is wrong with an argument of a callback is said when it is given."""

from collections.abc import Callable
from typing import Any

import pytest

import backpass as bp
from helpers.refusals import refused

CONSTRUCTIONS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "patience": (lambda: bp.EarlyStopping(patience=-1), ("EarlyStopping: patience is -1",)),
    "patience text": (lambda: bp.EarlyStopping(patience="x"), ("EarlyStopping: patience is 'x'",)),  # type: ignore[arg-type]
    "factor": (lambda: bp.ReduceLROnPlateau(factor=2), ("ReduceLROnPlateau: factor is 2", "between 0 and 1")),
}


@pytest.mark.parametrize("what", CONSTRUCTIONS)
def test_constructions(what: str) -> None:
    make, parts = CONSTRUCTIONS[what]
    with refused(*parts):
        make()
