"""The NumPy backend's updates: piece by piece, to the bits of the reference, without arrays as large as the model between."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass.ops.contract import CHUNK, REGISTRY
from backpass.ops.update import clipped, decayed
from helpers import samples

UPDATES = [name for name, op in REGISTRY.items() if "params" in op.outputs]
SIZE = 5 * CHUNK // 2


def fields_of(name: str, chosen: dict[str, Any], absent: set[str]) -> dict[str, Any]:
    """A sample call of an update, complete."""
    op = REGISTRY[name]
    return op.complete(samples.call(op, {"N": SIZE}, "float32", absent, chosen))


@pytest.mark.parametrize("name", UPDATES)
def test_the_bits_of_the_reference(name: str) -> None:
    op = REGISTRY[name]
    optional = {n for n, array in op.arrays.items() if array.optional}
    for chosen in samples.scalars(op):
        for absent in (set[str](), optional):
            mine = fields_of(name, chosen, absent)
            theirs = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in mine.items()}
            bp.get_backend("numpy").function(name)(**mine)
            op.function(**theirs)
            for k in set(op.outputs) - absent:
                assert mine[k].tobytes() == theirs[k].tobytes(), (k, chosen)


@pytest.mark.parametrize("name", UPDATES)
def test_nothing_as_large_as_the_model_lies_between(name: str) -> None:
    fields = fields_of(name, samples.scalars(REGISTRY[name])[0], set())
    update = bp.get_backend("numpy").function(name)
    update(**fields)
    tracemalloc.start()
    try:
        update(**fields)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (
        peak < 7 * 4 * CHUNK
    )  # a whole model's would be 2.5 times as long each, of which there are four or more at a time


def test_a_gradient_that_needs_no_change_is_not_copied() -> None:
    grads, params = np.ones(3, np.float32), np.full(3, 2, np.float32)
    assert clipped(grads, np.ones(1), np.inf) is grads
    assert decayed(grads, 0.0, params) is grads
    assert clipped(grads, np.full(1, 0.5), np.inf).tolist() == [0.5] * 3
    assert clipped(grads, np.ones(1), 0.25).tolist() == [0.25] * 3
    assert decayed(grads, 0.5, params).tolist() == [2.0] * 3
