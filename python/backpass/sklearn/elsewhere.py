"""Names and values of other libraries, with their names here."""

# Arguments of other libraries' constructors: what to do instead.
IN_COMMON = {
    "seed": "it is called random_state",
    "threads": "it is called n_threads",
    "n_jobs": "it is called n_threads",
    "device": "backpass trains on the CPU",
    "l2": "it is called alpha",
    "metrics": "score, or functions of sklearn.metrics, judge a fitted estimator",
}
OF_MLP = IN_COMMON | {
    "epochs": "it is called max_iter",
    "lr": "it is called learning_rate_init",
    "optimizer": "it is called solver",
    "momentums": "it is called momentum",
    "betas": "they are called beta_1 and beta_2",
    "eps": "it is called epsilon",
    "patience": "it is called n_iter_no_change",
    "hidden_layers": "it is called hidden_layer_sizes",
    "hidden_units": "it is called hidden_layer_sizes",
    "n_hidden": "it is called hidden_layer_sizes",
    "units": "it is called hidden_layer_sizes",
    "layers": "it is called hidden_layer_sizes",
    "hidden": "it is called hidden_layer_sizes",
    "nesterov": "it is called nesterovs_momentum",
    "clipnorm": "it is called clip_grad_norm",
    "metrics": "eval_metric names one for fit(eval_set=...)",
    "validation_split": "it is called validation_fraction, and early_stopping=True holds these rows out",
    "validation_data": "give it to fit as eval_set",
    "eval_set": "give it to fit",
    "sample_weight": "give it to fit",
}
OF_NETWORK = OF_MLP | {
    "optimizer": "it is called solver, which takes optim objects as well",
    "alpha": "it is called weight_decay",
    "l2": "it is called weight_decay",
    "momentum": "give solver=optim.SGD(lr, momentum)",
    "units": "hidden_size of recurrent layers, hidden_layer_sizes of linear ones",
    "n_layers": "it is called num_layers",
    "cell_type": "it is called cell",
    "filters": "it is called channels",
    "conv_layers": "it is called channels",
    "kernel": "it is called kernel_size",
    "module": "it is called network, a function (input_shape, n_outputs) -> nn.Module",
    "model": "it is called network, a function (input_shape, n_outputs) -> nn.Module",
    "augment": "it is called augmentation, a list of layers such as nn.RandomShift(2)",
    "eval_metric": "early_stopping=True judges each epoch by held-out rows",
    "metrics": "score, or functions of sklearn.metrics, judge a fitted estimator",
    "validation_data": "early_stopping=True holds rows out by itself",
    "eval_set": "early_stopping=True holds rows out by itself",
}
OF_ELM = IN_COMMON | {
    "hidden_layer_sizes": "it is called n_hidden",
    "n_components": "it is called n_hidden",
    "hidden": "it is called n_hidden",
    "ridge": "it is called alpha",
    "lambda": "it is called alpha",
    "C": "the ridge is alpha, which is 1 / C",
    "batch_size": "it is called chunk_size",
    "max_iter": "one linear solve takes the place of epochs",
    "sample_weight": "give it to fit",
}
# Arguments of other libraries' fit.
OF_FIT = {
    "epochs": "give max_iter to the constructor",
    "batch_size": "give it to the constructor",
    "callbacks": "give it to the constructor",
    "class_weight": "give it to the constructor",
    "eval_metric": "give it to the constructor",
    "verbose": "give it to the constructor",
    "progress": "give verbose=True or callbacks=[bp.ProgressBar()] to the constructor",
    "shuffle": "give it to the constructor",
    "validation_data": "it is called eval_set",
    "validation_split": "give early_stopping=True and validation_fraction to the constructor",
    "resume": "warm_start=True, given to the constructor, goes on from the last fit",
    "weights": "it is called sample_weight",
    "sample_weights": "it is called sample_weight",
}
OF_ELM_FIT = {
    "epochs": "one linear solve takes the place of epochs",
    "class_weight": "give it to the constructor",
    "weights": "it is called sample_weight",
    "sample_weights": "it is called sample_weight",
}
# Values of other libraries, in small letters: what they are called here.
VALUES: dict[str, dict[str, str]] = {
    "activation": {"sigmoid": "logistic", "linear": "identity", "none": "identity", "swish": "silu"},
    "solver": {"momentum": "sgd", "nesterov": "sgd", "bfgs": "lbfgs"},
    "loss": {
        "mse": "squared_error", "l2": "squared_error", "l1": "absolute_error", "pinball": "quantile",
        "cross_entropy": "log_loss", "crossentropy": "log_loss", "categorical_crossentropy": "log_loss",
        "sparse_categorical_crossentropy": "log_loss", "binary_crossentropy": "log_loss", "bce": "log_loss",
        "bce_with_logits": "log_loss", "nll": "log_loss",
    },
    "eval_metric": {
        "acc": "accuracy", "auc": "roc_auc", "mse": "neg_mean_squared_error", "rmse": "neg_root_mean_squared_error",
        "mae": "neg_mean_absolute_error", "mape": "neg_mean_absolute_percentage_error", "logloss": "neg_log_loss",
        "log_loss": "neg_log_loss", "cross_entropy": "neg_log_loss",
    },
    "backend": {"cpp": "native", "c++": "native", "cpu": "auto"},
    "class_weight": {"auto": "balanced"},
}  # fmt: skip
# The losses that one of the MLPs lacks.
LOSSES = dict.fromkeys(
    ("squared_error", "absolute_error", "mae", "huber", "quantile", "poisson"), "MLPRegressor"
)
LOSSES |= dict.fromkeys(("log_loss", "focal"), "MLPClassifier")
