"""One evaluation of a program: its shares of the structures, and how arrays of all points become those of shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Self

import numpy as np

from ...geometry.structures import Structures
from ...machine.cpu import parallel
from .part import Motion, Scene, Tape

__all__ = ["Run"]

POINTS_AT_ONCE = 320  # of several structures, in one pass of the interpreter; the same for any number of threads


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

    @classmethod
    def of(cls, whole: Scene) -> Self:
        """An evaluation of a scene, split into shares, each a job of a thread.

        Parameters
        ----------
        whole : Scene
            All structures.
        """
        structures = whole.structures
        offsets = structures.offsets
        shares = structures.portions(POINTS_AT_ONCE, -(-len(structures) // 2))  # two at least, of two structures
        scenes = [
            Scene(
                _between(structures, some),
                whole.pairs.of_structures(some.start, some.stop),
                whole.dtype,
                begin=some.start,
            )
            for some in shares
        ]
        points = [slice(int(offsets[some.start]), int(offsets[some.stop])) for some in shares]
        return cls(whole, scenes, points, shares)

    def each(self, several: Sequence[Callable[[int], None]], beside: Callable[[], None] | None = None) -> None:
        """Do some work for every share, on threads.

        Parameters
        ----------
        several : sequence of functions
            Of a share; each share does one after the other.
        beside : function, optional
            Done at the same time.
        """
        jobs: list[Callable[[], None]] = [beside] if beside is not None else []
        if several:
            jobs += [partial(_all, several, share) for share in range(len(self.shares))]
        left = jobs[::-1]  # so that what runs beside the shares begins first

        def _some(*_) -> None:
            while True:
                try:
                    job = left.pop()
                except IndexError:
                    return
                try:
                    job()
                except BaseException:
                    left.clear()
                    raise

        parallel.run(_some, parallel.even(len(jobs), self.whole.threads))

    # ------------------------------------------------------------------ arrays of all points, and of shares
    @staticmethod
    def joined(values: list[dict], name: str):
        """An array of all points from those of the shares; None where there is none, as of the geometry."""
        if name not in values[0]:
            return None
        return np.concatenate([each[name] for each in values]) if len(values) > 1 else values[0][name]

    def share_out(self, array: np.ndarray, name: str, values: list[dict]) -> None:
        """Give every share its rows of an array.

        Parameters
        ----------
        array : (n, …)
            Of all points.
        name : str
            What it is called.
        values : list of dict
            Of the shares; written.
        """
        for each, points in zip(values, self.points, strict=True):
            each[name] = array[points]

    def shares_of(self, value) -> list:
        """What the shares get of a cotangent, an array or a ``Motion`` of all points, or None."""
        if value is None:
            return [None] * len(self.shares)
        return self.split(value) if isinstance(value, Motion) else [value[points] for points in self.points]

    def split(self, motion: Motion) -> list[Motion]:
        """The motion of every share."""
        strain = motion.strain
        return [
            Motion(motion.points[points], None if strain is None else strain[some])
            for points, some in zip(self.points, self.structures, strict=True)
        ]

    def join(self, parts: list[Motion | None], strained: bool) -> Motion:
        """The gradient by all points, and by strains, zero where nothing depends on them."""
        positions = self.whole.structures.positions
        out = Motion(np.zeros(positions.shape, self.whole.dtype))
        if strained:
            out.strain = np.zeros((len(self.whole.structures), positions.shape[1], positions.shape[1]))
        for part, points, some in zip(parts, self.points, self.structures, strict=True):
            if part is None:
                continue
            out.points[points] = part.points
            if out.strain is not None and part.strain is not None:
                out.strain[some] = part.strain
        return out


def _between(structures: Structures, some: slice) -> Structures:
    """Consecutive structures, as views."""
    lo, hi = (int(structures.offsets[b]) for b in (some.start, some.stop))
    of_points = {name: getattr(structures, name) for name in ("species", "charges")}
    return Structures(
        structures.positions[lo:hi],
        structures.offsets[some.start : some.stop + 1] - lo,
        structures.cell[some],
        structures.periodic[some],
        **{name: None if values is None else values[lo:hi] for name, values in of_points.items()},
    )


def _all(several: Sequence[Callable[[int], None]], share: int) -> None:
    for work in several:
        work(share)
