"""Workers: threads that each take one work after the other, while the calling thread waits, shows progress, hears Ctrl-C."""

from collections.abc import Callable, Generator, Iterable
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import TypeVar

from ..system.cpus import move_to_cpu

Task = TypeVar("Task")
Result = TypeVar("Result")
# Seconds between two looks at what runs.
LOOK = 0.1


def results(
    tasks: Iterable[Task],
    do: Callable[[Task, Callable[[], bool]], Result],
    threads: int,
    look: Callable[[], None] = lambda: None,
) -> Generator[Result, None, None]:
    """What `do(task, leave)` returns, as it comes. A task is taken when a thread is free for it.

    Where the caller stops early, as by Ctrl-C, `leave()` becomes True and the threads are waited for.

    Args:
        look: called by the caller's thread every LOOK seconds.
    """
    pending, taking, leave = iter(tasks), Lock(), Event()
    done: SimpleQueue[tuple[bool, Result | BaseException | None]] = SimpleQueue()

    def work(number: int) -> None:
        move_to_cpu(number)
        try:
            while not leave.is_set():
                with taking:
                    task = next(pending, pending)
                if task is pending:
                    break
                done.put((True, do(task, leave.is_set)))  # type: ignore[arg-type]
        except BaseException as error:  # of a task that could not be made, SystemExit of a callback
            done.put((False, error))
        else:
            done.put((False, None))

    team = [Thread(target=work, args=(number,), name=f"backpass-many-{number}") for number in range(threads)]
    running = 0
    try:
        for thread in team:
            thread.start()
            running += 1
        while running:
            try:
                came, result = done.get(timeout=LOOK)
            except Empty:
                look()
                continue
            if came:
                yield result  # type: ignore[misc]
            elif result is None:
                running -= 1
            else:
                raise result  # type: ignore[misc]
    finally:
        leave.set()
        for thread in team:
            if thread.ident is not None:
                thread.join()
