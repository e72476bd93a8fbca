"""The constructor parameters of the extreme learning machines."""

from ..parameters import BACKEND, CLASS_WEIGHT, N_THREADS, Parameter
from .settings import ACTIVATIONS

NAMES = ", ".join(f'"{name}"' for name in ACTIVATIONS)
LAYER = (
    Parameter("n_hidden", "int", 500, None, "number L of hidden units, at least 1", positional=True),
    Parameter(
        "activation", "str", "tanh", None, f"function f of the hidden units: {NAMES}", positional=True
    ),
    Parameter(
        "alpha", "Any", 0.1, None, 'ridge α, a number of at least 0, "loo" or None',
        '"loo" takes the one of `alphas` with the least leave-one-out error (PRESS, Allen 1974): exact, from one decomposition.'
        " With sample_weight that error is weighted, and whole rows are left out. None is 0: the Moore-Penrose pseudoinverse.",
        positional=True,
    ),
    Parameter(
        "alphas", "Any", None, None, 'grid of alpha="loo", numbers above 0',
        meaning="21 numbers, 1e-8 to 1e2 times the mean eigenvalue of S",
    ),
    Parameter("weight_scale", "float", 1.0, None, "scale of the hidden weights: W ~ N(0, weight_scale² / n_features)"),
    Parameter("bias_scale", "float", 1.0, None, "scale of the hidden biases: c ~ N(0, bias_scale²)"),
    Parameter("fit_intercept", "bool", True, None, "whether b is learned, without a penalty; else b is 0"),
    Parameter(
        "solver", "str", "auto", None, 'way to solve: "auto", "cholesky" or "svd"',
        "Automatic: a Cholesky factor of S + αI; singular values where α is 0 or the reciprocal condition number of that"
        " matrix is below 1e-12.",
    ),
    Parameter(
        "chunk_size", "int | None", None, None, "rows whose hidden units are in memory at a time",
        meaning="as many as make 32 MB",
    ),
)  # fmt: skip
RANDOM_STATE = Parameter("random_state", "Any", None, None, "an int or a RandomState that fixes W and c")

REGRESSOR = (*LAYER, RANDOM_STATE, BACKEND, N_THREADS)
CLASSIFIER = (*LAYER, CLASS_WEIGHT, RANDOM_STATE, BACKEND, N_THREADS)
