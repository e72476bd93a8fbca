"""What is a model's own besides its structure, seed and weights, as files say it: categories and metrics."""

from collections.abc import Mapping
from typing import Any

from ..data.known_categories import KnownCategories
from ..engine.engine import Engine
from . import contents, describe

# What each is where a file does not say, such as one of the first version.
NOTHING: dict[str, Any] = {
    "categories": {"pairs": []},
    "category_columns": {"pairs": []},
    "metrics": ([], []),
}


def own_of(engine: Engine) -> dict[str, Any]:
    """What is a model's own, by the names of NOTHING, as JSON takes it; metrics: without functions, and the names of these."""
    return {
        "categories": describe.encode(engine.categories.labels, describe.nothing_else),
        "category_columns": describe.encode(engine.categories.columns, describe.nothing_else),
        "metrics": engine.metrics.named() if engine.metrics else NOTHING["metrics"],
    }


def own_in(written: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of it, unchecked."""
    return {name: written.get(name, nothing) for name, nothing in NOTHING.items()}


def known_categories(own: Mapping[str, Any]) -> KnownCategories:
    """The categories in what a file says, checked."""
    return KnownCategories(contents.labels(own["categories"]), contents.columns(own["category_columns"]))
