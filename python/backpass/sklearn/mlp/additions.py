"""The constructor parameters of the MLP estimators that scikit-learn does not have."""

from numbers import Integral, Real

from ...losses import Loss
from ...optim.schedules import Schedule
from ..compat import Interval, StrOptions
from ..parameters import BACKEND, N_THREADS, PRECISION, Parameter
from .targets import CLASSIFICATION, REGRESSION

NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
SHARE = Interval(Real, 0, 1, closed="left")
WHOLE = Interval(Integral, 1, None, closed="left")

LOSS_OF_NUMBERS = Parameter(
    "loss", "Any", "squared_error", [StrOptions({*REGRESSION}), Loss, callable],
    'loss function: "squared_error", "poisson", "absolute_error" (or "mae"), "huber", "quantile" (the median)',
    "Also an object such as nn.QuantileLoss(0.9), or a callable (output, y) -> (value, gradient) on arrays (N, n_outputs_).",
    positional=True,
)  # fmt: skip
LOSS_OF_CLASSES = Parameter(
    "loss", "Any", "log_loss", [StrOptions({*CLASSIFICATION}), Loss, callable],
    'loss function: "log_loss" or "focal" (Lin et al. 2017; each class by itself)',
    "Also an object such as nn.FocalLoss(gamma=1.0), or a callable (logits, y) -> (value, gradient) on arrays (N, n_outputs_)"
    " with y of 0 and 1.",
)  # fmt: skip
LABEL_SMOOTHING = Parameter(
    "label_smoothing", "float", 0.0, [SHARE], "share of the targets' mass that goes to all classes alike"
)
ADDITIONS = (
    Parameter(
        "categorical_features", "Any", None, [None, StrOptions({"from_dtype"}), "array-like"],
        'columns of categories, which nn.Embedding tables look up: "from_dtype" (category of pandas, Categorical and Enum of'
        " polars), indices, names, or a mask",
        "They stand behind the numbers, in their order. A missing value is a category if `fit` saw one. Any other is unknown, and"
        " gives zeros, where all tables start. partial_fit takes the categories of its first call, those that a dtype lists among"
        " them.",
    ),
    Parameter(
        "embedding_dim", "Any", None, [None, StrOptions({"auto"}), WHOLE, dict],
        'width of the embeddings: "auto", one number, or {column: width}',
        '"auto" is min(50, (categories + 1) // 2), the rule of fast.ai\'s courses, and that of columns which a dict leaves out.',
        '"auto"',
    ),
    Parameter("dropout", "float", 0.0, [SHARE], "share of the hidden units that are zeroed at each step"),
    Parameter("batch_norm", "bool", False, ["boolean"], "whether nn.BatchNorm1d stands before each hidden activation"),
    Parameter("layer_norm", "bool", False, ["boolean"], "whether nn.LayerNorm stands before each hidden activation"),
    Parameter(
        "residual", "bool", False, ["boolean"],
        "whether the input of a hidden layer is added to its output, where both have one size",
    ),
    Parameter(
        "weight_decay", "float | None", None, [None, NOT_NEGATIVE],
        "weight decay of the optimizer, on all parameters and apart from alpha", meaning="0.01 for adamw, 0 for the others",
    ),
    Parameter(
        "clip_grad_norm", "float | None", None, [None, Interval(Real, 0, None, closed="neither")],
        "largest norm of the gradient of all parameters; a larger one is rescaled",
    ),
    Parameter(
        "lr_schedule", "Any", None, [None, NOT_NEGATIVE, Schedule, callable], "schedule that replaces learning_rate_init",
        "A schedule from `optim.schedules` is evaluated at every step and continues across partial_fit and warm starts."
        " A callable maps the epoch to a rate; epochs restart with each fit, and keep counting in partial_fit.",
    ),
    Parameter(
        "eval_metric", "Any", None, [None, str, callable],
        "metric of fit's `eval_set`: a scikit-learn scorer, its name, or a callable (y_true, y_pred) -> float",
        "Values go to `evals_result_` and to the callbacks' logs.", "accuracy of classifiers, r2 of regressors",
    ),
    Parameter(
        "callbacks", "Any", None, [None, list, tuple], "list of `bp.Callback` objects, or of objects with some of its methods",
        'Their logs hold "loss", "lr", with early_stopping "val_accuracy" or "val_r2", and with eval_set the eval_metric behind'
        ' "val_" (of the second set "val_1_").',
    ),
    N_THREADS,
    BACKEND,
    Parameter(
        "dtype", "str | None", None, [None, StrOptions({"float32", "float64"})],
        'dtype of the weights: "float32", which is faster, or "float64"', meaning="float32 for a float32 X, else float64",
    ),
    PRECISION,
)  # fmt: skip
