"""The compiled module refuses what Op.check refuses, instead of crashing, and stays within its arrays."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from backpass.ops.contract import REGISTRY, Op
from helpers import samples
from helpers.backends import needs_native

CLASS_LOSSES = [
    n
    for n, op in REGISTRY.items()
    if "dpred" in op.arrays and "target" in op.arrays and op.arrays["target"].dtype == "int64"
]
REFUSED = (ValueError, TypeError, KeyError, RuntimeError)


def linear() -> dict[str, Any]:
    return {"x": np.zeros((5, 3)), "weight": np.zeros((3, 2)), "bias": np.zeros(2), "y": np.zeros((5, 2))}


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def fits(op: Op, fields: dict[str, Any]) -> bool:
    try:
        op.check(fields)
    except (TypeError, ValueError):
        return False
    return True


def other_sizes(array: np.ndarray) -> Iterator[np.ndarray]:
    """The array with one size changed, up, down and to 0; nothing but a scalar; and one dimension too many."""
    for axis in range(array.ndim):
        for size in {array.shape[axis] + 1, array.shape[axis] - 1, 0} - {array.shape[axis]}:
            yield np.zeros((*array.shape[:axis], size, *array.shape[axis + 1 :]), array.dtype)
    yield np.zeros((1,) * 7, array.dtype)


def corrupted(op: Op, fields: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The call with one field spoiled, each with what is wrong."""
    yield "unknown argument", fields | {"no_such_argument": 1}
    yield "unknown array", fields | {"no_such_array": np.zeros(3)}
    for name, array in op.arrays.items():
        value = fields[name]
        if not array.optional:
            yield f"{name} missing", {k: v for k, v in fields.items() if k != name}
            yield f"{name} None", fields | {name: None}
        for dtype in {
            np.dtype(d)
            for d in ("f2", "f4", "f8", ">f4", ">f8", "i4", "i8", ">i8", "u8", "c8", "O", "U1", "M8[s]", "?")
        } - {value.dtype}:
            spoiled = fields | {name: np.zeros(value.shape, dtype)}
            if not fits(op, spoiled):  # the only array of the model's dtype may have the other one
                yield f"{name} {dtype.str}", spoiled
        for other in (value.tolist(), 1.0, "array", object()):
            yield f"{name} {type(other).__name__}", fields | {name: other}
        if value.size > 1 and name not in op.strided:
            wide = np.zeros((*value.shape[:-1], 2 * value.shape[-1]), value.dtype)
            yield f"{name} strided", fields | {name: wide[..., ::2]}
            yield (
                f"{name} reversed",
                fields | {name: value[..., ::-1] if value.shape[-1] > 1 else wide[..., ::2]},
            )
        if value.size and value.itemsize > 1:
            raw = np.zeros(value.nbytes + 1, np.uint8)[1:]
            yield f"{name} unaligned", fields | {name: raw.view(value.dtype).reshape(value.shape)}
        if name in op.outputs:
            yield f"{name} read-only", fields | {name: read_only(value)}
        alone = all(d not in a.dims for d in array.dims for k, a in op.arrays.items() if k != name)
        deeper = (
            [] if alone else [np.zeros((*value.shape, 2), value.dtype)]
        )  # C++ reads what is alone as one flat span
        for other in [*other_sizes(value), *deeper]:
            spoiled = fields | {name: other}
            if not fits(op, spoiled):
                yield f"{name} of shape {other.shape} instead of {value.shape}", spoiled
    for name in op.scalars:
        value = fields.get(name, op.scalars[name].default)
        wrong: list[Any] = [object(), [1], "no such value", np.zeros(3), 1j]
        if isinstance(value, str):
            wrong += [1, 1.5, "", "Mean", "mean\0"]
        elif isinstance(value, bool):
            wrong = ["True", object(), [1], np.zeros(3)]
        elif isinstance(value, int):
            wrong += [1.5, 2**70, "1"]
        else:
            wrong += ["1.0"]
        for other in wrong:
            yield f"{name} {other!r}", fields | {name: other}


