"""MLPClassifier and MLPRegressor: scikit-learn's estimators, on backpass."""
