"""Sections common to the docstrings of MLPClassifier and MLPRegressor."""

ATTRIBUTES = """coefs_, intercepts_: weights (inputs, outputs) and biases (outputs,) of each layer. Writing to them
            changes the network.
        loss_, best_loss_: loss of the last epoch, and the least so far (None with early_stopping).
        loss_curve_: loss of every epoch since the weights were drawn.
        validation_scores_, best_validation_score_: {score} of the held-out rows after each epoch, and the best; None without
            early_stopping.
        evals_result_: with eval_set {{"validation_0": {{metric: values of the epochs}}, "validation_1": ...}}, of the last fit.
        n_iter_, t_: epochs of the last fit, and rows seen since the weights were drawn.
        n_layers_, n_outputs_, out_activation_: layers with input and output, output units, activation of the output.
        categories_, embeddings_: with categorical_features the labels of each such column, sorted, NaN last if values were
            missing, and its table (categories, width). Writing to a table changes the network.
        is_categorical_: with categorical_features a bool for each column of X.
        n_features_in_, feature_names_in_: columns of X, and their names where X is a data frame."""

RAISES = """ValueError, TypeError: when fit is called; the message names the parameter or the argument and what was expected.
        ValueError: the weights become NaN or infinite; the message names the step and the layer."""

SOURCES = """Glorot and Bengio 2010 (initial weights), Kingma and Ba 2015 (adam), Liu and Nocedal 1989 (lbfgs),
        Guo and Berkhahn 2016 (embeddings of categories)."""
