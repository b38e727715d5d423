"""Signals that come while a step of training is done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["signals_between_steps"]


@contextmanager
def signals_between_steps() -> Iterator[Callable[[], bool]]:
    """Defer Ctrl-C and SIGTERM to the end of a step; the block is given a function that tells whether one came.

    A second signal acts at once. After the block a signal does what it would have done. A signal that the process
    ignores, or has a handler of its own for, is left alone.
    """
    came: list[int] = []
    usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}

    def note(number: int, _) -> None:
        """The handler of the signals."""
        came.append(number)
        if len(came) > 1:
            signal.signal(number, usual[number])
            signal.raise_signal(number)

    if threading.current_thread() is not threading.main_thread():  # which alone may have handlers
        usual = {}
    usual = {number: handler for number, handler in usual.items() if signal.getsignal(number) is handler}
    for number in usual:
        signal.signal(number, note)
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        if signal.SIGTERM in came:
            signal.raise_signal(signal.SIGTERM)
    if came:  # after the last step
        raise KeyboardInterrupt
