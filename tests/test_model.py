"""bp.Model: one step by every road gives the same numbers; a row's prediction does not depend on its neighbours."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim, programs
from backpass.backends import Backend

RNG = np.random.default_rng(0)
X = RNG.standard_normal((48, 6)).astype(np.float32)
Y = RNG.standard_normal((48, 3)).astype(np.float32)
LABELS = RNG.integers(0, 3, 48)


def on(backend: Backend, model: bp.Model) -> bp.Model:
    model.backend = backend
    return model


def net() -> nn.Layer:
    return nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.25), nn.Residual(nn.Linear(16, 16), nn.GELU()),
        nn.LayerNorm(16), nn.Linear(16, 3),
    )  # fmt: skip


def assert_same(a: bp.Model, b: bp.Model) -> None:
    for name, value in b.state_dict().items():
        assert np.array_equal(a.state_dict()[name], value), name


# ---- one step, three roads ---------------------------------------------------------------------------------------

OPTIMIZERS: list[Callable[[], optim.Optimizer]] = [
    lambda: optim.SGD(lr=0.1, momentum=0.9, nesterov=True), lambda: optim.Adam(clip_grad_norm=0.1), optim.NAdam,
    lambda: optim.RMSprop(centered=True, momentum=0.5), lambda: optim.AdamW(lr=optim.schedules.cosine(0.01, 20)),
]  # fmt: skip


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_step_is_what_fit_does(backend: Backend, optimizer: Callable[[], optim.Optimizer]) -> None:
    by_fit, by_step = (on(backend, bp.Model(net(), "cross_entropy", optimizer())) for _ in range(2))
    history = by_fit.fit(X, LABELS, epochs=2, batch_size=16, shuffle=False)
    losses = [by_step.step(X[i : i + 16], LABELS[i : i + 16]) for _ in range(2) for i in range(0, 48, 16)]
    assert_same(by_fit, by_step)
    assert np.allclose(history.history["loss"], [np.mean(losses[:3]), np.mean(losses[3:])], rtol=1e-12)
    assert by_fit.step_count[0] == by_step.step_count[0] == 6


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_own_loop_is_what_fit_does(backend: Backend, optimizer: Callable[[], optim.Optimizer]) -> None:
    """Cross entropy computed by hand, through forward, backward and update."""
    by_fit, by_hand = (
        on(backend, bp.Model(net(), "cross_entropy", optimizer(), dtype="float64")) for _ in range(2)
    )
    by_fit.fit(X, LABELS, epochs=2, batch_size=16, shuffle=False)
    for _ in range(2):
        for i in range(0, 48, 16):
            out = by_hand.forward(X[i : i + 16], training=True)
            p = np.exp(out - out.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            p[np.arange(16), LABELS[i : i + 16]] -= 1
            by_hand.backward(p / 16)
            by_hand.update()
    for name, value in by_fit.state_dict().items():
        assert np.allclose(by_hand.state_dict()[name], value, rtol=1e-7, atol=1e-9), name
    assert by_hand.step_count[0] == 6


def test_callable_loss_is_the_built_in_one() -> None:
    def half_square(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        return float(((pred - y) ** 2).mean()), 2 * (pred - y) / pred.size

    own, built_in = (bp.Model(net(), loss, dtype="float64") for loss in (half_square, "mse"))
    a = own.fit(X, Y, epochs=3, batch_size=20, validation_data=(X, Y))
    b = built_in.fit(X, Y, epochs=3, batch_size=20, validation_data=(X, Y))
    for name, value in built_in.state_dict().items():
        assert np.allclose(own.state_dict()[name], value, rtol=1e-7, atol=1e-10), name
    assert a.history.keys() == b.history.keys()
    for name, values in a.history.items():
        assert np.allclose(values, b.history[name], rtol=1e-8), name


def test_input_gradient(backend: Backend) -> None:
    model = on(
        backend,
        bp.Model(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Residual(nn.Linear(5, 5))), dtype="float64"),
    )
    x, r = X[:4].astype(np.float64), RNG.standard_normal((4, 5))
    model.forward(x, training=True)
    dx = model.backward(r)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = 1e-6
        quotient = ((model.predict(x + step) - model.predict(x - step)) * r).sum() / 2e-6
        assert abs(dx[i] - quotient) < 1e-7


def test_forward_without_training_is_predict(backend: Backend) -> None:
    model = on(backend, bp.Model(net()))
    model.fit(X, Y)
    assert np.array_equal(model.forward(X), model.predict(X))
    out = model.forward(X, training=True)
    kept = out.copy()
    model.forward(X + 1, training=True)
    assert np.array_equal(out, kept), "the array that forward gave has changed"
    a = model.predict(X)
    kept = a.copy()
    model.predict(X + 1)
    assert np.array_equal(a, kept), "the array that predict gave has changed"


# ---- rows do not see each other -----------------------------------------------------------------------------------

NETS: dict[str, Callable[[], nn.Layer]] = {
    "linear": lambda: nn.Linear(6, 3),
    "one output": lambda: nn.Sequential(nn.Linear(6, 1)),
    "one feature": lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 1), nn.Linear(1, 5)),
    "wide": lambda: nn.Sequential(
        nn.Linear(6, 150), nn.ReLU(), nn.Linear(150, 70), nn.Tanh(), nn.Linear(70, 17)
    ),
    "very wide": lambda: nn.Sequential(nn.Linear(6, 1030), nn.ReLU(), nn.Linear(1030, 9)),
    "layer norm": lambda: nn.Sequential(nn.Linear(6, 33), nn.LayerNorm(33), nn.Linear(33, 7)),
    "narrow layer norm": lambda: nn.Sequential(nn.Linear(6, 3), nn.LayerNorm(3)),
    "softmax": lambda: nn.Sequential(nn.Linear(6, 5), nn.Softmax()),
    "softmax of 37": lambda: nn.Sequential(nn.Linear(6, 37), nn.Softmax()),
    "log softmax": lambda: nn.Sequential(nn.Linear(6, 11), nn.LogSoftmax()),
    "batch norm": lambda: nn.Sequential(nn.Linear(6, 19), nn.BatchNorm1d(19), nn.GELU(), nn.Linear(19, 2)),
    "residual": lambda: nn.Sequential(
        nn.Residual(nn.Linear(6, 13), nn.SiLU(), nn.Linear(13, 6)), nn.Dropout(0.5)
    ),
    **{
        f"{a.__name__} of {width}": lambda a=a, width=width: nn.Sequential(nn.Linear(6, width), a())  # type: ignore[misc]
        for a in (nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU, nn.Softplus, nn.LeakyReLU)
        for width in (1, 7, 18)
    },
    "activation alone": lambda: nn.Sequential(nn.Tanh(), nn.Identity(), nn.GELU()),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETS)
def test_a_row_is_predicted_alike_alone_and_among_others(native: Backend, name: str, dtype: str) -> None:
    model = on(native, bp.Model(NETS[name](), dtype=dtype))
    rng = np.random.default_rng(1)
    for layer in model.net.walk():
        for key in layer[1].state:
            if key.startswith("running"):
                layer[1].state[key][...] = rng.uniform(0.5, 2, layer[1].state[key].shape)
    x = rng.standard_normal((97, 6)) * 3
    whole = model.predict(x)
    for i in range(97):
        assert np.array_equal(whole[i], model.predict(x[i : i + 1])[0]), f"row {i} alone"
    for n in (2, 3, 5, 8, 15, 16, 17, 31, 33, 64, 96):
        assert np.array_equal(whole[:n], model.predict(x[:n])), f"the first {n}"
        assert np.array_equal(whole[-n:], model.predict(x[-n:])), f"the last {n}"


def test_a_row_is_predicted_alike_in_a_large_batch(native: Backend) -> None:
    model = on(
        native,
        bp.Model(nn.Sequential(nn.Linear(6, 300), nn.Tanh(), nn.Linear(300, 10), nn.Softmax()), threads=2),
    )
    x = np.resize(X, (1537, 6)) + np.arange(1537)[:, None] / 1000
    whole = model.predict(x)
    for i in (0, 1, 127, 128, 511, 512, 513, 1023, 1024, 1535, 1536):
        assert np.array_equal(whole[i : i + 1], model.predict(x[i : i + 1]))
    model.threads = 1
    assert np.array_equal(whole, model.predict(x))


def test_a_row_that_is_not_finite_leaves_the_others_alone(native: Backend) -> None:
    model = on(
        native,
        bp.Model(
            nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.LayerNorm(20), nn.Linear(20, 3), nn.Softmax())
        ),
    )
    want, bad = model.predict(X), X.copy()
    bad[7] = np.nan
    got = model.predict(bad)
    assert np.isnan(got[7]).all()
    assert np.array_equal(np.delete(got, 7, 0), np.delete(want, 7, 0))


# ---- evaluate -----------------------------------------------------------------------------------------------------------


def test_evaluate(backend: Backend) -> None:
    model = on(backend, bp.Model(nn.Linear(6, 3), "cross_entropy", dtype="float64"))
    logits = model.predict(X)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    logs = model.evaluate(X, LABELS)
    assert logs["loss"] == pytest.approx(-np.log(p[np.arange(48), LABELS]).mean(), rel=1e-12)
    assert logs["accuracy"] == pytest.approx((p.argmax(axis=1) == LABELS).mean())
    weight = np.arange(48.0)
    logs = model.evaluate(X, LABELS, sample_weight=weight)
    assert logs["loss"] == pytest.approx(
        (-np.log(p[np.arange(48), LABELS]) * weight).sum() / weight.sum(), rel=1e-12
    )
    assert logs["accuracy"] == pytest.approx(((p.argmax(axis=1) == LABELS) * weight).sum() / weight.sum())
    model = on(backend, bp.Model(nn.Linear(6, 3), "mse", dtype="float64"))
    assert model.evaluate(X, Y) == {"loss": pytest.approx(((model.predict(X) - Y) ** 2).mean(), rel=1e-12)}
    model = on(backend, bp.Model(nn.Linear(6, 1), "bce_with_logits", dtype="float64"))
    y = LABELS == 1
    assert model.evaluate(X, y)["accuracy"] == pytest.approx(((model.predict(X)[:, 0] > 0) == y).mean())


def test_ignored_targets_do_not_count_in_the_accuracy() -> None:
    model = bp.Model(nn.Linear(6, 3), "cross_entropy")
    ignored = np.where(np.arange(48) % 2, LABELS, -100)
    assert model.evaluate(X, ignored) == pytest.approx(model.evaluate(X[1::2], LABELS[1::2]))


def test_evaluate_uses_the_running_statistics_and_no_dropout() -> None:
    model = bp.Model(nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.9), nn.Linear(6, 3)), "mse")
    model.fit(X, Y, epochs=2)
    before = model.state_dict()
    assert model.evaluate(X, Y) == model.evaluate(X, Y)
    assert np.array_equal(model.predict(X), model.predict(X))
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())


# ---- weights --------------------------------------------------------------------------------------------------------------


def test_state_dict_has_pytorchs_keys_and_layout() -> None:
    model = bp.Model(net())
    shapes = {k: v.shape for k, v in model.state_dict().items()}
    assert shapes == {
        "0.weight": (16, 6), "0.bias": (16,), "1.weight": (16,), "1.bias": (16,), "1.running_mean": (16,), "1.running_var": (16,),
        "1.num_batches_tracked": (), "4.inner.0.weight": (16, 16), "4.inner.0.bias": (16,), "5.weight": (16,), "5.bias": (16,),
        "6.weight": (3, 16), "6.bias": (3,),
    }  # fmt: skip
    assert [*shapes] == [k for k in shapes if k in model.state_dict()]
    assert model.state_dict()["1.num_batches_tracked"].dtype == np.int64
    assert bp.Model(nn.Linear(2, 3)).state_dict().keys() == {"weight", "bias"}
    shaped = bp.Model(nn.LayerNorm((2, 3))).state_dict()
    assert shaped["weight"].shape == shaped["bias"].shape == (2, 3)
    model.fit(X, Y, epochs=2, batch_size=16)
    assert model.state_dict()["1.num_batches_tracked"] == 6


def test_linear_computes_what_pytorch_writes() -> None:
    model = bp.Model(nn.Linear(6, 3), dtype="float64")
    state = model.state_dict()
    assert np.allclose(model.predict(X), X @ state["weight"].T + state["bias"], rtol=1e-12, atol=1e-12)


def test_state_dict_is_a_copy_and_goes_back() -> None:
    model, other = bp.Model(net(), seed=1), bp.Model(net(), seed=2, dtype="float64")
    model.fit(X, Y)
    state = model.state_dict()
    want = model.predict(X)
    other.load_state_dict(state)
    assert np.allclose(other.predict(X), want, atol=1e-5)
    for array in state.values():
        assert array.flags.c_contiguous
        assert array.flags.owndata or array.base is None
        array[...] = 0
    assert np.array_equal(model.predict(X), want)


def test_writing_to_a_weight_changes_the_network(backend: Backend) -> None:
    model = on(backend, bp.Model(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)), "mse"))
    layer = model.net[2]
    assert layer.weight.shape == (3, 4)
    model.predict(X), model.step(X, Y)  # programs exist already
    layer.weight[...] = 0
    layer.bias[:] = [1, 2, 3]
    assert np.array_equal(model.predict(X), np.broadcast_to(np.float32([1, 2, 3]), (48, 3)))
    layer.weight = np.ones((3, 4))
    layer.bias = 0
    hidden = np.maximum(X @ model.net[0].weight.T + model.net[0].bias, 0)
    assert np.allclose(model.predict(X), np.repeat(hidden.sum(axis=1, keepdims=True), 3, axis=1), atol=1e-5)
    assert np.shares_memory(layer.weight, model.parameters()[2])
    dict(model.named_parameters())["0.weight"][...] = 0
    dict(model.named_parameters())["0.bias"][...] = 0
    assert (model.predict(X) == 0).all()
    assert model.step(X, Y) == pytest.approx(float((Y**2).mean()), rel=1e-5)


def test_named_parameters_and_gradients(backend: Backend) -> None:
    model = on(backend, bp.Model(net(), "mse"))
    names = [name for name, _ in model.named_parameters()]
    assert names == [k for k in model.state_dict() if "running" not in k and "num_batches" not in k]
    assert [p.shape for p in model.parameters()] == [g.shape for g in model.gradients()]
    model.step(X, Y)
    gradients = dict(zip(names, model.gradients(), strict=True))
    assert all(
        np.isfinite(g).all() and g.any() for k, g in gradients.items() if k != "0.bias"
    )  # BatchNorm removes that one
    assert not any(np.shares_memory(p, g) for p, g in zip(model.parameters(), model.gradients(), strict=True))


def test_two_batches_do_not_add_up() -> None:
    model = bp.Model(nn.Linear(6, 3), "mse", optim.SGD(lr=0.0))
    model.step(X, Y)
    once = [g.copy() for g in model.gradients()]
    model.step(X, Y)
    assert all(np.array_equal(a, b) for a, b in zip(once, model.gradients(), strict=True))


# ---- copies -----------------------------------------------------------------------------------------------------------------


def test_deepcopy_of_a_net_is_a_new_net() -> None:
    built = net()
    model = bp.Model(built)
    model.fit(X, Y)
    copied = deepcopy(built)
    with pytest.raises(AttributeError, match="no weight yet"):
        _ = copied[0].weight
    again = bp.Model(copied)
    assert_same(again, bp.Model(net()))
    assert not np.shares_memory(again.net[0].weight, model.net[0].weight)
    shared = nn.Linear(4, 4)
    twice = deepcopy(nn.Sequential(shared, nn.ReLU(), shared))
    assert twice[0] is twice[2]


@pytest.mark.parametrize(
    "copied", [deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"]
)
def test_copy_of_a_model_trains_on_alone(copied: Callable[[bp.Model], bp.Model]) -> None:
    model = bp.Model(
        net(), "cross_entropy", optim.NAdam(lr=optim.schedules.cosine(1e-2, 20)), threads=1, seed=3
    )
    model.fit(X, LABELS, epochs=2, batch_size=16)
    model.predict(X), model.step(X, LABELS), model.forward(X, training=True)
    copy = copied(model)
    assert_same(copy, model)
    assert np.array_equal(copy.predict(X), model.predict(X))
    a, b = (m.fit(X, LABELS, epochs=2, batch_size=16).history for m in (model, copy))
    assert a == b
    assert_same(copy, model)
    assert np.array_equal(copy.predict(X), model.predict(X))
    before = model.state_dict()
    copy.fit(X, LABELS)
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())


# ---- graphs -------------------------------------------------------------------------------------------------------------------


def shared_twice() -> nn.Layer:
    layer = nn.Linear(4, 4)
    return nn.Sequential(
        nn.Linear(6, 4), layer, nn.Tanh(), layer, nn.ReLU(), nn.Residual(layer), nn.Linear(4, 3)
    )


class Diamond(nn.Layer):
    """x -> a(x) + b(x) · both again: one tensor read by three, a parameter used in two branches."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)

    def children(self) -> Any:
        return iter([("a", self.a), ("b", self.b)])

    def emit(self, builder: Any, x: Any) -> Any:
        left = nn.ReLU().emit(builder, self.a.emit(builder, x))
        right = nn.GELU().emit(builder, self.b.emit(builder, x))
        both = builder.emit("add", a=left, b=right)
        return builder.emit("add", a=builder.emit("add", a=both, b=both), b=self.a.emit(builder, left))


