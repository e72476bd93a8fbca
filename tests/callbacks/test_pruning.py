"""OptunaPruning: an Optuna study hears of each epoch, and ends the runs that its pruner gives up."""

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim

optuna = pytest.importorskip("optuna", reason="optuna is not installed")

X = np.random.default_rng(0).standard_normal((60, 3))
Y = X[:, :1] - X[:, 1:2]


def test_a_study_prunes_the_runs_that_promise_little() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    models = []

    def objective(trial: "optuna.Trial") -> float:
        models.append(bp.Model(nn.Linear(3, 1), optimizer=optim.SGD(lr=trial.suggest_float("lr", 0, 1))))
        history = models[-1].fit(X, Y, epochs=6, validation_split=0.5, callbacks=[bp.OptunaPruning(trial)])
        return history.history["val_loss"][-1]

    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=1)
    study = optuna.create_study(pruner=pruner)
    for lr in (0.2, 1e-6):
        study.enqueue_trial({"lr": lr})
    study.optimize(objective, n_trials=2)
    good, bad = study.trials
    assert good.state == optuna.trial.TrialState.COMPLETE
    assert [*good.intermediate_values] == [0, 1, 2, 3, 4, 5]
    assert good.intermediate_values[5] == good.value
    assert bad.state == optuna.trial.TrialState.PRUNED
    assert [*bad.intermediate_values] == [0, 1]
    assert models[1].epoch == 2


def test_refused() -> None:
    for trial in (None, optuna.Trial, 3):
        with pytest.raises(TypeError, match=r"OptunaPruning: trial is .*, expected an optuna Trial"):
            bp.OptunaPruning(trial)
    fixed = optuna.trial.FixedTrial({})
    with pytest.raises(TypeError, match="monitor is 3"):
        bp.OptunaPruning(fixed, monitor=3)
    model = bp.Model(nn.Linear(3, 1))
    with pytest.raises(ValueError, match="OptunaPruning: monitor is 'val_loss', but an epoch logs only"):
        model.fit(X, Y, callbacks=[bp.OptunaPruning(fixed)])
    assert model.epoch == 0
