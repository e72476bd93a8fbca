"""Layers, losses and activations as the generated tests use them: found in the package, not listed by hand.

What a constructor wants and what data fit are found by trying, so that a new class needs no entry here.
"""

import inspect
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np

import backpass as bp
from backpass import losses, nn
from backpass.nn.activation import Activation
from helpers import nets

SIZE = 6  # of whatever a layer wants to know: features, channels, pixels
ROWS = (
    (SIZE,),
    (SIZE, 5),
    (2, 5, SIZE),
    (SIZE, 9),
    (SIZE, 9, 8),
    (SIZE, 9, 8, 7),
    (4, SIZE),
)  # shapes of a row, tried in turn


def choices(cls: type) -> Iterator[dict[str, Any]]:
    """Arguments for every word that a constructor's Literal annotations offer."""
    yield {}
    for name, hint in get_type_hints(cls.__init__).items():
        if get_origin(hint) is Literal and name in inspect.signature(cls).parameters:
            yield from ({name: word} for word in get_args(hint))


def layer_classes() -> list[type[nn.Module]]:
    """All of backpass.nn but the base class and what holds modules."""
    classes = [getattr(nn, name) for name in nn.__all__]
    holders = nn.Module, nn.ModuleList, nn.ModuleDict, nn.ParameterList
    return [c for c in classes if isinstance(c, type) and issubclass(c, nn.Module) and c not in holders]


@cache
def activation_layers() -> dict[str, Callable[[], Activation]]:
    """What makes a layer, by the formula that it computes."""
    made: dict[str, Callable[[], Activation]] = {}
    for cls in layer_classes():
        if issubclass(cls, Activation):
            for arguments in choices(cls):
                made.setdefault(cls(**arguments).formula, partial(cls, **arguments))
    return made


def alpha_of(activation: str) -> float:
    """The parameter of a formula where its layer is made without arguments."""
    return activation_layers()[activation]().parameter_of_formula()


class SampleLayer(NamedTuple):
    """What makes a small layer, and the shape of one row of what it takes."""

    make: Callable[[], nn.Module]
    row: tuple[int, ...]

    def data(self, rows: int) -> dict[str, np.ndarray]:
        """Rows of every input: numbers, or indices below SIZE."""
        rng, shape = np.random.default_rng(0), (rows, *self.row)
        return {
            name: rng.standard_normal(shape) if kind == "number" else rng.integers(0, SIZE, shape)
            for name, kind in self.make().takes.items()
        }


def sample_layer(cls: type[nn.Module]) -> SampleLayer:
    """A layer whose required arguments are taken from their kinds, with the first shape of a row that it takes."""
    for shape in ROWS:
        sample = SampleLayer(partial(_made, cls), shape)
        try:
            bp.Model(sample.make(), backend="numpy").predict(sample.data(4))
        except ValueError:
            continue
        return sample
    raise AssertionError(f"{cls.__name__} takes none of {ROWS}: add the shape of a row that it takes")


@cache
def sample_layers() -> dict[str, SampleLayer]:
    """Every layer by its name."""
    return {cls.__name__: sample_layer(cls) for cls in layer_classes()}


def _made(cls: type[nn.Module]) -> nn.Module:
    given: list[Any] = []
    parameters = inspect.signature(cls).parameters
    # By default a transformer's is too wide to be tried number by number.
    small = {"dim_feedforward": SIZE} if "dim_feedforward" in parameters else {}
    for parameter in parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL or "Module" in str(parameter.annotation):
            given.append(nn.Linear(SIZE, SIZE))
        elif parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            if str(parameter.annotation).startswith("collections.abc.Sequence"):
                given = [1, (SIZE,)]  # a dimension, and what stands in its place
            else:
                given.append(SIZE)
    try:
        return cls(*given, **small)
    except ValueError:  # of several arguments that may be left out it wants one
        return cls(*given, SIZE)


class SampleLoss(NamedTuple):
    """What makes a loss, the network's outputs for it, and targets for all rows of `nets.X`."""

    make: Callable[[], losses.Loss]
    outputs: int
    y: np.ndarray

    @property
    def of_classes(self) -> bool:
        """Whether the targets are class indices."""
        return self.y is nets.LABELS

    def net(self, *layers: nn.Module) -> nn.Sequential:
        """The layers, and what has to come last for this loss."""
        return nn.Sequential(
            *layers, *([nn.LogSoftmax()] if self.make().wants == "log probabilities" else [])
        )


@cache
def sample_losses() -> dict[str, SampleLoss]:
    """Every loss by the name that a model takes, with the first kind of targets that it accepts."""
    kinds = (nets.LABELS, nets.Y, np.abs(nets.Y), (nets.Y > 0) * 1.0, np.where(nets.Y > 0, 1.0, -1.0))
    found = {}
    for name, make in losses.NAMES.items():
        for outputs, y in ((outputs, y) for outputs in (3, 6) for y in kinds):
            try:
                make().targets(y, (outputs,), np.dtype(np.float64))
            except ValueError:
                continue
            found[name] = SampleLoss(make, outputs, y)
            break
        else:
            raise AssertionError(
                f"the loss {name!r} takes none of the kinds of targets: add the one that it takes"
            )
    return found
