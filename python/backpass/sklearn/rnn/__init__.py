"""RNNClassifier and RNNRegressor: recurrent networks of sequences as estimators of scikit-learn's."""
