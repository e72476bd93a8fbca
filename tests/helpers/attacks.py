"""Attacks on the public calls that take arrays: a case is made from a seed, run and judged (test_hostile, long/inputs).

Judged: a clear TypeError or ValueError that names the argument and changes nothing, or what a plain copy of the numbers gives.
"""

import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from helpers.disguises import disguise, numbers

ROWS = 9
Outcome = tuple[str, Any]  # "raised" and the exception, or "done" and all that came out, as bytes


def dense() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))


def normed() -> nn.Module:
    return nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.LayerNorm(6), nn.Linear(6, 3)
    )


def images() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Residual(nn.Linear(4, 4), nn.GELU()), nn.Linear(4, 3), nn.LogSoftmax()
    )


def own_loss(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    if y.shape != pred.shape or y.dtype.kind not in "fiu":
        raise ValueError(f"y has shape {y.shape} and dtype {y.dtype}")
    return float(np.mean((pred - y) ** 2)), 2 * (pred - y) / pred.size


# network, loss, optimizer, shape of a row, of a target, dtype of y
MODELS: dict[str, tuple[Callable[[], nn.Module], Any, Any, tuple[int, ...], tuple[int, ...], str]] = {
    "regression": (dense, "mse", "sgd", (4,), (2,), "f8"),
    "classes": (normed, "cross_entropy", "adam", (4,), (), "i8"),
    "images": (images, nn.NLLLoss(), "lion", (2, 2), (), "i8"),
    "counts": (dense, "poisson", optim.RMSprop(1e-3, momentum=0.9), (4,), (2,), "f8"),
    "callable": (dense, own_loss, "sgd", (4,), (2,), "f8"),
}  # fmt: skip


def build(kind: str, backend: Backend, dtype: str) -> bp.Model:
    """A new model; the same weights each time."""
    net, loss, optimizer, *_ = MODELS[kind]
    model = bp.Model(net(), loss, optimizer, dtype=dtype, seed=3, backend="numpy")
    model.backend = backend
    return model


def targets(chance: random.Random, kind: str, rows: int = ROWS) -> np.ndarray:
    """Good targets; sometimes a label or number that is not."""
    *_, shape, dtype = MODELS[kind]
    if dtype == "f8":
        y = numbers(chance, (rows, *shape), chance.choice(["f4", "f8"]))
        return np.abs(y) if kind == "counts" else y
    y = np.array([chance.randrange(2) for _ in range(rows)], chance.choice(["i8", "i4", "u1", "f4"]))
    if chance.random() < 0.1 and rows:
        y[chance.randrange(rows)] = chance.choice([-1, -100, 3, 100] if y.dtype.kind in "if" else [3, 255])
    return y


# ---- the entries: (model, arrays by name) -> what came out ------------------------------------------------------------------


def fit(model: bp.Model, a: dict[str, Any]) -> Any:
    weights = {k: a[k] for k in ("sample_weight", "class_weight") if k in a}
    validation = (a["Xv"], a["yv"]) if "Xv" in a else None
    return model.fit(a["X"], a["y"], epochs=2, batch_size=5, validation_data=validation, **weights).history


def step(model: bp.Model, a: dict[str, Any]) -> Any:
    return model.step(a["X"], a["y"])


def own_loop(model: bp.Model, a: dict[str, Any]) -> Any:
    out = model.forward(a["X"], training=True)
    dx = model.backward(a["dout"])
    model.update()
    return [out, dx]


def predict(model: bp.Model, a: dict[str, Any]) -> Any:
    first = model.predict(np.ones((ROWS, *a["row"]), model.dtype)) if a["warm"] else None
    return [model.predict(a["X"]), model.forward(a["X"]), first]


def evaluate(model: bp.Model, a: dict[str, Any]) -> Any:
    return model.evaluate(a["X"], a["y"], *([a["sample_weight"]] if "sample_weight" in a else []))


def load(model: bp.Model, a: dict[str, Any]) -> Any:
    state = model.state_dict()
    state[[*state][a["which"] % len(state)]] = a["state"]
    return model.load_state_dict(state)


def gradcheck(model: bp.Model, a: dict[str, Any]) -> Any:
    return bp.gradcheck(model, a["X"], a["y"], max_parameters=3).worst_relative_error


def activations(model: bp.Model, a: dict[str, Any]) -> Any:
    return bp.activations(model, a["X"])


def explain(model: bp.Model, a: dict[str, Any]) -> Any:
    return bp.explain(model, a["X"], a["y"]).loss


def gradients(model: bp.Model, a: dict[str, Any]) -> Any:
    return bp.gradients(model, a["X"], a["y"])


ENTRIES: dict[str, Callable[[bp.Model, dict[str, Any]], Any]] = {
    f.__name__: f
    for f in (fit, step, own_loop, predict, evaluate, load, gradcheck, activations, explain, gradients)
}
TAKES = {
    "fit": ["X", "y", "sample_weight", "class_weight", "Xv", "yv"], "step": ["X", "y"], "own_loop": ["X", "dout"],
    "predict": ["X"], "evaluate": ["X", "y", "sample_weight"], "load": ["state"], "gradcheck": ["X", "y"],
    "activations": ["X"], "explain": ["X", "y"], "gradients": ["X", "y"],
}  # fmt: skip
UNCHANGED = {"predict", "evaluate", "gradcheck", "activations", "explain", "gradients"}


def given(chance: random.Random, entry: str, kind: str) -> dict[str, np.ndarray]:
    """The arrays of a call, plain."""
    row = MODELS[kind][3]
    outputs = 3 if kind in ("classes", "images") else 2
    kinds = chance.choice(["f4", "f8", "f8", "i4"])
    a: dict[str, np.ndarray] = {}
    for name in TAKES[entry]:
        if name in ("sample_weight", "class_weight", "Xv") and chance.random() < 0.6:
            continue
        if name == "class_weight":
            a[name] = np.abs(numbers(chance, (outputs,), "f8"))
        elif name == "sample_weight":
            a[name] = np.abs(numbers(chance, (ROWS,), "f8"))
        elif name == "dout":
            a[name] = numbers(chance, (ROWS, outputs), kinds)
        elif name == "state":
            a[name] = numbers(chance, (5, 4) if outputs == 2 else (6, 4), kinds)
        elif name == "yv":
            if "Xv" in a:
                a[name] = targets(chance, kind)
        elif name == "y":
            a[name] = targets(chance, kind)
        else:
            a[name] = numbers(chance, (ROWS, *row), kinds)
    return a


def outcome(entry: str, model: bp.Model, arrays: dict[str, Any]) -> Outcome:
    """What a call came to, the weights after it included."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            out = ENTRIES[entry](model, arrays)
    except Exception as error:  # judged by the caller
        return "raised", error
    return "done", (flat(out), flat(model.state_dict()))


def flat(value: Any) -> Any:
    """Nested results as bytes, to be compared to the bit; NaNs are alike."""
    if isinstance(value, dict):
        return {k: flat(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [flat(v) for v in value]
    array = np.asarray(value)
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), np.nan, array).astype(array.dtype)
    return array.dtype.str, array.shape, array.tobytes()


def plain(value: Any) -> Any:
    """A C-contiguous native copy of what NumPy reads in it."""
    array = np.asarray(value)
    return np.array(array, array.dtype.newbyteorder("="), order="C")


def attack(chance: random.Random, backend: Backend) -> str:
    """One case: make it, run it, judge it. Returns what it came to; AssertionError says what is wrong."""
    entry, kind = chance.choice([*ENTRIES]), chance.choice([*MODELS])
    dtype = chance.choice(["float32", "float64"])
    good = given(chance, entry, kind)
    victim = chance.choice([*good])
    name, strange, same = disguise(chance, good[victim])
    extra = {"warm": chance.random() < 0.5, "which": chance.randrange(4), "row": MODELS[kind][3]}
    what = f"{entry} of {kind}, {dtype}, {backend.name}: {victim} {name}"

    model = build(kind, backend, dtype)
    before = flat(model.state_dict())
    ended, result = outcome(entry, model, {**good, victim: strange, **extra})
    if ended == "raised":
        judge_error(what, entry, victim, result, extra)
        own = kind == "callable" and victim == "yv"  # its loss is asked after the first epoch
        if not isinstance(result, bp.NonFiniteError) and entry != "own_loop" and not own:
            learned = (
                [n for n, _ in model.named_parameters()] if entry == "step" else before
            )  # x is looked at after the step
            after = flat(model.state_dict())
            assert all(after[n] == before[n] for n in learned), f"{what}: {result!r} came after a change"
    if name == "generator" or (name == "nothing" and victim in ("sample_weight", "class_weight")):
        return ended
    try:
        copy = plain(strange) if not same else np.array(good[victim], order="C")
    except ValueError:  # ragged: no array
        assert ended == "raised", f"{what}: done, but it is no array"
        return ended
    if ended == "raised" and not same:
        return f"refused with {type(result).__name__}"
    if ended == "done" and entry in UNCHANGED:
        assert result[1] == before, f"{what}: changed the model"
    wanted, expected = outcome(entry, build(kind, backend, dtype), {**good, victim: copy, **extra})
    assert wanted == ended, f"{what}: {ended} {result!r:.300}, a plain copy {wanted} {expected!r:.300}"
    if ended == "raised":
        assert type(result) is type(expected), f"{what}: {result!r}, but a plain copy gives {expected!r}"
        return f"refused alike with {type(result).__name__}"
    if entry != "gradcheck":
        assert result == expected, f"{what}: another result than a plain copy gives"
    return "the same bits"


def judge_error(what: str, entry: str, victim: str, error: Exception, extra: dict[str, Any]) -> None:
    """Whether an exception is of a kind that may come out, and names what is wrong."""
    allowed: tuple[type[Exception], ...] = (TypeError, ValueError, bp.NonFiniteError, MemoryError)
    assert isinstance(error, allowed), f"{what}: {error!r}"
    if isinstance(error, bp.NonFiniteError | MemoryError):
        return
    names = [*TAKES[entry], "x"] if victim != "state" else ["state"]
    text = str(error)
    assert any(text.startswith(n) or f" {n} " in text or f"{n}[" in text or f"{n}:" in text for n in names), (
        f"{what}: names nothing: {error!r}"
    )
