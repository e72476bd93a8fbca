"""The grammar of shape strings, and what Op.check refuses."""

from typing import Any

import numpy as np
import pytest

from backpass.backends import Backend
from backpass.ops import contract
from backpass.ops.contract import REGISTRY, Array, Op, as_rows


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Op]:
    """A registry of its own for ops that a test makes."""
    own: dict[str, Op] = {}
    monkeypatch.setattr(contract, "REGISTRY", own)
    return own


# ---- grammar ---------------------------------------------------------------------------------------------------


def test_grammar(registry: dict[str, Op]) -> None:
    @contract.op("x[*,I] index[N]:int64 bias[O]? one[1]:float64? state[I,2] -> y[*,O] state extra[*]:int64?")
    def example(x, index, bias, one, state, y, extra, scale: float, name: str = "a"):  # type: ignore[no-untyped-def]
        """Not called."""

    op = registry["example"]
    assert op.inputs == ("x", "index", "bias", "one", "state")
    assert op.outputs == ("y", "state", "extra")
    assert [*op.arrays] == ["x", "index", "bias", "one", "state", "y", "extra"]
    assert op.arrays["x"] == Array("x", ("*", "I"), None, False)
    assert op.arrays["index"] == Array("index", ("N",), "int64", False)
    assert op.arrays["bias"] == Array("bias", ("O",), None, True)
    assert op.arrays["one"] == Array("one", ("1",), "float64", True)
    assert op.arrays["state"] == Array("state", ("I", "2"), None, False)
    assert op.arrays["extra"] == Array("extra", ("*",), "int64", True)
    assert [*op.scalars] == ["scale", "name"]
    done = op.complete({"x": 1, "scale": 2.0})
    assert [*done] == ["x", "index", "bias", "one", "state", "y", "extra", "scale", "name"]
    assert done["bias"] is None
    assert done["name"] == "a"


@pytest.mark.parametrize(
    "signature",
    [
        "x[I] y[I]", "x[I] -> y[I", "x[I] -> y", "x(I) -> y[I]", "x[I] -> y[I]?:int64", "x[I] -> z[I]",
        "x[I] -> -> y[I]", "x-y[I] -> y[I]",
        "x[I] -> y[I]:", "x[*,*] -> y[I]", "x[] -> y[I]", "x[I,] -> y[I]", "x[I] x[I] -> y[I]", "x[I] -> y[I]:int63",
    ],
)  # fmt: skip
def test_grammar_errors(signature: str, registry: dict[str, Op]) -> None:
    with pytest.raises((ValueError, TypeError)):

        @contract.op(signature)
        def broken(x, y):  # type: ignore[no-untyped-def]
            """Not called."""

    assert not registry


def test_an_op_is_registered_once(registry: dict[str, Op]) -> None:
    def twice(x, y):  # type: ignore[no-untyped-def]
        """Not called."""

    contract.op("x[I] -> y[I]")(twice)
    contract.op("x[I] -> y[I]")(twice)  # a module that is loaded again
    other = type(twice)(twice.__code__, {}, "twice")
    other.__module__ = "elsewhere"
    with pytest.raises(ValueError, match="twice"):
        contract.op("x[I] -> y[J]")(other)
    assert registry["twice"].signature == "x[I] -> y[I]"


def test_shapes() -> None:
    array = Array("x", ("*", "I", "2"), None, False)
    assert array.shape({"*": (), "I": 3}) == (3, 2)
    assert array.shape({"*": (4, 5), "I": 3}) == (4, 5, 3, 2)
    dims: dict[str, Any] = {}
    assert array.matches((4, 5, 3, 2), dims)
    assert dims == {"*": (4, 5), "I": 3}
    assert array.matches((4, 5, 3, 2), dims)
    assert not array.matches((5, 4, 3, 2), dims)
    assert not array.matches((4, 5, 7, 2), dims)
    assert not array.matches((4, 5, 3, 3), {})
    assert not array.matches((2,), {})
    assert not Array("x", ("I",), None, False).matches((2, 3), {})


def test_as_rows() -> None:
    for shape, inner, want in (
        ((2, 3, 4), 1, (6, 4)),
        ((4,), 1, (1, 4)),
        ((0, 3, 4), 1, (0, 4)),
        ((2, 0), 1, (2, 0)),
        ((2, 3, 4), 2, (2, 3, 4)),
    ):
        assert as_rows(np.zeros(shape), inner).shape == want


# ---- Op.check ---------------------------------------------------------------------------------------------------


def linear() -> dict[str, Any]:
    return {"x": np.zeros((5, 3)), "weight": np.zeros((3, 2)), "bias": np.zeros(2), "y": np.zeros((5, 2))}


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"weight": None}, ("linear_forward: weight is missing", "[I,O]")),
        ({"weight": [[1.0]]}, ("linear_forward: weight is list", "NumPy array")),
        ({"weight": np.zeros((4, 2))}, ("linear_forward: weight has shape (4, 2)", "[I,O]", "I=3")),
        ({"weight": np.zeros(3)}, ("weight has shape (3,)", "[I,O]")),
        ({"bias": np.zeros(3)}, ("bias has shape (3,)", "[O]", "O=2")),
        ({"y": np.zeros((4, 2))}, ("y has shape (4, 2)", "[*,O]", "*=(5,)")),
        ({"x": np.zeros((5, 3), int)}, ("x is int64", "float32 or float64")),
        ({"weight": np.zeros((3, 2), np.float32)}, ("weight is float32", "expected float64 like the others")),
        ({"x": np.zeros((5, 3), np.float16)}, ("x is float16", "float32 or float64")),
        ({"x": np.zeros((5, 3), complex)}, ("x is complex128", "float32 or float64")),
        ({"y": read_only(np.zeros((5, 2)))}, ("y is read-only", "writes to it")),
        ({"z": 1}, ("unknown argument ['z']", "'weight'")),
    ],
)
def test_check(changes: dict[str, Any], parts: tuple[str, ...]) -> None:
    op = REGISTRY["linear_forward"]
    op.check(linear())
    op.check(linear() | {"x": read_only(np.zeros((5, 3))), "bias": None})
    with pytest.raises((ValueError, TypeError)) as caught:
        op.check(linear() | changes)
    for part in parts:
        assert part in str(caught.value)


def test_check_of_fixed_dtypes_and_scalars() -> None:
    op = REGISTRY["advance"]
    good = {
        "loss": np.zeros(1), "count": np.zeros(1), "step": np.zeros(1, np.int64), "cursor": np.zeros(1, np.int64),
        "total": np.zeros(2),
        "rows": 3,
    }  # fmt: skip
    op.check(good)
    with pytest.raises(TypeError, match="step is int32, expected int64"):
        op.check(good | {"step": np.zeros(1, np.int32)})
    with pytest.raises(TypeError, match="loss is float32, expected float64"):
        op.check(good | {"loss": np.zeros(1, np.float32)})
    with pytest.raises(TypeError, match="rows is missing"):
        op.check({k: v for k, v in good.items() if k != "rows"})
    with pytest.raises(ValueError, match=r"total has shape \(1,\)"):
        op.check(good | {"total": np.zeros(1)})


def test_call_by_name(backend: Backend) -> None:
    with pytest.raises(KeyError, match="no op is called 'linera'"):
        backend.call("linera", x=1)
    with pytest.raises(TypeError, match="weight is missing"):
        backend.call("linear_forward", x=np.zeros((5, 3)), y=np.zeros((5, 2)))
