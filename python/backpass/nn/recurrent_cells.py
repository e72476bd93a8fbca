"""One step of a recurrent layer: RNNCell, LSTMCell, GRUCell."""

from typing import Any

from ..ops import gru_forward, lstm_forward, rnn_forward
from ..program import Builder, Tensor
from ..program.trace import innermost
from .initial_weights import INIT, InitName
from .recurrent import RecurrentWeights, States
from .tracing import expect_part_of_model


class RecurrentCell(RecurrentWeights):
    """Base of the cells: a sequence of one step."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, *, init: InitName = "torch"
    ) -> None:
        super().__init__()
        self.input_size = self.positive_int("input_size", input_size)
        self.hidden_size = self.positive_int("hidden_size", hidden_size)
        self.init = self.one_of("init", init, INIT)
        self.add_weights("", self.input_size, self.flag("bias", bias), init)

    @property
    def row_shape(self) -> tuple[int, ...]:
        return (self.input_size,)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        return self.step(builder, x, None)[0]

    def step(self, builder: Builder, x: Tensor, first: States | None) -> States:
        """The states (N, H) behind the step."""
        if len(x.shape) != 2:
            raise self.unfit(x, f"(batch, {self.input_size})")
        self.expect_last(x, self.input_size)
        steps = builder.reshape(x, (x.shape[0], 1, x.shape[1]))
        return self.direction(builder, steps, "", first, reverse=False, **self.fields)[1]

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Within `forward` of a module: h, of an LSTMCell (h, c), as in PyTorch; hx: the states before the step."""
        builder = innermost().builder
        expect_part_of_model(self)
        first = None
        if hx is not None:
            given = self.expect_rows(hx, (input.shape[0], self.hidden_size))
            first = tuple(state.tensor for state in given)
        states = tuple(input._next(state) for state in self.step(builder, input._number, first))
        return states if len(states) > 1 else states[0]


class RNNCell(RecurrentCell):
    """One step of a simple recurrent layer (PyTorch's `nn.RNNCell`): h' = f(W_ih x + b_ih + W_hh h + b_hh).

    A loop over steps in `forward` becomes that many instructions: where a whole sequence is at hand, `nn.RNN` is faster.

    Args:
        input_size: I, the features. hidden_size: H, the units. Both at least 1.
        bias: whether biases are learned, default True. nonlinearity: f, "tanh" (default) or "relu".
        init: as of `nn.RNN`, default "torch".

    Shapes: input (N, I) and, within `forward`, the state (N, H); output (N, H). `weight_ih` (H, I), `weight_hh` (H, H),
    `bias_ih`, `bias_hh` (H,).

    Raises:
        ValueError: an argument out of range; an input of another shape.

    Example:
        >>> nn.RNNCell(8, 16)
        RNNCell(8, 16)
    """

    op, gates = rnn_forward, 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        init: InitName = "torch",
    ) -> None:
        super().__init__(input_size, hidden_size, bias, init=init)
        self.nonlinearity = self.one_of("nonlinearity", nonlinearity, ("tanh", "relu"))

    @property
    def fields(self) -> dict[str, Any]:
        return {"activation": self.nonlinearity}


class LSTMCell(RecurrentCell):
    """One step of long short-term memory (PyTorch's `nn.LSTMCell`): c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c').

    A loop over steps in `forward` becomes that many instructions: where a whole sequence is at hand, `nn.LSTM` is faster.

    Args:
        input_size: I, the features. hidden_size: H, the units. Both at least 1.
        bias: whether biases are learned, default True. init: as of `nn.LSTM`, default "torch".

    Shapes: input (N, I) and, within `forward`, the states (h, c), each (N, H); it returns the next ones. `weight_ih` (4H, I),
    `weight_hh` (4H, H), `bias_ih`, `bias_hh` (4H,).

    Raises:
        ValueError: an argument out of range; an input of another shape.

    Example:
        >>> nn.LSTMCell(8, 16)
        LSTMCell(8, 16)
    """

    op, gates, kept, states = lstm_forward, 4, ("cells", "gates"), ("h", "c")


class GRUCell(RecurrentCell):
    """One step of gated recurrent units (PyTorch's `nn.GRUCell`): h' = (1 - σ(z)) n + σ(z) h.

    A loop over steps in `forward` becomes that many instructions: where a whole sequence is at hand, `nn.GRU` is faster.

    Args:
        input_size: I, the features. hidden_size: H, the units. Both at least 1.
        bias: whether biases are learned, default True. init: as of `nn.GRU`, default "torch".

    Shapes: input (N, I) and, within `forward`, the state (N, H); output (N, H). `weight_ih` (3H, I), `weight_hh` (3H, H),
    `bias_ih`, `bias_hh` (3H,).

    Raises:
        ValueError: an argument out of range; an input of another shape.

    Example:
        >>> nn.GRUCell(8, 16)
        GRUCell(8, 16)
    """

    op, gates = gru_forward, 3
