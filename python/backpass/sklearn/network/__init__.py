"""What every estimator around a `bp.Model` needs: parameters, the run, targets, early stopping."""
