"""What X, y and the weights of rows may be, and that they mean the same."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from backpass.data import arrays as data
from backpass.data.feed import Feed
from helpers.nets import LABELS, RNG, X, Y, same_weights, small
from helpers.registered import sample_losses

# ---- what X and y may be ---------------------------------------------------------------------------------------------


def fitted(X: Any, y: Any, backend: Backend, **arguments: Any) -> bp.Model:
    model = small()
    model.backend = backend
    model.fit(X, y, batch_size=16, **arguments)
    return model


def test_kinds_of_arrays_give_the_same_bits(backend: Backend) -> None:
    whole = np.round(X * 3).astype(np.float32)
    want = fitted(whole, Y, backend)
    big = np.zeros((140, 12), np.float32)
    big[::2, ::2] = whole

    class Wrapped:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return whole

    class Exported:
        def __dlpack__(self, **arguments: Any) -> Any:
            return whole.__dlpack__(**arguments)

        def __dlpack_device__(self) -> Any:
            return whole.__dlpack_device__()

    for kind in (
        whole.astype(np.float64), whole.astype(np.int8), whole.astype(np.int64), whole.astype(">f4"), whole.astype(np.float16),
        np.asfortranarray(whole), big[::2, ::2], whole[::-1][::-1], whole.tolist(), np.ma.array(whole), Wrapped(), Exported(),
        whole.astype(np.longdouble),
    ):  # fmt: skip
        assert same_weights(want, fitted(kind, Y, backend)), type(kind)
    for kind in (Y.astype(np.float64), np.asfortranarray(Y), Y.tolist(), Y.astype(">f8")):
        assert same_weights(want, fitted(whole, kind, backend)), type(kind)
    read_only = whole.copy()
    read_only.flags.writeable = False
    assert same_weights(want, fitted(read_only, Y, backend))


def test_kinds_of_labels(backend: Backend) -> None:
    def trained(y: Any) -> bp.Model:
        model = small("cross_entropy")
        model.backend = backend
        model.fit(X, y, batch_size=16)
        return model

    want = trained(LABELS)
    for kind in (
        LABELS.astype(np.uint8),
        LABELS.astype(np.int32),
        LABELS.astype(float),
        LABELS[:, None],
        LABELS.tolist(),
    ):
        assert same_weights(want, trained(kind))
    two = small("cross_entropy", 2)
    two.fit(X, LABELS == 1, batch_size=16)


def test_pandas(backend: Backend) -> None:
    pandas = pytest.importorskip("pandas")
    want = fitted(X, Y, backend)
    assert same_weights(want, fitted(pandas.DataFrame(X), pandas.DataFrame(Y), backend))
    with pytest.raises(ValueError, match="row 3, column 2"):
        fitted(pandas.DataFrame(X).mask(pandas.DataFrame(X) == X[3, 2]), Y, backend)


def test_images_through_flatten(backend: Backend) -> None:
    images = RNG.integers(0, 256, (40, 5, 4, 3)).astype(np.uint8)
    made = [
        bp.Model(nn.Sequential(nn.Flatten(), nn.Linear(60, 4), nn.ReLU(), nn.Linear(4, 3)), "mse")
        for _ in range(2)
    ]
    for model, x in zip(made, (images, images.reshape(40, 60).astype(np.float32)), strict=True):
        model.backend = backend
        model.fit(x, Y[:40], batch_size=16)
    assert same_weights(*made)
    assert np.array_equal(made[0].predict(images), made[1].predict(images.reshape(40, 60)))


def test_x_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X.tofile(tmp_path / "x.bin")
    mapped = np.memmap(tmp_path / "x.bin", np.float32, "r", shape=X.shape)
    feeds: list[Feed] = []

    made = Feed.__init__

    def noted(self: Feed, *arguments: Any) -> None:
        made(self, *arguments)
        feeds.append(self)

    monkeypatch.setattr(Feed, "__init__", noted)
    for x in (X, mapped):
        model = small()
        programs: list[Any] = []
        compiled = model.backend.compile

        def noting(
            instructions: Any, halt: Any = None, compiled: Any = compiled, programs: Any = programs
        ) -> Any:
            programs.extend(instructions)
            return compiled(instructions, halt)

        monkeypatch.setattr(model.backend, "compile", noting)
        model.fit(x, Y, epochs=2, batch_size=16)
        monkeypatch.undo()
        monkeypatch.setattr(Feed, "__init__", noted)
        assert np.shares_memory(feeds[-1].inputs.array("x"), x)
        sources = [
            i.fields["source"] for i in programs if i.op.name == "gather" and i.fields["source"].shape[1] == 6
        ]
        assert len(sources) == 2
        assert all(np.shares_memory(source, x) for source in sources)


@pytest.mark.parametrize("dtype", ["float64", "uint8"])
def test_x_of_another_dtype_is_read_in_parts(dtype: str, tmp_path: Path) -> None:
    """A mapped file, of which nobody ever holds a copy in the model's dtype."""
    file = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", dtype, (60_000, 100))
    file[:] = RNG.integers(0, 9, (60_000, 100))
    file.flush()
    x, y = np.load(tmp_path / "x.npy", mmap_mode="r"), np.zeros((60_000, 1), np.float32)
    model = bp.Model(nn.Linear(100, 1), "mse", optim.SGD(lr=0.0))
    small = x[:5000].astype(np.float32)
    want = model.predict(small), model.evaluate(small, y[:5000])["loss"]
    chunks = [(x[i : i + 4000], y[i : i + 4000]) for i in range(0, 60_000, 4000)]
    copy = 60_000 * 100 * 4
    for work in (
        lambda: model.predict(x),
        lambda: model.evaluate(x, y),
        lambda: model.fit(x, y, batch_size=100, validation_data=(x, y)),
        lambda: model.fit(chunks, batch_size=100),
    ):
        tracemalloc.start()
        try:
            work()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 0.75 * copy
    assert np.array_equal(model.predict(x[:5000]), want[0])
    assert model.evaluate(x[:5000], y[:5000])["loss"] == want[1]


