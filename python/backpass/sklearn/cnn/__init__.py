"""CNNClassifier: a convolutional network as an estimator of scikit-learn's."""
