"""Engine: what training changes, and what it is made of: network, loss, optimizer, parameters, moments, counters, plans."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .. import checks
from ..backends import Backend, get_backend, get_num_threads
from ..backends.precision import checked_precision
from ..backends.threads import checked_threads
from ..data.known_categories import KnownCategories
from ..described import Adjustable
from ..losses import Loss
from ..losses import by_name as loss_by_name
from ..nn import Module
from ..nn.initial_weights import generator
from ..optim import Optimizer
from ..optim import by_name as optimizer_by_name
from ..program import Parameters
from ..program.plan import OwnLossPlan
from ..system.exclusive import Usage
from ..system.memory import aligned
from . import conventions, weights
from .plans import PlanCache
from .run import Run
from .tables import check_tables

if TYPE_CHECKING:
    from ..metrics import Metrics

# A loss of the user's: (pred, y) -> (value, gradient).
LossFunction = Callable[..., Any]


class HasEngine(Protocol):
    """Whatever has an Engine, such as bp.Model."""

    @property
    def engine(self) -> "Engine": ...


class Engine:
    """A network with its loss, optimizer and backend, and everything that goes into a checkpoint or a copy.

    It takes what `bp.Model` takes, by name. `version` counts the changes of settings that were taken over.
    """

    def __init__(
        self,
        net: Module,
        loss: Any,
        optimizer: str | Optimizer,
        *,
        backend: str,
        threads: int | None,
        dtype: Any,
        seed: int,
        loss_weights: Any = None,
        metrics: Any = (),
        like: str | None = None,
        precision: str | None = None,
    ) -> None:
        self.net, self.like = checked_net(net), conventions.checked(like)
        if isinstance(loss, type):
            name = loss.__name__
            raise TypeError(
                f"loss is the class {name}, expected an object such as {name}(), a name or a callable"
            )
        self.loss_function = loss if callable(loss) and not isinstance(loss, Loss) else None
        self.builtin_loss = None if self.loss_function else loss_by_name(loss, loss_weights)
        if self.loss_function and loss_weights is not None:
            raise ValueError(
                f"loss_weights is {loss_weights!r:.80}, but the loss is a callable: weigh inside it"
            )
        if self.builtin_loss is not None:
            self.builtin_loss = conventions.following(self.like, self.builtin_loss)
        self.use_metrics(metrics)
        self.optimizer = conventions.following(self.like, optimizer_by_name(optimizer))
        chosen = get_backend(backend)
        # 0: the default at the time of the run.
        self.threads = checked_threads(threads)
        if threads is None:
            get_num_threads()  # tells the native backend the default, if nobody has yet
        self.dtype = checks.dtype(dtype)
        self._precision = checked_precision(precision, self.dtype)
        chosen.unit(self._precision)  # says so if BACKPASS_UNIT names none
        self.seed = checks.seed(seed)
        self.epoch = 0
        self.stop_training = False
        # Asked between two slices of a run: True leaves it there, as max_seconds does. None: nobody wants to.
        self.leave: Callable[[], bool] | None = None
        self.last_run: Run | None = None
        # Completed steps: of the model, and of its optimizer, which counts anew when it is replaced.
        self.step_counts = aligned((2,), np.int64)
        self.step_count, self.optimizer_step = self.step_counts[:1], self.step_counts[1:]
        # Of the columns of frames that the network takes as indices.
        self.categories = KnownCategories()
        # Set by the guard where a step is not finite.
        self.halt = aligned((1,), np.int64)
        self.usage = Usage()
        self.flat = Parameters(self.dtype)
        layers = [layer for _, layer in net.walk()]
        conventions.follow_layers(self.like, net)
        try:
            for layer in layers:
                layer.bind(self.flat)
            self.flat.allocate()
            for number, layer in enumerate(dict.fromkeys(layers)):
                if layer.learned:
                    layer.initialise(generator(self.seed, number))
            self.groups()  # says so if they do not fit
            if self.flat.sparse:
                check_tables(net, self.optimizer)
            self.optimizer_state = self.optimizer.state(self.flat.size, self.dtype)
        except BaseException:  # a layer is another model's, or memory runs out: all others stay free
            for layer in layers:
                layer.release(self.flat)
            raise
        self.plans = PlanCache(
            net, self.builtin_loss, chosen, self.dtype, self.seed, self.step_count, self._precision
        )
        # Of `forward` with training=True, for `backward`.
        self.last_pass: OwnLossPlan | None = None
        # The pass whose gradients `backward` has filled, for the next update; None: there are none.
        self.to_apply: OwnLossPlan | None = None
        self.version = 0
        # Of all settings: how many this engine has seen.
        self.changes = Adjustable.changes[0]
        self._versions = self._part_versions()
        self._rates_set = self.optimizer.rates

    @property
    def loss(self) -> Loss:
        """The loss object; RuntimeError where it is a callable."""
        if self.builtin_loss is None:
            raise RuntimeError("this model's loss is a callable")
        return self.builtin_loss

    def use_metrics(self, given: Any) -> None:
        """Watch these metrics from now on, as `bp.Model(metrics=...)` takes them."""
        self.metrics = self.chosen_metrics(given)

    def chosen_metrics(self, given: Any) -> "Metrics | None":
        """Metrics checked against the loss; None for none."""
        if isinstance(given, list | tuple) and not given:
            return None
        from ..metrics import Metrics  # here: `import backpass` is to be quick

        return Metrics(given, self.builtin_loss)

    @property
    def backend(self) -> Backend:
        """The backend that runs the programs."""
        return self.plans.backend

    def use_backend(self, backend: Backend | str) -> None:
        """Go on with another backend, a name or an object."""
        chosen = get_backend(backend) if isinstance(backend, str) else backend
        if not isinstance(chosen, Backend):
            raise TypeError(
                f"backend is {backend!r:.80}, expected a name such as 'numpy' or a backend object"
            )
        self.plans.run_on(chosen)
        self.version += 1

    @property
    def precision(self) -> str:
        """How products read their operands; assign None for what bp.get_precision() says."""
        return self._precision

    @precision.setter
    def precision(self, precision: str | None) -> None:
        chosen = checked_precision(precision, self.dtype)
        self.backend.unit(chosen)  # says so if BACKPASS_UNIT names none
        self._precision = chosen
        # Taken over within a call, by `refresh`: another thread may be in one now.
        Adjustable.changes[0] += 1

    @property
    def unit(self) -> str:
        """What computes products at this precision on this machine."""
        return self.backend.unit(self.precision)

    @property
    def lr(self) -> float:
        """The learning rate of the last step, or the one that was set since."""
        self.refresh()
        return float(self._rates[0][0])

    @lr.setter
    def lr(self, value: float) -> None:
        # A change of the optimizer's settings came before.
        self.refresh()
        rate, *others = self._rates
        new, old = self.optimizer.number("lr", value, 0, np.inf), float(rate[0])
        if others and not old:
            raise ValueError(
                "lr of the first group is 0, expected a rate for each: model.optimizer.groups[0].lr"
            )
        for other in others:
            other *= new / old
        rate[0] = new

    @property
    def _rates(self) -> list[np.ndarray]:
        """The learning rate of each group."""
        return [self.optimizer_state[name] for name in self.optimizer.rates]

    def groups(self) -> list[int]:
        """The group of the optimizer that trains each parameter, by its number."""
        if not self.optimizer.grouped:  # each `fit` asks
            return [0] * len(self.flat.offsets)
        named = [*self.net.named_parameters()]
        group_of = dict(zip((p.number for _, p in named), self.optimizer.assign(named), strict=True))
        # A parameter that a tie has replaced belongs to none.
        return [group_of.get(number, 0) for number in range(len(self.flat.offsets))]

    def fill_tables(self) -> None:
        """Write the gradients of tables with sparse=True as a whole, for those who look at them."""
        plan = self.plans.trained
        for table in plan.tables if plan else ():
            table.fill()

    def use_optimizer(self, optimizer: str | Optimizer) -> None:
        """Go on with another optimizer, a name or an object, and fresh moments."""
        chosen = conventions.following(self.like, optimizer_by_name(optimizer))
        chosen.assign([*self.net.named_parameters()])  # says so if its groups do not fit
        check_tables(self.net, chosen)
        self.optimizer = chosen
        self.optimizer_state = self.optimizer.state(self.flat.size, self.dtype)
        self.optimizer_step[0] = 0
        self._rates_set = self.optimizer.rates
        self._versions = self._part_versions()
        self.plans.recompile()
        self.version += 1

    # -- settings that change -----------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Take over settings of layers, loss and optimizer that were changed since: every pass begins with this."""
        if self.changes != Adjustable.changes[0]:
            self._take_changes()

    def _take_changes(self) -> None:
        self.changes = Adjustable.changes[0]
        versions = self._part_versions()
        if versions == self._versions:  # it was another model's
            return
        *old_parts, old_optimizer = self._versions
        *new_parts, new_optimizer = versions
        self._versions = versions
        if old_parts != new_parts:
            self.plans.precision = self._precision
            self.plans.clear()
            self.last_pass = None
        if old_optimizer != new_optimizer:
            self._take_optimizer()
        self.plans.recompile()
        self.version += 1

    def _take_optimizer(self) -> None:
        """Keep the moments that the optimizer still has, and the learning rate unless that was changed."""
        state = self.optimizer.state(self.flat.size, self.dtype)
        rates = self.optimizer.rates
        for name, array in self.optimizer_state.items():
            if name in state and (name not in rates or rates[name] is self._rates_set[name]):
                state[name] = array
        self.optimizer_state, self._rates_set = state, rates

    def _part_versions(self) -> list[Any]:
        layers: Iterator[Adjustable] = (layer for _, layer in self.net.walk())
        loss = 0 if self.builtin_loss is None else self.builtin_loss.version
        return [*(layer.version for layer in layers), loss, self._precision, self.optimizer.version]

    def begin(self) -> None:
        """Learn the categories of the frames that come, unless something has been trained."""
        if not self.step_count[0]:
            self.categories.begin()

    def counters(self) -> dict[str, np.ndarray]:
        """The buffers that a step outside any run counts in."""
        return {"step": self.step_counts, "cursor": np.zeros(1, np.int64), "total": np.zeros(2)}

    # -- copies -------------------------------------------------------------------------------------------------------

    def __getstate__(self) -> Any:
        """What copy.deepcopy and pickle take along: buffers and programs are made anew, for they share memory."""
        with self.usage.lock:  # of no step the half
            return self._state()

    def _state(self) -> Any:
        self.refresh()
        arguments = {
            "net": deepcopy(self.net),
            "loss": self.loss_function or self.loss,
            "optimizer": self.optimizer,
            "backend": self.backend.name,
            "threads": self.threads or None,
            "dtype": self.dtype.name,
            "seed": self.seed,
            "metrics": self.metrics.given if self.metrics else (),
            "like": self.like,
            "precision": self.precision,
        }
        return arguments, *self.trained_state()

    def __setstate__(self, state: Any) -> None:
        arguments, *trained = state
        self.__init__(**arguments)  # type: ignore[misc]
        self.take_trained(trained)

    def trained_state(self) -> tuple[Any, ...]:
        """Copies of what training changes: weights, moments, counters, the last run, categories; NaN and infinity as well."""
        run = self.last_run and self.last_run.as_it_stands(self.stop_training)
        moments = {name: array.copy() for name, array in self.optimizer_state.items()}
        counts = self.step_counts.copy()
        known = self.categories.labels, self.categories.columns
        return weights.state_dict(self.net), moments, counts, self.epoch, run, deepcopy(known)

    def take_trained(self, trained: Sequence[Any]) -> None:
        """Become what an engine with the same settings was, whose `trained_state` this is."""
        weights_and_statistics, optimizer_state, steps, epoch, run, known = trained
        weights.load(self.net, weights_and_statistics)
        for name, array in self.optimizer_state.items():
            array[...] = optimizer_state[name]
        self.step_counts[:] = steps
        self.epoch, self.last_run, self.categories = epoch, run, KnownCategories(*known)


def checked_net(value: Any) -> Module:
    """A network, not its class nor something else."""
    if not isinstance(value, Module):
        described = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
        raise TypeError(f"net is {described}, expected a layer such as nn.Sequential(...)")
    if value.own_emit() is None and type(value).forward is Module.forward:
        raise TypeError(f"net is {value!r:.80}, which has no forward(self, x)")
    if not value.takes:
        raise TypeError(f"forward of {type(value).__name__} takes no input, expected forward(self, x)")
    return value
