"""Models as modules of PyTorch, and what the layers of the two have in common."""
