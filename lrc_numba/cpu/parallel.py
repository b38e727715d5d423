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
from threading import Lock, Thread
from time import sleep

import numpy as np

from ..waiting import CELLS, PAUSE, POSTED, until_finished, until_posted

__all__ = ["WORTH_A_THREAD", "available_threads", "even", "run", "weighted"]

# Numbers that a thread must at least have to work on: telling it takes as long as some thousand of them.
WORTH_A_THREAD = 1 << 14
PATIENCE = 500_000  # nanoseconds awake before going to sleep: between the loops of a call it is mostly less
DISPATCH = 4_000  # nanoseconds in which Numba takes the arguments of a kernel apart
NAP = 5e-5  # seconds between looks at what takes longer


def available_threads() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


class _Job:
    """One call of ``run``: the parts that nobody has begun, and what went wrong in the others."""

    def __init__(self, kernel, bounds: list[int], arguments: tuple):
        self.kernel, self.bounds, self.arguments = kernel, bounds, arguments
        self.left = list(range(len(bounds) - 2, 0, -1))  # the last first; part 0 is the caller's
        self.errors: list[BaseException] = []

    def next(self) -> int | None:
        """A part to begin with, if there is one."""
        try:
            return self.left.pop()
        except IndexError:
            return None

    def work(self, part: int | None) -> None:
        """Do a part, and then what is left."""
        while part is not None:
            try:
                self.kernel(part, self.bounds[part], self.bounds[part + 1], *self.arguments)
            except BaseException as error:  # raised by ``run`` when all is quiet
                self.errors.append(error)
                self.left.clear()
            part = self.next()


class _Worker:
    """A thread that does what is posted to it, one thing after the other.

    Who has taken it from the free ones may post one thing; it goes back by itself, and nobody else brings it there.
    """

    def __init__(self, threads: _Threads):
        self.cells, self.free = np.zeros(CELLS, dtype=np.int64), threads.free
        self.patience = PATIENCE if available_threads() > 1 else 0  # else what is waited for could not go on
        self.call: tuple[_Job, int] | None = None
        self.asleep, self.bell = False, SimpleQueue[None]()
        until_posted(self.cells, 0, 0)  # compiled here, before anything waits for anything
        until_finished(self.cells, 0, 0)

    def work(self) -> None:
        """What the thread does."""
        done = 0
        while True:
            if not until_posted(self.cells, done, self.patience):
                self.asleep = True  # and only then looks again: who posts does it the other way round
                while self.cells[POSTED] == done:
                    self.bell.get()
                self.asleep = False
            done = int(self.cells[POSTED])
            if self.call is not None:
                (job, part), self.call = self.call, None
                job.work(part)
                del job  # nothing lives longer because of this thread
            self.free.append(self)

    def post(self, job: _Job, part: int, pause: int) -> int:
        """Have a part done, and what is left then, begun after so many nanoseconds. Returns what to wait for."""
        self.call, self.cells[PAUSE] = (job, part), pause
        ticket = int(self.cells[POSTED]) + 1
        self.cells[POSTED] = ticket
        if self.asleep:
            self.bell.put(None)
        return ticket

    def wait(self, ticket: int) -> None:
        """Until that is done; awake at first."""
        patience = self.patience
        while not until_finished(self.cells, ticket, patience):
            if self.asleep:  # it may not have been told, where Ctrl-C was pressed
                self.bell.put(None)
            sleep(NAP)
            patience = 0


class _Threads:
    """Threads that have nothing to do. An executor of the standard library is slower to wake them."""

    def __init__(self) -> None:
        self.free: list[_Worker] = []
        self.lock, self.count = Lock(), 0
        self.most = os.cpu_count() or 1  # asking each time takes tens of microseconds

    def post(self, job: _Job, posted: list[tuple[_Worker, int]]) -> None:
        """Have parts of a job done by free threads, new ones if need be, as long as there are both."""
        while job.left and not sys.is_finalizing():
            worker = self._taken()
            if worker is None:
                return
            part = job.next()
            if part is None:  # done meanwhile by those who were quick
                self.free.append(worker)
                return
            posted.append((worker, worker.post(job, part, min(part, 8) * DISPATCH)))

    def _taken(self) -> _Worker | None:
        """A free one, or a new one; None where there are enough, or the system has no more."""
        with suppress(IndexError):
            return self.free.pop()
        with self.lock:
            if self.count >= self.most:
                return None
            self.count += 1
        started = False
        try:
            worker = _Worker(self)
            with suppress(RuntimeError):
                Thread(target=worker.work, name=f"lrc_numba {self.count}", daemon=True).start()
                started = True
        finally:
            if not started:
                with self.lock:
                    self.count -= 1
        return worker if started else None


def _wait(job: _Job, posted: list[tuple[_Worker, int]]) -> None:
    """Until all parts are done, also when Ctrl-C is pressed meanwhile."""
    while True:
        try:
            while posted:
                worker, ticket = posted[-1]
                worker.wait(ticket)
                posted.pop()
            return
        except BaseException as error:
            job.errors.insert(0, error)


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

    The calling thread takes the first part itself, and with the others those for which there is no thread.
    """
    if len(bounds) == 2:
        kernel(0, bounds[0], bounds[1], *arguments)
        return
    job = _Job(kernel, bounds, arguments)
    posted: list[tuple[_Worker, int]] = []
    try:
        _THREADS.post(job, posted)
        job.work(0)
    except BaseException as error:
        job.errors.insert(0, error)
    _wait(job, posted)  # nothing may still be writing when an error is raised
    if job.errors:
        try:
            raise job.errors[0]
        finally:
            job.errors.clear()  # else the error would keep itself alive, and the arrays
