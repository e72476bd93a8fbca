"""The space of a search: what each parameter may be, and the parameters of one trial after the other."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from ..checks import whole

EXPECTED = "a list, a range, a distribution with rvs such as scipy.stats.loguniform(1e-4, 1e-1), or a function of rng"
STRATEGIES = ("grid", "random", "halving")


def trials_of(space: Any, strategy: str, trials: int | None, seed: int) -> list[dict[str, Any]]:
    """The parameters of each trial: of a grid all points, else drawn, those of trial n by the seed and n."""
    kinds = checked_space(space)
    lists = {name: values for name, values in kinds.items() if isinstance(values, list)}
    points = int(np.prod([len(values) for values in lists.values()], dtype=object))
    if strategy == "grid":
        if len(lists) < len(kinds):
            name = next(name for name in kinds if name not in lists)
            raise ValueError(
                f"space[{name!r}] is {kinds[name]!r:.80}, but strategy is 'grid', expected a list"
            )
        if trials not in (None, points):
            raise ValueError(f"trials is {trials!r:.80}, but the grid has {points} points: leave it out")
        return [dict(zip(lists, values, strict=True)) for values in product(*lists.values())]
    if trials is None:
        raise ValueError(f"trials is None and strategy is {strategy!r}, expected an integer of at least 1")
    count = whole("trials", trials, 1)
    if len(lists) == len(kinds) and count > points:
        raise ValueError(f"trials is {count}, but space has {points} points; strategy='grid' tries all")
    found: list[dict[str, Any]] = []
    # Of a space of lists each point comes once.
    seen: set[tuple[int, ...]] = set()
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        while True:
            places = tuple(int(rng.integers(len(values))) for values in lists.values())
            if len(lists) < len(kinds) or places not in seen:
                break
        seen.add(places)
        chosen = {name: values[place] for (name, values), place in zip(lists.items(), places, strict=True)}
        found.append(
            {name: chosen[name] if name in chosen else drawn(kind, rng) for name, kind in kinds.items()}
        )
    return found


def checked_space(space: Any) -> dict[str, Any]:
    """The space, its lists, tuples, ranges and arrays as lists."""
    if not isinstance(space, Mapping) or not space:
        raise TypeError(
            f"space is {space!r:.80}, expected a dict from the name of each parameter to {EXPECTED}"
        )
    return {checked_name(name): _checked(name, values) for name, values in space.items()}


def checked_name(name: Any) -> str:
    """The name of a parameter."""
    if not isinstance(name, str):
        raise TypeError(f"space has the key {name!r:.80}, expected the name of a parameter")
    return name


def _checked(name: str, values: Any) -> Any:
    if isinstance(values, list | tuple | range | np.ndarray):
        if isinstance(values, np.ndarray) and not values.ndim:
            raise TypeError(f"space[{name!r}] is the single number {values!r:.80}, expected {EXPECTED}")
        if not len(values):
            raise ValueError(f"space[{name!r}] is empty, expected {EXPECTED}")
        return [plain(value) for value in values]
    # The class of a distribution has rvs as well, but no parameters.
    if isinstance(values, type) or not (callable(getattr(values, "rvs", None)) or callable(values)):
        raise TypeError(f"space[{name!r}] is {values!r:.80}, expected {EXPECTED}")
    return values


def drawn(kind: Any, rng: np.random.Generator) -> Any:
    """A value of a distribution or a function of rng."""
    rvs = getattr(kind, "rvs", None)
    return plain(rvs(random_state=rng) if rvs else kind(rng))


def plain(value: Any) -> Any:
    """A NumPy number as Python's."""
    return value.item() if isinstance(value, np.generic | np.ndarray) and value.ndim == 0 else value
