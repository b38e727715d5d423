"""Running a kernel on several threads.

Kernels release the interpreter lock and take the range of work they are to do, so plain Python threads suffice: no
parallel compilation, no threading layer, safe to call from a user's own threads and after a fork. How work is divided
never changes a result, because every kernel writes what only its range owns, in an order fixed by the data.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from queue import SimpleQueue
from threading import Thread
from time import sleep
from typing import TypeVar

import numpy as np

from .spin_wait import CELLS, PAUSE, POSTED, until_finished, until_posted

__all__ = ["WORTH_A_THREAD", "available_threads", "both", "compile_only", "even", "run", "runs", "weighted"]

# Numbers that a thread must at least have to work on: telling it takes as long as some thousand of them.
WORTH_A_THREAD = 1 << 14
PATIENCE = 500_000  # nanoseconds awake before going to sleep: between the loops of a call it is mostly less
DISPATCH = 4_000  # nanoseconds in which Numba takes the arguments of a kernel apart
TELLING = 1_500  # nanoseconds in which a thread is told
NAP = 5e-5  # seconds between looks at what takes longer
T = TypeVar("T")
_instead: Callable | None = None  # of running loops, see ``compile_only``


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


@cache
def _count(name: str, value: str) -> int | None:
    """The number of threads that a variable of the environment asks for, a warning, once, where it is none.

    Of a list, "4,2", the first: the others are for loops within loops.
    """
    first = value.split(",")[0].strip()
    if first.isascii() and first.isdigit() and int(first) > 0:
        return int(first)
    if value.strip():
        warnings.warn(f"{name}: expected a positive integer, got {value!r}, which is ignored", RuntimeWarning, 4)
    return None


def available_threads() -> int:
    """How many threads are at work where nobody says how many, at the time of the call.

    The smallest of three numbers: the processors this process may use, ``NUMBA_NUM_THREADS`` and ``OMP_NUM_THREADS``
    of the environment, where they are set. Those who start several processes set these to share out a machine.
    """
    limits = [_processors()]
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        count = _count(name, os.environ.get(name, ""))
        if count is not None:
            limits.append(count)
    return min(limits)


class _Job:
    """One call of ``run``. Threads take parts instead of being given them, so a late thread delays nobody."""

    def __init__(self, kernel, bounds: list[int], arguments: tuple):
        self.kernel, self.bounds, self.arguments = kernel, bounds, arguments
        self.left = list(range(len(bounds) - 2, -1, -1))  # parts not yet begun, backwards
        self.active: list[tuple[_Worker, int]] = []  # workers that may have begun a part, and their tickets
        self.errors: list[BaseException] = []

    def work(self) -> None:
        """Take parts and run them until none is left."""
        while True:
            try:
                part = self.left.pop()
            except IndexError:
                return
            try:
                self.kernel(part, self.bounds[part], self.bounds[part + 1], *self.arguments)
            except BaseException as error:
                self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Begin no other part; ``run`` raises the error when all workers have finished."""
        self.left.clear()
        self.errors.append(error)

    def wait(self) -> None:
        """Wait until all parts that were begun are finished; a worker that becomes active from now on finds none."""
        waited = 0  # no iterator: the list may grow meanwhile
        while waited < len(self.active):
            worker, ticket = self.active[waited]
            worker.wait(ticket)
            waited += 1


class _Worker:
    """A thread that works on one job after the other.

    The thread that has taken it from the free workers may post a job, and other threads may replace this job as long as
    it has not begun. Afterwards the worker is free again by itself.
    """

    def __init__(self, threads: _Threads):
        self.cells, self.free = np.zeros(CELLS, dtype=np.int64), threads.free
        self.patience = PATIENCE if _processors() > 1 else 0  # else what is waited for could not go on
        self.job: _Job | None = None
        self.asleep, self.bell = False, SimpleQueue[None]()
        until_posted(self.cells, 0, 0)  # compiled here, before anything waits for anything
        until_finished(self.cells, 0, 0)

    def work(self) -> None:
        """Wait for jobs and work on them: the target of the thread."""
        done = 0
        while True:
            if not until_posted(self.cells, done, self.patience):
                self.asleep = True  # and only then looks again: who posts does it the other way round
                while self.cells[POSTED] == done:
                    self.bell.get()
                self.asleep = False
            done = int(self.cells[POSTED])
            job, self.job = self.job, None
            if job is not None:
                job.active.append((self, done))  # before it takes a part, see ``_Job.wait``
                job.work()
            self.free.append(self)

    def post(self, job: _Job, pause: int) -> None:
        """Have it work on a job.

        Parameters
        ----------
        job : _Job
            Which.
        pause : int
            Nanoseconds before it begins, if it is awake.
        """
        self.job, self.cells[PAUSE] = job, pause
        self.cells[POSTED] += 1
        if self.asleep:
            self.bell.put(None)

    def wait(self, ticket: int) -> None:
        """Wait until the job of a ticket is finished; without sleeping at first."""
        patience = self.patience
        while not until_finished(self.cells, ticket, patience):
            sleep(NAP)
            patience = 0


