"""What a model tells of itself: a table, its gradients checked, the health of a run, the configuration."""
