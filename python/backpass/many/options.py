"""The options of many fits: one value for all models, or one for each."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from .. import checks
from ..callbacks import Callback
from ..callbacks.dispatch import checked_callbacks
from ..errors import did_you_mean
from ..model import Model

# Arguments of Model.fit that fit_many does not hand on, and what to do instead.
OWN = {
    "progress": "it shows the progress of all",
    "verbose": "give progress=True",
    "resume": "give it to fit_many",
    "comm": "ranks train one model, as Model.fit(comm=) does",
    "reproducible": "it belongs to comm",
}
MODELS = "a list of different bp.Models"


def checked_models(models: Any) -> list[Model]:
    """The models, each once."""
    if isinstance(models, Model) or not hasattr(models, "__iter__"):
        raise TypeError(f"models is {models!r:.80}, expected {MODELS}")
    found = [*models]
    seen: dict[int, int] = {}
    for number, model in enumerate(found):
        if not isinstance(model, Model):
            raise TypeError(f"models[{number}] is {model!r:.80}, expected {MODELS}")
        if id(model) in seen:
            raise ValueError(f"models[{number}] is models[{seen[id(model)]}] again, expected {MODELS}")
        seen[id(model)] = number
    if not found:
        raise ValueError(f"models is empty, expected {MODELS}")
    return found


def check_names(callee: str, options: dict[str, Any], refused: Mapping[str, str] = OWN) -> None:
    """Whether `fit` takes all of these; refused: what to do instead, of arguments that are not handed on."""
    known = [name for name in inspect.signature(Model.fit).parameters if name not in ("self", *refused)]
    for name in options:
        if name not in known:
            hint = f": {refused[name]}" if name in refused else did_you_mean(name, known)
            raise TypeError(f"{callee}() has no argument {name!r}{hint or f'; expected {known}'}")


def check_place(client: Any, **here: Any) -> None:
    """ValueError where a client is given, and an argument of what only this process does."""
    for name, value in here.items():
        if client is not None and value is not None:
            raise ValueError(f"{name} is {value!r:.80} and client is given, expected one of them")


def per_model(name: str, value: Any, models: int) -> list[Any]:
    """A value for each model: of a list its own, of any other value the same."""
    if not isinstance(value, list | tuple):
        return [value] * models
    if len(value) != models:
        raise ValueError(f"{name} has {len(value)} values, expected one, or one for each of {models} models")
    return [*value]


def checked_size(batch_size: Any) -> int | None:
    """The rows of a step, None for the default."""
    return None if batch_size is None else checks.whole("batch_size", batch_size, 1)


def callbacks_of(callbacks: Any, models: int) -> Callable[[int], list[Any]]:
    """The callbacks of a model, by its number: copies of one list, its own of a list of lists, or what a function makes."""
    if callable(callbacks) and not isinstance(callbacks, type | Callback):
        return lambda number: [*checked_callbacks(callbacks(number))]
    if (
        isinstance(callbacks, list | tuple)
        and callbacks
        and all(isinstance(c, list | tuple) for c in callbacks)
    ):
        own = [[*checked_callbacks(one)] for one in per_model("callbacks", callbacks, models)]
        return own.__getitem__
    for number, callback in enumerate(checked := checked_callbacks(callbacks)):
        settings = getattr(callback, "settings", {})
        path = settings.get("path", settings.get("logdir"))
        if path is not None and models > 1:
            raise ValueError(
                f"callbacks[{number}] writes {path} for all models; expected a function number -> callbacks, or directory="
            )
    return lambda number: copies(checked)


def copies(callbacks: Sequence[Any]) -> list[Any]:
    """Callbacks like these. A model that one of them served before is not copied along."""
    served = [model for callback in callbacks if (model := getattr(callback, "model", None)) is not None]
    return deepcopy([*callbacks], {id(model): model for model in served})
