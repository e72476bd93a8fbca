"""What a plan is asked for, and what it is: buffers and instructions for one shape of batch."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .builder import Instruction, TargetTransform
from .carried import Carried
from .several import Several, parts_of
from .tables import RowsGradient


class InputSpec(NamedTuple):
    """One input of a network for one batch: its name, its shape (batch included) and dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    # True if the layers read the rows from their source, so that the plan needs no memory for them.
    in_place: bool = False
    # True for the lengths of the rows, which are the builder's instead of an argument of the network.
    beside: bool = False
    # True for images (N, C, H, W) that lie in memory as (N, H, W, C).
    channels_last: bool = False


# Of a target: its shape without the batch, and dtype; Several of such; None where there is none.
Target = tuple[tuple[int, ...], np.dtype[Any]] | Several | None
# An array whose first dimension are rows, or several.
Rows = np.ndarray | Several


class Spec(NamedTuple):
    """What a plan is built for: inference, unless a target or `own_loss` asks for training."""

    inputs: tuple[InputSpec, ...]
    target: Target = None
    # The shape of the weights of one row, where rows have weights.
    weight: tuple[int, ...] | None = None
    # Whether the gradient of the output comes from outside, and that of the input is wanted.
    own_loss: bool = False
    # Whether rows of matrices have padding between them where that helps products.
    padded: bool = False
    # The state that goes on from batch to batch; None: every batch starts anew.
    carried: Carried | None = None
    # Whether each op stays as it was emitted, so that all that it computes has a buffer: for those who look at a step.
    as_emitted: bool = False
    # Whether each buffer of inference has memory of its own, and each expression one step: for those who read the plan.
    apart: bool = False
    # Of the products of all ops that have one.
    precision: str = "float32"
    # Whether the batch is a part of one that ranks share.
    shared: bool = False

    @property
    def training(self) -> bool:
        """Whether layers act as in training."""
        return self.own_loss or self.target is not None

    @property
    def rows(self) -> int:
        """The size of the batch."""
        return self.inputs[0].shape[0]


@dataclass(eq=False, repr=False)
class Plan:
    """Buffers and instructions of inference for one shape of batch. All plans of a model share its parameters."""

    inputs: dict[str, np.ndarray]
    out: Rows
    forward: list[Instruction]
    # Size of all arrays but the parameters.
    bytes: int = 0
    # Whether a row of the output depends on other rows.
    whole_batch: bool = False
    # Of inputs with indices below which number each has to be: one for each element of a row.
    limits: dict[str, np.ndarray] = field(default_factory=dict)
    # Whether indices are computed of the inputs, by which something is chosen.
    computes_indices: bool = False
    # Where rows have lengths: (B,) those of rows of so many steps, as the layers have told them.
    lengths_by_steps: dict[int, np.ndarray] = field(default_factory=dict)
    # Whether rows have lengths that no layer reads.
    lengths_unread: bool = False
    # Rows of constants that have to be filled in for the steps at hand: program/stepwise.py.
    moving: list[Any] = field(default_factory=list)
    # All buffers, where each has memory of its own in inference too.
    buffers: list[np.ndarray] = field(default_factory=list)
    # Executors that were compiled of it, by name.
    compiled: dict[str, Any] = field(default_factory=dict)

    @property
    def x(self) -> np.ndarray:
        """The first input: of most networks the only one."""
        return next(iter(self.inputs.values()))

    @property
    def parts(self) -> dict[str, list[Instruction]]:
        """The lists of instructions by the names of their fields, in the order in which a step runs them."""
        return {"forward": self.forward}

    @property
    def handed_out(self) -> list[np.ndarray]:
        """The arrays that somebody outside the plan reads or writes."""
        return [*self.inputs.values(), *parts_of(self.out), *self.lengths_by_steps.values()]


@dataclass(eq=False, repr=False)
class BackwardPlan(Plan):
    """What the plans of training have in common: the backward pass."""

    backward: list[Instruction] = field(default_factory=list)
    # Run after the guard: running statistics.
    kept: list[Instruction] = field(default_factory=list)
    targets: list[TargetTransform] = field(default_factory=list)
    loss: np.ndarray = field(default_factory=lambda: np.zeros(1))
    # Where the gradients of parameters lie that the backward pass fills.
    reached: set[int] = field(default_factory=set)
    # Gradients of tables of which a step trains some rows.
    tables: list[RowsGradient] = field(default_factory=list)
    # Where the program waits for other ranks: Meeting, in order.
    meetings: list[Any] = field(default_factory=list)
    # The weight of the batch in the mean loss of an epoch.
    count: np.ndarray = field(default_factory=lambda: np.ones(1))

    @property
    def parts(self) -> dict[str, list[Instruction]]:
        return {"forward": self.forward, "backward": self.backward, "kept": self.kept}


@dataclass(eq=False, repr=False)
class TrainingPlan(BackwardPlan):
    """Forward pass, loss and backward pass."""

    target: Rows = field(default_factory=lambda: np.zeros(0))
    weight: np.ndarray | None = None
    # What the loss and the metric weigh by: `weight`, 0 behind the length of a row.
    weighed: np.ndarray | None = None
    loss_part: list[Instruction] = field(default_factory=list)

    @property
    def parts(self) -> dict[str, list[Instruction]]:
        return {
            "forward": self.forward, "loss_part": self.loss_part, "backward": self.backward, "kept": self.kept,
        }  # fmt: skip


@dataclass(eq=False, repr=False)
class OwnLossPlan(BackwardPlan):
    """Forward and backward pass around a loss that is computed outside."""

    dout: Rows = field(default_factory=lambda: np.zeros(0))
    dx: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def handed_out(self) -> list[np.ndarray]:
        return [*super().handed_out, *self.dx.values()]
