"""Waiting for another thread without going to sleep.

What one thread of a parallel loop waits for is mostly there within microseconds, and waking a processor that has gone
to sleep takes up to a hundred of them, as long as a loop over some ten thousand points. So who waits looks at a number
in memory again and again, without the interpreter's lock, and gives up after a while.

After every thousand looks it lets another thread go first, if one waits for the processor: that may be the one waited
for. Tried and lost: to look on without (several processes on few processors then take each other's time), to give up
where another thread went first, or to move to another processor (both cost more than they gain).

The numbers are cells of an int64 array, apart from each other, as two on one cache line would be fought over. What a
thread wrote before it wrote FINISHED is seen by who has read that. POSTED is written by Python, and what was written
before it is seen by who has then taken the interpreter's lock; a Python without one is not provided for.
"""

from __future__ import annotations

from time import CLOCK_MONOTONIC
from typing import Any

import numpy as np
from numba.core import types
from numba.core.typing import signature
from numba.extending import intrinsic

from .compile import inlined, kernel
from .vectors import element

__all__ = ["CELLS", "FINISHED", "PAUSE", "POSTED", "until_finished", "until_posted"]

POSTED, FINISHED, PAUSE, CELLS = 16, 32, 48, 64  # where the cells are, and how long the array is
LOOKS = 1 << 10  # before another thread may go first, less than a microsecond
_let_others_go_first: Any = types.ExternalFunction("sched_yield", signature(types.int32))
_clock: Any = types.ExternalFunction("clock_gettime", signature(types.int32, types.int32, types.voidptr))


@intrinsic
def _read(typing_context, cells, index):
    """``cells[index]``, and what was written before it."""

    def _generate(context, builder, signed, arguments):
        return builder.load_atomic(element(context, builder, signed.args[0], *arguments), "acquire", 8)

    return signature(types.int64, cells, types.intp), _generate


@intrinsic
def _write(typing_context, cells, index, value):
    """``cells[index] = value``, after all that was written before."""

    def _generate(context, builder, signed, arguments):
        place = element(context, builder, signed.args[0], *arguments[:2])
        builder.store_atomic(arguments[2], place, "release", 8)
        return context.get_dummy_value()

    return signature(types.void, cells, types.intp, types.int64), _generate


@inlined
def _now(time):
    """Nanoseconds since some moment; ``time``, two int64, is written."""
    _clock(CLOCK_MONOTONIC, time.ctypes)
    return time[0] * 1_000_000_000 + time[1]


@kernel
def until_posted(cells, done, patience):
    """Say that ``done`` is finished, and wait for what is posted next.

    Parameters
    ----------
    cells : (CELLS,) int64
        POSTED is read; FINISHED written; PAUSE is for how many nanoseconds to wait, once something is posted, until who
        posted it has given up the interpreter's lock: a thread that finds it taken goes to sleep. One that was asleep
        before does not look at it.
    done : int
        What was posted last.
    patience : int
        Nanoseconds.

    Returns
    -------
    bool
        Whether something else was posted meanwhile.
    """
    _write(cells, FINISHED, done)
    time = np.empty(2, dtype=np.int64)
    begin = _now(time)
    while True:
        for _ in range(LOOKS):
            if _read(cells, POSTED) != done:
                begin = _now(time)
                while _now(time) - begin < cells[PAUSE]:
                    pass
                return True
        _let_others_go_first()
        if _now(time) - begin >= patience:
            return False


@kernel
def until_finished(cells, posted, patience):
    """Wait until ``posted``, or what was posted after it, is finished.

    Parameters
    ----------
    cells : (CELLS,) int64
        FINISHED is read.
    posted : int
        Which.
    patience
        As for ``until_posted``.

    Returns
    -------
    bool
        Whether it is.
    """
    time = np.empty(2, dtype=np.int64)
    begin = _now(time)
    while True:
        for _ in range(LOOKS):
            if _read(cells, FINISHED) >= posted:
                return True
        _let_others_go_first()
        if _now(time) - begin >= patience:
            return False