class _Threads:
    """The workers and those that are free. An executor of the standard library is slower to wake threads.

    Parameters
    ----------
    most : int
        How many there may be.
    """

    def __init__(self, most: int) -> None:
        self.all: list[_Worker] = []
        self.free: list[_Worker] = []
        self.unused = [f"lrc_numba {i}" for i in range(most)]  # names of those that are still to be made

    def post(self, job: _Job, wanted: int) -> None:
        """Have threads work on a job.

        Parameters
        ----------
        job : _Job
            Which.
        wanted : int
            How many; there are fewer where others are at work, or the system has no more.
        """
        for later in reversed(range(0 if sys.is_finalizing() else wanted)):
            worker = self._taken()
            if worker is not None:
                worker.post(job, later * TELLING + (wanted - later) * DISPATCH)
            elif not self._redirected(job):
                return

    def _redirected(self, job: _Job) -> bool:
        """Give the job to a worker whose own job has not begun and has no parts left; whether there was one."""
        for worker in self.all:
            late = worker.job
            if late is not None and not late.left:
                worker.job = job  # if it begins with the other just now, it only does not help
                return True
        return False

    def _taken(self) -> _Worker | None:
        """A free worker, or a new one. (Ctrl-C between this and ``post`` costs a thread, but no result.)"""
        with suppress(IndexError):
            return self.free.pop()
        try:
            name = self.unused.pop()
        except IndexError:
            return None
        started = False
        try:
            worker = _Worker(self)
            with suppress(RuntimeError):
                Thread(target=worker.work, name=name, daemon=True).start()
                started = True
                self.all.append(worker)
        finally:
            if not started:
                self.unused.append(name)
        return worker if started else None


_MOST = max(1, (os.cpu_count() or 1) - 1)  # who calls works too; asking each time takes tens of microseconds
_THREADS = _Threads(_MOST)


def _after_fork() -> None:
    """Forget the workers in a forked child, which has none of the threads."""
    global _THREADS
    _THREADS = _Threads(_MOST)


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
    parts = min(threads, int((stop - starts[0]) // smallest))
    cuts = np.searchsorted(starts, np.linspace(starts[0], stop, parts + 1)[1:-1])
    return sorted({0, *cuts.tolist(), len(starts)})


@contextmanager
def compile_only(wanted: Callable[[str], bool]) -> Iterator[None]:
    """Within it ``run`` compiles loops for what they would work on, and does not run them; for all threads.

    Parameters
    ----------
    wanted : function
        Tells from the name of a loop's module whether to compile it; others are left alone.
    """
    global _instead

    def _compile(kernel, arguments: tuple) -> None:
        if hasattr(kernel, "py_func") and wanted(kernel.py_func.__module__):  # else it is Python
            kernel.compile(tuple(map(kernel.typeof_pyval, (0, 0, 0, *arguments))))

    _instead = _compile
    try:
        yield
    finally:
        _instead = None


def runs() -> bool:
    """Whether loops are run, so that arrays hold results: not within ``compile_only``."""
    return _instead is None


def run(kernel, bounds: list[int], *arguments) -> None:
    """Call ``kernel(part, bounds[part], bounds[part + 1], *arguments)`` for every part, and wait for all.

    The calling thread works too; it and the others each take the next part that nobody has begun. Where one fails no
    other is begun, and the error is raised when all are quiet.

    Parameters
    ----------
    kernel : callable
        Takes a part, where it begins and where it ends, and the arguments.
    bounds : list of int
        Where parts begin, and where the last ends.
    arguments : tuple
        The same for all parts.
    """
    if _instead is not None:
        _instead(kernel, arguments)
        return
    if len(bounds) == 2:
        kernel(0, bounds[0], bounds[1], *arguments)
        return
    job, told = _Job(kernel, bounds, arguments), False
    while True:
        try:
            if not told:
                told = True
                _THREADS.post(job, len(bounds) - 2)
                job.work()
            job.wait()  # nothing may still be writing when an error is raised
            break
        except BaseException as error:  # Ctrl-C, or a thread that cannot be made
            job.fail(error)
    job.arguments = ()  # the threads still hold the job
    if job.errors:
        try:
            raise next(
                (error for error in job.errors if not isinstance(error, Exception)), job.errors[0]
            )  # Ctrl-C first
        finally:
            job.errors.clear()  # else the error would keep itself alive, and the arrays


def both(first: Callable[[], T], second: Callable[[], object]) -> T:
    """Call two functions, each in a thread of its own where there is one; returns what the first does.

    Parameters
    ----------
    first, second : functions
        Of Python, without arguments; what one writes the other is not to touch.
    """
    results: list[T] = []
    if not runs():  # loops are compiled only, and the functions say which
        second()
        return first()
    run(_one_of, [0, 1, 2], lambda: results.append(first()), second)
    return results[0]


def _one_of(part: int, _lo: int, _hi: int, *functions: Callable[[], object]) -> None:
    """Call one of some functions."""
    functions[part]()
