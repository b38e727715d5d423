"""Waiting for another thread without going to sleep.

What one thread of a parallel loop waits for is mostly ready within microseconds, while waking a sleeping processor
takes up to a hundred of them, as long as a loop over some ten thousand points. So a waiting thread polls a number in
memory, without the interpreter's lock, and gives up after a given time.

After every thousand polls it offers the processor to another thread, which may be the one it waits for. Each number is
an element of one int64 array, apart from the others, as two on one cache line would slow each other down.

Memory order. Whoever reads FINISHED sees everything that was written before it. POSTED is written by Python; whoever
takes the interpreter's lock after reading it sees what was written before. A Python without that lock is not supported.
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

POSTED, FINISHED, PAUSE, CELLS = 16, 32, 48, 64  # indices into the array of cells, and its length
POLLS = 1 << 10  # before the processor is offered to another thread: less than a microsecond
_yield_processor: Any = types.ExternalFunction("sched_yield", signature(types.int32))
_clock: Any = types.ExternalFunction("clock_gettime", signature(types.int32, types.int32, types.voidptr))


@intrinsic
def _read(typing_context, cells, index):
    """``cells[index]``, and everything that was written before it (acquire)."""

    def _generate(context, builder, signed, arguments):
        return builder.load_atomic(element(context, builder, signed.args[0], *arguments), "acquire", 8)

    return signature(types.int64, cells, types.intp), _generate


@intrinsic
def _write(typing_context, cells, index, value):
    """``cells[index] = value``, after everything that was written before (release)."""

    def _generate(context, builder, signed, arguments):
        address = element(context, builder, signed.args[0], *arguments[:2])
        builder.store_atomic(arguments[2], address, "release", 8)
        return context.get_dummy_value()

    return signature(types.void, cells, types.intp, types.int64), _generate


@inlined
def _now(time):
    """Nanoseconds of a clock that only moves forward; ``time``, two int64, is overwritten."""
    _clock(CLOCK_MONOTONIC, time.ctypes)
    return time[0] * 1_000_000_000 + time[1]


@kernel
def until_posted(cells, done, patience):
    """Report ``done`` as finished, and wait for the next ticket.

    Parameters
    ----------
    cells : (CELLS,) int64
        POSTED is read, FINISHED written. PAUSE says for how many nanoseconds to wait after a ticket was read, until
        the thread that posted it has released the interpreter's lock: one that finds it taken goes to sleep. A thread
        that was asleep before does not wait for it.
    done : int
        The last ticket.
    patience : int
        Nanoseconds after which to give up.

    Returns
    -------
    bool
        Whether a new ticket was posted in that time.
    """
    _write(cells, FINISHED, done)
    time = np.empty(2, dtype=np.int64)
    begin = _now(time)
    while True:
        for _ in range(POLLS):
            if _read(cells, POSTED) != done:
                begin = _now(time)
                while _now(time) - begin < cells[PAUSE]:
                    pass
                return True
        _yield_processor()
        if _now(time) - begin >= patience:
            return False


@kernel
def until_finished(cells, posted, patience):
    """Wait until ticket ``posted`` or a later one is finished.

    Parameters
    ----------
    cells : (CELLS,) int64
        FINISHED is read.
    posted : int
        The ticket.
    patience : int
        Nanoseconds after which to give up.

    Returns
    -------
    bool
        Whether it is finished.
    """
    time = np.empty(2, dtype=np.int64)
    begin = _now(time)
    while True:
        for _ in range(POLLS):
            if _read(cells, FINISHED) >= posted:
                return True
        _yield_processor()
        if _now(time) - begin >= patience:
            return False