def own_mse(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    return float(((pred - y) ** 2).mean()), 2 * (pred - y) / pred.size


@pytest.mark.parametrize(
    "kind", ["mapped float64", "mapped >f8", "mapped int64", "uint8", "int32", "bool", "float64"]
)
@pytest.mark.parametrize("model", [small, lambda: small(own_mse)], ids=["mse", "callable loss"])
def test_x_of_another_dtype_trains_to_the_same_bits(
    kind: str, model: Callable[[], bp.Model], tmp_path: Path
) -> None:
    dtype = np.dtype(kind.split()[-1])
    x = (X * 20 + 100).astype(dtype)
    if kind.startswith("mapped"):
        np.save(tmp_path / "x.npy", x)
        x = np.load(tmp_path / "x.npy", mmap_mode="r")
    want, got = model(), model()
    want.fit(x.astype(np.float32), Y, epochs=3, batch_size=16)
    got.fit(x, Y, epochs=3, batch_size=16)
    assert same_weights(want, got)
    kept = np.shares_memory(data.stored(x, got.dtype), x)
    assert kept == (kind not in ("mapped >f8", "float64")), "these are converted whole"


def test_a_run_goes_on_in_another_dtype() -> None:
    """What X is stored in does not matter, as long as the numbers are the same."""
    x = (X * 20 + 100).astype(np.uint8)
    want, got = small(), small()
    want.fit(x, Y, epochs=3, batch_size=16)
    got.fit(x, Y, epochs=3, batch_size=16, max_seconds=0)
    got.fit(x.astype(np.float64), Y, epochs=3, resume=True)
    assert same_weights(want, got)
    got.fit(x, Y, epochs=3, batch_size=16, max_seconds=0)
    with pytest.raises(ValueError, match="not those of the interrupted run"):
        got.fit(x + np.uint8(1), Y, epochs=3, resume=True)


def test_what_is_too_large_for_the_dtype_of_the_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backpass.data.arrays.CHUNK", 12)
    model, x = small(), X.astype(np.float64)
    x[40, 2] = 1e300
    with pytest.raises(
        ValueError, match=r"X holds inf at row 40, column 2 \(a number too large for float32\)"
    ):
        model.evaluate(x, Y)
    with np.errstate(over="ignore"):
        assert np.array_equal(model.predict(x), model.predict(x.astype(np.float32))), (
            "as infinity, no warning"
        )


# ---- weights of rows -------------------------------------------------------------------------------------------------


def gradients(loss: Any, outputs: int, x: Any, y: Any, **arguments: Any) -> list[np.ndarray]:
    net = sample_losses()[loss].net(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, outputs))
    model = bp.Model(net, loss, optim.SGD(lr=0.0), dtype="float64", seed=3)
    history = model.fit(x, y, batch_size=len(x), shuffle=False, **arguments)
    return [*(g.copy() for g in model.gradients()), np.array(history.history["loss"])]


