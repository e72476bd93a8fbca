"""Which trial of a search trains next, and to which epoch: each once, or successive halving."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Condition
from typing import NamedTuple


class Job(NamedTuple):
    """A trial trains until it has seen the epochs of a rung."""

    trial: int
    rung: int


def rungs_of(epochs: int, least: int, factor: int) -> list[int]:
    """least, least · factor, ... and at last `epochs`."""
    rungs = [least]
    while rungs[-1] * factor < epochs:
        rungs.append(rungs[-1] * factor)
    return rungs if rungs[-1] == epochs else [*rungs, epochs]


class Schedule:
    """Asynchronous successive halving (Li et al. 2020, ASHA): of those that reached a rung the best 1/factor go on to the next.

    Job n is chosen by the scores of jobs 0 to n - ahead, so that no result depends on threads or time: up to `ahead` jobs run
    at once, and one that takes long is only waited for by those that come `ahead` later.
    """

    def __init__(self, trials: int, rungs: Sequence[int], factor: int, ahead: int) -> None:
        self.trials, self.rungs, self.factor, self.ahead = trials, rungs, factor, ahead
        self.jobs: list[Job] = []
        self.scores: dict[Job, float] = {}
        # Of how many jobs, from the first on, the scores count by now.
        self._known = 0
        self._begun = 0
        self._promoted: set[Job] = set()
        self._told, self._closed = Condition(), False

    def __iter__(self) -> Iterator[Job]:
        while job := self._next():
            self.jobs.append(job)
            yield job

    def tell(self, job: Job, score: float) -> None:
        """What came of a job: less is better, infinity for one that failed."""
        with self._told:
            self.scores[job] = score
            self._told.notify_all()

    def close(self) -> None:
        """No more jobs."""
        with self._told:
            self._closed = True
            self._told.notify_all()

    @contextmanager
    def closed_on_error(self) -> Iterator[None]:
        """What may raise in the place of a job's score: nobody waits for that any longer."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _next(self) -> Job | None:
        while self._known <= len(self.jobs) - self.ahead:
            if not self._wait():
                return None
        while True:
            finished = self._known == len(self.jobs) and self._begun == self.trials
            if job := self._promotion(int(finished)) or self._new():
                return job
            if finished or not self._wait():
                return None

    def _wait(self) -> bool:
        """Until one job more is known; False: there will be none."""
        job = self.jobs[self._known]
        with self._told:
            self._told.wait_for(lambda: job in self.scores or self._closed)
        self._known += 1
        return not self._closed

    def _promotion(self, at_least: int) -> Job | None:
        """The best trial that may go on, of the highest rung with one. at_least: how many may, however few reached the rung."""
        known = self.jobs[: self._known]
        for rung in reversed(range(len(self.rungs) - 1)):
            here = sorted((self.scores[job], job.trial) for job in known if job.rung == rung)
            for score, trial in here[: max(len(here) // self.factor, at_least)]:
                above = Job(trial, rung + 1)
                if score < math.inf and above not in self._promoted:
                    self._promoted.add(above)
                    return above
        return None

    def _new(self) -> Job | None:
        if self._begun == self.trials:
            return None
        self._begun += 1
        return Job(self._begun - 1, 0)
