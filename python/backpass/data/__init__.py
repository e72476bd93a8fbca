"""What users pass: arrays, targets and weights, checked and turned into rows that programs read."""
