"""The programs of a model for one batch shape: forward, loss, backward; what fuses adjacent instructions, and lays out arrays."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from .contract import REGISTRY
from .layout import moved, spaced
from .losses import Loss, emit_mixed
from .memory import aligned
from .nn import Layer
from .program import Builder, Instruction, Tensor, address


@dataclass
class Plan:
    """Buffers and instructions for one shape of batch. All programs of a model share its parameters."""

    x: np.ndarray
    out: np.ndarray
    forward: list[Instruction]
    target: np.ndarray | None = None
    weight: np.ndarray | None = None
    loss: np.ndarray = field(default_factory=lambda: np.zeros(1))
    count: np.ndarray = field(default_factory=lambda: np.ones(1))
    dout: np.ndarray | None = None
    dx: np.ndarray | None = None
    loss_part: list[Instruction] = field(default_factory=list)
    backward: list[Instruction] = field(default_factory=list)
    mixing: tuple[np.ndarray, np.ndarray] | None = None  # by nn.MixUp: share (1,) and partners (B,)
    kept: list[Instruction] = field(default_factory=list)  # after the guard: running statistics
    bytes: int = 0  # of all arrays, parameters apart
    programs: dict[str, Any] = field(default_factory=dict)  # that were made of it, by name

    def mixture(self) -> tuple[float, np.ndarray] | None:
        """How the last forward pass mixed its rows, as `Model.mixing` says."""
        return self.mixing and (float(self.mixing[0][0]), self.mixing[1].copy())


@dataclass(frozen=True)
class Spec:
    """What a plan is built for: the batch, the target buffer and what is wanted."""

    shape: tuple[int, ...]  # of the input, batch included
    training: bool = False
    target: tuple[tuple[int, ...], np.dtype[Any]] | None = None  # shape without batch, dtype; None: no loss
    weighted: bool = False
    backward: bool = False
    input_gradient: bool = False
    apart: bool = False  # rows of matrices, where that helps products
    unread: bool = False  # x: whoever runs the plan reads the rows elsewhere, and it has no memory


def plan(net: Layer, loss: Loss | None, dtype: Any, seed: int, step: np.ndarray, spec: Spec) -> Plan:
    """Emit a network for one batch shape."""
    builder = Builder(np.dtype(dtype), spec.training, step, seed)
    if spec.unread:
        x = Tensor(np.broadcast_to(np.zeros(1, builder.dtype), spec.shape))
    else:
        x = builder.tensor(spec.shape, requires_grad=spec.input_gradient)
    out = net.emit(builder, x)
    built = Plan(x.array, out.array, builder.instructions, kept=builder.kept, mixing=builder.mixing)
    builder.instructions = []
    if spec.target is not None and loss is not None:
        shape, target_dtype = spec.target
        built.target = aligned((spec.shape[0], *shape), target_dtype)
        rows = built.target.shape if target_dtype == np.int64 else (*out.shape[:-1],)
        built.weight = aligned(rows, dtype) if spec.weighted else None
        emit = partial(emit_mixed, loss) if builder.mixing else loss.emit
        value, count = emit(builder, out, built.target, built.weight)
        built.loss, built.count = value.array, count.array
        built.loss_part, builder.instructions = builder.instructions, []
    elif spec.backward:
        dout = builder.tensor(out.shape)
        built.dout = dout.array
        builder.add_gradient(out, dout)
    if spec.backward:
        builder.backward()
        dx = builder.gradient(x) if spec.input_gradient else None
        built.dx = dx.array if isinstance(dx, Tensor) else None
        built.backward = builder.instructions
    built.bytes = builder.bytes + sum(a.nbytes for a in (built.target, built.weight) if a is not None)
    built = fused(built)
    return spread(built, spec) if spec.apart else built


def fused(built: Plan) -> Plan:
    """Merge a linear layer with the activation that follows it, and their gradients: one kernel each."""
    uses = Counter(
        address(a)
        for i in [*built.forward, *built.loss_part, *built.backward]
        for a in i.fields.values()
        if isinstance(a, np.ndarray)
    )
    for kept in (built.out, built.x, built.dx):
        if kept is not None:
            uses[address(kept)] += 1
    return replace(built, forward=_merge(built.forward, uses), backward=_merge(built.backward, uses))


def spread(built: Plan, spec: Spec) -> Plan:
    """Lay the rows of matrices apart where products gain by it; what is handed out stays as it is."""
    moves = spec.training and not spec.unread
    handed_out = [a for a in (built.out, built.dx, None if moves else built.x) if a is not None]
    to = spaced(chain(built.forward, built.loss_part, built.backward, built.kept), handed_out)
    return replace(
        built,
        forward=[moved(i, to) for i in built.forward],
        loss_part=[moved(i, to) for i in built.loss_part],
        backward=[moved(i, to) for i in built.backward],
        kept=[moved(i, to) for i in built.kept],
        x=to.get(address(built.x), built.x),
        dout=None if built.dout is None else to.get(address(built.dout), built.dout),
        bytes=built.bytes + sum(a.strides[0] * len(a) - a.nbytes for a in to.values()),
    )


def _merge(instructions: Sequence[Instruction], uses: Counter[int]) -> list[Instruction]:
    out: list[Instruction] = []
    for this in instructions:
        merged = _fuse_forward(out[-1], this, uses) or _fuse_backward(out[-1], this, uses) if out else None
        if merged is None:
            out.append(this)
        else:
            out[-1] = merged
    return out


def _fuse_forward(before: Instruction, this: Instruction, uses: Counter[int]) -> Instruction | None:
    """linear_forward y, then activation_forward of that y."""
    if (before.op.name, this.op.name) != ("linear_forward", "activation_forward"):
        return None
    z = before.fields["y"]
    if (
        before.fields["activation"] != "identity"
        or address(z) != address(this.fields["x"])
        or uses[address(z)] != 2
    ):
        return None
    shape = z.shape
    slope = this.fields["slope"]
    fields = before.fields | {
        "y": this.fields["y"].reshape(shape),
        "slope": None if slope is None else slope.reshape(shape),
        "activation": this.fields["activation"],
        "alpha": this.fields["alpha"],
    }
    return Instruction(REGISTRY["linear_forward"], fields, before.layer)


def _fuse_backward(before: Instruction, this: Instruction, uses: Counter[int]) -> Instruction | None:
    """linear_backward dx, then activation_backward of that dx, where the activation gave the linear layer's x."""
    if (before.op.name, this.op.name) != ("linear_backward", "activation_backward") or before.fields[
        "dx"
    ] is None:
        return None
    dx, y = before.fields["dx"], this.fields["y"]
    if (
        before.fields["activation"] != "identity"
        or address(dx) != address(this.fields["dy"])
        or uses[address(dx)] != 2
    ):
        return None
    if address(y) != address(before.fields["x"]):
        return None
    slope = this.fields["slope"]
    fields = before.fields | {
        "dx": this.fields["dx"].reshape(dx.shape),
        "slope": None if slope is None else slope.reshape(dx.shape),
        "activation": this.fields["activation"],
        "alpha": this.fields["alpha"],
    }
    return Instruction(REGISTRY["linear_backward"], fields, before.layer)
