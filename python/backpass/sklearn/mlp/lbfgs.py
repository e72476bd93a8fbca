"""Solver lbfgs of the MLP estimators: SciPy's L-BFGS-B over our loss and gradient of all rows at once."""

import warnings
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from ...data.feed import Feed
from ...data.sparse import SparseRows, is_sparse
from ...engine.step import loss_and_gradients
from ..sharing import sharing, threads_of
from .epochs import penalty
from .network import Network
from .table import inputs_of
from .targets import Task


def minimise(network: Network, X: Any, task: Task, estimator: Any) -> tuple[float, int]:
    """Train the network; returns its last loss and the number of iterations."""
    model = network.model
    engine = model.engine
    sparse = network.reads_sparse(X)
    rows: Any = SparseRows(X, model.dtype) if sparse else X.toarray() if is_sparse(X) else X
    feed = Feed.of(inputs_of(rows), task.target, task.weight)
    target = (task.target.shape[1:], task.target.dtype)
    plan = engine.plans.training(
        feed.inputs.specs(feed.inputs.rows, model.dtype),
        target,
        None if task.weight is None else task.weight.shape[1:],
    )
    if not sparse:
        for name, source in feed.inputs.sources.items():
            plan.inputs[name][...] = source
    plan.target[...] = task.target
    if plan.weight is not None and task.weight is not None:
        plan.weight[...] = task.weight
    added = penalty(network, plan.loss, plan.count, estimator.alpha, task.share)
    program = model.backend.compile([*feed.read(loss_and_gradients(plan), plan), *added])
    params, grads = model.parameters(), model.gradients()
    offset = task.mean_offset()

    def evaluate(flat: np.ndarray) -> tuple[float, np.ndarray]:
        spread(flat, params)
        program.run(1, threads_of(model.engine.threads))
        return float(plan.loss[0]) + offset, np.concatenate([g.ravel() for g in grads]).astype(np.float64)

    def report(intermediate_result: Any) -> None:
        print(f"loss = {intermediate_result.fun:.8f}")

    with sharing():
        result = minimize(
            evaluate,
            np.concatenate([p.ravel() for p in params]).astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=report if estimator.verbose else None,
            options={"maxfun": estimator.max_fun, "maxiter": estimator.max_iter, "gtol": estimator.tol},
        )
    spread(result.x, params)
    engine.plans.clear()  # they hold all rows
    if result.status != 0:
        message = result.message if isinstance(result.message, str) else result.message.decode("latin1")
        warnings.warn(
            f"lbfgs failed to converge after {result.nit} iteration(s) (status={result.status}):\n{message}\n\n"
            "Increase the number of iterations (max_iter, max_fun), or scale the data to a similar range.",
            ConvergenceWarning,
            stacklevel=5,
        )
    return float(result.fun), min(int(result.nit), estimator.max_iter)


def spread(flat: np.ndarray, arrays: list[np.ndarray]) -> None:
    """Copy consecutive parts of a vector into arrays."""
    start = 0
    with np.errstate(
        over="ignore"
    ):  # what is too large for float32 becomes infinite, and the estimator says so
        for array in arrays:
            array[...] = flat[start : start + array.size].reshape(array.shape)
            start += array.size
