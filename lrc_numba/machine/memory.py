"""Free memory, and an error before more than that is allocated."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

__all__ = ["WORTH_A_LOOK", "available_memory", "check_memory"]

WORTH_A_LOOK = 2**24  # bytes; asking the system takes longer than handing these out
FRESH = 0.1  # seconds for which an answer is good where little is needed: asking takes a seventh of a millisecond
_seen: tuple[Callable[[], int] | None, float, int] = (None, 0.0, 0)  # the function asked last, when, and its answer


def check_memory(name: str, what: object, needed: int, available: Callable[[], int]) -> None:
    """Raise a MemoryError where more bytes are needed than are free.

    Parameters
    ----------
    name : str
        The argument that needs them.
    what : object
        Its value or shape, for the message.
    needed : int
        Bytes.
    available : function
        Tells how many bytes are free.
    """
    global _seen
    who, when, free = _seen
    if needed <= WORTH_A_LOOK or (who is available and needed < free // 8 and time.monotonic() - when < FRESH):
        return
    free = available()
    _seen = (available, time.monotonic(), free)
    if needed > free:
        raise MemoryError(f"{name}: {what} needs about {_gibibytes(needed)} GiB, and {_gibibytes(free)} GiB are free")


def _gibibytes(count: int) -> str:
    return f"{count / 2**30:.3g}" if count < 2**90 else f"more than 2^{count.bit_length() - 31}"


def available_memory() -> int:
    """Bytes of memory that a process may still take, as far as the system tells."""
    limits: list[int] = []
    try:
        with open("/proc/meminfo") as meminfo:
            lines = [line.split() for line in meminfo if line.startswith("MemAvailable")]
        limits.extend(1024 * int(words[1]) for words in lines)
        with open("/sys/fs/cgroup/memory.max") as most, open("/sys/fs/cgroup/memory.current") as now:
            limit = most.read().strip()
            if limit != "max":
                limits.append(int(limit) - int(now.read()))
    except (OSError, ValueError):  # not Linux, or no such limit: the whole machine is one
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits)