GRAPHS: dict[str, Callable[[], nn.Layer]] = {
    "one layer used three times": shared_twice,
    "residual in residual": lambda: nn.Residual(
        nn.Linear(6, 6), nn.Tanh(), nn.Residual(nn.Residual(nn.LayerNorm(6)), nn.Linear(6, 6))
    ),
    "residual of nothing": lambda: nn.Sequential(nn.Residual(nn.Identity()), nn.Linear(6, 3)),
    "residual around an activation": lambda: nn.Sequential(
        nn.Linear(6, 5), nn.Residual(nn.ReLU()), nn.Residual(nn.GELU()), nn.Linear(5, 3)
    ),
    "activation after a residual": lambda: nn.Sequential(
        nn.Residual(nn.Linear(6, 6)), nn.ReLU(), nn.Linear(6, 3)
    ),
    "two activations": lambda: nn.Sequential(
        nn.Linear(6, 5), nn.Tanh(), nn.SiLU(), nn.ReLU(), nn.Linear(5, 3)
    ),
    "one activation object twice": lambda: (
        lambda act: nn.Sequential(nn.Linear(6, 5), act, nn.Linear(5, 5), act, nn.Linear(5, 3))
    )(nn.Tanh()),
    "starts with an activation": lambda: nn.Sequential(nn.Tanh(), nn.Linear(6, 3)),
    "ends with an activation": lambda: nn.Sequential(nn.Linear(6, 3), nn.Tanh()),
    "ends with softmax": lambda: nn.Sequential(nn.Linear(6, 3), nn.Softmax()),
    "diamond": Diamond,
    "dropout, norms": lambda: nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.3), nn.LayerNorm(8), nn.Linear(8, 3)
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_gradients_of_graphs(backend: Backend, name: str) -> None:
    """All parameters and the input against finite differences of the training forward pass."""
    model = on(backend, bp.Model(GRAPHS[name](), dtype="float64"))
    x = RNG.standard_normal((5, 6))
    out = model.forward(x, training=True)
    weight = np.random.default_rng(3).standard_normal(out.shape)
    state = {k: v for k, v in model.state_dict().items() if "running" in k}

    def value() -> float:
        return float((model.forward(x, training=True) * weight).sum())

    value()
    dx = model.backward(weight)
    gradients = [*model.gradients(), dx]
    gradients = [g.copy() for g in gradients]
    for array, gradient in zip([*model.parameters(), x], gradients, strict=True):
        for i in np.ndindex(array.shape):
            keep = array[i]
            array[i] = keep + 1e-6
            up = value()
            array[i] = keep - 1e-6
            quotient = (up - value()) / 2e-6
            array[i] = keep
            assert abs(gradient[i] - quotient) <= 1e-6 * max(1, abs(quotient)), (name, array.shape, i)
    assert state.keys() <= model.state_dict().keys()


