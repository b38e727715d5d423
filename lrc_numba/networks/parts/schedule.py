"""Which lines of a program run at the same time.

A line for all structures at once, such as a convolution, leaves threads idle where its loops are short. So local lines
that do not need what it writes run beside it, as many as there are. The order of all other lines stays, and so do
results: what a line writes is given to the shares when the lines beside it have finished.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from .run import Run

__all__ = ["Phase", "Stage", "execute", "phases"]


@dataclass
class Phase:
    """Lines that run at the same time; all before have finished.

    Attributes
    ----------
    local : list of int
        Lines for every share, in order.
    whole : int or None
        One for all structures at once.
    """

    local: list[int] = field(default_factory=list)
    whole: int | None = None


@dataclass
class Stage:
    """What is done for the lines of a phase.

    Attributes
    ----------
    local : function or None
        Of a share.
    whole : function or None
        For all structures; what it returns is called when the local lines have finished.
    """

    local: Callable[[int], None] | None
    whole: Callable[[], Callable[[], None]] | None = None


def phases(lines: Sequence[int], needs: dict[int, set[int]], whole: set[int]) -> list[Phase]:
    """Share lines out to phases.

    Parameters
    ----------
    lines : sequence of int
        In an order in which each comes after all that it needs.
    needs : dict
        Of every line, those it needs.
    whole : set of int
        Lines for all structures at once.
    """
    behind: dict[int, set[int]] = {}  # with those that the lines it needs have need of
    for line in lines:
        above = needs[line] & behind.keys()
        behind[line] = above.union(*(behind[each] for each in above))
    left, out = list(lines), list[Phase]()
    for line in (each for each in lines if each in whole):
        before = [each for each in left if each in behind[line]]
        left = [each for each in left if each not in behind[line] and each != line]
        waiting = (whole & set(left)) | {line}
        beside = [each for each in left if each not in waiting and not behind[each] & waiting]
        left = [each for each in left if each not in beside]
        out += [Phase(before)] if before else []
        out.append(Phase(beside, line))
    return [*out, Phase(left)] if left else out


def execute(stages: Sequence[Stage], run: Run) -> None:
    """Stage after stage; of several for shares alone that follow each other, each share does all before a thread waits.

    Parameters
    ----------
    stages : sequence of Stage
        In order.
    run : Run
        Has the shares.
    """
    waiting = list[Callable[[int], None]]()
    for stage in stages:
        if stage.whole is None:
            waiting += [stage.local] if stage.local else []
            continue
        if waiting:
            run.each(waiting)
            waiting = []
        finish = list[Callable[[], None]]()
        run.each([stage.local] if stage.local else [], partial(_keep, stage.whole, finish))
        finish[0]()
    if waiting:
        run.each(waiting)


def _keep(work: Callable[[], Callable[[], None]], out: list) -> None:
    out.append(work())
