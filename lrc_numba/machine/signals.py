"""Signals that come in the middle of what must not be left half done: a step of training, an exchange of processes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["HeldSignals", "held_signals"]


class HeldSignals:
    """Signals that came and were not acted upon yet.

    Attributes
    ----------
    came : list of int
        Their numbers.
    """

    def __init__(self) -> None:
        self.came: list[int] = []

    def check(self) -> None:
        """Raise a KeyboardInterrupt where one came; it counts as acted upon."""
        if self.came:
            self.came.clear()
            raise KeyboardInterrupt


@contextmanager
def held_signals(*numbers: int) -> Iterator[HeldSignals]:
    """Hold Ctrl-C, and other signals, until the block asks for them or ends. A second one acts at once.

    At its end the block raises KeyboardInterrupt for what it did not ask for; SIGTERM does there what it would have
    done. A signal that the process ignores, or has a handler of its own for, is left alone, and so are all outside the
    main thread, which alone may have handlers.

    Parameters
    ----------
    numbers : int
        SIGINT, which alone is held by default, or SIGTERM.
    """
    held = HeldSignals()
    usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}

    def note(number: int, _) -> None:
        """The handler of the signals."""
        held.came.append(number)
        if len(held.came) > 1:
            signal.signal(number, usual[number])
            signal.raise_signal(number)

    is_main = threading.current_thread() is threading.main_thread()
    taken = [each for each in numbers or (signal.SIGINT,) if is_main and signal.getsignal(each) is usual[each]]
    for number in taken:
        signal.signal(number, note)
    try:
        yield held
    finally:
        for number in taken:
            signal.signal(number, usual[number])
        if signal.SIGTERM in held.came:
            signal.raise_signal(signal.SIGTERM)
    held.check()
