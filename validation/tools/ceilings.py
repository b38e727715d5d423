"""What the machine can do: ceilings to hold the stages of a convolution against, and two threads against one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit

from lrc_numba.machine.cpu import parallel, simd

__all__ = ["Loop", "ceilings", "loops"]

EIGHT = (0,) * 8  # lanes of a vector
_COMPILE = {"nogil": True, "error_model": "numpy", "cache": True}


@njit(**_COMPILE)
def _copy(part, lo, hi, source, target):
    for i in range(lo, hi):
        target[i] = source[i]


@njit(**_COMPILE)
def _update(part, lo, hi, arrays, repeats):
    """array += 1e-9 · array, vector by vector, on a small array of each thread's own."""
    array = arrays[part]
    for _ in range(repeats):
        for i in range(0, len(array), 8):
            vector = simd.load(array, i, EIGHT)
            simd.store(array, i, simd.fma(1e-9, vector, vector))


@njit(**_COMPILE)
def _multiply_add(part, lo, hi, arrays, repeats):
    """Ten independent chains of vectors, enough to hide the latency of two units."""
    array = arrays[part]
    x = simd.load(array, 0, EIGHT)
    a, b, c, d, e = x, x, x, x, x
    f, g, h, i, j = x, x, x, x, x
    for _ in range(repeats):
        a, b, c, d, e = (
            simd.fma(x, a, x),
            simd.fma(x, b, x),
            simd.fma(x, c, x),
            simd.fma(x, d, x),
            simd.fma(x, e, x),
        )
        f, g, h, i, j = (
            simd.fma(x, f, x),
            simd.fma(x, g, x),
            simd.fma(x, h, x),
            simd.fma(x, i, x),
            simd.fma(x, j, x),
        )
    simd.store(array, 0, a + b + c + d + e + f + g + h + i + j)


@dataclass(frozen=True)
class Loop:
    """A loop that keeps one part of the machine busy.

    Attributes
    ----------
    run : callable
        Once, on all threads.
    amount : float
        Bytes, reads and writes together, or floating-point operations of a run.
    """

    run: Callable[[], object]
    amount: float


def _apart(threads: int, length: int, value: float) -> np.ndarray:
    """(threads, length) numbers; every row begins with a line of the cache, as vectors across two take twice as long,
    and a page from the one before, as a processor that fetches ahead would take lines from the other."""
    page = 4096 // 8
    room = np.full(threads * (length + page) + 8, value)
    begin = -room.ctypes.data % 64 // room.itemsize
    return room[begin : begin + threads * (length + page)].reshape(threads, length + page)[:, :length]


def loops(threads: int) -> dict[str, Loop]:
    """Whose speed is a ceiling: "memory", a large copy; "cache", a cached update; "operations", in registers.

    Parameters
    ----------
    threads : int
        At the same time.
    """
    source, target = np.ones(1 << 25), np.zeros(1 << 25)
    small, repeats = _apart(threads, 2048, 0.5), 20_000  # 16 KiB each
    register, steps = _apart(threads, 64, 1e-3), 4_000_000
    alone = parallel.even(threads, threads)
    return {
        "memory": Loop(
            lambda: parallel.run(_copy, parallel.even(source.size, threads), source, target), 2 * source.nbytes
        ),
        "cache": Loop(lambda: parallel.run(_update, alone, small, repeats), 2 * small.nbytes * repeats),
        "operations": Loop(lambda: parallel.run(_multiply_add, alone, register, steps), threads * steps * 10 * 8 * 2),
    }


def _best(call: Callable[[], object], repeats: int = 7) -> float:
    """The shortest time of several: a ceiling is what the machine can do."""
    call()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)


def ceilings(threads: int) -> dict[str, float]:
    """What the machine was seen to do, per second; see ``loops``.

    Parameters
    ----------
    threads : int
        At the same time.
    """
    return {name: loop.amount / _best(loop.run) for name, loop in loops(threads).items()}
