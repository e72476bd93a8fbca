"""What the tests share: nets and data, samples of ops, attacks, the backends and marks, child processes, PyTorch as a peer."""

import sys
from importlib.util import find_spec

# tests/ is on the path, and tests/sklearn is no scikit-learn: where that is not installed, `import sklearn` has to fail.
if (_found := find_spec("sklearn")) is None or _found.origin is None:
    sys.modules["sklearn"] = None  # type: ignore[assignment]
