"""The same bits: every op for any number of threads, run by run, from any layout of its memory (whole networks: test_fit)."""

from typing import Any

import numpy as np
import pytest

from backpass.backends import Backend
from backpass.ops.contract import REGISTRY, Op
from helpers import samples
from helpers.fence import fenced

# Several tasks each, none a multiple of a tile; a row of a sparse matrix is a sixth of Z on average.
SIZES = {
    "H": 9, "W": 11, "B": 150, "I": 300, "O": 520, "C": 210, "L": 5, "F": 700, "K": 9, "Z": 2_000, "R": 300, "M": 130,
    "V": 1_500, "E": 40,
}  # fmt: skip


def call(op: Op, dtype: str, chosen: dict[str, Any]) -> dict[str, Any]:
    """A sample large enough to be worth several threads."""
    letters = {d for a in op.arrays.values() for d in a.dims}
    flat = letters <= {"N", "P", "1", "2"}
    dims = {**SIZES, "N": 70_000 if flat else 400, "P": -(-70_000 // 16384), "*": (3, 101)}
    if "H" in letters:
        dims |= {"B": 70, "C": 10}  # images are cut by B alone
    if "M" in letters:
        dims |= {"*": (2, 3), "K": 90}  # products of matrices
    return samples.call(op, dims, dtype, set(), chosen)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", samples.OPS)
def test_every_op_for_any_number_of_threads(native: Backend, name: str, dtype: str) -> None:
    """Every other time in memory that starts or ends elsewhere; twice with each number for the first of the scalars.

    The other scalars choose what is done with a task, not how the work is cut.
    """
    from backpass import _core

    op = REGISTRY[name]
    if name not in _core.ops():
        pytest.skip("no native op")
    for turn, chosen in enumerate(samples.scalars(op)):
        given, expected = call(op, dtype, chosen), None
        for number, threads in enumerate([1, 3, 8] if turn else [1, 2, 3, 8, 1, 2, 3, 8]):
            fields = {
                k: (fenced(v) if number % 2 else v.copy()) if isinstance(v, np.ndarray) else v
                for k, v in given.items()
            }
            program = _core.Program([(name, op.complete(fields))], native.isa)  # type: ignore[attr-defined]
            assert program.run(1, threads) == 1 or op.name == "clip_scale"
            found = {k: fields[k].tobytes() for k in op.outputs}
            expected = expected or found
            assert found == expected, (
                f"{threads} threads, {chosen}: {[k for k in found if found[k] != expected[k]]} differ"
            )


def test_the_samples_are_worth_threads() -> None:
    """Otherwise all would run in one thread, and the test above would see nothing."""
    tasks = {
        name: sum(a.size for a in call(REGISTRY[name], "float32", {}).values() if isinstance(a, np.ndarray))
        for name in samples.OPS
    }
    large = [name for name, size in tasks.items() if size > 60_000]
    assert len(large) >= 20, tasks
