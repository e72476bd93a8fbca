"""A network, a loss, an optimizer as JSON and back: classes of backpass by name, with the arguments they were made with."""

import inspect
import math
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from .. import losses, nn, optim
from ..optim import schedules
from ..program import Several

# A shared layer counts wherever it stands: a short text must not describe an endless network.
MOST_LAYERS = 1 << 17


def public(module: ModuleType, base: type) -> dict[str, Any]:
    """The classes that a module offers, by name: all that a file may name."""
    offered = {name: getattr(module, name) for name in module.__all__}
    return {
        name: cls
        for name, cls in offered.items()
        if isinstance(cls, type) and issubclass(cls, base) and cls is not base
    }


LAYERS = public(nn, nn.Module)
LOSSES = public(losses, losses.Loss)
OPTIMIZERS = public(optim, optim.Optimizer)
SCHEDULES: dict[str, Callable[..., schedules.Schedule]] = {
    "step_schedule": schedules.step,
    "exponential_schedule": schedules.exponential,
    "cosine_schedule": schedules.warmup_cosine,
    "one_cycle_schedule": schedules.one_cycle,
    "piecewise_schedule": schedules.piecewise,
}
# Of a layer: not part of its description.
OWN_STATE = {"settings", "version", "_given", "_built", "_flat", "learned", "state"}
ABSENT = object()


class UnknownError(TypeError):
    """Something that a file cannot describe: a class of the user's, a function."""


class ChangedError(UnknownError):
    """An object of backpass that is not what its constructor makes of its settings."""


# ---- plain values ----------------------------------------------------------------------------------------------------


def encode(value: Any, encode_other: Callable[[Any], Any]) -> Any:
    """Numbers, strings, None, lists and dicts as JSON, floats to the last bit; what else there is goes through `encode_other`."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, list | tuple):
        return [encode(item, encode_other) for item in value]
    if isinstance(value, Mapping):
        return {
            "pairs": [[encode(key, encode_other), encode(item, encode_other)] for key, item in value.items()]
        }
    return encode_other(value)


def decode(value: Any, decode_other: Callable[[dict[str, Any]], Any]) -> Any:
    """The inverse of `encode`; tuples come back as lists. ValueError for what `encode` does not write."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        if not (-(2**63) <= value < 2**63 if isinstance(value, int) else math.isfinite(value)):
            raise ValueError("a number is out of range")
        return value
    if isinstance(value, list):
        return [decode(item, decode_other) for item in value]
    if isinstance(value, dict) and [*value] == ["float"]:
        return float(value["float"])
    if isinstance(value, dict) and [*value] == ["pairs"]:
        return {decode(key, decode_other): decode(item, decode_other) for key, item in value["pairs"]}
    return decode_other(value)


def nothing_else(value: Any) -> Any:
    """For `encode` and `decode` where only plain values are expected."""
    raise UnknownError(f"{value!r:.80} is no plain value")


# ---- objects -> JSON -------------------------------------------------------------------------------------------------


def describe(
    instance: Any, classes: Mapping[str, type], nested: Callable[[Any], Any] | None = None
) -> dict[str, Any]:
    """The class and the constructor's arguments of one object."""
    name, settings = type(instance).__name__, getattr(instance, "settings", {})
    if classes.get(name) is not type(instance):
        raise UnknownError(f"{name} is not a class of backpass")
    encode_other, several = nested or _value, _several(type(instance))
    description = {
        "class": name,
        "args": [encode(value, encode_other) for value in settings.get(several, ())],
        "kwargs": {key: encode(value, encode_other) for key, value in settings.items() if key != several},
    }
    if nested is None:
        compare(instance, build(description, classes), name)
    return description


def _several(cls: type) -> str:
    """The name of the argument that takes any number of values, "" for none."""
    parameters = inspect.signature(cls).parameters
    return next((name for name, p in parameters.items() if p.kind is p.VAR_POSITIONAL), "")


def describe_net(net: nn.Module) -> dict[str, Any]:
    """All layers, inner ones first; a layer that stands in several places is named once."""
    descriptions: list[dict[str, Any]] = []
    numbers: dict[int, int] = {}

    def encode_layer(value: Any) -> Any:
        if not isinstance(value, nn.Module):
            return _value(value)
        if id(value) not in numbers:
            description = describe(value, LAYERS, encode_layer)
            numbers[id(value)] = len(descriptions)
            descriptions.append(description)
        return {"layer": numbers[id(value)]}

    encode_layer(net)
    rebuilt = build_net({"layers": descriptions})
    old, new = [*net.walk()], [*rebuilt.walk()]
    if _outline(old) != _outline(new):
        raise ChangedError("layers were added, taken out or exchanged after the network was made")
    for (name, layer), (_, twin) in zip(old, new, strict=True):
        compare(layer, twin, f"layer {name} ({layer!r})" if name else repr(layer))
    return {"layers": descriptions}


