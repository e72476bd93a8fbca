"""Networks of other libraries as models: bp.from_torch, bp.from_sklearn, bp.from_keras."""
