"""Recurrent layers: RNN, LSTM and GRU along the steps of a sequence; one op goes through all steps of a layer and direction."""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

import warnings
from collections.abc import Mapping
from functools import partial
from math import prod
from typing import Any, ClassVar

import numpy as np

from ..ops import Op, gru_forward, linear_forward, lstm_forward, rnn_forward
from ..program import Builder, Tensor
from ..program.carried import NotStepwise
from ..program.operands import constant
from ..program.symbolic import SymbolicTensor, are_alike
from ..program.trace import innermost
from ..program.views import cat
from .dropout import dropped
from .initial_weights import INIT, InitName
from .last_states import LastStates
from .module import Module
from .sequences import batch_first_only, layer_count
from .tracing import expect_part_of_model

# The states that a direction of a layer starts with, or ends with: (h,), or (h, c) of an LSTM.
States = tuple[Tensor, ...]


def drawn(init: InitName, kind: str, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Any:
    """Initial weights (inputs, gates, H); with "torch" U(±1/√H), those of the inputs too; with "keras" of all gates at once."""
    inputs, gates, H = shape
    if init == "torch":
        return INIT[init].weight(rng, shape, H)
    if init == "keras":
        of_states = "orthogonal" if kind == "weight_hh" else "xavier_uniform"
        return INIT[of_states].weight(rng, (inputs, gates * H), inputs).reshape(shape)
    return np.stack([INIT[init].weight(rng, (inputs, H), inputs) for _ in range(gates)], axis=1)


def forget_gate_open(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """Biases (gates, H) of an LSTM: 1 at the forget gate, else 0 (Jozefowicz et al. 2015)."""
    biases = np.zeros(shape)
    biases[1] = 1
    return biases


class RecurrentWeights(Module):
    """Base of recurrent layers and cells: the weights of a direction, and the op that goes through its steps."""

    op: ClassVar[Op]
    # Matrices in a weight, one for each gate.
    gates: ClassVar[int]
    # What a step keeps for the backward pass.
    kept: ClassVar[tuple[str, ...]] = ("gates",)
    states: ClassVar[tuple[str, ...]] = ("h",)
    instead: ClassVar[Mapping[str, str]] = {
        **Module.instead,
        "proj_size": "put nn.Linear(hidden_size, proj_size, bias=False) behind the layer",
    }

    hidden_size: int

    @property
    def fields(self) -> dict[str, Any]:
        """Further scalars of the op."""
        return {}

    def add_weights(self, suffix: str, inputs: int, bias: bool, init: InitName) -> None:
        """Declare the weights of a layer and direction; users see (gates · H, inputs)."""
        H, G = self.hidden_size, self.gates
        for name, size in (("weight_ih", inputs), ("weight_hh", H)):
            # No function of its own here: a model is pickled with it.
            draw = partial(drawn, init, name)
            self.parameter(name + suffix, (size, G, H), draw, size, (1, 2, 0), (G * H, size))
        for name in ("bias_ih", "bias_hh") if bias else ():
            forgets = init == "keras" and G == 4 and name == "bias_ih"
            start = forget_gate_open if forgets else INIT[init].bias
            self.parameter(name + suffix, (G, H), start, fan_in=H, shown=(G * H,))

    def direction(
        self, builder: Builder, x: Tensor, suffix: str, first: States | None, reverse: bool, **fields: Any
    ) -> tuple[Tensor, States]:
        """The outputs (N, T, H) of one direction of a layer, and its last states."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = {name: self.tensor(name + suffix) for name in names}
        return one_direction(type(self), builder, x, weights, first, reverse, **fields)

    def expect_rows(self, hx: Any, shape: tuple[int, ...]) -> tuple[SymbolicTensor, ...]:
        """The states that `forward` was given, each checked."""
        given = hx if isinstance(hx, tuple | list) else (hx,)
        if len(self.states) == 1 and isinstance(hx, tuple | list):
            raise TypeError(f"{self!r}: hx is a {type(hx).__name__}, expected a tensor of shape {shape}")
        if len(given) != len(self.states):
            raise TypeError(f"{self!r}: hx is {hx!r:.60}, expected the tensors (h_0, c_0)")
        for state in given:
            if not isinstance(state, SymbolicTensor | np.ndarray):
                raise TypeError(
                    f"{self!r}: hx holds {state!r:.60}, expected a tensor of forward, or an array"
                )
            if state.shape != shape:
                raise ValueError(f"{self!r}: hx has shape {state.shape}, expected {shape}")
        return tuple(self._state(state) if isinstance(state, np.ndarray) else state for state in given)

    def _state(self, array: np.ndarray) -> SymbolicTensor:
        """A constant: (N, H), or (layers, N, H). Where its rows differ, rows of the batch depend on their place in it."""
        builder = innermost().builder
        if not are_alike(array.swapaxes(0, -2)):
            builder.whole_batch = True
        return constant(builder, array)


def one_direction(
    kind: type[RecurrentWeights],
    builder: Builder,
    x: Tensor,
    weights: Mapping[str, Tensor | None],
    first: States | None,
    reverse: bool,
    **fields: Any,
) -> tuple[Tensor, States]:
    """The outputs (N, T, H) of all steps of a kind of layer, and its last states."""
    starts = {f"{name}0": state for name, state in zip(kind.states, first or (), strict=False)}
    want = kind.kept if builder.training else ()
    given = {"x": x, **weights} | looked_up(builder, x, weights["weight_ih"])
    y = builder.emit(kind.op, want=want, **given, **starts, reverse=reverse, **fields)
    return y, tuple(builder.output(f"{name}_n") for name in kind.states)


def looked_up(builder: Builder, x: Tensor, weight_ih: Tensor | None) -> dict[str, Tensor]:
    """What stands for x and its weight where x holds rows of a table: products of all rows, which are fewer, and the index.

    A chain of products is the same in both, so that the forward pass has the same bits.
    """
    if not builder.training or x not in builder.rows_of or weight_ih is None:
        return {}
    table, index = builder.rows_of[x]
    if 2 * table.shape[0] > index.array.size:
        return {}
    inputs, *rest = weight_ih.shape
    weight = builder.reshape(weight_ih, (inputs, prod(rest)))
    # In float32 whatever the model's precision, as all that recurrent layers compute.
    products = builder.emit(linear_forward, x=table, weight=weight, precision="float32")
    nothing = {"x": (*index.shape, 0), "weight_ih": (0, *rest)}
    empty = {name: Tensor(np.empty(shape, builder.dtype)) for name, shape in nothing.items()}
    return {**empty, "table": builder.reshape(products, (table.shape[0], *rest)), "index": index}


class Recurrent(RecurrentWeights):
    """Base of RNN, LSTM and GRU: layers and directions."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        returns: str = "sequence",
        init: InitName = "torch",
    ) -> None:
        super().__init__()
        self.input_size = self.positive_int("input_size", input_size)
        self.hidden_size = self.positive_int("hidden_size", hidden_size)
        self.num_layers = layer_count(self, num_layers)
        batch_first_only(self, batch_first)
        self.dropout = self.in_range("dropout", dropout, 0, 1)
        if self.dropout and self.num_layers == 1:
            warnings.warn(
                f"{type(self).__name__}: dropout is {dropout}, but it acts between layers and num_layers is 1",
                stacklevel=4,
            )
        self.bidirectional = self.flag("bidirectional", bidirectional)
        self.returns = self.one_of("returns", returns, ("sequence", "last"))
        self.init = self.one_of("init", init, INIT)
        directions = 1 + self.bidirectional
        for layer in range(self.num_layers):
            inputs = directions * self.hidden_size if layer else self.input_size
            for suffix in self._suffixes(layer):
                self.add_weights(suffix, inputs, self.flag("bias", bias), init)

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"][: 1 + self.bidirectional]

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        y, last = self.run(builder, x)
        return self.chosen(builder, y, last)

    def chosen(self, builder: Builder, y: Tensor, last: list[States]) -> Tensor:
        """All outputs, or the last one of each direction of the last layer."""
        if self.returns == "sequence":
            return y
        ends = [states[0] for states in last[-1 - self.bidirectional :]]
        return cat(builder, ends, 1) if self.bidirectional else ends[0]

    def run(
        self, builder: Builder, x: Tensor, first: list[States] | None = None
    ) -> tuple[Tensor, list[States]]:
        """The outputs (N, T, directions · H), and the last states by layer and direction."""
        if len(x.shape) != 3 or x.shape[2] != self.input_size:
            raise self.unfit(x, f"(batch, steps, {self.input_size})")
        last: list[States] = []
        lengths = builder.lengths_of(x.shape[1])
        for layer in range(self.num_layers):
            outputs = []
            for number, suffix in enumerate(self._suffixes(layer)):
                start = first[len(last)] if first else self._carried(builder, x.shape[0], suffix)
                y, states = self.direction(
                    builder, x, suffix, start, reverse=number == 1, lengths=lengths, **self.fields
                )
                if start is not None and first is None:
                    for state, value in zip(start, states, strict=True):
                        builder.leave(state, value)
                outputs.append(y)
                last.append(states)
            x = cat(builder, outputs, 2) if self.bidirectional else outputs[0]
            if layer + 1 < self.num_layers:
                x = dropped(builder, x, self.dropout)
        return x, last

    def _carried(self, builder: Builder, rows: int, suffix: str) -> States | None:
        """The states that the batch before has left, where states go on."""
        states = [builder.carry(f"{name}{suffix}", (rows, self.hidden_size)) for name in self.states]
        if states[0] is not None and self.bidirectional:
            raise NotStepwise(
                f"{self!r} reads sequences from their end too, so that no state goes on from batch to batch"
            )
        return tuple(state for state in states if state is not None) or None

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Within `forward` of a module: (output, h_n), of an LSTM (output, (h_n, c_n)), as in PyTorch; hx: the first states."""
        trace = innermost()
        expect_part_of_model(self)
        first = None
        if hx is not None:
            layers = self.num_layers * (1 + self.bidirectional)
            given = self.expect_rows(hx, (layers, input.shape[0], self.hidden_size))
            first = [tuple(state[layer].tensor for state in given) for layer in range(layers)]
        y, last = self.run(trace.builder, input._number, first)
        output = input._next(self.chosen(trace.builder, y, last))
        ends = tuple(LastStates([input._next(states[k]) for states in last]) for k in range(len(self.states)))
        return output, ends if len(ends) > 1 else ends[0]


class RNN(Recurrent):
    """Simple recurrent layers (Elman 1990; PyTorch's `nn.RNN`).

    h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), f = tanh or relu.

    Args:
        input_size: I, the features of a step. hidden_size: H, the units. Both at least 1.
        num_layers: layers, each of which reads the outputs of the one before; default 1.
        nonlinearity: "tanh" (default) or "relu".
        bias: whether biases are learned, default True. batch_first: True (default): rows of X come first.
        dropout: probability of dropout between layers, default 0.
        bidirectional: whether a second direction reads the sequence from its end, default False.
        returns: "sequence" (default): all outputs go on in a Sequential; "last": the last states of the last layer.
        init: as of `nn.Linear`, default "torch": U(±1/√H) for all.

    Shapes: input (N, T, I), output (N, T, D · H), D = 2 where bidirectional; with "last" (N, D · H). Within `forward` it returns
    (output, h_n), h_n of (num_layers · D, N, H). `weight_ih_l0` (H, I), `weight_hh_l0` (H, H), `bias_ih_l0`, `bias_hh_l0` (H,).
    With `lengths` a row ends there: behind it the output is 0.

    Raises:
        ValueError: an argument out of range; an input of another shape.

    Example:
        >>> nn.Sequential(nn.RNN(8, 32, returns="last"), nn.Linear(32, 1))
        Sequential(RNN(8, 32, returns='last'), Linear(32, 1))
    """

    op, gates = rnn_forward, 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        returns: str = "sequence",
        init: InitName = "torch",
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, returns=returns, init=init
        )  # fmt: skip
        self.nonlinearity = self.one_of("nonlinearity", nonlinearity, ("tanh", "relu"))

    @property
    def fields(self) -> dict[str, Any]:
        return {"activation": self.nonlinearity}


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997; PyTorch's `nn.LSTM`).

    c_t = σ(f) c_{t-1} + σ(i) tanh(g), h_t = σ(o) tanh(c_t), with (i, f, g, o) = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh.

    Args:
        input_size: I, the features of a step. hidden_size: H, the units. Both at least 1.
        num_layers: layers, each of which reads the outputs of the one before; default 1.
        bias: whether biases are learned, default True. batch_first: True (default): rows of X come first.
        dropout: probability of dropout between layers, default 0.
        bidirectional: whether a second direction reads the sequence from its end, default False.
        returns: "sequence" (default): all outputs go on in a Sequential; "last": the last states of the last layer.
        init: as of `nn.Linear`, default "torch": U(±1/√H) for all.

    Shapes: input (N, T, I), output (N, T, D · H), D = 2 where bidirectional; with "last" (N, D · H). Within `forward` it returns
    (output, (h_n, c_n)), each (num_layers · D, N, H). `weight_ih_l0` (4H, I), `weight_hh_l0` (4H, H), `bias_ih_l0`, `bias_hh_l0`
    (4H,). With `lengths` a row ends there: behind it the output is 0.

    Raises:
        ValueError: an argument out of range; an input of another shape.

    Example:
        >>> nn.Sequential(nn.LSTM(8, 32, returns="last"), nn.Linear(32, 1))
        Sequential(LSTM(8, 32, returns='last'), Linear(32, 1))
    """

    op, gates, kept, states = lstm_forward, 4, ("cells", "gates"), ("h", "c")


class GRU(Recurrent):
    """Gated recurrent units (Cho et al. 2014; PyTorch's `nn.GRU`).

    n_t = tanh(W_in x_t + b_in + σ(r) (W_hn h_{t-1} + b_hn)), h_t = (1 - σ(z)) n_t + σ(z) h_{t-1}; the weights hold r, z, n.

    Args:
        input_size: I, the features of a step. hidden_size: H, the units. Both at least 1.
        num_layers: layers, each of which reads the outputs of the one before; default 1.
        bias: whether biases are learned, default True. batch_first: True (default): rows of X come first.
        dropout: probability of dropout between layers, default 0.
        bidirectional: whether a second direction reads the sequence from its end, default False.
        returns: "sequence" (default): all outputs go on in a Sequential; "last": the last states of the last layer.
        init: as of `nn.Linear`, default "torch": U(±1/√H) for all.

    Shapes: input (N, T, I), output (N, T, D · H), D = 2 where bidirectional; with "last" (N, D · H). Within `forward` it returns
    (output, h_n), h_n of (num_layers · D, N, H). `weight_ih_l0` (3H, I), `weight_hh_l0` (3H, H), `bias_ih_l0`, `bias_hh_l0`
    (3H,). With `lengths` a row ends there: behind it the output is 0.

    Raises:
        ValueError: an argument out of range; an input of another shape.

    Example:
        >>> nn.Sequential(nn.GRU(8, 32, returns="last"), nn.Linear(32, 1))
        Sequential(GRU(8, 32, returns='last'), Linear(32, 1))
    """

    op, gates = gru_forward, 3