def test_a_shared_layer_has_one_weight() -> None:
    model = bp.Model(shared_twice(), "mse")
    state = model.state_dict()
    assert np.array_equal(state["1.weight"], state["3.weight"])
    assert np.array_equal(state["1.weight"], state["5.inner.weight"])
    names = [name for name, _ in model.named_parameters()]
    assert names == ["0.weight", "0.bias", "1.weight", "1.bias", "6.weight", "6.bias"], (
        "PyTorch names a shared parameter once"
    )
    model.fit(X, Y, epochs=2)
    assert np.array_equal(model.state_dict()["1.weight"], model.state_dict()["3.weight"])
    assert np.shares_memory(model.net[1].weight, model.net[3].weight)


# ---- summary ----------------------------------------------------------------------------------------------------------------


def test_summary(capsys: pytest.CaptureFixture[str]) -> None:
    model = bp.Model(net(), "cross_entropy", "adamw")
    text = model.summary()
    assert capsys.readouterr().out == text + "\n"
    for part in ("Linear(6, 16)", "4.inner.0", "(16,)", "(3,)", "cross", "AdamW", "112"):
        assert part.lower() in text.lower(), part
    learned = 6 * 16 + 16 + 32 + 16 * 16 + 16 + 32 + 16 * 3 + 3
    assert f"{learned:,} parameters" in text
    assert "(shared)" in bp.Model(shared_twice()).summary()
    assert repr(model).startswith("Model(Sequential(Linear(6, 16), BatchNorm1d(16)")
    before = model.state_dict()
    model.summary()
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())


