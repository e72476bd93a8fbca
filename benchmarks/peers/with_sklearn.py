"""scikit-learn's MLP."""

import time

from backpass.cli.contestant import Contestant
from backpass.cli.workloads import Workload


def scikit_learn(workload: Workload, threads: int) -> Contestant:
    """MLPClassifier or MLPRegressor with the same layers, batch and Adam; no shuffling, no early stop."""
    import warnings

    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPRegressor if workload.loss == "mse" else MLPClassifier
    X, y = workload.data()
    y = y.ravel() if y.shape[-1] == 1 else y

    def train(epochs: int) -> float:
        net = kind(
            hidden_layer_sizes=workload.layers[1:-1],
            batch_size=workload.batch,
            max_iter=epochs,
            shuffle=False,
            alpha=0,
            activation=workload.activation.lower(),
            epsilon=workload.eps,
            tol=0,
            n_iter_no_change=10**6,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = time.perf_counter()
            net.fit(X, y)
            return time.perf_counter() - start

    return train
