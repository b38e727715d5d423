"""Spreading in phases: nothing twice, neighbours never at the same time, everything in the order of one thread."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lrc_numba.engine.points import cpu_schedule as schedule
from lrc_numba.engine.points.indexing import slab_at


def _place(unit: int, shape: tuple[int, int]) -> tuple[int, int, int]:
    """Snapshot, slab and pencil of a unit in the order of one thread."""
    slabs, pencils = shape
    snapshot, position = divmod(unit, slabs * pencils)
    return snapshot, slab_at(position // pencils, slabs), slab_at(position % pencils, pencils)


def _meet(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    """Whether the windows of two pencils can share a node."""
    return one[0] == other[0] and abs(one[1] - other[1]) <= 1 and abs(one[2] - other[2]) <= 1


@given(
    st.integers(1, 3),
    st.tuples(st.integers(1, 30), st.integers(1, 6)),
    st.integers(1, 7),
    st.sampled_from([1.0, 20.0, 400.0]),
    st.integers(0, 2**32 - 1),
)
def test_phases(batch, shape, threads, smallest, seed):
    """For any numbers of slabs, pencils and threads, also where most pencils are empty."""
    units = batch * shape[0] * shape[1]
    generator = np.random.default_rng(seed)
    rows = generator.integers(0, 3, units)
    before = np.concatenate([[0], np.cumsum(rows)])
    work = np.concatenate([[0], np.cumsum(rows * generator.integers(1, 100, units))])
    unit_of = np.repeat(np.arange(units), rows)
    done = []  # (phase, thread, place) of every row, in the order in which a thread does them
    for number, (chosen, bounds) in enumerate(schedule.phases(before, work, shape, threads, smallest)):
        order = np.arange(before[-1])[chosen]
        assert bounds[0] == 0
        assert bounds[-1] == len(order)
        assert len(bounds) - 1 <= threads
        for thread, (lo, hi) in enumerate(pairwise(bounds)):
            done += [(number, thread, int(row)) for row in order[lo:hi]]
    assert sorted(row for _, _, row in done) == list(range(before[-1]))
    for later, (phase, thread, row) in enumerate(done):
        place = _place(unit_of[row], shape)
        for other_phase, other_thread, other in done[:later]:
            if _meet(place, _place(unit_of[other], shape)):
                assert (phase, thread) == (other_phase, other_thread) or phase != other_phase
                assert other < row
