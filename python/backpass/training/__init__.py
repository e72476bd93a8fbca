"""Runs: the epochs of `fit`, with all that goes around them."""
