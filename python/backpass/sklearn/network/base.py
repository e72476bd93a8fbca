"""Base of the network estimators: fit, partial_fit and prediction around a bp.Model."""

import math
import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any, Self

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from ...callbacks import EarlyStopping
from ...callbacks.dispatch import checked_callbacks
from ...described import explained
from ...errors import NonFiniteError
from ...losses import Loss
from ...model import Model
from ...nn import Module
from ..compat import check_sample_weight
from ..elsewhere import OF_FIT, OF_NETWORK
from ..estimator import Estimator
from ..sharing import sharing
from ..weights import check_some_weight
from .optimizer import make_optimizer
from .records import Records, start_records


class NetworkEstimator(Estimator):
    """Base of the network estimators. A subclass reads X, and builds the network; `classifier.py` has the targets.

    What `_rows` returns has len() and [indices]; `_as_input` makes an X of bp.Model of it.
    """

    _elsewhere = OF_NETWORK
    # What early stopping compares, without "val_".
    _score_name: str
    # Parameters that decide which layers the network has.
    _of_the_network: tuple[str, ...]
    # Settings of the optimizer and of the network that were built, in words.
    _optimizer: str
    _built: dict[str, str]

    @explained(OF_FIT)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the network: a new one, or with warm_start the last one.

        Args:
            X, y: rows and targets, as the class says.
            sample_weight: (N,) weights of the rows, default None (each row weighs 1).

        Returns the estimator. Raises ValueError or TypeError, which name the argument.
        """
        self._train(X, y, sample_weight, incremental=False)
        return self

    def _train(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> None:
        self._validate_params()
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        callbacks = [*checked_callbacks(self.callbacks or ())]
        fresh = not hasattr(self, "model_") or not (self.warm_start or incremental)
        if not fresh:
            self._check_unchanged()
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        rows = self._rows(X, y, fresh)
        y = self._targets(y, fresh and not incremental)
        check_consistent_length(rows, y)
        weight = None if sample_weight is None else check_sample_weight(sample_weight, y, np.float64, True)
        check_some_weight(weight, partial=incremental)
        weight = self._weighed(weight, y, incremental)
        self._random_state = check_random_state(self.random_state)
        if fresh:
            self._build(rows)
        elif repr(optimizer := make_optimizer(self)) != self._optimizer:
            self.model_.optimizer, self._optimizer = optimizer, repr(optimizer)
        start_records(self, fresh, judged=bool(self.early_stopping))
        try:
            with sharing():
                self._run(rows, y, weight, callbacks, incremental)
        except NonFiniteError as error:
            raise ValueError(f"Training diverged: {error}") from error

    def _run(self, rows: Any, y: Any, weight: Any, callbacks: list[Any], incremental: bool) -> None:
        held_out, monitor = None, "loss"
        if self.early_stopping:
            (rows, y, weight), (held, *others) = self._split(rows, y, weight)
            held_out = (self._as_input(held, self.model_.net), *others)
            monitor = f"val_{self._score_name}"
        rows = self._as_input(rows, self.model_.net)
        callbacks = [Records(self, monitor, held_out), *callbacks]
        if not incremental and math.isfinite(self.n_iter_no_change):
            callbacks.append(EarlyStopping(monitor, int(self.n_iter_no_change), self.tol, restore_best=False))
        if held_out is not None:
            # The best weights are those of the best score, by however little.
            callbacks.append(EarlyStopping(monitor, int(self.max_iter)))
        try:
            self.model_.fit(
                rows,
                y,
                epochs=1 if incremental else int(self.max_iter),
                batch_size=min(int(self.batch_size), len(y)),
                sample_weight=weight,
                validation_data=held_out,
                shuffle=bool(self.shuffle),
                callbacks=callbacks,
                verbose=2 if self.verbose else 0,
            )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)

    def _split(self, rows: Any, y: Any, weight: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The rows to train on, and those that early stopping judges by: X, y and weights of both."""
        indices = train_test_split(
            np.arange(len(y)),
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=self._strata(y),
        )
        parts = [(rows[part], y[part], None if weight is None else weight[part]) for part in indices]
        if not all(part is None or part.any() for *_, part in parts):
            raise ValueError(
                "sample_weight (times class_weight) is zero for all rows that early_stopping=True holds out, or for all others:"
                " expected another random_state or validation_fraction"
            )
        return parts[0], parts[1]

    def _build(self, rows: Any) -> None:
        """Draw a new network."""
        optimizer = make_optimizer(self)
        settings: dict[str, Any] = {"backend": self.backend, "dtype": self.dtype, "threads": self.n_threads}
        settings["precision"] = self.precision
        seed = int(self._random_state.randint(2**31 - 1))
        net = self._network()
        model = Model(net, self._loss(), optimizer, seed=seed, **settings)
        shape = np.shape(model.predict(self._as_input(rows[:1], net)))[1:]
        if shape != (self.n_outputs_,):
            raise ValueError(
                f"the network has outputs of shape {shape}, expected ({self.n_outputs_},) for {self._meaning_of_outputs}"
            )
        self.model_, self._optimizer, self._built = model, repr(optimizer), self._network_settings()

    def _network_settings(self) -> dict[str, str]:
        """What the network was built from, in words; of a function its name."""
        values = {
            name: getattr(self, name) for name in (*self._of_the_network, "backend", "dtype", "precision")
        }
        return {k: v.__qualname__ if isinstance(v, FunctionType) else repr(v) for k, v in values.items()}

    def _check_unchanged(self) -> None:
        """Refuse parameters that the fitted network was not built with."""
        for name, value in self._network_settings().items():
            if value != self._built[name]:
                raise ValueError(
                    f"{name} is {value:.80}, expected {self._built[name]:.80}: partial_fit and warm_start continue with the"
                    " fitted network"
                )

    def _read(self, X: Any) -> Any:
        """Rows to predict."""
        check_is_fitted(self, "model_")
        return self._as_input(self._rows(X, None, False), self.model_.net)

    def _own_network(self, network: Callable[..., Any]) -> Module:
        """Network of the user's function, or an error that names it."""
        net = network(self.input_shape_, self.n_outputs_)
        if not isinstance(net, Module):
            raise TypeError(f"network returned {type(net).__name__}, expected a layer from backpass.nn")
        return net

    # What the estimators define for themselves.

    _meaning_of_outputs: str

    def _rows(self, X: Any, y: Any, reset: bool) -> Any:
        """X as rows of the model; reset: keep its shape as `input_shape_`, else refuse another one. y: None to predict."""
        raise TypeError(f"{type(self).__name__} has to define _rows")

    def _as_input(self, rows: Any, net: Module) -> Any:
        """Rows as a bp.Model of this network takes them."""
        return rows

    def _targets(self, y: Any, reset: bool) -> np.ndarray:
        """y as the loss takes it; reset: keep what it has, such as classes, else refuse anything else."""
        raise TypeError(f"{type(self).__name__} has to define _targets")

    def _weighed(self, weight: np.ndarray | None, y: np.ndarray, incremental: bool) -> np.ndarray | None:
        return weight

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return None

    def _network(self) -> Module:
        """A new network for `input_shape_` and `n_outputs_`."""
        raise TypeError(f"{type(self).__name__} has to define _network")

    def _loss(self) -> Loss:
        raise TypeError(f"{type(self).__name__} has to define _loss")
