"""Ranks: the processes of an MPI communicator that train one model together, and what they tell each other."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from ..errors import NonFiniteError

NEEDED = (
    "Allgather", "Allreduce", "Dup", "Free", "Get_rank", "Get_size", "Iallreduce", "allgather", "bcast", "gather",
)  # fmt: skip
# The parts of a batch whose gradients are added in a fixed order where a run is reproducible.
SHARDS = 4


class Flags(NamedTuple):
    """What ranks tell each other with every sum: how many of them say so."""

    # To return to Python after this step.
    look: float = 0.0
    # To leave the run there, for `resume`.
    leave: float = 0.0
    # A callback has ended the run.
    stop: float = 0.0
    # A rank has failed: its message comes next.
    failed: float = 0.0


QUIET = Flags()


class Failure(NamedTuple):
    """Why a rank failed; step and layer: of a NonFiniteError."""

    text: str
    step: int = -1
    layer: str = ""

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """What an exception says."""
        text = f"{type(error).__name__}: {error}"
        return cls(text, error.step, error.layer) if isinstance(error, NonFiniteError) else cls(text)


class Ranks:
    """A block in which ranks meet. One that fails tells the others where they meet next, so that all end and nobody waits.

    After `begin` every meeting is one sum of a vector of the same size: the flags, and what a step adds up. Its end may go
    ahead in messages of their own (`send`); the rest follows with the flags. Where layers add up a few numbers in the middle
    of a step, every meeting begins with as few, for a rank that fails cannot know which is next.
    """

    def __init__(self, comm: Any, reproducible: bool) -> None:
        if isinstance(comm, type) or not all(callable(getattr(comm, name, None)) for name in NEEDED):
            raise TypeError(f"comm is {comm!r:.80}, expected a communicator such as mpi4py's MPI.COMM_WORLD")
        self.rank, self.size = int(comm.Get_rank()), int(comm.Get_size())
        if reproducible and SHARDS % self.size:
            raise ValueError(
                f"reproducible is True and comm has {self.size} ranks, expected 1, 2 or {SHARDS}"
            )
        # Of a batch: each rank computes as many of them.
        self.shards, self.reproducible = SHARDS if reproducible else self.size, reproducible
        self.comm = comm.Dup()  # messages of the user's own stay apart
        self.sent = self.summed = np.empty(0)
        # Where the flags lie in these two, and what a step adds up: this rank's part of it, and all of it.
        self._told = self._heard = self.own = self.total = self.sent
        # The flags that lie there now; None: unknown.
        self._said: Flags | None = None
        # Parts of the vector that are sent on their own, the last part first, and those that are on their way.
        self._messages: list[slice] = []
        self._begun: list[Any] = []
        self._few: tuple[np.ndarray, ...] = ()
        self._all = np.empty((0, 0))
        self._failure: Failure | None = None
        self._over = False

    def begin(
        self,
        same: Mapping[str, Any],
        own: Any,
        size: int,
        dtype: np.dtype[Any],
        few: int = 0,
        ahead: Sequence[int] = (),
    ) -> list[Any]:
        """The first meeting; returns what each rank has of its own.

        same: what has to be the same on all ranks. size, dtype: of the vectors that are summed from now on. few: the most numbers
        that are added up in the middle of a step. ahead: where the parts begin that `send` sends, the last of the vector first.
        """
        told = self.comm.allgather((None, dict(same), own))
        self._hear([failure for failure, *_ in told])
        for rank, (_, theirs, _) in enumerate(told):
            for name, value in told[0][1].items():
                if theirs[name] != value:
                    raise ValueError(
                        f"{name} is {theirs[name]!r:.80} on rank {rank} and {value!r:.80} on rank 0, expected the same on all"
                    )
        self.sent, self.summed = (np.zeros(size + len(Flags._fields), dtype) for _ in range(2))
        flags = len(Flags._fields)
        self._told, self._heard = self.sent[:flags], self.summed[:flags]
        self._said = None
        self.own, self.total = self.sent[flags:], self.summed[flags:]
        starts = [flags + start for start in ahead]
        ends = [len(self.sent), *starts]
        self._messages = [slice(start, end) for start, end in zip([*starts, 0], ends, strict=True)]
        if few:
            self._few = tuple(np.zeros(few + len(Flags._fields)) for _ in range(2))
        self._all = np.zeros((self.size if self.reproducible else 0, len(self.sent)), dtype)
        return [theirs for *_, theirs in told]

    def send(self) -> None:
        """Begin to add up the next part of the vector, while this rank goes on; nothing changes it any more."""
        part = self._messages[len(self._begun)]
        self._begun.append(self.comm.Iallreduce(self.sent[part], self.summed[part]))

    def sum(self, flags: Flags) -> Flags:
        """total = the sum of `own` over the ranks; returns the sums of the flags. RuntimeError where a rank has failed."""
        if self._few:
            self._add_few(np.empty(0), flags)
            if self._over:
                return flags
        # Mostly they lie there: a bare Allreduce of 1 kB takes 4 µs, and four writes are felt.
        if flags != self._said:
            told = self._told
            told[0], told[1], told[2], told[3] = flags
            self._said = flags
        if self.reproducible:
            self.comm.Allgather(self.sent, self._all)
            self.summed[:] = sum_in_order([*self._all])
        elif len(self._messages) > 1:
            while len(self._begun) < len(self._messages):
                self.send()
            for request in self._begun:
                request.Wait()
            self._begun.clear()
        else:
            self.comm.Allreduce(self.sent, self.summed)
        heard = self._heard.tolist()
        if not any(heard):
            return QUIET
        found = Flags._make(heard)
        if found.failed:
            self._hear(self.comm.allgather(self._failure))
        return found

    def add_up(self, numbers: np.ndarray) -> np.ndarray:
        """The sum of a few numbers over the ranks, in the middle of a step. RuntimeError where a rank has failed."""
        return self._add_few(numbers, Flags())[: len(numbers)]

    def _add_few(self, numbers: np.ndarray, flags: Flags) -> np.ndarray:
        told, heard = self._few
        told[:] = 0
        told[: len(numbers)] = numbers
        told[-1] = flags.failed
        self.comm.Allreduce(told, heard)
        if heard[-1]:
            self._hear(self.comm.allgather(self._failure))
        return heard

    def meet(self, flags: Flags) -> Flags:
        """The sums of the flags alone."""
        if self._messages:  # what is on its way stays as it is
            self.sent[: self._messages[len(self._begun)].stop] = 0
            self._said = None
        return self.sum(flags)

    def gather(self, value: Any) -> list[Any]:
        """What all ranks give, on rank 0; nothing on the others. Ranks have met just before."""
        return self.comm.gather(value) or []

    def share(self, value: Any) -> Any:
        """What rank 0 gives. Ranks have met just before, so that none has failed."""
        return self.comm.bcast(value)

    def _hear(self, failures: list[Failure | None]) -> None:
        """Raise what the first rank that failed says, unless that is this one. A NaN is where its layer is known."""
        found = [(rank, failure) for rank, failure in enumerate(failures) if failure is not None]
        if not found:
            return
        self._over = True
        own = self._failure
        rank, first = max(found, key=lambda one: (bool(one[1].layer), -one[0]))
        if first.step >= 0 and (own is None or own.step >= 0) and rank != self.rank:
            raise NonFiniteError(
                f"rank {rank}: {first.text.partition(': ')[2]}", first.step, first.layer
            ) from None
        if own is None:
            raise RuntimeError(f"rank {rank} failed: {first.text}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._over:
                return
            if error is None:
                self.meet(Flags())
                return
            self._failure = Failure.of(error)
            if len(self.sent):
                self.meet(Flags(failed=1))
            else:
                self._hear([failure for failure, *_ in self.comm.allgather((self._failure, {}, None))])
        finally:
            self.comm.Free()


def sum_in_order(parts: list[np.ndarray]) -> np.ndarray:
    """((a + b) + (c + d)) ...: of 2^n parts the same bits, whether the halves were added up before or not."""
    while len(parts) > 1:
        parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]
