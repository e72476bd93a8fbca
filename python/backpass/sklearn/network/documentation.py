"""Sections common to the docstrings of the network estimators."""

ATTRIBUTES = """model_: the bp.Model, for whatever it can do: `model_.summary()`, `model_.save(path)`, `model_.net`.
        input_shape_: shape of one row in the last fit of a new network. n_features_in_: {features}.
        loss_, loss_curve_: loss of the last epoch, and of every epoch since the weights were drawn.
        validation_scores_, best_validation_score_: {score} of the held-out rows after each epoch, and the best; None without
            early_stopping.
        n_iter_: epochs of the last fit."""

RAISES = """ValueError, TypeError: when fit is called; the message names the parameter or the argument and what was expected.
        ValueError: a loss, gradient or weight becomes NaN or infinite; the message names the step and the layer."""