def test_batch_statistics_at_inference_are_those_of_all_rows(backend: Backend) -> None:
    """BatchNorm1d(track_running_stats=False) normalises what predict is given as one batch, whatever its size."""
    model = bp.Model(
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, eps=1e-12, track_running_stats=False)),
        backend=backend.name,
        dtype="float64",
    )
    X = np.random.default_rng(0).standard_normal((13, 3))
    out = model.predict(X)
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(out.var(axis=0), 1, atol=1e-9)


def test_arguments_of_pytorch_that_need_nothing_here_are_taken() -> None:
    nn.Sequential(
        nn.ReLU(inplace=True), nn.LeakyReLU(0.1, inplace=True), nn.ELU(inplace=True), nn.SiLU(inplace=True)
    )
    assert nn.Dropout(0.2, inplace=True).p == 0.2
    assert nn.Softplus(2.0, threshold=20).alpha == 2.0
    for make in (
        lambda: nn.Softplus(threshold=5),
        lambda: nn.PoissonNLLLoss(full=True),
        lambda: nn.GaussianNLLLoss(full=True),
    ):
        with pytest.raises(ValueError, match="expected"):
            make()


def test_flatten_some_dimensions() -> None:
    X = np.arange(48, dtype=np.float32).reshape(2, 2, 3, 4)
    for start, end, shape in ((1, -1, (2, 24)), (2, 3, (2, 2, 12)), (1, 2, (2, 6, 4)), (3, -1, (2, 2, 3, 4))):
        out = bp.Model(nn.Flatten(start, end)).predict(X)
        assert out.shape == shape
        assert np.array_equal(out.ravel(), X.ravel())
    with pytest.raises(ValueError, match="cannot flatten"):
        bp.Model(nn.Flatten(3, 2)).predict(X)


