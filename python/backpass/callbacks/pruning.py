"""OptunaPruning: tells Optuna how a run goes, and ends it where Optuna prunes the trial."""

from typing import Any

from ..checks import real
from .base import Logs, Monitor


class OptunaPruning(Monitor):
    """Pruning: reports a quantity to an Optuna trial after each epoch, and ends a run that its study's pruner gives up.

    The run ends by optuna.TrialPruned, which the objective lets through, as with the callbacks of optuna-integration.
    Which direction is better is the study's to say.

    Args:
        trial: the optuna Trial that the objective is given; anything with report(value, step) and should_prune() serves.
        monitor: the quantity of the epoch's logs, default "val_loss".

    Raises:
        TypeError: trial is none. ValueError: before the first step, if nobody logs the quantity.
        optuna.TrialPruned: after an epoch.

    Example:
        >>> def objective(trial):
        ...     model = bp.Model(nn.Linear(4, 1), optimizer=optim.Adam(lr=trial.suggest_float("lr", 1e-4, 1e-1, log=True)))
        ...     history = model.fit(X, y, epochs=5, validation_split=0.2, callbacks=[bp.OptunaPruning(trial)])
        ...     return history.history["val_loss"][-1]
    """

    def __init__(self, trial: Any, monitor: str = "val_loss") -> None:
        super().__init__(monitor, mode="min")  # Optuna judges, whatever is better
        if isinstance(trial, type) or not all(
            callable(getattr(trial, name, None)) for name in ("report", "should_prune")
        ):
            raise TypeError(f"OptunaPruning: trial is {trial!r:.80}, expected an optuna Trial")
        self.trial = trial

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if not self.logged(logs):
            return
        value = real(logs[self.monitor])
        self.trial.report(value, epoch)
        if self.trial.should_prune():
            from optuna import TrialPruned  # who has a trial has it

            raise TrialPruned(f"{self.monitor} is {value:.4g} after epoch {epoch}")
