"""The stochastic solvers of the MLP estimators: an optimizer of backpass, and scikit-learn's rules for its learning rate."""

import math
from typing import Any

from ... import optim
from ...checks import is_number, real
from ...optim.schedules import Schedule
from .network import Network

STOCHASTIC = ("sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad", "lion")


def make_optimizer(estimator: Any) -> optim.Optimizer:
    """Optimizer of an estimator's parameters; for lbfgs one that is never used."""
    schedule = estimator.lr_schedule
    lr = schedule if isinstance(schedule, Schedule) else initial_rate(estimator)
    clip = {"clip_grad_norm": estimator.clip_grad_norm}
    betas, eps = (estimator.beta_1, estimator.beta_2), estimator.epsilon
    decay = {} if estimator.weight_decay is None else {"weight_decay": estimator.weight_decay}
    match estimator.solver:
        case "sgd":
            nesterov = bool(estimator.nesterovs_momentum and estimator.momentum > 0)
            return optim.SGD(lr, estimator.momentum, nesterov=nesterov, **decay, **clip)
        case "adam":
            return optim.Adam(lr, betas, eps, eps_hat=True, **decay, **clip)
        case "adamw":
            return optim.AdamW(lr, betas, eps, **decay, **clip)
        case "nadam":
            return optim.NAdam(lr, betas, eps, **decay, **clip)
        case "rmsprop":
            return optim.RMSprop(lr, eps=eps, **decay, **clip)
        case "adagrad":
            return optim.Adagrad(lr, eps=eps, **decay, **clip)
        case "lion":
            return optim.Lion(lr, betas, **decay, **clip)
    return optim.SGD()


def initial_rate(estimator: Any) -> float:
    """learning_rate_init, or the number that `optim.schedules.constant` gives."""
    schedule = estimator.lr_schedule
    return float(schedule if is_number(schedule) else estimator.learning_rate_init)


def optimizer_key(estimator: Any) -> tuple[Any, ...]:
    """Parameters that `make_optimizer` reads, for comparison."""
    names = (
        *(
            "solver",
            "learning_rate_init",
            "lr_schedule",
            "momentum",
            "nesterovs_momentum",
            "beta_1",
            "beta_2",
        ),
        *("epsilon", "weight_decay", "clip_grad_norm"),
    )
    return tuple(getattr(estimator, name) for name in names)


def stochastic(estimator: Any) -> bool:
    """True if the solver has partial_fit; AttributeError for lbfgs, as in scikit-learn."""
    if estimator.solver not in STOCHASTIC:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    return True


class Rate:
    """Learning rate of a run: constant, invscaling or adaptive (these two for sgd alone), or a callable of the epoch."""

    def __init__(self, estimator: Any, network: Network, restart: bool) -> None:
        """restart: whether the rate starts again, as in fit; in partial_fit it does where its parameters have changed."""
        self.model = network.model
        self.mode = estimator.learning_rate if estimator.solver == "sgd" else "constant"
        self.initial, self.power_t = initial_rate(estimator), estimator.power_t
        self.schedule = estimator.lr_schedule
        settings = self._settings()
        changed = network.rate_settings not in ([], settings)
        network.rate_settings = settings
        if (restart or changed) and not isinstance(self.schedule, Schedule):
            self.learning_rate = self.initial
            if not restart:
                self.epoch_ends(estimator.t_)

    def _settings(self) -> list[Any]:
        """Numbers and strings that the rate depends on; a pickle keeps them."""
        sources = {"schedule": isinstance(self.schedule, Schedule), "callable": callable(self.schedule)}
        source = next((name for name, is_source in sources.items() if is_source), "number")
        return [source, self.mode, float(self.power_t) if self.mode == "invscaling" else None, self.initial]

    @property
    def learning_rate(self) -> float:
        """Learning rate of the last step, or of the next one once it has been set."""
        return float(self.model.lr)

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        previous = self.model.lr
        self.model.lr = value
        velocity = self.model.engine.optimizer_state.get("velocity")
        if (
            velocity is not None
            and value > 0
            and previous != value
            and type(self.model.optimizer) is optim.SGD
        ):
            velocity *= previous / value  # scikit-learn's velocity holds the rate of the step that made it

    def epoch_begins(self, epoch: int) -> None:
        """A callable schedule gives the rate of each epoch, which count from 0."""
        if callable(self.schedule) and not isinstance(self.schedule, Schedule):
            rate = self.schedule(epoch)
            if not 0 <= real(rate) < math.inf:
                raise ValueError(
                    f"lr_schedule returned {rate!r:.80} for epoch {epoch}, expected a finite number of at least 0"
                )
            self.learning_rate = float(rate)

    def epoch_ends(self, samples: int) -> None:
        """Set the rate of the next epoch. samples: rows seen since the weights were drawn."""
        if self.mode == "invscaling":
            self.learning_rate = self.initial / (samples + 1) ** self.power_t

    def stops(self, reason: str, verbose: bool) -> bool:
        """True if a run that no longer improves ends; an adaptive rate is first divided by 5, down to 1e-6."""
        if self.mode != "adaptive":
            ending, stopping = "Stopping.", True
        elif self.learning_rate <= 1e-6:
            ending, stopping = "Learning rate too small. Stopping.", True
        else:
            self.learning_rate /= 5
            ending, stopping = f"Setting learning rate to {self.learning_rate:f}", False
        if verbose:
            print(f"{reason} {ending}")
        return stopping
