"""One `fit` of several ranks: what has to be the same, whose rows are trained on, who judges, when all end."""

import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..backends import get_num_threads
from ..checkpoint.settings import text_of, without_addresses
from ..data.inputs import Inputs
from ..data.streams import Streams
from ..data.targets import target_of
from ..engine.engine import Engine
from ..errors import NonFiniteError
from ..losses import OutputLosses
from ..program import Parameters, Rows
from .chunk import comes_in_chunks
from .fingerprint import Fingerprint
from .ranks import Flags, Ranks
from .resume import FitOptions, checked_batch_size
from .run import Judge

# What a step adds up besides gradients and statistics: loss · count, count, rows that are right, rows that are judged.
SUMS = 4
# So many parameters are worth several messages: gradients are sent while the backward pass goes on to earlier layers.
MANY = 200_000
# Gradients of a message.
MESSAGE = 100_000


def check_trainable(engine: Engine, X: Any, y: Any) -> None:
    """Refuse what several ranks cannot train."""
    refused = {
        "X are Streams": isinstance(X, Streams),
        "X are chunks": comes_in_chunks(X, y),
        "the loss is a callable": engine.loss_function is not None,
        "the network has several outputs": isinstance(engine.builtin_loss, OutputLosses),
        "a table of the network has sparse=True": bool(engine.flat.sparse),
    }
    for what, found in refused.items():
        if found:
            raise ValueError(f"comm is given, but {what}, expected None")


class Together:
    """A judge that asks rank 0, and lets a run end on all ranks where one of them wants to."""

    def __init__(
        self,
        engine: Engine,
        ranks: Ranks,
        options: FitOptions,
        inputs: Inputs,
        target: Rows,
        data: Fingerprint,
        class_weight: Any,
        judge: Judge,
    ) -> None:
        self.engine, self.ranks, self.inner = engine, ranks, judge
        # Running statistics: each part of a batch has its own, and the mean of all is kept.
        self.statistics = [array for _, layer in engine.net.walk() for array in layer.state.values()]
        run = engine.last_run
        # Rows are weighed by it before their fingerprint is taken, which tells rows of a rank's own.
        weighed = None if class_weight is None else text_of(class_weight)
        parts = {"the network": engine.net, "loss": engine.loss, "optimizer": engine.optimizer}
        same: dict[str, Any] = {
            **{name: without_addresses(repr(part)) for name, part in parts.items()},
            "metrics": str(engine.metrics.named()) if engine.metrics else "",
            "dtype": engine.dtype.name, "seed": engine.seed, "precision": engine.precision,
            "the number of steps before": int(engine.step_count[0]),
            "the checksum of the weights": zlib.crc32(engine.flat.params.data),
            "a row of X": [(spec.name, spec.shape[1:]) for spec in inputs.specs(1, engine.dtype)],
            "a row of y": repr(target_of(target)), "the number of rows of X": inputs.rows,
            "what validation logs": dict(judge.better), "class_weight": weighed,
            "epochs": options.epochs, "batch_size": options.batch_size,
            "shuffle": options.shuffle, "sampler": options.sampler, "drop_last": options.drop_last,
            "reproducible": ranks.reproducible, "resume": options.resume and run is not None and run.position.rows,
        }  # fmt: skip
        size = engine.flat.size + sum(array.size for array in self.statistics) + SUMS
        few = max((layer.numbers_shared for _, layer in engine.net.walk()), default=0) * (ranks.size > 1)
        if few:
            # What is near the mean on all ranks: nn/synchronized.py.
            same["the checksum of the running statistics"] = [
                zlib.crc32(array.data) for array in self.statistics
            ]
        if few and ranks.reproducible:
            raise ValueError(
                "reproducible is True, but a layer of the network has synchronized=True, expected one of the two"
            )
        own = data.full, judge.fingerprint.full, machine()
        # Of the gradients, where each message begins that is sent ahead of the last one.
        self.ahead = [] if few or ranks.reproducible or ranks.size == 1 else messages(engine.flat)
        # Where the gradients begin in what is added up: last, so that those of the last layers can go ahead.
        self.head = size - engine.flat.size
        ahead = [self.head + start for start in self.ahead]
        told = ranks.begin(same, own, size, engine.dtype, few, ahead)
        prints, validations, machines = zip(*told, strict=True)
        # Whether each rank has rows of its own.
        self.apart = len({*prints}) > 1
        self.rows = inputs.rows * (ranks.size if self.apart else 1)
        self.data = Fingerprint(f"ranks:{'+'.join(prints)}", str) if self.apart else data
        if self.apart and checked_batch_size(options.batch_size, self.rows) % ranks.size:
            raise ValueError(
                f"batch_size is {options.batch_size}, but each of {ranks.size} ranks has rows of its own, expected a multiple of"
                f" {ranks.size}"
            )
        self.better, self.listens = judge.better, True
        self.fingerprint = Fingerprint(validations[0], judge.fingerprint.sampled)
        # The ranks with which this one shares its cores.
        self.neighbours = machines.count(machines[ranks.rank])
        self._late, self._seconds, self._began = engine.leave, options.max_seconds, time.monotonic()
        self._leaving = False
        self.options = self._options(options)

    def _options(self, options: FitOptions) -> FitOptions:
        """The options of this rank's run: what writes or shows something is rank 0's; when it is late all ranks decide."""
        options = options._replace(max_seconds=None)
        if not self.ranks.rank:
            return options
        quiet = [c for c in options.callbacks if getattr(c, "first_rank_only", False)]
        names, run = {type(callback).__name__ for callback in quiet}, self.engine.last_run
        if options.resume and run is not None:
            run.states = [state for state in run.states if state[0] not in names]
        return options._replace(callbacks=[c for c in options.callbacks if c not in quiet], progress="")

    @contextmanager
    def training(self) -> Iterator[None]:
        """The engine leaves its run where all ranks agree, and uses its share of the cores."""
        engine = self.engine
        threads, engine.leave = engine.threads, lambda: self._leaving
        engine.threads = threads or max(1, get_num_threads() // self.neighbours)
        try:
            yield
        finally:
            engine.threads, engine.leave = threads, self._late

    def agree(self) -> None:
        """End the run on all ranks where one of them wants to."""
        expired = self._seconds is not None and time.monotonic() - self._began >= self._seconds
        leave = expired or (self._late is not None and self._late())
        found = self.ranks.meet(Flags(leave=leave, stop=self.engine.stop_training))
        self.engine.stop_training, self._leaving = found.stop > 0, found.leave > 0

    # -- the judge --------------------------------------------------------------------------------------------------------

    def epoch_begins(self, epoch: int) -> None:
        self.inner.epoch_begins(epoch)

    def judge(self, epoch: int, logs: dict[str, float]) -> None:
        if not self.ranks.rank:
            self.inner.judge(epoch, logs)
        self.ranks.meet(Flags())
        logs |= self.ranks.share(logs)

    def forgives(self, error: NonFiniteError) -> bool:
        return self.inner.forgives(error)

    def epoch_ends(self, epoch: int) -> bool:
        over = self.inner.epoch_ends(epoch)
        self.agree()
        return over


def messages(flat: Parameters) -> list[int]:
    """Where the gradients of messages begin that can be sent before the backward pass is over, the last layer's first."""
    starts, end = [], flat.size
    for start in reversed(flat.offsets):
        if start and end - start >= MESSAGE:
            starts.append(start)
            end = start
    return starts if flat.size >= MANY else []


def machine() -> tuple[str, list[int]]:
    """The machine, and the CPUs on which this process may run."""
    import platform  # here: `import backpass` is to be quick

    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return platform.node(), sorted(cpus)