def compare(instance: Any, twin: Any, name: str) -> None:
    """Whether an object is still what its constructor made: ChangedError names what was changed."""
    for key in {**vars(twin), **vars(instance)}:
        if key not in OWN_STATE:
            expected = vars(twin).get(key, getattr(type(twin), key, ABSENT))
            if expected is not ABSENT and not _same(vars(instance).get(key, ABSENT), expected):
                raise ChangedError(f"{key} of {name} was changed after it was made")


def _value(value: Any) -> Any:
    """What a constructor's argument may be besides a plain value."""
    if type(value) is schedules.Schedule and value.op.name in SCHEDULES:
        arguments: dict[str, Any] = {"lr": value.initial, **value.scalars}
        if value.arrays:
            steps, factors = (value.arrays[name].tolist() for name in ("milestones", "factors"))
            arguments["factors"] = dict(zip(steps, factors, strict=True))
        return {"schedule": value.op.name, "args": encode(arguments, nothing_else)}
    if isinstance(value, optim.Optimizer):
        return {"optimizer": describe(value, OPTIMIZERS)}
    if isinstance(value, losses.Loss):
        return {"loss": describe(value, LOSSES)}
    if hasattr(value, "__array__"):
        return encode(np.asarray(value).tolist(), nothing_else)
    raise UnknownError(f"{value!r:.80} cannot be written down")


def _outline(walk: list[tuple[str, nn.Module]]) -> list[tuple[str, type, int, list[Any]]]:
    first_numbers: dict[int, int] = {}
    outline = []
    for number, (name, layer) in enumerate(walk):
        shapes = [(key, p.stored, p.shown, p.axes) for key, p in layer.learned.items()]
        outline.append((name, type(layer), first_numbers.setdefault(id(layer), number), shapes))
    return outline


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, nn.Module) and isinstance(b, nn.Module):
        return True  # compared in its own turn
    if type(a) is schedules.Schedule and type(b) is schedules.Schedule:
        return _same(vars(a), vars(b))
    if isinstance(a, Several) and isinstance(b, Several):
        return a.fits(b) and _same(a.parts, b.parts)
    if isinstance(a, optim.Optimizer | losses.Loss) and type(a) is type(b):
        return _same(a.settings, b.settings)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.shape(a) == np.shape(b) and np.asarray(a).tobytes() == np.asarray(b).tobytes()
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return [*a] == [*b] and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return a is b or (type(a) is type(b) and (a == b or (a != a and b != b)))


# ---- JSON -> objects -------------------------------------------------------------------------------------------------


def build(
    description: Any, classes: Mapping[str, Any], nested: Callable[[dict[str, Any]], Any] | None = None
) -> Any:
    """The object that `describe` described."""
    name, args, kwargs = description["class"], description["args"], description["kwargs"]
    if not isinstance(name, str) or name not in classes:
        raise ValueError(f"there is no {name!r:.80} in this backpass")
    decode_other = nested or _nested
    return classes[name](
        *[_argument(decode(value, decode_other)) for value in args],
        **{key: _argument(decode(value, decode_other)) for key, value in kwargs.items()},
    )


def _argument(value: Any) -> Any:
    """A tuple again, which JSON knows as a list."""
    return tuple(value) if isinstance(value, list) else value


def build_net(description: Any) -> nn.Module:
    """The network that `describe_net` described, without weights: they are allocated by the model."""
    layers: list[nn.Module] = []
    places: list[int] = []  # how often a layer and all in it stand in the network
    for layer_description in description["layers"]:
        layer_count = 1

        def decode_layer(value: dict[str, Any]) -> nn.Module:
            nonlocal layer_count
            number = value["layer"]
            if not isinstance(number, int) or not 0 <= number < len(layers):
                raise ValueError(f"there is no layer {number!r:.80} before layer {len(layers)}")
            layer_count += places[number]
            return layers[number]

        layer = build(layer_description, LAYERS, decode_layer)
        if layer_count > MOST_LAYERS:
            raise ValueError(f"the network has more than {MOST_LAYERS:,} layers")
        layers.append(layer)
        places.append(layer_count)
    return layers[-1]


def _nested(value: dict[str, Any]) -> Any:
    if "loss" in value:
        return build(value["loss"], LOSSES)
    return build(value["optimizer"], OPTIMIZERS) if "optimizer" in value else _schedule(value)


def _schedule(value: dict[str, Any]) -> schedules.Schedule:
    arguments = decode(value["args"], nothing_else)
    numbers = [*arguments.values(), *arguments.get("factors", {}).values()]
    if not all(isinstance(number, int | float | dict) and not isinstance(number, bool) for number in numbers):
        raise ValueError("an argument of the schedule is no number")
    return SCHEDULES[value["schedule"]](**arguments)
