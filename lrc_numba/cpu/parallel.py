"""Running a kernel on several threads.

Kernels release the interpreter lock and take the range of work they are to do, so plain Python threads suffice: no
parallel compilation, no threading layer, safe to call from a user's own threads and after a fork. How work is divided
never changes a result, because every kernel writes what only its range owns, in an order fixed by the data.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from threading import Lock

import numpy as np

__all__ = ["WORTH_A_THREAD", "available_threads", "even", "run", "weighted"]

# Numbers that a thread must at least have to work on: waking it takes as long as some ten thousand of them.
WORTH_A_THREAD = 1 << 15
_LOCK = Lock()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="lrc_numba")


def _after_fork() -> None:
    """A child has none of the threads, and maybe a lock that one of them held."""
    global _LOCK
    _LOCK = Lock()
    _pool.cache_clear()


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
    parts = max(1, min(threads, length // max(smallest, 1)))
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

    The calling thread takes the first part itself.
    """
    if len(bounds) == 2:
        kernel(0, bounds[0], bounds[1], *arguments)
        return
    with _LOCK:
        pool = _pool()
    others = [
        pool.submit(kernel, part, bounds[part], bounds[part + 1], *arguments) for part in range(1, len(bounds) - 1)
    ]
    try:
        kernel(0, bounds[0], bounds[1], *arguments)
    finally:
        wait(others)  # nothing may still be writing when an error is raised
    for other in others:
        other.result()
