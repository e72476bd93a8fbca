"""Objects that know the arguments they were made with: what a repr shows, a checkpoint keeps, and a user may change later."""

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeVar, cast

import numpy as np

from .errors import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])


class Described:
    """Base of whatever is described by its constructor's arguments; `settings` holds them by name, defaults included.

    In a hierarchy of classes the arguments of the most derived class are kept.
    """

    settings: dict[str, Any]
    # The settings that were given, in the place of a default.
    _given: frozenset[str] = frozenset()
    # Settings that the repr shows even where they have their default.
    always_shown: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in cls.__dict__:
            cls.__init__ = _recording(cls.__init__)  # type: ignore[method-assign]

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """An object of this class made with these arguments."""
        signature = _signature(cls)
        bound = inspect.BoundArguments(signature, OrderedDict(settings))
        return cls(*bound.args, **bound.kwargs)

    def __repr__(self) -> str:
        arguments: list[str] = []
        if "settings" not in self.__dict__:
            return f"{type(self).__name__}()"
        for name, parameter in _signature(type(self)).parameters.items():
            value = self.settings[name]
            if parameter.kind is parameter.VAR_POSITIONAL:
                arguments += map(repr, value)
            elif parameter.default is parameter.empty:
                arguments.append(repr(value))
            elif name in self.always_shown or not _equal(value, parameter.default):
                arguments.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(arguments)})"


class Adjustable(Described):
    """Base of layers, losses and optimizers: a setting may be changed after the object was made, and acts at the next step.

    A changed setting goes through the constructor, which checks it. `version` counts the changes: a model that sees
    another one than it was compiled for compiles anew. Names that the class does not know are an AttributeError.
    """

    version = 0
    # Changes of all objects together: as long as it stands still, nothing has to be looked at.
    changes: ClassVar[list[int]] = [0]
    # What to do instead, for names that people know from other libraries.
    instead: ClassVar[Mapping[str, str]] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        if not attributes.get("_built") or name.startswith("_"):
            super().__setattr__(name, value)
            return
        if name in attributes["settings"]:
            settings, given = attributes["settings"] | {name: value}, self._given | {name}
            self.adopt(type(self).from_settings(settings), name)
            attributes["_given"] = given
        elif name in attributes or hasattr(type(self), name):
            super().__setattr__(name, value)
        else:
            raise AttributeError(self._unknown(name))
        attributes["version"] = self.version + 1
        Adjustable.changes[0] += 1

    def __getattr__(self, name: str) -> Any:
        settings = self.__dict__.get("settings", {})
        if name in settings:
            return settings[name]
        raise AttributeError(self._unknown(name))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__dict__.get("settings", ())})

    def adopt(self, twin: Self, name: str) -> None:
        """Become what `twin` is, which was made with another value of the setting `name`."""
        attributes = self.__dict__
        attributes.update({key: value for key, value in vars(twin).items() if key != "version"})

    def _unknown(self, name: str) -> str:
        message = f"{type(self).__name__} has no attribute {name!r}"
        if name in self.instead:
            return f"{message}: {self.instead[name]}"
        return message + did_you_mean(name, [n for n in dir(self) if not n.startswith("_")])


def given(described: Described) -> frozenset[str]:
    """The names of the settings that were given, to the constructor or later."""
    return described._given


def adopt_defaults(adjustable: Adjustable, settings: Mapping[str, Any]) -> None:
    """Let an object take these settings as if they were its defaults: none of them counts as given."""
    attributes, before = adjustable.__dict__, adjustable._given
    adjustable.adopt(type(adjustable).from_settings(adjustable.settings | dict(settings)), "")
    attributes["_given"] = before
    attributes["version"] = adjustable.version + 1
    Adjustable.changes[0] += 1


