"""Base of the two extreme learning machines: random layer, pass over the rows in chunks, choice of a solver."""

from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ... import nn, optim
from ...described import explained
from ...model import Model
from ..elsewhere import OF_ELM
from ..estimator import Estimator
from ..parameters import keep_parameters
from ..reading import validated
from .settings import ACTIVATIONS, check_drawn, settings_of
from .solve import EPS, Moments, Spectrum, cholesky, leave_one_out

CHUNK_BYTES = 1 << 25  # of float64 numbers in a chunk of rows
SVD_BYTES = 1 << 28  # of the whole hidden matrix, up to which its singular values are computed
GRID = np.logspace(-8, 2, 21)  # of alpha, in units of the mean eigenvalue of S

Chunks = Iterator[tuple[np.ndarray, np.ndarray]]


class BaseELM(Estimator):
    """Base of the extreme learning machines."""

    _elsewhere = OF_ELM

    # Written by tests/sklearn/test_sklearn_constructors.py, from the table in parameters.py.
    @explained(OF_ELM)
    def __init__(
        self,
        n_hidden: int = 500,
        activation: str = "tanh",
        alpha: Any = 0.1,
        *,
        alphas: Any = None,
        weight_scale: float = 1.0,
        bias_scale: float = 1.0,
        fit_intercept: bool = True,
        solver: str = "auto",
        chunk_size: int | None = None,
        random_state: Any = None,
        backend: str = "auto",
        n_threads: int | None = None,
    ) -> None:
        keep_parameters(self, locals())

    def __getstate__(self) -> dict[str, Any]:
        """Arrays, numbers and parameters alone, so that skops asks about the estimator's class and no other."""
        state: dict[str, Any] = {**super().__getstate__()}
        state.pop("_busy", None)
        if hidden := state.pop("hidden_", None):
            state["_layer"] = {"activation": self._activation(), **hidden.state_dict()}
            state["_moments"] = vars(state.pop("moments_"))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        layer, moments = (state.pop(name, None) for name in ("_layer", "_moments"))
        super().__setstate__(state)
        if layer:
            self.hidden_ = self._layer(layer["activation"], layer["0.weight"], layer["0.bias"])
            self.moments_ = Moments(**moments)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # -- fitting ----------------------------------------------------------------------------------------------------

    def _start(self, X: Any, targets: int) -> None:
        """Draw the random layer, and forget all rows."""
        for name in ("alphas_", "loo_errors_", "loo_error_"):
            self.__dict__.pop(name, None)
        self._drawn = settings_of(self)
        features = X.shape[1]
        random = check_random_state(self.random_state)
        scale = self.weight_scale / np.sqrt(features)
        weight = random.standard_normal((self.n_hidden, features)) * scale
        bias = random.standard_normal(self.n_hidden) * self.bias_scale
        self.hidden_ = self._layer(self.activation, weight.astype(X.dtype), bias)
        self.moments_ = Moments.zeros(self.n_hidden, targets, bool(self.fit_intercept))

    def _layer(self, activation: str, weight: np.ndarray, bias: np.ndarray) -> Model:
        """The hidden layer as a model of the dtype of weight (L, I); bias (L,)."""
        linear = nn.Linear(weight.shape[1], len(weight), init="zeros")
        model = Model(
            nn.Sequential(linear, ACTIVATIONS[activation]()),
            optimizer=optim.SGD(),
            backend=self.backend,
            threads=self.n_threads,
            dtype=weight.dtype,
        )
        model.load_state_dict({"0.weight": weight, "0.bias": bias})
        return model

    def _activation(self) -> str:
        """The name of the hidden layer's activation."""
        layer = dict(self.hidden_.net.named_children())["1"]
        return next(name for name, cls in ACTIVATIONS.items() if cls is type(layer))

    def _row_slices(self, X: Any) -> Iterator[slice]:
        """Slices of X's rows, each as many as are in memory as hidden units and targets at a time."""
        size = int(self.chunk_size or max(CHUNK_BYTES // (8 * max(X.shape[1], len(self.moments_.mean))), 1))
        return (slice(start, start + size) for start in range(0, X.shape[0], size))

    def _chunks(self, X: Any, Y: np.ndarray, w: np.ndarray) -> Chunks:
        """Chunks of rows (hidden units, targets) in float64, and their weights."""
        for rows in self._row_slices(X):
            yield np.hstack([self._hidden_units(X[rows]), Y[rows]], dtype=np.float64), w[rows]

    def _hidden_units(self, X: Any) -> np.ndarray:
        # A model serves one thread at a time, an estimator any number.
        busy = self.__dict__.setdefault("_busy", Lock())
        with busy:
            out: np.ndarray = self.hidden_.predict(X.toarray() if sparse.issparse(X) else X)
            return out

    def _accumulate(self, X: Any, Y: np.ndarray, w: np.ndarray) -> None:
        for z, weights in self._chunks(X, Y, w):
            self.moments_.add(z, weights)

    def _fit(self, X: Any, Y: np.ndarray, w: np.ndarray) -> None:
        """Fit checked data: X (N, I), Y (N, K) and w (N,) float64."""
        self._start(X, Y.shape[1])
        self._accumulate(X, Y, w)
        alpha = 0.0 if self.alpha is None else self.alpha

        def rows() -> Chunks:
            return self._chunks(X, Y, w)

        if isinstance(alpha, str):
            self._fit_leave_one_out(rows, len(Y))
        else:
            self._set(float(alpha), self._coef(float(alpha), rows, len(Y)))

    def _partial_fit(self, X: Any, Y: np.ndarray, w: np.ndarray) -> None:
        """Add rows to the sums and solve again. With "loo" the first rows choose the ridge: no rows are kept to leave out."""
        alpha = 0.0 if self.alpha is None else self.alpha
        if not hasattr(self, "moments_"):
            if isinstance(alpha, str):
                self._fit(X, Y, w)
                return
            self._start(X, Y.shape[1])
        elif Y.shape[1] != self.moments_.cross.shape[1]:
            raise ValueError(
                f"y has {Y.shape[1]} outputs, expected {self.moments_.cross.shape[1]} as in the fit before"
            )
        else:
            self._go_on()
        self._accumulate(X, Y, w)
        alpha = self.alpha_ if isinstance(alpha, str) else float(alpha)
        self._set(alpha, self._coef(alpha))

    def _go_on(self) -> None:
        """Take up parameters that were set since the layer was drawn; refuse those that cannot act any more."""
        check_drawn(self, self._drawn)
        settings = settings_of(self)
        if settings["backend"] != self._drawn["backend"]:
            self.hidden_.backend = self.backend
        self.hidden_.threads = self.n_threads
        self._drawn = settings

    def _coef(self, alpha: float, rows: Callable[[], Chunks] | None = None, count: int = 0) -> np.ndarray:
        """Solution β (L, K) for one alpha. rows: gives the rows again, None after partial_fit; count: their number."""
        if self.solver == "cholesky" or (self.solver == "auto" and alpha > 0):
            coef = cholesky(self.moments_, alpha)
            if coef is not None:
                self.solver_ = "cholesky"
                return coef
            if self.solver == "cholesky":
                raise ValueError(f"solver is 'cholesky', but with alpha {alpha:.3g} the matrix is singular")
        return self._spectrum(rows, count).coef(alpha)

    def _spectrum(self, rows: Callable[[], Chunks] | None, count: int) -> Spectrum:
        """Spectrum by the singular values of the hidden matrix if it is at hand and small enough, else by S's eigenvalues."""
        if rows is None or 8 * count * int(self.n_hidden) > SVD_BYTES:
            self.solver_ = "eigh"
            return Spectrum.of_gram(self.moments_)
        self.solver_ = "svd"
        z = np.concatenate([(z - self.moments_.mean) * np.sqrt(w)[:, None] for z, w in rows()])
        return Spectrum.of_rows(z[:, : self.n_hidden], z[:, self.n_hidden :], self.moments_.noise)

    def _fit_leave_one_out(self, rows: Callable[[], Chunks], count: int) -> None:
        mean = np.trace(self.moments_.gram) / self.n_hidden
        alphas = (
            GRID * (mean if mean > self.moments_.noise else 1.0)
            if self.alphas is None
            else np.asarray(self.alphas, np.float64)
        )
        self.alphas_ = np.sort(alphas)
        tiny = self.alphas_[0] < 1e3 * EPS * mean * self.n_hidden
        if self.solver == "svd" or (self.solver == "auto" and tiny):
            spectrum = self._spectrum(rows, count)
        else:
            spectrum = Spectrum.of_gram(self.moments_)
            self.solver_ = "eigh"
        self.loo_errors_ = leave_one_out(spectrum, self.moments_, rows(), self.alphas_)
        best = int(np.argmin(self.loo_errors_)) if np.isfinite(self.loo_errors_).any() else -1
        self.loo_error_ = float(self.loo_errors_[best])
        self._set(float(self.alphas_[best]), spectrum.coef(self.alphas_[best]))

    def _set(self, alpha: float, coef: np.ndarray) -> None:
        self.alpha_, self.coef_, self.intercept_ = alpha, coef.T, self.moments_.intercept(coef)

    # -- using ------------------------------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> np.ndarray:
        """Outputs for every row of X, (N, K) float64."""
        check_is_fitted(self, "coef_")
        X = validated(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)
        out = np.empty((X.shape[0], len(self.coef_)))
        for rows in self._row_slices(X):
            out[rows] = self._hidden_units(X[rows]) @ self.coef_.T + self.intercept_
        return out

    def _to_mlp(self, coef: np.ndarray, intercept: np.ndarray, loss: str, options: dict[str, Any]) -> Model:
        check_is_fitted(self, "coef_")
        outputs, units = coef.shape
        activation = ACTIVATIONS[self._activation()]  # of the fit, whatever the parameters say by now
        net = nn.Sequential(nn.Linear(self.n_features_in_, units), activation(), nn.Linear(units, outputs))
        settings = {"backend": self.backend, "threads": self.n_threads, "dtype": self.hidden_.dtype}
        model = Model(net, options.pop("loss", loss), **{**settings, **options})
        model.load_state_dict(self.hidden_.state_dict() | {"2.weight": coef, "2.bias": intercept})
        return model
