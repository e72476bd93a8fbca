"""LSTM, GRU and RNN: all steps of a direction as one op, with the weights of nn.LSTM, nn.GRU and nn.RNN."""

from typing import Any

import numpy as np

from ...nn import GRU, LSTM, RNN
from ...nn.recurrent import RecurrentWeights, one_direction
from ...program import Tensor
from ...program.functions import stack
from ...program.operands import constant
from ...program.symbolic import SymbolicTensor
from .call import Call
from .description import OURS
from .turned import Turned, like

KINDS: dict[str, type[RecurrentWeights]] = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}
WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def recurrent(call: Call) -> Any:
    """Inputs: x, lengths, the first states h and c, then the weights of each direction, as weights.py has arranged them."""
    kind = call.node.op.removeprefix(OURS)
    directions = ["forward", "reverse"] if call.attribute("direction", "forward") == "bidirectional" else None
    directions = directions or [call.node.attributes.get("direction", "forward")]
    options = _options(call, kind, len(directions))
    batch_first = bool(call.attribute("layout", 0))
    x = _rows_first(call, 0, 0 if batch_first else 1)
    lengths = _lengths(call, x.shape[1])
    firsts = [_first(call, 2 + k, len(directions), 0 if batch_first else 1) for k in range(2)]
    outputs, ends = [], []
    for number, direction in enumerate(directions):
        weights = {
            name: None if (value := call.raw(4 + 4 * number + k)) is None else value.tensor
            for k, name in enumerate(WEIGHTS)
        }
        first = tuple(states[number] for states in firsts[: len(KINDS[kind].states)] if states is not None)
        out, last = one_direction(
            KINDS[kind], call.builder, x._number, weights, first or None, direction == "reverse", lengths=lengths, **options
        )  # fmt: skip
        outputs.append(x._next(out))
        ends.append([x._next(state) for state in last])
    y = stack(outputs, 2)
    states = [stack([of[k] for of in ends], 1) for k in range(len(KINDS[kind].states))]
    if batch_first:
        return y, *states
    return like(y, 2), *(like(state, 1) for state in states)


def _options(call: Call, kind: str, directions: int) -> dict[str, Any]:
    """Further scalars of the op; ValueError for what nn has not."""
    call.attribute("hidden_size", 0)
    call.attribute("output_sequence", 0)
    if kind == "GRU" and not call.attribute("linear_before_reset", 0):
        raise ValueError(
            "linear_before_reset is 0, expected 1: the reset gate behind the product, as in PyTorch"
        )
    if kind == "LSTM":
        call.expect(input_forget=0)
    names = call.attribute("activations", ACTIVATIONS[kind] * directions)
    if kind == "RNN" and {*names} <= {"Tanh", "Relu"} and len({*names}) == 1:
        return {"activation": names[0].lower()}
    if names != ACTIVATIONS[kind] * directions:
        raise ValueError(f"activations are {names}, expected {ACTIVATIONS[kind]}")
    return {}


def _rows_first(call: Call, number: int, at: int) -> SymbolicTensor:
    """An input with its rows first, which the graph has at a place."""
    value = call.raw(number)
    if at and not (isinstance(value, Turned) and value.at == at):
        raise ValueError(f"its input has no rows in dimension {at}, expected (steps, rows, features)")
    return value.tensor if at else call.tensor(number)


def _lengths(call: Call, steps: int) -> Tensor | None:
    """The steps of each row that count; None for all."""
    lengths = call.raw(1)
    if lengths is None or (isinstance(lengths, np.ndarray) and (lengths == steps).all()):
        return None
    if not isinstance(lengths, SymbolicTensor):
        raise ValueError("sequence_lens is a constant, expected one that is the number of steps")
    call.builder.ranges.append((lengths.tensor.array, steps + 1))
    return lengths.long().tensor


def _first(call: Call, number: int, directions: int, at: int) -> list[Tensor] | None:
    """The first states (N, H) of each direction; None for 0."""
    value = call.raw(number)
    if value is None or (isinstance(value, np.ndarray) and not value.any()):
        return None
    if isinstance(value, Turned) or not at:
        whole = _rows_first(call, number, at)
        return [whole[:, k]._number for k in range(directions)]
    whole = constant(call.builder, value) if isinstance(value, np.ndarray) else value
    return [whole[k]._number for k in range(directions)]


RECURRENT = {f"{OURS}{kind}": recurrent for kind in KINDS}