def explained(instead: Mapping[str, str]) -> Callable[[F], F]:
    """Decorate a method: arguments that it does not take are a TypeError that names it, the near ones, or what to do instead."""

    def decorate(method: F) -> F:
        signature = inspect.signature(method)
        parameter_names = [name for name in signature.parameters if name != "self"]

        @functools.wraps(method)
        def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            try:
                return method(self, *args, **kwargs)
            except TypeError as error:
                if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                    raise  # from within the method
                callee = type(self).__name__ if method.__name__ == "__init__" else f"{method.__name__}()"
                for name in kwargs:
                    if name not in parameter_names:
                        hint = (
                            f": {instead[name]}" if name in instead else did_you_mean(name, parameter_names)
                        )
                        raise TypeError(
                            f"{callee} has no argument {name!r}{hint or f'; expected {parameter_names}'}"
                        ) from None
                by_place = [
                    n
                    for n in parameter_names
                    if signature.parameters[n].kind is not inspect.Parameter.KEYWORD_ONLY
                ]
                if len(args) > len(by_place):
                    others = ", ".join(f"{name}=" for name in parameter_names[len(by_place) :][:3])
                    expected = f"expected at most {len(by_place)} ({', '.join(by_place)})"
                    raise TypeError(
                        f"{callee} has {len(args)} arguments without a name, {expected}; all others need theirs: {others}, ..."
                    ) from None
                raise TypeError(
                    f"{callee}: {str(error).partition(') ')[2]}; expected {callee.removesuffix('()')}{_shown(signature)}"
                ) from None

        return cast("F", wrapper)

    return decorate


def _shown(signature: inspect.Signature) -> str:
    """A signature without self and types."""
    parameters = [p.replace(annotation=p.empty) for name, p in signature.parameters.items() if name != "self"]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


def _recording(init: Callable[..., None]) -> Callable[..., None]:
    """Wrap `__init__` to record its arguments; in a hierarchy those of the most derived class are kept."""

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if "settings" in self.__dict__:
            init(self, *args, **kwargs)
            return
        self.__dict__["settings"], self.__dict__["_given"] = _bound(type(self), args, kwargs)
        init(self, *args, **kwargs)
        self.__dict__["_built"] = True

    return __init__


def _bound(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """All arguments by name, and the names of those that are no defaults."""
    names, defaults, required = _plain(cls)
    arguments = dict(zip(names, args, strict=False)) | kwargs
    known = len(arguments) == len(args) + len(kwargs) and arguments.keys() <= defaults.keys()
    if known and required <= arguments.keys():
        return defaults | arguments, frozenset(arguments)
    try:
        bound = _signature(cls).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(_refusal(cls, args, kwargs, str(error))) from None
    given = frozenset(bound.arguments)
    bound.apply_defaults()
    return dict(bound.arguments), given


def _refusal(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any], error: str) -> str:
    """What to say of arguments that the constructor does not take."""
    if hint := getattr(cls, "refused", lambda *args: "")(*args):
        return f"{cls.__name__}: {hint}"
    parameters = _signature(cls).parameters
    parameter_names = [name for name, p in parameters.items() if p.kind is not p.VAR_POSITIONAL]
    for name in kwargs:
        if name not in parameter_names:
            hint = getattr(cls, "instead", {}).get(name)
            ending = f": {hint}" if hint else did_you_mean(name, parameter_names)
            return f"{cls.__name__} has no argument {name!r}{ending or f'; expected {parameter_names}'}"
    return f"{cls.__name__}: {error}; expected {cls.__name__}{_shown(_signature(cls))}"


@functools.cache
def _plain(cls: type) -> tuple[list[str], dict[str, Any], set[str]]:
    """Of a constructor the names in the order of its arguments, their defaults, and the required ones: inspect binds slowly.

    One that takes *args or the like requires what nobody gives.
    """
    parameters = _signature(cls).parameters
    kinds = {name: p.kind for name, p in parameters.items()}
    names = [name for name, kind in kinds.items() if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    defaults = {name: p.default for name, p in parameters.items()}
    required = {name for name, default in defaults.items() if default is inspect.Parameter.empty}
    if not {*kinds.values()} <= {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}:
        required = {""}
    return names, defaults, required


_signatures: dict[type, inspect.Signature] = {}


def _signature(cls: type) -> inspect.Signature:
    """The signature of the constructor, without self."""
    if cls not in _signatures:
        signature = inspect.signature(getattr(cls, "__init__"))  # noqa: B009 `cls.__init__` is none of a class, says mypy
        without_self = [*signature.parameters.values()][1:]
        _signatures[cls] = signature.replace(
            parameters=without_self, return_annotation=inspect.Signature.empty
        )
    return _signatures[cls]


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a is b
    return type(a) is type(b) and bool(a == b)
