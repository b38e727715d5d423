"""Which lines run at the same time: all that do not need each other, and none before what it needs."""

from __future__ import annotations

from threading import Event
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrc_numba.networks.parts.run import Run
from lrc_numba.networks.parts.schedule import Phase, Stage, execute, phases


@st.composite
def programs(draw):
    """Lines, what each needs, and those for all structures at once."""
    count = draw(st.integers(0, 9))
    needs = {i: draw(st.sets(st.integers(0, i - 1))) if i else set() for i in range(count)}
    return list(range(count)), needs, draw(st.sets(st.sampled_from(range(count)))) if count else set()


@given(programs())
def test_every_line_once_and_after_all_that_it_needs(program):
    lines, needs, whole = program
    done = set()
    for phase in phases(lines, needs, whole):
        for i in phase.local:  # one after the other; beside them the whole line, which has to wait for none of them
            assert i not in whole
            assert needs[i] <= done, phase
            done.add(i)
        if phase.whole is not None:
            assert phase.whole in whole
            assert needs[phase.whole] <= done - set(phase.local), phase
            done.add(phase.whole)
    assert done == set(lines)


def test_what_does_not_need_each_other_runs_at_the_same_time():
    # a convolution between descriptors, which it does not need, and layers, which need both
    assert phases([0, 1, 2], {0: set(), 1: set(), 2: {0, 1}}, {1}) == [Phase([0], 1), Phase([2])]
    # and backwards
    assert phases([2, 1, 0], {2: set(), 1: {2}, 0: {2}}, {1}) == [Phase([2]), Phase([0], 1)]


def _run(threads: int) -> Run:
    return Run(SimpleNamespace(threads=threads), [None] * 3, [], [])


def test_a_whole_line_waits_for_no_share():
    begun = Event()
    stages = [Stage(lambda share: begun.wait(10) or pytest.fail("alone"), lambda: begun.set() or (lambda: None))]
    execute(stages, _run(2))


def test_what_a_whole_line_writes_is_there_when_the_others_have_finished():
    order = []
    local, whole = lambda share: order.append(share), lambda: lambda: order.append("written")
    execute([Stage(local), Stage(local, whole), Stage(local)], _run(1))
    assert order == [0, 1, 2, 0, 1, 2, "written", 0, 1, 2]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_ends_a_phase(threads):
    def fail(share: int) -> None:
        raise IndexError("of a part")

    with pytest.raises(IndexError, match="of a part"):
        execute([Stage(fail)], _run(threads))
