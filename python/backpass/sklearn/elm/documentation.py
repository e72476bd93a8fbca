"""Sections common to the docstrings of ELMClassifier and ELMRegressor."""

MODEL = """W and c are random; only β and b are learned, by ridge regression: (S + αI) βᵀ = C, where S is the
    scatter matrix of the hidden units, and C that of units and targets. One linear solve takes the place of epochs. W is drawn
    for inputs of about unit size, so standardise X (a Pipeline with StandardScaler)."""

ATTRIBUTES = """coef_, intercept_: β (K, L) and b (K,).
        hidden_: the random layer, a bp.Model.
        moments_: sums over the rows so far, to which partial_fit adds; S is their matrix of the hidden units.
        alpha_: the ridge that was used.
        solver_: "cholesky", "svd" or "eigh", whichever solved.
        alphas_, loo_errors_, loo_error_: with alpha="loo" the grid, the mean squared leave-one-out error of each, and the least.
        n_features_in_, feature_names_in_: columns of X, and their names where X is a data frame."""

MEMORY = """Memory: about 8 (L + K) (L + K + rows of a chunk) bytes besides X and y, however many rows there are.
    The hidden matrix as a whole is kept only for singular values, up to 256 MB. Beyond that, and after partial_fit, the
    eigenvalues of S take their place, which lose what is below 1e-7 of the largest singular value.

    Precision: the hidden layer is computed in X's precision (float32 or float64), all else in float64. Chunks of a sparse X are
    made dense. The solves run on SciPy's LAPACK, with its threads."""

RAISES = "ValueError, TypeError: when fit is called; the message names the parameter or the argument and what was expected."
