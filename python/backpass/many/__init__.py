"""Many models on one machine: cores train models, each as its own `fit` would, to the bit."""
