"""The lbfgs solver of the MLP estimators: SciPy's L-BFGS-B over our loss and gradient of all rows at once."""

import warnings
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from ..sampling import row_order
from .mlp_epochs import penalty
from .mlp_network import Network, sharing, threads_of
from .mlp_sparse import SparseRows
from .mlp_targets import Task


def minimise(network: Network, X: Any, task: Task, estimator: Any) -> tuple[float, int]:
    """Train the network; its last loss and the number of iterations."""
    model = network.model
    shape = (task.target.shape[1:], task.target.dtype)
    sparse = network.reads_sparse(X)
    plan = model.training_plan(X.shape, shape, task.weight is not None, sparse)
    assert plan.target is not None
    layers = [*plan.forward, *plan.loss_part, *plan.backward]
    if sparse:
        rows = SparseRows(X, model.dtype)
        layers = rows.read(layers, plan.x, row_order(len(rows)), np.zeros(1, np.int64))
    else:
        plan.x[...] = X.toarray() if hasattr(X, "toarray") else X
    plan.target[...] = task.target
    if plan.weight is not None and task.weight is not None:
        plan.weight[...] = task.weight
    added = penalty(network, plan.loss, plan.count, estimator.alpha, task.share)
    program = model.backend.compile([*layers, *added])
    params, grads = model.parameters(), model.gradients()
    offset = task.mean_offset()

    def evaluate(flat: np.ndarray) -> tuple[float, np.ndarray]:
        spread(flat, params)
        program.run(1, threads_of(model))
        return float(plan.loss[0]) + offset, np.concatenate([g.ravel() for g in grads]).astype(np.float64)

    def report(intermediate_result: Any) -> None:
        print(f"loss = {intermediate_result.fun:.8f}")

    with sharing():
        found = minimize(
            evaluate,
            np.concatenate([p.ravel() for p in params]).astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=report if estimator.verbose else None,
            options={"maxfun": estimator.max_fun, "maxiter": estimator.max_iter, "gtol": estimator.tol},
        )
    spread(found.x, params)
    model.programs.plans.clear()  # they hold all rows
    if found.status != 0:
        message = found.message if isinstance(found.message, str) else found.message.decode("latin1")
        warnings.warn(
            f"lbfgs failed to converge after {found.nit} iteration(s) (status={found.status}):\n{message}\n\n"
            "Increase the number of iterations (max_iter, max_fun), or scale the data to a similar range.",
            ConvergenceWarning,
            stacklevel=4,
        )
    return float(found.fun), min(int(found.nit), estimator.max_iter)


def spread(flat: np.ndarray, arrays: list[np.ndarray]) -> None:
    """Copy consecutive parts of a vector into arrays."""
    start = 0
    with np.errstate(
        over="ignore"
    ):  # what is too large for float32 becomes infinite, and the estimator says so
        for array in arrays:
            array[...] = flat[start : start + array.size].reshape(array.shape)
            start += array.size
