"""Recurrent layers of Keras."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import nn
from .keras_parts import Arrays, Config, Converted, expect

# The place there of each gate here.
GATES = {"LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2), "SimpleRNN": (0,)}


def recurrent(kind: str) -> Callable[..., Converted]:
    """What makes a recurrent layer of this kind, of one direction or two."""

    def convert(config: Config, arrays: Arrays, rank: int, both: bool = False) -> Converted:
        expect(
            config, return_state=False, stateful=False, dropout=0.0, recurrent_dropout=0.0, reset_after=True
        )
        expect(
            config,
            go_backwards=False,
            recurrent_activation="sigmoid",
            **({} if kind == "SimpleRNN" else {"activation": "tanh"}),
        )
        settings = {"nonlinearity": config["activation"]} if kind == "SimpleRNN" else {}
        cls: Any = nn.RNN if kind == "SimpleRNN" else getattr(nn, kind)
        layer = cls(
            arrays[0].shape[0], config["units"], bias=config["use_bias"], bidirectional=both,
            returns="sequence" if config["return_sequences"] else "last", init="keras", **settings,
        )  # fmt: skip
        state: dict[str, np.ndarray] = {}
        still = []
        each = len(arrays) // (1 + both)
        for start, suffix in zip(range(0, len(arrays), each), ("_l0", "_l0_reverse"), strict=False):
            kernel, recurrent_kernel, *bias = (
                by_gate(array, GATES[kind]) for array in arrays[start : start + each]
            )
            state |= {f"weight_ih{suffix}": kernel.T, f"weight_hh{suffix}": recurrent_kernel.T}
            if bias:
                of_states = bias[0][1] if kind == "GRU" else np.zeros_like(bias[0])
                state |= {
                    f"bias_ih{suffix}": bias[0][0] if kind == "GRU" else bias[0],
                    f"bias_hh{suffix}": of_states,
                }
                # Keras has one bias there.
                still += [] if kind == "GRU" else [f"bias_hh{suffix}"]
        return Converted(layer, 3 if config["return_sequences"] else 2, state, still)

    return convert


def by_gate(array: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """The last dimension, of gates · units, in another order of the gates."""
    gates = np.split(array, len(order), axis=-1)
    return np.concatenate([gates[i] for i in order], axis=-1)


def bidirectional(config: Config, arrays: Arrays, rank: int) -> Converted:
    expect(config, merge_mode="concat")
    kind, inner = config.inner("layer")
    if kind not in GATES:
        raise ValueError(f"layer is a {kind}, expected one of {', '.join(GATES)}")
    if config.get("backward_layer") is not None:
        other, backward = config.inner("backward_layer")
        if other != kind:
            raise ValueError(f"backward_layer is a {other}, expected a {kind} as its layer")
        for name, value in {**inner.telling(), "go_backwards": True}.items():
            if backward.get(name) != value:
                raise ValueError(
                    f"{name} of its backward_layer is {backward.get(name)!r:.80}, expected {value!r:.80}"
                )
    made = recurrent(kind)(inner, arrays, rank, both=True)
    inner.finish()
    return made
