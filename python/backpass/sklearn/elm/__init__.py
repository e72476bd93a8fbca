"""ELMClassifier and ELMRegressor: extreme learning machines."""
