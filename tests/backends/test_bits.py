"""The same bits: every op for any number of threads, run by run, from any layout of its memory (whole networks: test_fit)."""

from typing import Any

import numpy as np
import pytest

from backpass.backends import Backend
from backpass.backends.numpy import NumPyBackend
from backpass.ops.contract import REGISTRY, Op
from helpers import samples
from helpers.fence import fenced

# Several tasks each, none a multiple of a tile; a row of a sparse matrix is a sixth of Z on average.
SIZES = {
    "H": 9, "W": 11, "B": 150, "I": 300, "O": 520, "C": 210, "L": 5, "F": 700, "K": 9, "Z": 2_000, "R": 300, "M": 130,
    "V": 1_500, "E": 40, "G": 12, "Q": 13, "A": 9, "J": 12, "T": 40, "S": 50, "D": 17,
}  # fmt: skip


def call(op: Op, dtype: str, chosen: dict[str, Any]) -> dict[str, Any]:
    """A sample large enough to be worth several threads."""
    letters = {d for a in op.arrays.values() for d in a.dims}
    flat = letters <= {"N", "P", "1", "2"}
    dims = {**SIZES, "N": 70_000 if flat else 400, "P": -(-70_000 // 16384), "*": (3, 101)}
    if "H" in letters:
        dims |= {"B": 70, "C": 10, "I": 8}  # images are cut by B alone
    if "M" in letters:
        dims |= {"*": (2, 3), "K": 90}  # products of matrices
    return samples.call(op, op.samples.get("large", dims), dtype, set(), chosen)


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


SUMS = ("add", "sub", "mul")
IN_PAIRS = [
    *(f"t0 = {f} a b; y = {g} {rest}" for f in SUMS for g in SUMS for rest in ("t0 c", "c t0")),
    *(f"t0 = {f} a b; y = where t0 c d" for f in ("lt", "le", "gt", "ge", "eq", "ne")),
    "t0 = mul a b; t1 = sub 1.0 a; t1 = mul t1 c; y = add t0 t1",
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("steps", IN_PAIRS)
def test_steps_that_are_done_in_pairs_round_as_numpy_does(native: Backend, steps: str, dtype: str) -> None:
    """A product and a sum are never one operation with one rounding."""
    rng = np.random.default_rng(0)
    fields = {name: rng.standard_normal(1003).astype(dtype) for name in "abcdy"}
    fields["b"][::7] = fields["a"][::7]
    found, expected = samples.copied(fields), samples.copied(fields)
    op = REGISTRY["expression"]
    native.call(op.name, **op.complete(found | {"steps": steps}))
    NumPyBackend().call(op.name, **op.complete(expected | {"steps": steps}))
    assert found["y"].tobytes() == expected["y"].tobytes()


def test_the_samples_are_worth_threads() -> None:
    """Otherwise all would run in one thread, and the test above would see nothing."""
    tasks = {
        op.name: sum(
            a.size for a in call(op, "float32", samples.scalars(op)[0]).values() if isinstance(a, np.ndarray)
        )
        for op in map(REGISTRY.__getitem__, samples.OPS)
    }
    large = [name for name, size in tasks.items() if size > 60_000]
    assert len(large) >= 20, tasks
