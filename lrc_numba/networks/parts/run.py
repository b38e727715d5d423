"""One evaluation of a program: its shares of the structures, and how arrays of all points become those of shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...machine.cpu import parallel
from .part import Motion, Scene, Tape

__all__ = ["Run", "each_share", "join_motion", "joined", "share_of", "share_out", "split_motion"]


@dataclass
class Run:
    """One evaluation of a program: the shares, and what its passes keep.

    Attributes
    ----------
    whole : Scene
        All structures.
    shares : list of Scene
        Some structures each.
    points, structures : list of slice
        Where the points and the structures of a share are among all.
    tapes : list of list of Tape
        For every step, one tape for each share, or one alone.
    values : list of dict
        For every share, arrays by name.
    """

    whole: Scene
    shares: list[Scene]
    points: list[slice]
    structures: list[slice]
    tapes: list[list[Tape]] = field(default_factory=list)
    values: list[dict] = field(default_factory=list)


def each_share(work: Callable[[int], None], count: int, threads: int) -> None:
    """Do ``work`` for every share, on threads."""

    def _some(_: int, lo: int, hi: int) -> None:
        for share in range(lo, hi):
            work(share)

    parallel.run(_some, parallel.even(count, threads))


def joined(values: list[dict], name: str):
    """An array of all points from those of the shares; None where there is none, as of the geometry."""
    if name not in values[0]:
        return None
    return np.concatenate([each[name] for each in values]) if len(values) > 1 else values[0][name]


def share_of(value, run: Run) -> list:
    """What the shares get of a cotangent of all points."""
    if value is None:
        return [None] * len(run.shares)
    return split_motion(value, run) if isinstance(value, Motion) else [value[points] for points in run.points]


def split_motion(motion: Motion, run: Run) -> list[Motion]:
    strain = motion.strain
    return [
        Motion(motion.points[points], None if strain is None else strain[some])
        for points, some in zip(run.points, run.structures, strict=True)
    ]


def join_motion(parts: list[Motion | None], run: Run, strained: bool) -> Motion:
    """The gradient by all points, zero where nothing depends on them."""
    positions = run.whole.structures.positions
    out = Motion(np.zeros(positions.shape, run.whole.dtype))
    if strained:
        out.strain = np.zeros((len(run.whole.structures), positions.shape[1], positions.shape[1]))
    for part, points, some in zip(parts, run.points, run.structures, strict=True):
        if part is None:
            continue
        out.points[points] = part.points
        if out.strain is not None and part.strain is not None:
            out.strain[some] = part.strain
    return out


def share_out(array: np.ndarray, name: str, values: list[dict], run: Run) -> None:
    """Give every share its rows of an array of all points."""
    for each, points in zip(values, run.points, strict=True):
        each[name] = array[points]
