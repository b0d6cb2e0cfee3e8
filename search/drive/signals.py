"""SIGTERM, SIGINT and SIGHUP as an orderly end, which processes started below do not notice."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import parent_process

ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def ending(stop: Callable[[str], None]) -> Iterator[None]:
    """The signals call `stop` with their name, as often as they come. In the main thread only.

    A SIGHUP that is ignored (nohup) stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [number for number in ENDS if not _is_ignored_hangup(number)]
    call = lambda number, frame: stop(signal.Signals(number).name)  # noqa: E731
    before = {number: signal.signal(number, call) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_back() -> Iterator[None]:
    """The signals wait until the end of the body, in processes that it starts for ever.

    A signal to a process group (timeout, a closed terminal) or to a control group (systemd, Slurm)
    then reaches this process alone, which ends the others when they have done their work.
    Handlers that the body sets are undone.
    """
    is_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in ENDS} if is_main else {}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def end_with_parent() -> None:
    """In a process of a pool: end as soon as the parent is gone, and leave Ctrl-C to it."""
    parent = parent_process()
    assert parent is not None
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _is_ignored_hangup(number: signal.Signals) -> bool:
    return number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN
