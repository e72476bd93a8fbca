"""Cluster: works go to the workers of a dask.distributed Client, and what came of them is brought back into the models here."""

from __future__ import annotations  # distributed is imported where a client is given

import time
from collections.abc import Callable
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from ..engine.history import History
from ..errors import CheckpointError
from .directory import Directory
from .errand import Data, Errand, Reply, run
from .options import copies
from .parcel import Parcel, SameParcel
from .work import Outcome, Work
from .workers import LOOK

if TYPE_CHECKING:
    from distributed import Client, Future

# Works that are sent at once to a cluster that has few cores: it may grow.
LEAST = 16
# How often the data are sent again, where all workers that had them were lost.
TRIES = 5
# Bytes from which an errand goes to a worker directly, without the scheduler.
LARGE = 1 << 20


class Cluster:
    """A client, and the data on its workers. Threads call `do` and wait, so that nothing else knows where a model trains.

    Args:
        client: a dask.distributed.Client. data: of all models, sent once to all workers.
        same: the model with which every work begins, where there is one.
    """

    def __init__(self, client: Any, data: Data, same: Parcel | None = None) -> None:
        self.client = checked_client(client)
        self.data, self.same = data, same
        self._sent: list[Future] = []
        self._sending = Lock()

    @property
    def team(self) -> int:
        """How many works are sent at once: those that train, and as many that wait on the workers."""
        cores: int = sum(self.client.nthreads().values())
        return max(LEAST, 2 * cores)

    def do(self, work: Work, leave: Callable[[], bool], directory: Directory | None = None) -> Outcome:
        """Train a model on some worker; a lost worker's models train again on others. leave: asked all the time.

        directory: its files are read and written here, that of a model when it is back without an error.
        """
        from distributed.protocol import pickle

        engine, options = work.model.engine, work.options
        try:
            if directory is not None:
                directory.fill(work.number, engine)
                options = options | {"resume": True}
            with engine.usage.lock:
                parcel = None if self.same else Parcel(engine, f"model {work.number}")
            callbacks = unattached(options["callbacks"])
            content = pickle.dumps(Errand(work.number, parcel, options | {"callbacks": callbacks}))
        except Exception as error:
            return Outcome(work.number, History(), error, None)
        reply = self._reply(content, leave)
        if reply is None:
            return Outcome(work.number, History(), None, None)
        if isinstance(reply, Exception):
            return Outcome(work.number, History(), reply, None)
        if isinstance(reply, BaseException):
            raise reply
        with engine.usage.lock:
            if reply.changes is not None:
                reply.changes.apply(engine)
            engine.take_trained(reply.trained)
            if directory is not None and reply.outcome.error is None:
                try:
                    directory.write(work.number, engine)
                except CheckpointError as error:
                    return reply.outcome._replace(error=error)
        return reply.outcome

    def _reply(self, content: bytes, leave: Callable[[], bool]) -> Reply | BaseException | None:
        """What came of an errand, or what its worker failed by; None: left."""
        from distributed.client import FutureCancelledError

        for _ in range(TRIES):
            try:
                future = self._sent_off(content)
            except TimeoutError:
                raise
            except OSError:  # a worker was lost on the way
                time.sleep(LOOK)
                continue
            done = Event()
            future.add_done_callback(lambda _, done=done: done.set())
            while not done.wait(LOOK):
                if leave():
                    future.cancel()
                    return None
            try:
                reply: Reply | BaseException = future.result()
            except FutureCancelledError as error:
                # What it needed was on lost workers alone.
                if self.client.status != "running":
                    raise RuntimeError(f"client {self.client!r} was closed while models trained") from error
            except Exception as error:  # KilledWorker, a worker without backpass
                return error
            else:
                return reply
        raise RuntimeError(f"client {self.client!r} lost the data on its workers {TRIES} times")

    def _sent_off(self, content: bytes) -> Future:
        errand = content if len(content) < LARGE else self.client.scatter(content, hash=False)
        return self.client.submit(run, errand, *self._data(), pure=False)

    def _data(self) -> list[Future]:
        """The data on the workers; sent where they are not, or not any longer."""
        with self._sending:
            if not self._sent or any(future.status != "finished" for future in self._sent):
                same = self.same and SameParcel(self.same)
                self._sent = self.client.scatter([self.data, same], broadcast=True, hash=False)
            return self._sent


def checked_client(client: Any) -> Client:
    """A client that is connected, to one worker at least."""
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(f'client= needs dask ({error}): pip install "backpass[dask]"') from None
    if not isinstance(client, Client):
        raise TypeError(f"client is {client!r:.80}, expected a dask.distributed.Client")
    if client.asynchronous:
        raise ValueError("client is asynchronous, expected one whose calls wait")
    if client.status != "running":
        raise ValueError(f"client is {client.status}, expected one that is connected")
    if not client.nthreads():
        raise ValueError("client has no workers, expected at least one: client.wait_for_workers(1)")
    return client


def unattached(callbacks: list[Any]) -> list[Any]:
    """Copies of callbacks without the model that they served before."""
    found = copies(callbacks)
    for callback in found:
        getattr(callback, "__dict__", {}).pop("model", None)
    return found
