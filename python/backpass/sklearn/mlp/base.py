"""Base of MLPClassifier and MLPRegressor: checks, initial weights, fit and partial_fit, pickling."""

import math
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from threading import Lock
from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted

from ...conversion.from_sklearn import batch_size
from ...conversion.penalty import Progress, penalise
from ...described import explained
from ...errors import NonFiniteError
from ...losses import Loss
from ...model import Model
from ...optim import SGD, Adam
from ..compat import check_sample_weight
from ..elsewhere import OF_FIT, OF_MLP
from ..estimator import Estimator
from ..reading import validated
from ..sharing import sharing
from ..weights import check_some_weight
from .categorical import check_dim, chosen_columns
from .checks import check_callbacks, check_together, hidden_sizes
from .lbfgs import minimise
from .network import Design, Network
from .solver import STOCHASTIC, make_optimizer, optimizer_key
from .stochastic import Training
from .table import COLUMNS, Table, read
from .targets import OUTPUT, Task

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be"
    " preprocessed."
)
_building = Lock()  # predict may be called by many threads


class BaseMLP(Estimator):
    """Base of the MLP estimators."""

    _elsewhere = OF_MLP
    _score_name: str

    @explained(OF_FIT)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, eval_set: Any = None) -> Self:
        """Train the network: a new one, or with warm_start the last one.

        Args:
            X: (N, features), dense or sparse.
            y: (N,) or (N, outputs); several labels a row are 0 and 1.
            sample_weight: (N,) weights of the rows, default None (each row weighs 1).
            eval_set: (X, y) or a list of such pairs, which eval_metric judges after each epoch; default None. With
                early_stopping the first pair takes the place of held-out rows.

        Returns the estimator. Raises ValueError or TypeError, which name the argument.
        """
        self.__dict__.pop("evals_result_", None)
        self._fit(X, y, sample_weight, incremental=False, eval_set=eval_set)
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool, eval_set: Any = None) -> None:
        self._validate_params()
        check_callbacks(self, incremental)
        check_together(self)
        check_dim(self)
        hidden = hidden_sizes(self.hidden_layer_sizes)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if eval_set is not None and self.solver not in STOCHASTIC:
            raise ValueError(
                f"eval_set is given, but solver='lbfgs' has no epochs; choose one of {STOCHASTIC}"
            )
        fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = self._validate_input(X, y, incremental, fresh)
        weight = None if sample_weight is None else check_sample_weight(sample_weight, X, dtype=X.dtype)
        check_some_weight(weight, partial=incremental)
        y, weight = self._prepare(y, weight, incremental)
        weight = None if weight is None else np.ascontiguousarray(weight, dtype=X.dtype)
        units = (self._width(X), *map(int, hidden), y.shape[1])
        if not fresh:
            self._check_units(units)
        self.n_outputs_ = y.shape[1]
        loss, self.out_activation_ = self._loss()
        if callable(loss) and weight is not None:
            name = "class_weight" if sample_weight is None else "sample_weight"
            raise ValueError(f"{name} is given, but the loss is a callable: weight the rows inside it")
        self._random_state = check_random_state(self.random_state)
        if fresh:
            self._initialise(units, X.dtype)
            self.__dict__.pop("_carried", None)
        if self.solver in STOCHASTIC:
            self._start_records(fresh)
        network = self._network_for(units, X.dtype, loss, fresh)
        task = self._task(loss, y, weight, X.dtype)
        if isinstance(self.loss, Loss):
            task.target = self.loss.targets(task.target, (self.n_outputs_,), X.dtype)
        try:
            if self.solver in STOCHASTIC:
                with sharing():
                    Training(self, network, X, task, incremental, eval_set).run()
            else:
                self.loss_, self.n_iter_ = minimise(network, X, task, self)
        except NonFiniteError as error:
            raise ValueError(f"{NOT_FINITE} ({error})") from error
        if not network.is_finite():
            raise ValueError(NOT_FINITE)

    def _validated(self, X: Any, y: Any, incremental: bool, reset: bool, **options: Any) -> tuple[Any, Any]:
        """scikit-learn's checks: X in the dtype to train with, and y, (N,) if it is one column."""
        options |= {"multi_output": True, "order": "C", "reset": reset}
        options["dtype"] = (np.float64, np.float32) if self.dtype is None else np.dtype(self.dtype)
        mask = chosen_columns(self, X, fresh=reset)
        if mask is None:
            X, y = validated(self, X, y, accept_sparse=["csr", "csc"], **options)
            for name in COLUMNS if reset else ():
                self.__dict__.pop(name, None)
        else:
            X, y = read(self, X, y, mask=mask, declared=incremental, **options)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _width(self, X: Any) -> int:
        """Inputs of the first linear layer."""
        if not isinstance(X, Table):
            return int(X.shape[1])
        return int(X.numbers.shape[1]) + sum(int(table.shape[1]) for table in self.embeddings_)

    def _initialise(self, units: tuple[int, ...], dtype: Any) -> None:
        """Glorot and Bengio's uniform weights, drawn as scikit-learn draws them: W then b, layer by layer."""
        self.n_iter_ = self.t_ = self._no_improvement_count = 0
        self.loss_ = math.nan
        self.n_layers_ = len(units)
        self.coefs_: list[np.ndarray] = []
        self.intercepts_: list[np.ndarray] = []
        for inputs, outputs in pairwise(units):
            bound = np.sqrt((2 if self.activation == "logistic" else 6) / (inputs + outputs))
            for arrays, shape in ((self.coefs_, (inputs, outputs)), (self.intercepts_, (outputs,))):
                arrays.append(self._random_state.uniform(-bound, bound, shape).astype(dtype, copy=False))

    def _start_records(self, fresh: bool) -> None:
        """Start the records that a run compares itself with: for new weights, or when a warm start judges by another quantity."""
        if fresh or not hasattr(self, "loss_curve_"):
            self.loss_curve_: list[float] = []
        elif (getattr(self, "validation_scores_", None) is not None) == bool(self.early_stopping):
            return
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _trained_units(self) -> tuple[int, ...]:
        return (self.coefs_[0].shape[0], *(len(b) for b in self.intercepts_))

    def _check_units(self, units: tuple[int, ...]) -> None:
        """Refuse parameters and targets that the fitted network does not fit."""
        *hidden, outputs = self._trained_units()[1:]
        if [*units[1:-1]] != hidden:
            raise ValueError(
                f"hidden_layer_sizes is {self.hidden_layer_sizes!r:.80}, expected {hidden}: partial_fit and warm_start"
                " continue with the fitted network"
            )
        if units[-1] != outputs:
            raise ValueError(
                f"y has {units[-1]} outputs, expected {outputs}: partial_fit and warm_start continue with the fitted network"
            )

    def _network_for(
        self, units: tuple[int, ...], dtype: Any, loss: Any, fresh: bool, as_built: bool = False
    ) -> Network:
        """Network to train: the last one if it was built alike, else a new one that continues from its weights and moments.

        as_built: use the layers that a pickle remembers; parameters set since then count from the next fit on.
        """
        design = self._design(units, dtype)
        network: Network | None = self.__dict__.get("_network")
        if fresh or network is None or network.design != design:
            carried = None if fresh else network.carried() if network else self.__dict__.pop("_carried", None)
            seed = int(self._random_state.randint(2**31 - 1)) if self.dropout and fresh else 0
            built = carried["built"] if carried and as_built else {}
            design = replace(design, seed=carried["seed"] if carried else seed, **built)
            self._network = network = Network(design, loss, make_optimizer(self))
            if carried:
                network.carry_on(carried)
        network.adopt(self)
        return network

    def _design(self, units: tuple[int, ...], dtype: Any) -> Design:
        return Design(
            units=units,
            tables=tuple(table.shape for table in getattr(self, "embeddings_", ())),
            activation=self.activation,
            dropout=float(self.dropout),
            batch_norm=bool(self.batch_norm),
            layer_norm=bool(self.layer_norm),
            residual=bool(self.residual),
            loss=(self.loss, self.out_activation_, getattr(self, "label_smoothing", 0)),
            optimizer=optimizer_key(self),
            backend=self.backend,
            threads=self.n_threads,
            dtype=np.dtype(dtype).name,
            precision=self.precision,
        )

    def _raw(self, X: Any) -> np.ndarray:
        """Output of the network after its activation, (N, n_outputs_), for a checked X."""
        return OUTPUT[self.out_activation_](self._fitted_network().predict(X))

    def _fitted_network(self) -> Network:
        """The network as fitted, with the weights that coefs_ and intercepts_ hold."""
        with _building:
            network: Network | None = self.__dict__.get("_network")
            if network is None:  # after a pickle
                network = self._network_for(
                    self._trained_units(), self.coefs_[0].dtype, self._loss()[0], fresh=False, as_built=True
                )
            network.adopt(self)
            return network

    def to_model(self, **options: Any) -> Model:
        """bp.Model of the fitted network, on memory of its own, from which training goes on: loss, moments, count of steps.

            model = mlp.to_model()

        The activation of the output is left out, as the loss takes what is before it. With solver "sgd" and "adam" alpha becomes
        a weight decay of alpha / batch size on all weights but the biases; with others it is not taken over.

        Args:
            options: arguments of bp.Model that are to be others, such as optimizer or backend; another optimizer starts anew.

        Returns the model. Raises NotFittedError before fit.
        """
        check_is_fitted(self, "coefs_")
        network = self._fitted_network()
        model = deepcopy(network.model)
        if options:
            made = {
                "backend": self.backend,
                "threads": self.n_threads,
                "dtype": model.dtype,
                "seed": model.seed,
            }
            own = {"loss": model.loss, "optimizer": model.optimizer, **made}
            old, model = model, Model(deepcopy(model.net), **{**own, **options})
            model.load_state_dict(old.state_dict())
            if "optimizer" not in options:
                Progress.of(old).give(model)
        if self.alpha and "optimizer" not in options and type(model.optimizer) in (SGD, Adam):
            names = {id(layer): name for name, layer in network.model.net.walk()}
            penalised = [f"{names[id(layer)]}.weight" for layer in (*network.linear, *network.tables)]
            penalise(model, penalised, self.alpha / batch_size(self))
        return model

    def _checked(self, X: Any) -> Any:
        if hasattr(self, "embeddings_"):
            return read(self, X, mask=self.is_categorical_, dtype=self.coefs_[0].dtype, reset=False)[0]
        return validated(self, X, accept_sparse=["csr", "csc"], reset=False)

    def __getstate__(self) -> dict[str, Any]:
        """Arrays and parameters. The network is built anew after a pickle, from the moments and counters it leaves here."""
        state: dict[str, Any] = {**super().__getstate__()}
        if network := state.pop("_network", None):
            state["_carried"] = network.carried()
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # None, or "from_dtype", of a frame.
        tags.input_tags.sparse = self.categorical_features is None or isinstance(
            self.categorical_features, str
        )
        return tags

    # What the two estimators define for themselves.

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        raise TypeError(f"{type(self).__name__} has to define _validate_input")

    def _prepare(self, y: Any, weight: Any, incremental: bool) -> tuple[np.ndarray, np.ndarray | None]:
        raise TypeError(f"{type(self).__name__} has to define _prepare")

    def _loss(self) -> tuple[Any, str]:
        raise TypeError(f"{type(self).__name__} has to define _loss")

    def _task(self, loss: Any, y: np.ndarray, weight: np.ndarray | None, dtype: Any) -> Task:
        raise TypeError(f"{type(self).__name__} has to define _task")
