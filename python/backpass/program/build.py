"""build_plan: emits a network, its loss and its backward pass for one shape of batch, then improves what came of it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import numpy as np

from ..ops import expression, to_number
from ..system.memory import aligned
from .builder import Builder, EmitLoss
from .channels import channels_first
from .computed_indices import ComputedIndices, computed_indices
from .fuse import fused
from .layout import padded
from .limits import inputs_with_indices, limits
from .plan import BackwardPlan, InputSpec, OwnLossPlan, Plan, Rows, Spec, TrainingPlan
from .reuse import reused
from .several import Several, on_each, parts_of
from .tables import check_read_alone
from .tensor import Tensor

UNREAD = "lengths is given, but no layer reads it"


class LossOfPlan(Protocol):
    """What build_plan needs of a loss."""

    def emit(
        self, builder: Builder, pred: Any, target: Any, sample_weight: np.ndarray | None, /
    ) -> tuple[Tensor, Tensor]: ...

    def weigh(
        self, builder: Builder, pred: Any, target: Any, weight: np.ndarray | None
    ) -> np.ndarray | None: ...


class Network(Protocol):
    """What build_plan needs of a layer."""

    def emit(self, builder: Builder, *inputs: Any, **options: Any) -> Tensor | Several: ...


def build_plan(
    net: Network,
    loss: LossOfPlan | None,
    dtype: np.dtype[Any],
    seed: int,
    step: np.ndarray,
    spec: Spec,
    again: bool = False,
) -> Plan:
    """A Plan for inference, a TrainingPlan where spec has a target, an OwnLossPlan where it says so.

    Args:
        loss: only a TrainingPlan needs it.
        step: (1,) the completed steps of the model, from which layers draw their random numbers.
        again: whether the network is emitted a second time; ValueError where it computes something else then.
    """
    builder = Builder(
        dtype, spec.training, step, seed, spec.precision, carried=spec.carried, shared=spec.shared
    )
    inputs = input_tensors(builder, spec.inputs, spec.own_loss)
    out = emit_network(net, builder, inputs, spec.inputs)
    for tensor in parts_of(out):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"net returned {type(tensor).__name__} from emit, expected a Tensor")
    if again:
        from .repeat import check_repeats  # here: `import backpass` is to be quick

        check_repeats(builder, out, partial(_emit_anew, net, spec))
    window = None if spec.carried is None else spec.carried.window
    moving = [] if window is None else window.follow(builder, spec.inputs[0].shape[1])
    # What comes out of a network are numbers, of indices such as those of argmax too.
    out = on_each(lambda y: y if y.array.dtype.kind == "f" else builder.emit(to_number, x=y), out)
    out = on_each(builder.contiguous, out)
    if builder.steps is not None and spec.target is not None:
        _mark_steps(net, builder, out, spec.inputs)
    shown: Rows = on_each(lambda tensor: tensor.array, out)
    if spec.training:
        builder.keep_assigned()
    arrays = {name: tensor.array for name, tensor in inputs.items()}
    forward, builder.instructions = builder.instructions, []
    plan: Plan
    if spec.target is not None:
        assert loss is not None
        plan = _training(builder, loss, spec, arrays, out, shown, forward)
    elif spec.own_loss:
        dout = on_each(lambda tensor: builder.tensor(tensor.shape), out)
        on_each(builder.add_gradient, out, dout)
        builder.backward()
        flowing = {name: builder.gradient(tensor) for name, tensor in inputs.items()}
        dx = {name: gradient.array for name, gradient in flowing.items() if gradient is not None}
        plan = OwnLossPlan(
            arrays, shown, forward, builder.bytes, backward=builder.instructions, kept=builder.kept,
            targets=builder.targets, count=np.full(1, float(spec.rows)), dout=on_each(lambda tensor: tensor.array, dout),
            dx=dx,
        )  # fmt: skip
    else:
        plan = Plan(arrays, shown, forward, builder.bytes)
    plan.whole_batch, plan.moving = builder.whole_batch, moving
    plan.lengths_by_steps = {steps: lengths.array for steps, lengths in builder.lengths_by_steps.items()}
    if builder.ranges:
        plan.limits = limits(builder.ranges, arrays)
        # Where rows are mixed, which row leads to an index is not known.
        computed = not builder.whole_batch and computed_indices(forward, builder.ranges, arrays).calls
        plan.computes_indices = bool(computed)
    if builder.steps is not None and not builder.steps_are_read:
        if spec.target is not None:
            raise ValueError(f"{UNREAD}, and the loss has no target for each step")
        plan.lengths_unread = True
    if isinstance(plan, BackwardPlan):
        check_read_alone(builder)
        plan.reached, plan.tables, plan.meetings = builder.reached, builder.tables, builder.meetings
    if spec.as_emitted:
        return plan
    plan = fused(plan, builder.viewed)
    if not spec.apart and any(
        instruction.op is expression for program in plan.parts.values() for instruction in program
    ):
        from .join import joined  # here: `import backpass` is to be quick

        plan = joined(plan, builder.viewed)
    if spec.padded:
        plan = padded(plan, spec, [*builder.viewed, *builder.turned], builder.buffers)
    if spec.apart:
        plan.buffers = builder.buffers
    # Last: the others tell buffers by their addresses.
    return plan if spec.training or spec.apart else reused(plan, builder.buffers)


def index_inputs(net: Network, dtype: np.dtype[Any], inputs: Sequence[InputSpec]) -> set[str]:
    """The names of the int64 inputs by which a network chooses; of one that does not take them, those that it got to."""
    builder = Builder(dtype, training=False)
    tensors = input_tensors(builder, inputs)
    # Numbers may well fit where these integers do not: if they do not either, that raises the error again.
    with suppress(Exception):
        emit_network(net, builder, tensors, inputs)
    whole = {name: tensor.array for name, tensor in tensors.items() if tensor.array.dtype == np.int64}
    of_them = computed_indices(builder.instructions, builder.ranges, whole)
    return inputs_with_indices(builder.ranges, whole) | {*of_them.inputs}


def indices_of(net: Network, dtype: np.dtype[Any], inputs: Sequence[InputSpec]) -> ComputedIndices:
    """The indices that a network computes of its inputs; none where rows of the batch are mixed."""
    builder = Builder(dtype, training=False)
    tensors = input_tensors(builder, inputs)
    emit_network(net, builder, tensors, inputs)
    arrays = {name: tensor.array for name, tensor in tensors.items()}
    return computed_indices([] if builder.whole_batch else builder.instructions, builder.ranges, arrays)


def steps_along(net: Network, dtype: np.dtype[Any], inputs: Sequence[InputSpec]) -> Any:
    """For each output of a network whose rows have lengths, the dimension along which its steps lie: `Tensor.along`."""
    builder = Builder(dtype, training=False)
    out = emit_network(net, builder, input_tensors(builder, inputs), inputs)
    _mark_steps(net, builder, out, inputs)
    return on_each(lambda y: y.along, out)


def outputs_along(net: Network, dtype: np.dtype[Any], inputs: Sequence[InputSpec]) -> Any:
    """For each output of a network the dimension that holds its outputs, 0 where that is not known."""
    from .outputs import dimensions_of_outputs  # here: `import backpass` is to be quick

    def emit(inputs: Sequence[InputSpec]) -> Any:
        builder = Builder(dtype, training=False)
        return emit_network(net, builder, input_tensors(builder, inputs), inputs)

    return dimensions_of_outputs(emit, inputs)


def _mark_steps(net: Network, builder: Builder, out: Any, inputs: Sequence[InputSpec]) -> None:
    from .along import mark_steps  # here: `import backpass` is to be quick

    def emit(trial: Builder, inputs: Sequence[InputSpec]) -> Any:
        return emit_network(net, trial, input_tensors(trial, inputs), inputs)

    mark_steps(emit, builder, parts_of(out), inputs)


def emit_network(
    net: Network, builder: Builder, tensors: Mapping[str, Tensor], inputs: Sequence[InputSpec]
) -> Any:
    """The output of a network for its inputs; lengths of rows are the builder's."""
    arguments = [tensors[spec.name] for spec in inputs if not spec.beside]
    for spec in inputs:
        if spec.beside:
            lengths, shape = tensors[spec.name], arguments[0].shape
            if len(shape) < 2:
                raise ValueError(
                    f"lengths is given, but a row of X has the shape {shape[1:]}, expected (steps, ...)"
                )
            builder.tell_lengths(shape[1], lengths)
            builder.ranges.append((lengths.array, shape[1] + 1))
    return net.emit(builder, *arguments)