def test_ever_new_batches_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of the oldest shapes are forgotten, and made again to the same bits."""
    whole_batch = nn.BatchNorm1d(5, track_running_stats=False)
    net = nn.Sequential(nn.Linear(4, 5), whole_batch, nn.ReLU(), nn.Linear(5, 2))
    many, few = bp.Model(deepcopy(net)), bp.Model(net)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((120, 4)), rng.standard_normal((120, 2))

    def use(model: bp.Model) -> list[Any]:
        found = []
        for rows in [*range(2, 120), 7, 119, 3]:
            found.append(model.step(x[:rows], y[:rows]))
            model.backward(model.forward(x[:rows], training=True))
            model.update()
            found.append(model.predict(x[:rows]).tobytes())
        return found

    expected = use(many)
    monkeypatch.setattr(programs, "MOST", 30)
    assert use(few) == expected
    assert len(few.programs.plans) == 30 > len(few.programs.inferring)
    assert few.programs.bytes == sum(plan.bytes for plan in few.programs.plans.values()) > 0
    monkeypatch.setattr(programs, "MOST_BYTES", 1000)
    few.predict(x[:50])
    assert len(few.programs.plans) == programs.LEAST


def test_a_network_is_free_where_no_model_came_of_it() -> None:
    class Unlucky(nn.Linear):
        def initialise(self, rng: Any) -> None:
            if unlucky:
                raise OSError("an accident")
            super().initialise(rng)

    net, unlucky = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), Unlucky(3, 2)), True
    with pytest.raises(OSError, match="an accident"):
        bp.Model(net)
    with pytest.raises(MemoryError):
        bp.Model(nn.Sequential(net.layers[0], nn.Linear(2**30, 2**29)))
    unlucky = False
    again, fresh = bp.Model(net), bp.Model(deepcopy(net))
    assert again.state_dict().keys() == fresh.state_dict().keys()
    assert all(np.array_equal(a, b) for a, b in zip(again.parameters(), fresh.parameters(), strict=True))
