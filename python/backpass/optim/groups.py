"""Parameter groups: parts of a network that one optimizer trains with settings of their own."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .optimizer import Optimizer
from .schedules import Schedule

# Shared by all groups, because the gradient is clipped as a whole.
OVER_ALL = "clip_grad_norm"


class ParameterGroups(Optimizer):
    """Groups of parameters, each with settings of its own: what `optim.Adam([{"params": ..., "lr": ...}, ...])` gives.

    Args:
        params: for each group what it trains: a module, an nn.Parameter, a name as in `state_dict` (of a module or of a
            parameter), or a list of such. Every parameter that is not frozen belongs to one group.
        groups: for each group its optimizer, all of one class.
        clip_grad_norm: rescale the gradient of all groups together to this Euclidean norm at most, default None: don't.

    Raises:
        TypeError, ValueError: an argument that does not fit; for parameters of no or several groups when a model takes it.

    Example:
        >>> optim.Adam([{"params": "0", "lr": 1e-4}, {"params": "2"}], lr=1e-3)
        ParameterGroups(['0', '2'], (Adam(lr=0.0001), Adam(lr=0.001)))
    """

    grouped = True

    def __init__(
        self, params: Sequence[Any], groups: Sequence[Optimizer], *, clip_grad_norm: float | None = None
    ) -> None:
        for name, value in (("params", params), ("groups", groups)):
            if not isinstance(value, Sequence):
                raise TypeError(
                    f"ParameterGroups: {name} is {value!r:.80}, expected a list with one for each group"
                )
        self.groups = tuple(groups)
        self.params = [_listed(number, given) for number, given in enumerate(params)]
        kinds = {type(group) for group in self.groups}
        if len(kinds) != 1 or len(self.params) != len(self.groups) or ParameterGroups in kinds:
            raise ValueError(
                f"ParameterGroups: groups is {groups!r:.200}, expected an optimizer of one class for each of params"
            )
        for number, group in enumerate(self.groups):
            if group.settings.get(OVER_ALL) is not None:
                raise ValueError(
                    f"group {number}: {OVER_ALL} is given, expected it beside the groups: it is over all"
                )
        super().__init__(self.groups[0].settings["lr"], clip_grad_norm)
        self.op = self.groups[0].op  # type: ignore[misc] # that of its class
        self.slots = max((group.slots for group in self.groups), key=len)

    @classmethod
    def of(
        cls, kind: type[Optimizer], groups: Sequence[Any], settings: Sequence[Any], named: Mapping[str, Any]
    ) -> ParameterGroups:
        """The groups of `kind(groups, *settings, **named)`: the settings are those that a group does not say itself."""
        names = [*inspect.signature(kind).parameters]
        shared = dict(zip(names, settings, strict=False)) | dict(named)
        over_all = {OVER_ALL: shared.pop(OVER_ALL)} if OVER_ALL in shared else {}
        params, optimizers = [], []
        for number, group in enumerate(groups):
            if not isinstance(group, Mapping) or "params" not in group:
                raise TypeError(
                    f"{kind.__name__}: group {number} is {group!r:.80}, expected a dict such as"
                    ' {"params": net.head, "lr": 1e-3}'
                )
            own = {name: value for name, value in group.items() if name != "params"}
            params.append(group["params"])
            optimizers.append(kind(**(shared | own)))
        return cls(params, tuple(optimizers), **over_all)

    @property
    def version(self) -> int:  # type: ignore[override]
        return int(self.__dict__.get("version", 0)) + sum(group.version for group in self.groups)

    @property
    def schedule(self) -> Schedule | None:
        """The schedule of the first group that has one."""
        return next((group.schedule for group in self.groups if group.schedule), None)

    @schedule.setter
    def schedule(self, schedule: Schedule) -> None:
        raise AttributeError("lr is that of each group: model.optimizer.groups[0].lr = ...")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("lr", "params", "groups") and "_built" in self.__dict__:
            raise AttributeError(
                f"{name} is that of each group: optimizer.groups[0].lr = ..., or make new groups"
            )
        super().__setattr__(name, value)

    def members(self, state: dict[str, np.ndarray]) -> list[tuple[Optimizer, dict[str, np.ndarray]]]:
        shared = {name: state[name] for name in (*self.slots, "scale", "norm", "partials")}
        members = []
        for number, group in enumerate(self.groups):
            ending = f"_{number}"
            own = {name.removesuffix(ending): array for name, array in state.items() if name.endswith(ending)}
            moments = {
                name: array for name, array in shared.items() if name not in self.slots or name in group.slots
            }
            members.append((group, moments | own))
        return members

    def state(self, size: int, dtype: Any) -> dict[str, np.ndarray]:
        states = [group.state(size, dtype) for group in self.groups]
        shared: dict[str, np.ndarray] = {}
        for state in states:
            shared |= {
                name: state.pop(name) for name in (*self.slots, "scale", "norm", "partials") if name in state
            }
        own = {f"{name}_{n}": array for n, state in enumerate(states) for name, array in state.items()}
        return shared | own

    @property
    def rates(self) -> dict[str, Any]:
        return {f"lr_{number}": group.settings["lr"] for number, group in enumerate(self.groups)}

    def assign(self, named: Sequence[tuple[str, Any]]) -> list[int]:
        self._take_names(named)
        group_of: list[int] = []
        for name, parameter in named:
            found = [n for n, names in enumerate(self.params) if any(_within(name, outer) for outer in names)]
            if len(found) > 1 or (not found and parameter.requires_grad):
                where = f"is in groups {found[0]} and {found[1]}" if found else "is in no group"
                raise ValueError(
                    f"{name!r} {where} of the optimizer, expected one for each parameter that is trained;"
                    " requires_grad_(False) freezes a module"
                )
            group_of.append(found[0] if found else 0)
        return group_of

    def _take_names(self, named: Sequence[tuple[str, Any]]) -> None:
        """Names in the place of modules and parameters, so that copies and checkpoints of the model mean their own."""
        names = {id(parameter): name for name, parameter in named}
        for number, given in enumerate(self.params):
            taken: list[str] = []
            for value in given:
                if isinstance(value, str):
                    if not any(_within(name, value) for name, _ in named):
                        raise ValueError(f"group {number}: the network has no parameter {value!r:.80}")
                    taken.append(value)
                    continue
                inner = [*value.parameters()] if hasattr(value, "parameters") else [value]
                if any(id(parameter) not in names for parameter in inner):
                    raise ValueError(f"group {number}: {value!r:.80} is no part of the network")
                taken += [names[id(parameter)] for parameter in inner]
            given[:] = taken
        self.settings["params"] = self.params


def _within(name: str, outer: str) -> bool:
    """Whether a parameter is the one of this name, or in the module of this name; "" is the whole network."""
    return name == outer or not outer or name.startswith(f"{outer}.")


def _listed(number: int, params: Any) -> list[Any]:
    listed = [*params] if isinstance(params, list | tuple) or hasattr(params, "__next__") else [params]
    for value in listed:
        # Parameters and modules, without a circle of imports.
        if (
            not isinstance(value, str)
            and not hasattr(value, "requires_grad_")
            and not hasattr(value, "requires_grad")
        ):
            raise TypeError(
                f"group {number}: params holds {value!r:.80}, expected modules, parameters or their names"
            )
    return listed


Optimizer.of_groups = ParameterGroups.of