@pytest.mark.parametrize("loss", sample_losses())
def test_whole_sample_weights_are_repeated_rows(loss: str) -> None:
    sample = sample_losses()[loss]
    outputs, y = sample.outputs, sample.y
    weight = np.random.default_rng(2).integers(0, 4, 70)
    weighted = gradients(loss, outputs, X, y, sample_weight=weight)
    repeated = gradients(loss, outputs, np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0))
    for a, b in zip(weighted, repeated, strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-12)
    model = bp.Model(sample.net(nn.Linear(6, outputs)), loss, dtype="float64")
    a, b = (
        model.evaluate(X, y, sample_weight=weight),
        model.evaluate(np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0)),
    )
    assert a.keys() == b.keys()
    assert np.allclose([*a.values()], [*b.values()], rtol=1e-9)


def test_class_weight_is_the_sample_weight_of_its_rows() -> None:
    weights = np.array([1.0, 0.0, 2.5])
    want = gradients("cross_entropy", 3, X, LABELS, sample_weight=weights[LABELS])
    for given in (weights, weights.tolist(), {1: 0.0, 2: 2.5}, {np.int64(1): 0, 2: 2.5, 0: 1}):
        for a, b in zip(gradients("cross_entropy", 3, X, LABELS, class_weight=given), want, strict=True):
            assert np.array_equal(a, b)
    balanced = 70 / (3 * np.bincount(LABELS))
    want = gradients("cross_entropy", 3, X, LABELS, sample_weight=balanced[LABELS])
    for a, b in zip(gradients("cross_entropy", 3, X, LABELS, class_weight="balanced"), want, strict=True):
        assert np.allclose(a, b, rtol=1e-12)
    both = gradients("cross_entropy", 3, X, LABELS, class_weight=weights, sample_weight=np.full(70, 2.0))
    want = gradients("cross_entropy", 3, X, LABELS, class_weight=weights * 2)
    assert all(np.allclose(a, b, rtol=1e-12) for a, b in zip(both, want, strict=True))


@pytest.mark.parametrize("loss", ["bce_with_logits", "mse"])
def test_class_weight_of_one_output(loss: str) -> None:
    y = (LABELS == 2).astype(float)
    want = gradients(loss, 1, X, y, sample_weight=np.where(y, 5.0, 0.5))
    for given in ([0.5, 5.0], {0: 0.5, 1: 5.0}):
        for target in (y, y[:, None], y > 0):
            for a, b in zip(gradients(loss, 1, X, target, class_weight=given), want, strict=True):
                assert np.array_equal(a, b)
    balanced = 70 / (2 * np.array([(y == 0).sum(), y.sum()]))
    want = gradients(loss, 1, X, y, sample_weight=balanced[y.astype(int)])
    found = gradients(loss, 1, X, y, class_weight="balanced")
    assert all(np.allclose(a, b, rtol=1e-12) for a, b in zip(found, want, strict=True))
    with pytest.raises(ValueError, match="y holds neither class indices nor one 0 or 1 for each row"):
        gradients(loss, 1, X, y / 2, class_weight="balanced")
    with pytest.raises(ValueError, match="class_weight names class 2, expected classes 0 to 1"):
        gradients(loss, 1, X, y, class_weight={2: 1.0})


def test_ignored_targets_with_class_weight() -> None:
    ignored = np.where(LABELS == 1, -100, LABELS)
    keep = ignored >= 0
    for given in ([1.0, 2.0, 3.0], "balanced", {2: 3.0}):
        a = gradients("cross_entropy", 3, X, ignored, class_weight=given)
        b = gradients("cross_entropy", 3, X[keep], ignored[keep], class_weight=given)
        assert all(np.allclose(p, q, rtol=1e-9, atol=1e-12) for p, q in zip(a, b, strict=True))


def test_weights_of_sequences() -> None:
    """(N, L, F) inputs: sample_weight is one number for each of the N, class_weight one for each label."""
    x, y = X[:60].reshape(12, 5, 6), LABELS[:60].reshape(12, 5)
    weight = np.arange(12.0)
    flat = gradients(
        "cross_entropy",
        3,
        x.reshape(60, 6),
        y.ravel(),
        sample_weight=np.repeat(weight, 5),
        class_weight=[1, 2, 3],
    )
    deep = gradients("cross_entropy", 3, x, y, sample_weight=weight, class_weight=[1, 2, 3])
    assert all(np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(flat, deep, strict=True))
    target = np.resize(Y, (12, 5, 3))
    flat = gradients("mse", 3, x.reshape(60, 6), target.reshape(60, 3), sample_weight=np.repeat(weight, 5))
    deep = gradients("mse", 3, x, target, sample_weight=weight)
    assert all(np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(flat, deep, strict=True))
    model = small("cross_entropy")
    deep_logs = model.evaluate(x, y, sample_weight=weight)
    flat_logs = model.evaluate(x.reshape(60, 6), y.ravel(), sample_weight=np.repeat(weight, 5))
    assert deep_logs == pytest.approx(flat_logs)
