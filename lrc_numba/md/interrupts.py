"""Errors and Ctrl-C while a library runs that Python's exceptions cannot pass."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Interrupts", "held_interrupts", "is_told_here", "stop_behind"]


class Interrupts:
    """Whether there was one.

    Attributes
    ----------
    came : bool
        As long as nobody raised it.
    """

    def __init__(self) -> None:
        self.came = False

    def check(self) -> None:
        """Raise a KeyboardInterrupt where there was one."""
        if self.came:
            self.came = False
            raise KeyboardInterrupt


@contextmanager
def held_interrupts() -> Iterator[Interrupts]:
    """Keep the first SIGINT until it is asked for, or until the end; the second is raised at once.

    An exception between two lines of anything, such as an exchange with other processes, would leave half of it done.
    Only Python's own handler is replaced, and only in the main thread, where signals are handled.
    """
    interrupts = Interrupts()

    def note(number, frame) -> None:
        """Handle the signal."""
        if interrupts.came:
            signal.default_int_handler(number, frame)
        interrupts.came = True

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interrupts
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupts.check()


def stop_behind(error: BaseException) -> BaseException:
    """The error, or what is no ``Exception`` and stands behind it.

    Parameters
    ----------
    error : BaseException
        Of this process.
    """
    cause: BaseException | None = error
    while isinstance(cause, Exception):
        cause = cause.__cause__
    return error if cause is None else cause


def is_told_here(error: BaseException) -> bool:
    """Whether this process is the first of those that have an error.

    Parameters
    ----------
    error : BaseException
        Of this process.
    """
    from ..distributed.ranks import RANKS_OF_ERROR

    raised = getattr(error, RANKS_OF_ERROR, None)
    return raised is None or raised.here
