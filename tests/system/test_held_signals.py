"""Signals that wait: within `held`, between the slices of a step, and whose they are."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from backpass.system.signals import deliver, held, opened
from helpers.backends import once

pytestmark = [once, pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no SIGUSR1 on this system")]


@pytest.fixture
def seen() -> Iterator[list[int]]:
    """The signals that a handler saw."""
    found: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: found.append(number))
    yield found
    signal.signal(signal.SIGUSR1, before)


def tell() -> None:
    signal.raise_signal(signal.SIGUSR1)


def test_held_and_opened(seen: list[int]) -> None:
    handler = signal.getsignal(signal.SIGUSR1)
    with held() as at_once:
        assert at_once
        tell()
        assert not seen
        deliver()
        assert len(seen) == 1
        tell()
        with held() as at_once:
            assert not at_once
        assert len(seen) == 1

        def within() -> None:
            assert len(seen) == 2
            tell()
            assert len(seen) == 3
            with held() as at_once:
                assert at_once
                tell()
                assert len(seen) == 3
            assert len(seen) == 4

        opened(within)
        tell()
        tell()  # somebody insists
        assert len(seen) == 5
    assert len(seen) == 6
    assert signal.getsignal(signal.SIGUSR1) is handler
    tell()
    assert len(seen) == 7


def test_an_exception_of_the_handler_comes_out_of_the_block() -> None:
    def fail(*_: Any) -> None:
        raise OSError("told")

    before = signal.signal(signal.SIGUSR1, fail)
    done = []

    def block() -> None:
        with held():
            tell()
            done.append(1)

    try:
        with pytest.raises(OSError, match="told"):
            block()
        assert done
        assert signal.getsignal(signal.SIGUSR1) is fail
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_handler_that_is_changed_within_stays(seen: list[int]) -> None:
    with held():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN


def test_other_threads_hold_nothing(seen: list[int]) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with held():
            entered.set()
            leave.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert entered.wait(30)
    tell()
    assert len(seen) == 1
    leave.set()
    thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_child_of_another_thread_holds_nothing(seen: list[int]) -> None:
    status: list[int] = []

    def fork() -> None:
        child = os.fork()
        if not child:
            signal.raise_signal(signal.SIGUSR1)
            os._exit(len(seen))
        status.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    with held():
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
    assert status == [1]