def _emit_anew(net: Network, spec: Spec, builder: Builder) -> Any:
    return emit_network(net, builder, input_tensors(builder, spec.inputs, spec.own_loss), spec.inputs)


def input_tensors(builder: Builder, inputs: Sequence[InputSpec], own_loss: bool = False) -> dict[str, Tensor]:
    """A buffer for each input; own_loss: whether the gradient of numbers is wanted."""
    return {spec.name: _input(builder, spec, own_loss) for spec in inputs}


def _input(builder: Builder, spec: InputSpec, own_loss: bool) -> Tensor:
    if spec.in_place:
        x = Tensor(np.broadcast_to(np.zeros(1, spec.dtype), spec.shape))
        # It stands for rows elsewhere, which nobody copies.
        builder.copies[x] = x
        return x
    requires_grad = own_loss and spec.dtype.kind == "f"
    if spec.channels_last:
        images, channels, height, width = spec.shape
        return channels_first(
            builder, builder.tensor((images, height, width, channels), spec.dtype, requires_grad)
        )
    return builder.tensor(spec.shape, spec.dtype, requires_grad)


def _training(
    builder: Builder,
    loss: LossOfPlan,
    spec: Spec,
    inputs: dict[str, np.ndarray],
    out: Any,
    shown: Rows,
    forward: list[Any],
) -> TrainingPlan:
    assert spec.target is not None
    target = on_each(lambda target: aligned((spec.rows, *target[0]), target[1]), spec.target)
    weight = None if spec.weight is None else aligned((spec.rows, *spec.weight), builder.dtype)
    weighed = loss.weigh(builder, out, target, weight)
    emit: EmitLoss = loss.emit
    for transform in builder.targets:
        emit = partial(transform.emit, emit)
    value, count = emit(builder, out, target, weighed)
    loss_part, builder.instructions = builder.instructions, []
    builder.backward()
    size = (
        builder.bytes
        + sum(array.nbytes for array in parts_of(target))
        + (0 if weight is None else weight.nbytes)
    )
    return TrainingPlan(
        inputs, shown, forward, size, backward=builder.instructions, kept=builder.kept, targets=builder.targets,
        loss=value.array, count=count.array, target=target, weight=weight, weighed=weighed,
        loss_part=loss_part,
    )  # fmt: skip
