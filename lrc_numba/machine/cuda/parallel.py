"""Running a kernel on the device: one part, spread over all of it by the launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["WORTH_A_THREAD", "available_threads", "both", "even", "run", "runs", "weighted"]

T = TypeVar("T")
WORTH_A_THREAD = 1  # work is not shared out by these functions


def available_threads() -> int:
    """The number of ranges into which work is cut: one, for the device."""
    return 1


def even(length: int, threads: int, smallest: int = 1) -> list[int]:
    """Bounds of the only range.

    Parameters
    ----------
    length : int
        Its length.
    threads, smallest : int
        Not used here.
    """
    return [0, length]


def weighted(starts, stop: int, threads: int, smallest: int) -> list[int]:
    """Bounds of the only range.

    Parameters
    ----------
    starts : (n,) int64
        As many as there are things to share out.
    stop, threads, smallest : int
        Not used here.
    """
    return [0, len(starts)]


def run(kernel, bounds: list[int], *arguments) -> None:
    """Call ``kernel(0, lo, hi, *arguments)`` for the whole range; what follows on the device waits for it.

    Parameters
    ----------
    kernel, bounds, arguments
        As for ``cpu.parallel.run``.
    """
    kernel(0, bounds[0], bounds[-1], *arguments)


def runs() -> bool:
    """Whether loops are run, so that arrays hold results: always."""
    return True


def both(first: Callable[[], T], second: Callable[[], object]) -> T:
    """Call two functions, one after the other: their kernels wait for each other; returns what the first does.

    Parameters
    ----------
    first, second : functions
        Without arguments.
    """
    second()
    return first()