@needs_native
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", samples.OPS)
def test_cpp_refuses_what_is_wrong(name: str, dtype: str) -> None:
    from backpass import _core

    op = REGISTRY[name]
    dims = next(
        d
        for d in samples.dimensions(op)
        if all(v > 1 for k, v in d.items() if k in samples.input_letters(op))
        and all(v > 1 for v in d.get("*", ()))
    )
    fields = op.complete(samples.call(op, dims, dtype, set(), samples.scalars(op)[0]))
    _core.Program([(name, fields)])
    count, accepted, unclear = 0, [], []
    for what, spoiled in corrupted(op, fields):
        count += 1
        try:
            _core.Program([(name, spoiled)])
        except (ValueError, TypeError) as error:
            if name not in str(error):
                unclear.append(f"{what}: {error}")
        except RuntimeError as error:
            unclear.append(f"{what}: {error}")
        else:
            accepted.append(what)
    assert count > 20
    assert not accepted
    assert not unclear


@needs_native
def test_cpp_names_the_op_and_the_argument() -> None:
    from backpass import _core

    for changes, error, part in (
        ({"weight": None}, TypeError, "linear_forward: weight is missing"),
        ({"x": np.zeros((5, 3), np.float32)}, TypeError, "linear_forward: "),
        ({"x": np.zeros((5, 3), int)}, TypeError, "linear_forward: x is int64"),
        ({"y": read_only(np.zeros((5, 2)))}, ValueError, "linear_forward: y is read-only"),
        ({"x": np.zeros((5, 6))[:, ::2]}, ValueError, "linear_forward: x is not C-contiguous"),
        (
            {"activation": "rleu"},
            ValueError,
            "linear_forward: activation is 'rleu', expected one of identity, relu",
        ),
        ({"alpha": "x"}, TypeError, "linear_forward: alpha is 'x', expected a number"),
        ({"z": 1}, TypeError, "linear_forward: "),
        ({"y": np.zeros((5, 3))}, ValueError, "linear_forward: y"),
    ):
        with pytest.raises(error) as caught:
            _core.Program([("linear_forward", linear() | changes)])
        assert part in str(caught.value)
    with pytest.raises(KeyError, match="linera"):
        _core.Program([("linera", {})])
    with pytest.raises(ValueError, match="sse9"):
        _core.Program([], "sse9")


@needs_native
def test_cpp_program_refuses_what_is_no_program() -> None:
    from backpass import _core

    for calls in (None, 1, "linear_forward", [1], [("add",)], [("add", None)], [("add", [])], [(1, {})]):
        with pytest.raises(REFUSED):
            _core.Program(calls)
    accepted = []
    for halt in (
        "x",
        [[1.5]],
        np.zeros(0, np.int64),
        np.zeros(1),
        np.zeros(1, np.int32),
        np.zeros((1, 1, 1), np.int64)[:0],
    ):
        try:  # a copy of another dtype would never be seen to change
            _core.Program([], "", halt)
        except REFUSED:
            continue
        accepted.append(halt)
    assert not accepted
    program = _core.Program([])
    assert program.run(3, 1) == 3
    assert program.run(0, 1) == 0
    assert program.run(-5, 1) in (0, -5)
    for steps, threads in (("x", 1), (1.5, 1), (1, "x"), (2**70, 1), (None, None)):
        with pytest.raises(REFUSED):
            program.run(steps, threads)


@needs_native
def test_cpp_keeps_its_arrays_alive() -> None:
    import gc

    from backpass import _core

    y = np.zeros(1000)
    program = _core.Program([("add", {"a": np.full(1000, 2.0), "b": np.full(1000, 3.0), "y": y})])
    gc.collect()
    junk = [np.full(1000, 9.0) for _ in range(50)]
    program.run(1, 1)
    assert (y == 5).all()
    del junk


