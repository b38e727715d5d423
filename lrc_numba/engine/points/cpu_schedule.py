"""Which thread spreads which tiles when: tiles that share nodes never at one time, and every node's terms in one order.

The tiles with one index along the first existing axis are a slab, those with one more index along the second a pencil.
A slab shares nodes with the two beside it only, and so does a pencil inside its slab. The order of adding up is: even
slabs before the odd ones beside them, inside a slab even pencils before the odd ones beside them, inside a pencil tile
by tile. Three ways to go through them keep that order, so they give the same bits:

* one thread goes from slab to slab, 0, 2, 1, 4, 3, …, an odd one while both beside it are still in a cache;
* each thread does that with a range of neighbouring slabs, and the slab between two ranges is left to a second phase;
* where slabs are few and points many, all pencils of one parity along both axes are shared out, in four phases.

See NOTES.md for what was tried and lost.
"""

from __future__ import annotations

import numpy as np

__all__ = ["Phase", "phases", "units"]

Phase = tuple[np.ndarray | slice, list[int]]  # rows of a table, and the bounds that share them out to threads
MANY_SLABS = 12  # per thread: the loss at the seams is small then
MANY_SHARES = 8  # units of work worth a thread: the cost of waking threads four times is small then


def units(batch: int, shape: tuple[int, int]) -> int:
    """How many pencils there are in all snapshots."""
    return batch * shape[0] * shape[1]


def phases(before: np.ndarray, work: np.ndarray, shape: tuple[int, int], threads: int, smallest: float) -> list[Phase]:
    """Rows of a table for one phase after the other, shared out to threads.

    Parameters
    ----------
    before : (B · slabs · pencils + 1,) int64
        Rows before each pencil, in the order of one thread.
    work : (B · slabs · pencils + 1,) int64
        Work before each pencil.
    shape : (int, int)
        Slabs per snapshot, and pencils per slab.
    threads : int
        At most so many.
    smallest : float
        Work that is worth a thread.
    """
    slabs, pencils = shape
    shares = int(work[-1] / smallest)
    parts = min(threads, shares)
    if parts < 2 or len(before) < 3:
        return [(slice(None), [0, int(before[-1])])]
    if (len(before) - 1) // pencils >= MANY_SLABS * parts or pencils == 1 or shares < MANY_SHARES:
        all_phases = _side_by_side(before[::pencils], work[::pencils], slabs, parts)
    else:
        all_phases = _by_parity(before, work, shape, parts)
    return [phase for phase in all_phases if len(phase[1]) > 1]  # the others have no rows


def _phase(first: np.ndarray, stop: np.ndarray, cuts: np.ndarray) -> Phase:
    """Rows first[i] … stop[i] − 1 of one range after the other; thread p has the ranges cuts[p] … cuts[p + 1] − 1.

    Threads for which no row is left are left out.
    """
    ends = np.concatenate([[0], np.cumsum(stop - first)])
    rows = np.arange(ends[-1]) + np.repeat(first - ends[:-1], stop - first)
    return rows, sorted({0, *ends[cuts].tolist()})


def _side_by_side(before: np.ndarray, work: np.ndarray, slabs: int, parts: int) -> list[Phase]:
    """Neighbouring slabs to each thread; those at the seams in a second phase."""
    last = len(work) - 1
    position = np.arange(1, last) % slabs
    # A thread may begin with a snapshot, or with an even slab: the odd one that follows in the order then waits.
    cuts = 1 + np.flatnonzero((position == 0) | ((position % 2 == 1) & (position + 1 < slabs)))
    wanted = np.arange(1, parts) * (work[-1] / parts)
    chosen = np.unique(cuts[np.abs(work[cuts] - wanted[:, None]).argmin(axis=1)]) if len(cuts) else cuts
    seams = chosen[chosen % slabs != 0] + 1
    slab = np.delete(np.arange(last), seams)
    phases = [_phase(before[slab], before[slab + 1], np.searchsorted(slab, [0, *chosen, last]))]
    if len(seams):
        phases.append(_phase(before[seams], before[seams + 1], np.arange(len(seams) + 1)))
    return phases


def _by_parity(before: np.ndarray, work: np.ndarray, shape: tuple[int, int], parts: int) -> list[Phase]:
    """Pencils of one parity along both axes, in four phases."""
    slab, pencil = (_odd(n) for n in shape)
    colour = np.tile((2 * slab[:, None] + pencil).ravel(), (len(before) - 1) // (shape[0] * shape[1]))
    result = []
    for c in range(4):
        chosen = np.flatnonzero(colour == c)
        if not len(chosen):
            continue
        ends = np.cumsum(work[chosen + 1] - work[chosen])
        cuts = np.searchsorted(ends, np.arange(1, parts) * (ends[-1] / parts))
        result.append(_phase(before[chosen], before[chosen + 1], np.concatenate([[0], cuts, [len(chosen)]])))
    return result


def _odd(count: int) -> np.ndarray:
    """Whether each position of the order 0, 2, 1, 4, 3, … holds an odd number, as 0 or 1 (``indexing.slab_at``)."""
    position = np.arange(count)
    odd = (position % 2 == 0) & (position > 0)
    if count % 2 == 0:
        odd[-1] = True
    return odd.astype(int)
