"""Attacks on arguments that are no arrays: every constructor and function of the public surface with odd values.

Judged: TypeError or ValueError with the argument's name in it (MemoryError where the size is absurd), or an object that works.
"""

import inspect
import math
import random
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np

import backpass as bp
from backpass import losses, nn, optim
from backpass.backends import Backend
from backpass.optim import schedules

ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 2**40, 2**62, 2**63, 2**70, -(2**63), 10**400, 0.0, -0.0, 0.5, 1.0, 1.5, -0.5, 1e-320,
    1e308, math.nan, math.inf, -math.inf, 1j, "", "x", "mean", "torch", "zeros", "adam", "mse", b"x", "\ud800", "\0", "1",
    (), [], {}, (1,), (0.9, 0.999), (0.9, math.nan), [0.5, "a"], {1: 0.5}, {"a": 1}, {-1: 2.0}, {0: -1.0}, np.int8(3),
    np.uint8(200), np.float32(0.5), np.float64("nan"), np.bool_(True), np.timedelta64(3, "s"), np.datetime64("2020"),
    np.array(2), np.array([0.5]), np.array([1.0, 2.0, 3.0]), np.array(["a"]), np.ma.masked, object(), int, len, Ellipsis,
    slice(3), range(3), nn.Linear, "float16", np.float16, "int32", np.dtype(">f4"),
]  # fmt: skip
GOOD: dict[str, Any] = {  # arguments without a default
    "in_features": 4, "out_features": 3, "num_features": 4, "normalized_shape": 4, "inner": nn.Identity, "lr": 0.01, "every": 3,
    "factor": 0.5, "total_steps": 10, "warmup_steps": 2, "factors": {3: 0.5}, "net": nn.Identity, "path": "/nowhere/x", "n": 1,
}  # fmt: skip
BY_NAME = {
    "schedules": ("constant", "step", "exponential", "cosine", "warmup_cosine", "one_cycle", "piecewise"),
    "bp": (
        "EarlyStopping",
        "ReduceLROnPlateau",
        "ModelCheckpoint",
        "CSVLogger",
        "GradientMonitor",
        "Model",
        "load",
        "gradcheck",
        "set_num_threads",
        "get_backend",
    ),
    "Model": ("fit", "update", "load_state_dict", "save"),
}
CALLABLES: dict[str, Callable[..., Any]] = {
    f"{where.__name__.split('.')[-1]}.{name}": getattr(where, name)
    for where in (losses, nn, optim)
    for name in where.__all__
    if isinstance(getattr(where, name), type) and (where is not nn or name not in losses.__all__)
}
for group, owner in (("schedules", schedules), ("bp", bp), ("Model", bp.Model)):
    CALLABLES |= {f"{group}.{name}": getattr(owner, name) for name in BY_NAME[group]}
CALLABLES["Model.lr"] = lambda lr: setattr(small(), "lr", lr)
for abstract in ("nn.Layer", "losses.Loss", "optim.Optimizer"):
    CALLABLES.pop(abstract, None)
X = np.random.default_rng(0).standard_normal((6, 4))


def small() -> bp.Model:
    """A model for the methods."""
    return bp.Model(nn.Linear(4, 2), "mse", backend="numpy")


def attack(chance: random.Random, backend: Backend) -> str:
    """One case: a callable with one or two odd arguments. Returns what it came to; AssertionError says what is wrong."""
    name = chance.choice([*CALLABLES])
    fields, free = arguments(name)
    odd = {key: chance.choice(ODD) for key in chance.sample(free, min(len(free), chance.choice([1, 1, 2])))}
    return judge(name, fields, odd, backend)


def single() -> Iterator[tuple[str, str, Any]]:
    """Every callable with every odd value for every argument."""
    for name in CALLABLES:
        for key in arguments(name)[1]:
            for value in ODD:
                yield name, key, value


def judge(name: str, good: dict[str, Any], odd: dict[str, Any], backend: Backend) -> str:
    """Call it; AssertionError where that does what it must not."""
    function, fields = CALLABLES[name], good | odd
    what = f"{name}({', '.join(f'{k}={v!r:.60}' for k, v in fields.items() if k in odd)})"
    threads = bp.get_num_threads()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            self = [fields.pop("self")] if "self" in fields else []
            made = function(*self, **fields)
            if name.startswith(("nn.", "losses.", "optim.", "schedules.", "bp.Early", "bp.Reduce")):
                use(made, backend)
    except (TypeError, ValueError) as error:
        text = str(error)
        if not any(n in text for n in [*odd, "X ", "y has", "y holds", "backend is"]):
            raise AssertionError(f"{what}: names nothing: {error!r}") from error
        return f"refused with {type(error).__name__}"
    except (bp.NonFiniteError, MemoryError, bp.CheckpointError, KeyError) as error:
        return f"refused with {type(error).__name__}"
    except Exception as error:
        raise AssertionError(f"{what}: {error!r}") from error
    finally:
        bp.set_num_threads(threads)
    return "works"


def arguments(name: str) -> tuple[dict[str, Any], list[str]]:
    """Good arguments for all that has no default, and the names of those that may be odd."""
    fields: dict[str, Any] = {}
    parameters = inspect.signature(CALLABLES[name]).parameters
    for key, parameter in parameters.items():
        if key == "self":
            fields[key] = small()
        elif key in ("X", "y", "model"):
            fields[key] = {"X": X, "y": X[:, :2], "model": small()}[key]
        elif (
            parameter.default is parameter.empty
            and parameter.kind is not parameter.VAR_POSITIONAL
            and key in GOOD
        ):
            fields[key] = GOOD[key]() if isinstance(GOOD[key], type) else GOOD[key]
        elif key == "max_seconds":
            fields[key] = 0.05  # for 2⁴⁰ epochs
    return fields, [
        k
        for k, p in parameters.items()
        if k not in ("self", "X", "y", "model", "progress", "known") and p.kind is not p.VAR_POSITIONAL
    ]


def use(made: Any, backend: Backend) -> None:
    """Train with whatever was made."""
    net: Any = nn.Linear(4, 3)
    loss, optimizer, callbacks = "mse", "adam", []
    y: Any = np.abs(X[:, :3])
    if isinstance(made, nn.Layer):
        net = made
        y = np.ones(bp.Model(deepcopy(made), backend="numpy").predict(X).shape)
    if isinstance(made, losses.Loss):
        loss = made
        if made.metric == "accuracy":
            y = np.arange(6) % 3
        elif isinstance(made, nn.HingeLoss):
            y = np.where(y > 0.5, 1, -1)
        elif isinstance(made, nn.GaussianNLLLoss):
            net = nn.Linear(4, 6)
    elif isinstance(made, optim.Optimizer):
        optimizer = made
    elif isinstance(made, schedules.Schedule):
        optimizer = optim.SGD(made)
    elif isinstance(made, bp.Callback):
        callbacks = [made]
    model = bp.Model(net, loss, optimizer, backend="numpy")
    model.backend = backend
    model.fit(X, y, epochs=2, callbacks=callbacks, validation_data=(X, y))