@needs_native
def test_cpp_numbers_at_the_edge() -> None:
    """Scalars and counters that no shape tells: out of range, they must not read or write beyond the arrays."""
    from backpass import _core

    source, index, out = np.arange(12.0).reshape(4, 3), np.arange(4), np.full((2, 3), -1.0)

    def gather(cursor: int, index: np.ndarray = index) -> np.ndarray:
        out[...] = -1
        fields = {"source": source, "index": index, "cursor": np.array([cursor]), "out": out}
        _core.Program([("gather", fields)]).run(1, 1)
        return out.copy()

    assert np.array_equal(gather(0), source[:2])
    assert np.array_equal(gather(3), [source[3], [-1] * 3])
    for cursor in (4, 5, 2**62, -1, -(2**62)):
        assert (gather(cursor) == -1).all(), cursor
    assert np.array_equal(gather(0, np.array([7, 1, 2, 3])), [[-1] * 3, source[1]])
    assert np.array_equal(gather(0, np.array([-1, 1, 2, 3])), [[-1] * 3, source[1]])
    for every in (0, -3):
        with pytest.raises(ValueError, match="every"):
            _core.Program(
                [
                    (
                        "step_schedule",
                        {
                            "step": np.zeros(1, np.int64),
                            "lr": np.zeros(1),
                            "initial": 0.1,
                            "every": every,
                            "factor": 0.5,
                        },
                    )
                ]
            )
    lr = np.full(1, math.nan)
    for total in (0, -1, 2**62):
        fields = {
            "step": np.zeros(1, np.int64),
            "lr": lr,
            "initial": 0.1,
            "total_steps": total,
            "warmup_steps": 0,
            "end": 0.0,
        }
        _core.Program([("cosine_schedule", fields)]).run(1, 1)
        assert np.isfinite(lr).all()


@needs_native
@pytest.mark.parametrize("name", CLASS_LOSSES)
@pytest.mark.parametrize("bad", [3, -1, 2**62, -(2**62)])
def test_cpp_class_indices_out_of_range(name: str, bad: int) -> None:
    """`Model` checks labels before they come here; should one come all the same, nothing may be read or written out of place."""
    from backpass import _core

    guard = np.full((9, 3), 7.0)
    dpred = guard[3:6]
    fields = {
        "pred": np.zeros((3, 3)), "target": np.array([0, bad, 2]), "loss": np.zeros(1), "count": np.zeros(1), "dpred": dpred,
        "weight": np.ones(3),
    }  # fmt: skip
    _core.Program([(name, fields)]).run(1, 1)
    assert (guard[:3] == 7).all()
    assert (guard[6:] == 7).all()


class Odd:
    """Something whose text holds a surrogate that stands alone."""

    def __repr__(self) -> str:
        return "\ud800"


@needs_native
@pytest.mark.parametrize(
    "given", ["\ud800", "y = copy \ud800", Odd(), np.zeros(1, [("\ud800", "f4")])], ids=ascii
)
def test_text_that_utf8_lacks(given: Any) -> None:
    """Of whatever field, and in whatever message: refused as every other text is."""
    from backpass import _core

    x = np.zeros(3)
    good: dict[str, Any] = {"a": x, "y": x.copy(), "steps": "y = copy a"}
    relu: dict[str, Any] = {"x": x, "y": x.copy(), "activation": "relu"}
    calls = [("expression", good | {"steps": given}), ("expression", good | {"a": given})]
    calls += [("activation_forward", relu | {name: given}) for name in ("x", "activation", "alpha")]
    if isinstance(given, str):
        calls.append(("expression", good | {given: x}))
        with pytest.raises((TypeError, ValueError, KeyError)):
            _core.Program([(given, good)])
        with pytest.raises((TypeError, ValueError)):
            _core.choose_isa(given)
    for name, fields in calls:
        with pytest.raises((TypeError, ValueError), match=f"^{name}: "):
            _core.Program([(name, fields)])
