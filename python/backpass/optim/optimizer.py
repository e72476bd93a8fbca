"""Optimizer: what every optimizer is. One fused instruction updates all parameters in one pass."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..checks import real
from ..described import Adjustable
from ..ops import Op, clip_scale, gradient_norm
from ..ops.clip import partial_sums
from ..program import Instruction, call
from ..system.memory import aligned
from .schedules import Schedule
from .tables import TableRows, norms, row_updates

# A rate, its schedule, or groups of parameters in the place where PyTorch has them.
LearningRate = float | Schedule | Sequence[Mapping[str, Any]]
NO_PARAMETERS = "the parameters are those of the model: bp.Model(net, loss, optimizer=optim.{name}(lr=1e-3))"


class Optimizer(Adjustable):
    """Base of all optimizers. A changed setting, as in `model.optimizer.lr = 1e-4`, acts at the next step.

    Args (of every optimizer):
        lr: learning rate, a number of at least 0 or a schedule from `optim.schedules`. Groups of parameters may come before it:
            `Adam([{"params": net.head, "lr": 1e-3}, {"params": net.body}], lr=1e-4)`.
        clip_grad_norm: rescale the gradient of all parameters together to this Euclidean norm at most (default: don't).
        clip_grad_value: limit every element of the (rescaled) gradient to ± this (default: don't).
    """

    # The update of all parameters in one pass.
    op: ClassVar[Op]
    # What makes groups of dicts; groups.py, which builds on this class, sets it.
    of_groups: ClassVar[Callable[..., Any]]
    # Whether parts of the network have settings of their own.
    grouped: ClassVar[bool] = False
    # Moments: one flat vector each, in the order of the op.
    slots: tuple[str, ...] = ()
    always_shown: ClassVar[tuple[str, ...]] = ("lr",)
    instead: ClassVar[Mapping[str, str]] = {
        "learning_rate": "it is called lr",
        "beta1": "give betas=(beta1, beta2)",
        "params": "the parameters are the model's: bp.Model(net, loss, optimizer)",
        "zero_grad": "model.backward overwrites the gradients",
        "step": "it is model.update(), after model.backward",
    }

    def __new__(cls, *args: Any, **settings: Any) -> Any:
        """Groups, where these come first: `Adam([{"params": net.head, "lr": 1e-3}, ...])`."""
        if args and isinstance(args[0], list | tuple) and args[0] and isinstance(args[0][0], Mapping):
            return cls.of_groups(cls, args[0], args[1:], settings)
        return super().__new__(cls)

    def __init__(
        self, lr: LearningRate, clip_grad_norm: float | None = None, clip_grad_value: float | None = None
    ) -> None:
        self._schedule = lr if isinstance(lr, Schedule) else None
        self.lr = lr.initial if isinstance(lr, Schedule) else self.number("lr", lr, 0, math.inf)
        self.clip_grad_norm = self._limit("clip_grad_norm", clip_grad_norm)
        self.clip_grad_value = self._limit("clip_grad_value", clip_grad_value)
        self.scalars: dict[str, Any] = {"clip_value": self.clip_grad_value}

    @property
    def schedule(self) -> Schedule | None:
        """The schedule that `lr` is, if it is one; assigning it sets `lr`."""
        return self._schedule

    @schedule.setter
    def schedule(self, schedule: Schedule) -> None:
        self.lr = schedule  # type: ignore[assignment] # the constructor takes it

    @classmethod
    def refused(cls, *args: Any) -> str:
        """What to say of positional arguments that are no learning rate."""
        listed = args and hasattr(args[0], "__iter__") and not isinstance(args[0], str)
        return NO_PARAMETERS.format(name=cls.__name__) if listed else ""

    def number(self, name: str, value: Any, low: float, high: float, unlimited: bool = False) -> float:
        """Check a hyper-parameter; infinity only if `unlimited`."""
        number = real(value)
        if not low <= number <= high or (number == math.inf and not unlimited):
            hint = ""
            if name == "lr":
                schedule = "; a schedule is an object, such as optim.schedules.cosine(1e-3, total_steps=1000)"
                hint = (
                    schedule
                    if isinstance(value, str)
                    else f"; {listed}"
                    if (listed := self.refused(value))
                    else ""
                )
            raise ValueError(
                f"{type(self).__name__}: {name} is {value!r:.80}, expected a number from {low:g} to {high:g}{hint}"
            )
        return number

    def pair(self, name: str, value: Any, high: float) -> tuple[float, float]:
        """Check two hyper-parameters that come as a tuple."""
        if not isinstance(value, tuple | list) or len(value) != 2:
            raise ValueError(f"{type(self).__name__}: {name} is {value!r}, expected two numbers")
        return self.number(f"{name}[0]", value[0], 0, high), self.number(f"{name}[1]", value[1], 0, high)

    def start(self, slot: str) -> float:
        """The value that a slot starts from."""
        return 0.0

    def state(self, size: int, dtype: Any) -> dict[str, np.ndarray]:
        """The buffers of this optimizer for `size` parameters: its slots, and what its other instructions need."""
        state = {slot: aligned((size,), dtype) for slot in self.slots}
        for slot, array in state.items():
            array[...] = self.start(slot)
        return state | {
            "lr": np.full(1, self.lr),
            "scale": np.ones(1),
            "norm": np.zeros(1),
            "partials": partial_sums(size),
        }

    @property
    def rates(self) -> dict[str, Any]:
        """What `lr` was set to, under the names that the rates have in `state`."""
        return {"lr": self.settings["lr"]}

    def members(self, state: dict[str, np.ndarray]) -> list[tuple["Optimizer", dict[str, np.ndarray]]]:
        """The optimizer of each group of parameters, with its part of the state: of all parameters this one."""
        return [(self, state)]

    def assign(self, named: Sequence[tuple[str, Any]]) -> list[int]:
        """The number of the group of each parameter, of (name, nn.Parameter)."""
        return [0] * len(named)

    def emit(
        self,
        params: np.ndarray,
        grads: np.ndarray,
        state: dict[str, np.ndarray],
        step: np.ndarray,
        loss: np.ndarray,
        halt: np.ndarray,
        parts: Sequence[tuple[int, slice]] = ((0, slice(None)),),
        tables: Sequence[TableRows] = (),
        apart: Sequence[slice] = (),
    ) -> list[Instruction]:
        """The instructions of one update: schedules, norm and guard, the update itself.

        parts: what is trained of the flat vectors, and by which group. tables: of which some rows are trained. apart: where
        the flat vectors hold tables.
        """
        members, partials = self.members(state), state["partials"]
        norm = [call(gradient_norm, grads=grads, partials=partials)]
        if apart:
            norm, partials = norms(grads, tables, apart)
        return [
            *(optimizer.schedule.emit(step, own["lr"]) for optimizer, own in members if optimizer.schedule),
            *norm,
            call(
                clip_scale,
                loss=loss,
                partials=partials,
                norm=state["norm"],
                scale=state["scale"],
                halt=halt,
                max_norm=self.clip_grad_norm,
            ),
            *(instruction for optimizer, own in members for instruction in optimizer.prepare(own, step)),
            *(
                members[group][0].update(params, grads, members[group][1], step, part)
                for group, part in parts
            ),
            *(
                instruction
                for table in tables
                for instruction in row_updates(
                    members[table.group][0], params, members[table.group][1], step, table
                )
            ),
        ]

    def update(
        self,
        params: np.ndarray,
        grads: np.ndarray,
        state: dict[str, np.ndarray],
        step: np.ndarray,
        part: slice,
    ) -> Instruction:
        """The update of a part of the flat vectors."""
        buffers = {k: v for k, v in (state | {"step": step}).items() if k in self.op.arrays}
        own = {k: v[part] if k in self.slots else v for k, v in buffers.items()}
        return call(self.op, params=params[part], grads=grads[part], **own, **self.scalars)

    def prepare(self, state: dict[str, np.ndarray], step: np.ndarray) -> list[Instruction]:
        """Instructions before the update that only this optimizer needs."""
        return []

    def _limit(self, name: str, value: float | None) -> float:
        return math.inf if value is None else self.number(name, value, 0, math.inf, unlimited=True)
