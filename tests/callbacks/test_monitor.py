"""What GradientMonitor measures, when, at what cost; saved, resumed, drawn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from backpass.callbacks import gradients

rng = np.random.default_rng(0)
X = rng.standard_normal((96, 6)).astype(np.float32)
Y = np.tanh(X[:, :2] * 2).astype(np.float32)


def made(**options: Any) -> bp.Model:
    """A network with an activation of each kind, and one layer twice."""
    twice = nn.Linear(8, 8)
    net = nn.Sequential(
        nn.Linear(6, 8), nn.ReLU(), twice, nn.Sigmoid(), twice, nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 2)
    )
    return bp.Model(net, "mse", optim.SGD(lr=0.1), **options)


def test_norms_and_updates_are_those_of_each_step(backend: Backend) -> None:
    monitor, model, other = bp.GradientMonitor("1 step"), made(), made()
    model.backend = other.backend = backend
    model.fit(X, Y, batch_size=32, shuffle=False, callbacks=[monitor])
    history = monitor.history
    assert history["step"] == [1, 2, 3]
    for step in range(3):
        before = other.state_dict()
        rows = slice(32 * step, 32 * step + 32)
        other.step(X[rows], Y[rows])
        gradient, after = dict(zip(before, other.gradients(), strict=False)), dict(other.named_parameters())
        for layer in ("0", "2", "5", "7"):
            keys = [f"{layer}.weight", f"{layer}.bias"]
            gradient = {n: g for (n, _), g in zip(other.named_parameters(), other.gradients(), strict=True)}
            size, change, weight = (
                np.sqrt(sum(float(np.square(a[k], dtype=np.float64).sum()) for k in keys))
                for a in (gradient, {k: after[k] - before[k] for k in keys}, after)
            )
            assert history["gradient_norm"][layer][step] == pytest.approx(size, rel=1e-4)
            assert history["update_ratio"][layer][step] == pytest.approx(change / weight, rel=1e-4)


def test_idle_units_are_those_of_the_batch(backend: Backend) -> None:
    monitor, model = bp.GradientMonitor("1 step"), made(backend=backend.name)
    model.backend = backend
    model.net[0].bias[:3] = -50.0
    model.net[2].bias[2:] = 50.0
    model.fit(X, Y, batch_size=96, shuffle=False, callbacks=[monitor])
    history = monitor.history
    assert {*history["dead"]} == {"0"}
    assert history["dead"]["0"] == [3 / 8]
    assert history["saturated"]["2"] == [pytest.approx(6 / 8, abs=0.05)]
    assert {*history["saturated"]} == {"2", "6"}


def test_a_unit_that_fires_now_and_then_is_not_dead() -> None:
    net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    model, monitor = bp.Model(net, "mse", optim.SGD(lr=0.0)), bp.GradientMonitor("1 step")
    net[0].weight, net[0].bias = [[1.0], [-1.0]], [0.0, -1.0]
    x = np.ones((40, 1))
    x[8:12] = -2.0  # the third batch of ten
    model.fit(x, x, batch_size=4, shuffle=False, callbacks=[monitor])
    assert monitor.history["dead"]["0"] == [0.5, 0.5, 0, 0, 0, 0, 0, 0.5, 0.5, 0.5]


def test_it_changes_no_bit() -> None:
    one, two = made(), made()
    one.fit(X, Y, epochs=4)
    two.fit(X, Y, epochs=4, callbacks=[bp.GradientMonitor("1 step")])
    assert all(np.array_equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize(
    ("every", "steps"),
    [
        ("1 step", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("4 steps", [1, 4, 8]),
        ("50 steps", [1]),
        ("1 epoch", [1, 3, 6, 9]),
        ("2 epochs", [1, 6]),
    ],
)
def test_when_it_measures(every: str, steps: list[int]) -> None:
    monitor = bp.GradientMonitor(every)
    made().fit(X, Y, epochs=3, callbacks=[monitor])
    assert monitor.history["step"] == steps
    assert not np.isnan(monitor.records.updates).any()


@pytest.mark.parametrize(
    ("every", "steps"), [("1 epoch", [1, 3, 7, 11]), ("2 steps", [1, 2, 3, 6, 7, 10, 11])]
)
def test_it_passes_over_what_is_left_of_an_epoch(every: str, steps: list[int]) -> None:
    monitor = bp.GradientMonitor(every)
    made().fit(X, Y, epochs=3, batch_size=30, callbacks=[monitor])
    assert monitor.history["step"] == steps
    late, model = bp.GradientMonitor(every), made()
    model.step(X, Y)  # the epochs no longer end at multiples of their steps
    model.fit(X, Y, epochs=3, batch_size=30, callbacks=[late])
    assert not {5, 9, 13} & {*late.history["step"]}


def test_auto_measures_as_often_as_its_budget_pays_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor, model = bp.GradientMonitor(), made()
    model.fit(X, Y, epochs=20, callbacks=[monitor])
    assert np.diff(monitor.history["step"]).min() >= 10
    now = monitor._began + 2.0  # two seconds for 2000 steps
    monkeypatch.setattr(gradients.time, "perf_counter", lambda: now)
    monitor._first, monitor._spent = 0, gradients.FREE + 3 * gradients.BUDGET
    assert monitor._following(2000) == pytest.approx(3000, abs=1)
    monitor._spent = gradients.FREE + gradients.BUDGET
    assert monitor._following(2000) == 2010


def test_a_gradient_beyond_the_squares_of_float32_has_a_norm(backend: Backend) -> None:
    flat = np.array([1e-30] * 4 + [1e30] * 4 + [0.0] * 3 + [1.0, np.inf], np.float32)
    norms = np.zeros(4)
    backend.call("part_norms", flat=flat, before=None, ends=np.array([4, 8, 11, 13]), norms=norms)
    assert norms == pytest.approx([2e-30, 2e30, 0, np.inf], rel=1e-6)


def test_a_loss_of_ones_own() -> None:
    def half(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        return float(np.square(pred - y).sum() / 2), pred - y

    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    model, monitor = bp.Model(net, half), bp.GradientMonitor("1 step")
    model.fit(X, Y, callbacks=[monitor])
    assert monitor.history["step"] == [1, 2, 3]
    assert len(monitor.history["dead"]["0"]) == 3


@pytest.mark.parametrize("every", ["often", "30s", "0 steps", "1.5 epochs", 50, None])
def test_every_is_checked(every: Any) -> None:
    with pytest.raises(ValueError, match=r"GradientMonitor: every is .*expected 'auto', or such as"):
        bp.GradientMonitor(every)


def test_nothing_measured() -> None:
    with pytest.raises(RuntimeError, match="nothing was measured yet"):
        bp.GradientMonitor().verdict()


def test_a_network_without_weights() -> None:
    model, monitor = bp.Model(nn.Sequential(nn.Flatten()), "mse"), bp.GradientMonitor("1 step")
    model.fit(X, X, callbacks=[monitor])
    for ask in (monitor.verdict, monitor.report, monitor.plot):
        with pytest.raises(RuntimeError, match="the network has no weights"):
            ask()
    with pytest.raises(ValueError, match="no gradients were recorded"):
        model.plot_gradients()


def test_records_are_saved_and_go_on(tmp_path: Path) -> None:
    whole, model = bp.GradientMonitor("2 steps"), made()
    model.fit(X, Y, epochs=4, callbacks=[whole])
    first = made()
    first.fit(X, Y, epochs=2, callbacks=[bp.GradientMonitor("2 steps")])
    first.save(tmp_path / "run.safetensors")
    second, loaded = bp.GradientMonitor("2 steps"), bp.load(tmp_path / "run.safetensors")
    loaded.fit(X, Y, epochs=4, resume=True, callbacks=[second])
    assert second.history["step"] == whole.history["step"]
    assert second.history["gradient_norm"] == whole.history["gradient_norm"]
    assert second.verdict() == whole.verdict() == "healthy"


def test_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    model = made()
    with pytest.raises(ValueError, match=r"train with callbacks=\[bp.GradientMonitor\(\)\]"):
        model.plot_gradients()
    monitor = bp.GradientMonitor("1 step")
    model.fit(X, Y, epochs=3, callbacks=[monitor])
    figure = model.plot_gradients(str(tmp_path / "gradients.png"))
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert [line.get_label().split()[0] for line in axes.lines] == ["0", "2", "5", "7"]
    for line, values in zip(axes.lines, monitor.history["gradient_norm"].values(), strict=True):
        assert line.get_ydata().tolist() == values
    assert (tmp_path / "gradients.png").stat().st_size > 10_000


def test_it_watches_an_estimator() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.exceptions import ConvergenceWarning

    from backpass.sklearn import MLPRegressor

    monitor = bp.GradientMonitor("2 steps")
    with pytest.warns(ConvergenceWarning):
        MLPRegressor(hidden_layer_sizes=(8, 8), batch_size=40, max_iter=2, callbacks=[monitor]).fit(X, Y)
    assert monitor.history["step"] == [1, 2, 4, 5], "not the 16 rows that are left of 96"
    assert [*monitor.history["dead"]] == ["0", "2"]
    assert monitor.verdict() == "healthy"


@pytest.mark.parametrize("blocks", [1, 35])
def test_the_legend_of_many_layers_leaves_the_curves_their_place(blocks: int) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    block = [nn.Residual(nn.Sequential(nn.Linear(6, 6, bias=False), nn.LayerNorm(6))) for _ in range(blocks)]
    model = bp.Model(nn.Sequential(*block, nn.Linear(6, 2)), "mse")
    model.fit(X, Y, epochs=1, callbacks=[bp.GradientMonitor("1 step")])
    figure = model.plot_gradients()
    figure.draw_without_rendering()
    (axes,) = figure.axes
    curves, legend = (part.get_window_extent() for part in (axes, axes.get_legend()))
    assert curves.width > 4 * figure.dpi
    assert not curves.overlaps(legend)
    assert figure.bbox.fully_containsx(legend.x0)
    assert figure.bbox.fully_containsx(legend.x1)
    assert [tick for tick in axes.get_xticks() if 1 <= tick <= 3] == [1, 2, 3]
