"""Network of an MLP estimator: layers, bp.Model, and the arrays that scikit-learn calls coefs_ and intercepts_."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from ... import nn
from ...data.sparse import is_sparse
from ...losses import Loss
from ...model import Model
from ...optim import Optimizer
from .embedded import Embedded
from .table import Table

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {  # scikit-learn's four names, then what else there is
    "identity": nn.Identity, "logistic": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU,
    "elu": nn.ELU, "gelu": nn.GELU, "leaky_relu": nn.LeakyReLU, "silu": nn.SiLU, "softplus": nn.Softplus,
}  # fmt: skip
# Of a sparse X that are dense at a time, and of all buffers of partial_fit.
BLOCK_BYTES = 1 << 26


def block_rows(features: int, dtype: np.dtype[Any]) -> int:
    """Rows of a sparse X that are made dense at a time."""
    return max(BLOCK_BYTES // max(dtype.itemsize * features, 1), 1)


@dataclass(frozen=True)
class Design:
    """Description that a network is built from; equal designs can share a network."""

    units: tuple[int, ...]  # of the input, the hidden layers, the output
    tables: tuple[tuple[int, int], ...] = ()  # of embedded columns, whose widths are a part of the input
    activation: str = "relu"
    dropout: float = 0.0
    batch_norm: bool = False
    layer_norm: bool = False
    residual: bool = False
    loss: Any = None  # a name for messages and equality, a Loss or a callable
    optimizer: tuple[Any, ...] = ()
    backend: str = "auto"
    threads: int | None = None
    dtype: str = "float64"
    precision: str | None = None
    seed: int = field(default=0, compare=False)

    def layers(self) -> tuple[nn.Sequential, list[nn.Linear], Sequence[nn.Embedding]]:
        """The network (Linear, norm, activation, dropout for each hidden layer, then Linear), its linear layers, its tables."""
        numbers = self.units[0] - sum(width for _, width in self.tables)
        embedded = [Embedded(numbers, self.tables)] if self.tables else []
        blocks: list[nn.Module] = [*embedded]
        linear = [nn.Linear(i, o, init="zeros") for i, o in pairwise(self.units)]
        for layer in linear[:-1]:
            size = layer.out_features
            block: list[nn.Module] = [
                layer,
                *([nn.BatchNorm1d(size)] if self.batch_norm else []),
                *([nn.LayerNorm(size)] if self.layer_norm else []),
                ACTIVATIONS[self.activation](),
                *([nn.Dropout(self.dropout)] if self.dropout else []),
            ]
            if self.residual and layer.in_features == size:
                block = [nn.Residual(*block)]
            blocks += block
        return nn.Sequential(*blocks, linear[-1]), linear, embedded[0].tables if embedded else ()


# Fields that decide which layers a design has.
BUILT = ("activation", "dropout", "batch_norm", "layer_norm", "residual")


class Network:
    """A model for a design, and views of its weights in scikit-learn's layout: writing to them changes the network."""

    def __init__(self, design: Design, loss: Loss | Callable[..., Any], optimizer: Optimizer) -> None:
        self.design = design
        net, self.linear, self.tables = design.layers()
        settings: dict[str, Any] = {
            "backend": design.backend,
            "dtype": design.dtype,
            "precision": design.precision,
        }
        self.model = Model(
            net,
            loss,
            optimizer,
            threads=design.threads,
            seed=design.seed,
            **settings,
        )
        self.coefs = [layer.view("weight").T for layer in self.linear]
        self.intercepts = [layer.view("bias") for layer in self.linear]
        # Without the row of unknown categories.
        self.embeddings = [table.view("weight")[:-1] for table in self.tables]
        # Of partial_fit, by shape.
        self.epochs: dict[Any, Any] = {}
        # Parameters of the learning rate in the last run.
        self.rate_settings: list[Any] = []

    def reads_sparse(self, X: Any) -> bool:
        """True if X is sparse and may stay sparse: only the first linear layer reads it."""
        return is_sparse(X) and self.model.net.reads_sparse and self.model.engine.loss_function is None

    def adopt(self, estimator: Any) -> None:
        """Take the weights over from an estimator whose arrays of them are not this network's own."""
        own = {"coefs_": self.coefs, "intercepts_": self.intercepts}
        own |= {"embeddings_": self.embeddings} if self.embeddings else {}
        for name, own_arrays in own.items():
            arrays = getattr(estimator, name)
            if all(a is b for a, b in zip(arrays, own_arrays, strict=True)):
                continue
            for target, array in zip(own_arrays, arrays, strict=True):
                target[...] = array
            setattr(estimator, name, list(own_arrays))

    def predict(self, X: Any) -> np.ndarray:
        """The raw output, before the output activation: (N, outputs)."""
        if isinstance(X, Table):
            X = X.sources()
        if self.reads_sparse(X) or not is_sparse(X):
            out: np.ndarray = self.model.predict(X)
            return out
        X, rows = X.tocsr(), block_rows(X.shape[1], self.model.dtype)
        parts = [
            self.model.predict(X[start : start + rows].toarray()) for start in range(0, X.shape[0], rows)
        ]
        return np.concatenate(parts)

    def carried(self) -> dict[str, Any]:
        """State that a pickle keeps besides coefs_ and intercepts_: layers, moments, steps, norms."""
        return {
            "built": {name: getattr(self.design, name) for name in BUILT},
            "optimizer": type(self.model.optimizer).__name__,
            "moments": {k: np.array(v) for k, v in self.model.engine.optimizer_state.items()},
            "steps": int(self.model.engine.step_count[0]),
            "seed": self.design.seed,
            "rate": self.rate_settings,
            "others": {k: np.array(v) for k, v in self.model.state_dict().items() if k not in self._own()},
        }

    def carry_on(self, carried: dict[str, Any]) -> None:
        """Restore the state of `carried` as far as it fits: another optimizer starts with fresh moments."""
        state = self.model.state_dict()
        self.rate_settings = carried["rate"]
        if all(k in state and state[k].shape == v.shape for k, v in carried["others"].items()):
            self.model.load_state_dict(state | carried["others"])
        buffers = self.model.engine.optimizer_state
        if carried["optimizer"] == type(self.model.optimizer).__name__ and all(
            k in buffers and buffers[k].shape == v.shape for k, v in carried["moments"].items()
        ):
            for name, array in carried["moments"].items():
                buffers[name][...] = array
            self.model.engine.step_counts[:] = carried["steps"]

    def is_finite(self) -> bool:
        """True if all weights are finite."""
        if np.isfinite(self.model.engine.flat.params).all():
            return True
        # The padding between them may be all that is not.
        return all(bool(np.isfinite(array).all()) for array in self.model.parameters())

    def snapshot(self) -> list[np.ndarray]:
        """Copies of all that training changes in the network, for `restore`."""
        return [np.array(a) for a in self._all()]

    def restore(self, arrays: Sequence[np.ndarray]) -> None:
        """Bring a snapshot back."""
        for target, array in zip(self._all(), arrays, strict=True):
            target[...] = array

    def _all(self) -> list[np.ndarray]:
        states = [a for _, layer in self.model.net.walk() for a in layer.state.values()]
        return [*self.model.parameters(), *states]

    def _own(self) -> set[str]:
        names = {id(layer): name for name, layer in self.model.net.walk()}
        own: list[nn.Module] = [*self.linear, *self.tables]
        return {f"{names[id(layer)]}.{key}" for layer in own for key in layer.learned}
