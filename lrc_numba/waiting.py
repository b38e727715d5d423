"""Waiting for another thread without going to sleep.

What one thread of a parallel loop waits for is mostly there within microseconds, and waking a processor that has gone
to sleep takes up to a hundred of them, as long as a loop over some ten thousand points. So who waits looks at a number
in memory again and again, without the interpreter's lock, and gives up after a while.

Now and then it lets another thread go first, if one waits for the processor: that may be the one waited for.

The numbers are cells of an int64 array, apart from each other, as two on one cache line would be fought over. What a
thread wrote before it wrote FINISHED is seen by who has read that. POSTED is written by Python, and what was written
before it is seen by who has then taken the interpreter's lock.
"""

from __future__ import annotations

from numba.core import types
from numba.core.typing import signature
from numba.extending import intrinsic

from .cpu.compile import kernel
from .vectors import element

__all__ = ["CELLS", "FINISHED", "PAUSE", "POSTED", "until_finished", "until_posted"]

POSTED, FINISHED, PAUSE, CELLS = 16, 32, 48, 64  # where the cells are, and how long the array is
POLITE = 1 << 10  # looks, less than a microsecond
_let_others_go_first = types.ExternalFunction("sched_yield", signature(types.int32))  # of the C library


@intrinsic
def _read(typing_context, cells, index):
    """``cells[index]``, and what was written before it."""

    def _generate(context, builder, signature, arguments):
        return builder.load_atomic(element(context, builder, signature.args[0], *arguments), "acquire", 8)

    return types.int64(cells, types.intp), _generate


@intrinsic
def _write(typing_context, cells, index, value):
    """``cells[index] = value``, after all that was written before."""

    def _generate(context, builder, signature, arguments):
        place = element(context, builder, signature.args[0], *arguments[:2])
        builder.store_atomic(arguments[2], place, "release", 8)
        return context.get_dummy_value()

    return types.void(cells, types.intp, types.int64), _generate


@kernel
def until_posted(cells, done, patience):
    """Say that ``done`` is finished, and wait for what is posted next.

    Parameters
    ----------
    cells : (CELLS,) int64
        POSTED is read; FINISHED written; PAUSE is for how many looks to wait, once something is posted, until who
        posted it has given up the interpreter's lock: a thread that finds it taken goes to sleep.
    done : int
        What was posted last.
    patience : int
        Looks.

    Returns
    -------
    bool
        Whether something else was posted meanwhile.
    """
    _write(cells, FINISHED, done)
    for look in range(patience):
        if _read(cells, POSTED) != done:
            for _ in range(cells[PAUSE]):
                _read(cells, POSTED)
            return True
        if look % POLITE == 0:
            _let_others_go_first()
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
    patience : int
        Looks.

    Returns
    -------
    bool
        Whether it is.
    """
    for look in range(max(patience, 1)):
        if _read(cells, FINISHED) >= posted:
            return True
        if look % POLITE == 0:
            _let_others_go_first()
    return False
