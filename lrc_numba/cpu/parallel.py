"""Running a kernel on several threads.

Kernels release the interpreter lock and take the range of work they are to do, so plain Python threads suffice: no
parallel compilation, no threading layer, safe to call from a user's own threads and after a fork. How work is divided
never changes a result, because every kernel writes what only its range owns, in an order fixed by the data.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from time import sleep

import numpy as np

from ..waiting import CELLS, PAUSE, POSTED, until_finished, until_posted

__all__ = ["WORTH_A_THREAD", "available_threads", "even", "run", "weighted"]

# Numbers that a thread must at least have to work on: telling it takes as long as some thousand of them.
WORTH_A_THREAD = 1 << 14
PATIENCE = 1 << 20  # looks at a cell before going to sleep, half a millisecond: between two loops of a call it is less
DISPATCH = 1 << 15  # looks in the time in which Numba takes the arguments of a kernel apart, some microseconds
NAP = 5e-5  # seconds between looks at what takes longer


def available_threads() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


class _Worker:
    """A thread that does what is posted to it, one thing after the other."""

    def __init__(self, name: str, patience: int):
        self.cells, self.patience = np.zeros(CELLS, dtype=np.int64), patience
        self.call: tuple = ()
        self.error: BaseException | None = None
        self.asleep, self.bell = False, SimpleQueue[None]()
        until_posted(self.cells, 0, 0)  # compiled here, where an error is seen
        Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        done = 0
        while True:
            if not until_posted(self.cells, done, self.patience):
                self.asleep = True  # and only then looks again: who posts does it the other way round
                while self.cells[POSTED] == done:
                    self.bell.get()
                self.asleep = False
            done = int(self.cells[POSTED])
            function, *arguments = self.call
            try:
                function(*arguments)
            except BaseException as error:  # raised by who waits for it
                self.error = error
            self.call = ()
            del function, arguments  # no array lives longer because of this thread

    def post(self, pause: int, *call) -> None:
        """Have ``call``, a function and its arguments, done; begun after so many looks."""
        self.call, self.error = call, None
        self.cells[PAUSE] = pause
        self.cells[POSTED] += 1
        if self.asleep:
            self.bell.put(None)

    def wait(self) -> None:
        """Until that is done."""
        while not until_finished(self.cells, int(self.cells[POSTED]), self.patience):
            sleep(NAP)


class _Threads:
    """Threads that have nothing to do. An executor of the standard library is slower to wake them."""

    def __init__(self) -> None:
        self.free: list[_Worker] = []
        self.count, self.most = 0, os.cpu_count() or 1  # asking each time takes tens of microseconds
        self.patience = PATIENCE if available_threads() > 1 else 0  # else what is waited for could not go on

    def take(self, wanted: int) -> list[_Worker]:
        """At most so many, new ones if need be; fewer where others are at work or the system has no more."""
        crew: list[_Worker] = []
        with suppress(RuntimeError):
            while len(crew) < wanted and not sys.is_finalizing():
                try:
                    crew.append(self.free.pop())
                except IndexError:
                    if self.count >= self.most:
                        break
                    crew.append(self._another())
        return crew

    def _another(self) -> _Worker:
        self.count += 1
        try:
            return _Worker(f"lrc_numba {self.count}", self.patience)
        except RuntimeError:
            self.count -= 1
            raise


def _wait(crew: list[_Worker]) -> None:
    """Until all are done, also when Ctrl-C is pressed meanwhile."""
    interrupt = None
    while True:
        try:
            for worker in crew:
                worker.wait()
            break
        except KeyboardInterrupt as pressed:
            interrupt = pressed
    if interrupt is not None:
        raise interrupt


_THREADS = _Threads()


def _after_fork() -> None:
    """A child has none of the threads, and maybe a lock that one of them held."""
    global _THREADS
    _THREADS = _Threads()


os.register_at_fork(after_in_child=_after_fork)


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

    The calling thread takes the first part itself, and those for which there is no other thread. A kernel may not call
    this in its turn.
    """
    if len(bounds) == 2:
        kernel(0, bounds[0], bounds[1], *arguments)
        return
    parts = [(p, bounds[p], bounds[p + 1], *arguments) for p in range(len(bounds) - 1)]
    threads, crew = _THREADS, []
    try:
        crew = threads.take(len(parts) - 1)
        for p, worker in enumerate(crew, start=1):
            worker.post(p * DISPATCH, kernel, *parts[p])
        for part in (parts[0], *parts[1 + len(crew) :]):
            kernel(*part)
    finally:
        try:
            _wait(crew)  # nothing may still be writing when an error is raised
        finally:
            threads.free += crew
    errors = [worker.error for worker in crew if worker.error is not None]
    if errors:
        raise errors[0]
