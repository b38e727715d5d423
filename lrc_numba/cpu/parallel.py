"""Running a kernel on several threads.

Kernels release the interpreter lock and take the range of work they are to do, so plain Python threads suffice: no
parallel compilation, no threading layer, safe to call from a user's own threads and after a fork. How work is divided
never changes a result, because every kernel writes what only its range owns, in an order fixed by the data.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Lock, Thread

import numpy as np

__all__ = ["WORTH_A_THREAD", "available_threads", "even", "run", "weighted"]

# Numbers that a thread must at least have to work on: waking it takes as long as some ten thousand of them.
WORTH_A_THREAD = 1 << 16


@dataclass
class _Part:
    """What a thread is to do, and how that went; ``done`` is released afterwards."""

    function: Callable
    arguments: tuple
    done: Lock = field(default_factory=Lock)
    error: BaseException | None = None
    finished: bool = False

    def __call__(self) -> None:
        try:
            self.function(*self.arguments)
        except BaseException as error:  # raised by who waits for it
            self.error = error
        self.finished = True
        self.done.release()


class _Threads:
    """Threads that wait for parts. An executor of the standard library is slower to wake them."""

    def __init__(self) -> None:
        self.parts: SimpleQueue[_Part] = SimpleQueue()
        self.lock, self.count, self.wanted = Lock(), 0, 0
        self.most = os.cpu_count() or 1  # asking each time takes tens of microseconds

    def _work(self) -> None:
        while True:
            self.parts.get()()

    def start(self, parts: list[_Part]) -> None:
        """Have them done, here where no thread can be had."""
        with self.lock:
            self.wanted += len(parts)
            with suppress(RuntimeError):  # the system has no more
                while self.count < min(self.wanted, self.most):
                    Thread(target=self._work, name=f"lrc_numba {self.count}", daemon=True).start()
                    self.count += 1
            alone = self.count == 0 or sys.is_finalizing()
        for part in parts:
            part.done.acquire()
            if alone:
                part()
            else:
                self.parts.put(part)

    def wait(self, parts: list[_Part]) -> None:
        """Until all of them are done, also when Ctrl-C is pressed meanwhile."""
        interrupt = None
        for part in parts:
            while not part.finished:
                try:
                    part.done.acquire()
                except KeyboardInterrupt as pressed:
                    interrupt = pressed
        with self.lock:
            self.wanted -= len(parts)
        if interrupt is not None:
            raise interrupt


_THREADS = _Threads()


def _after_fork() -> None:
    """A child has none of the threads, and maybe a lock that one of them held."""
    global _THREADS
    _THREADS = _Threads()


os.register_at_fork(after_in_child=_after_fork)


def available_threads() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def even(length: int, threads: int, smallest: int = 1) -> list[int]:
    """Bounds that cut ``length`` items into at most ``threads`` ranges of nearly one size, none below ``smallest``.

    Parameters
    ----------
    length : int
        Number of items.
    threads : int
        At most so many ranges.
    smallest : int
        Items that are worth a thread.
    """
    parts = min(threads, length // max(smallest, 1))
    if parts < 2:
        return [0, length]
    return [length * p // parts for p in range(parts + 1)]


def weighted(starts: np.ndarray, stop: int, threads: int, smallest: int) -> list[int]:
    """Bounds that cut consecutive items, item i being the work ``starts[i]`` … ``starts[i + 1]``, into even work.

    Parameters
    ----------
    starts : (n,) int64
        Where the work of each item begins.
    stop : int
        Where that of the last one ends.
    threads : int
        At most so many ranges.
    smallest : int
        Work that is worth a thread.
    """
    if threads == 1 or len(starts) < 2 or stop - starts[0] < 2 * smallest:
        return [0, len(starts)]
    cuts = np.searchsorted(starts, np.linspace(starts[0], stop, threads + 1)[1:-1])
    return [0, *cuts.tolist(), len(starts)]


def run(kernel, bounds: list[int], *arguments) -> None:
    """Call ``kernel(part, bounds[part], bounds[part + 1], *arguments)`` for every part, and wait for all.

    The calling thread takes the first part itself. A kernel may not call this in its turn.
    """
    if len(bounds) == 2:
        kernel(0, bounds[0], bounds[1], *arguments)
        return
    others = [_Part(kernel, (p, bounds[p], bounds[p + 1], *arguments)) for p in range(1, len(bounds) - 1)]
    try:
        _THREADS.start(others)
        kernel(0, bounds[0], bounds[1], *arguments)
    finally:
        _THREADS.wait(others)  # nothing may still be writing when an error is raised
    for other in others:
        if other.error is not None:
            raise other.error
