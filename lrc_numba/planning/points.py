"""The points of a plan: what a user passes in, checked before anything is done with it, and sorted."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from .. import arguments
from ..engine.context import Ranks
from ..engine.grid import Grid
from ..engine.operator import Operator
from ..engine.points import SortedPoints
from .choices import Choices

__all__ = ["GivenPoints", "Points", "describe_memory"]


@dataclass(slots=True)
class Points:
    """The points of a plan, sorted, and how the user gave them.

    Attributes
    ----------
    sources, targets : SortedPoints
        The same object where there are no targets.
    shape, targets_shape : tuple of int
        Of what was given: (N, d) or (B, N, d), and the same for targets or None.
    on_device : bool
        Whether they came from a device, so that results stay there.
    """

    sources: SortedPoints
    targets: SortedPoints
    shape: tuple[int, ...]
    targets_shape: tuple[int, ...] | None
    on_device: bool

    @property
    def batch(self) -> int:
        """Snapshots."""
        return self.sources.batch[0]

    @property
    def most(self) -> int:
        """Points per snapshot, or targets where those are more."""
        return max(self.sources.batch[1], self.targets.batch[1])


@dataclass(slots=True)
class GivenPoints:
    """Points and targets as a user gave them, and the grid for them: all checked, nothing sorted.

    Attributes
    ----------
    points : (N, d) or (B, N, d) array
        Sources.
    targets : array or None
        Likewise.
    grid : Grid
        On which they go.
    on_device : bool
        Whether the points came from a device.
    """

    points: np.ndarray
    targets: np.ndarray | None
    grid: Grid
    on_device: bool

    @classmethod
    def of(
        cls, points, targets, choices: Choices, old: Grid | None, held: int, ranks: Ranks | None = None
    ) -> GivenPoints:
        """Checked.

        Parameters
        ----------
        points, targets
            As for ``LRCPlan.set_points``.
        choices : Choices
            Of the plan.
        old : Grid or None
            The plan's grid, kept where it is as good as a new one.
        held : int
            Bytes that the plan has already.
        ranks : Ranks, optional
            Processes that share the points: the grid is that for all of them.
        """
        arrays, on_device = choices.engine.arrays, hasattr(points, "__cuda_array_interface__")
        dim, targets_size, dtype = old.dim if old else None, 0.0, choices.dtype
        arguments.points_shape("points", points, dim, arrays)
        points, size = arguments.measured_array("points", points, dtype, arrays)
        if targets is not None:
            arguments.points_shape("targets", targets, points.shape[-1], arrays)
            targets, targets_size = arguments.measured_array("targets", targets, dtype, arrays)
            if targets.shape[:-2] != points.shape[:-2]:
                raise ValueError(f"targets: expected as many snapshots as points, {points.shape}, got {targets.shape}")
        batch = 1 if points.ndim == 2 else points.shape[0]
        most = max(points.shape[-2], 0 if targets is None else targets.shape[-2])
        if batch * most >= 2**31:
            raise ValueError(f"points: expected fewer than 2^31 of them, got {batch * most}")
        grid = choices.grid(points.shape[-1], most if ranks is None else ranks.total(most), old)
        needed = grid.memory(most, batch, 1, targets=targets is not None) - held
        choices.check_memory("points", f"{points.shape} with modes={grid.modes}", needed)
        _check_positions("points", points, size, grid, choices.threads)
        if targets is not None:
            _check_positions("targets", targets, targets_size, grid, choices.threads)
        return cls(points, targets, grid, on_device)

    def sort(self, operator: Operator) -> Points:
        """Folded and sorted for the operator on their grid."""
        points, targets = self.points, self.targets
        batch = 1 if points.ndim == 2 else points.shape[0]
        sources = read = operator.sort("points", points.reshape(-1, self.grid.dim), batch)
        if targets is not None:
            read = operator.sort("targets", targets.reshape(-1, self.grid.dim), batch)
        return Points(sources, read, points.shape, None if targets is None else targets.shape, self.on_device)


def _check_positions(name: str, points: np.ndarray, squares: float, grid: Grid, threads: int) -> None:
    """A ValueError where a point is too far away to have a place in the cell, before others lose their memory."""
    # Fractional coordinates are at most |x| over the smallest height; half of 2^52 leaves room for rounding.
    if sqrt(squares) >= 2.0**51 * grid.cell.smallest_height:
        Operator(grid, threads, False).sort(name, points.reshape(-1, grid.dim), 1)  # somewhere else


def describe_memory(grid: Grid | None, points: Points | None) -> list[str]:
    """Lines of text: what a call takes, and for which points.

    Parameters
    ----------
    grid : Grid or None
        Nothing is said where there is none.
    points : Points or None
        None before ``set_points``: the modes alone.
    """
    if grid is None:
        return []
    most, batch, targets = 0, 1, False
    if points is not None:
        most, batch, targets = points.most, points.batch, points.targets_shape is not None
    plain, gradient = (grid.memory(most, batch, 1, wrt, targets=targets) / 2**20 for wrt in ((), ("points", "values")))
    rows = [f"  memory    {plain:.1f} MiB for a channel, {gradient:.1f} MiB with its gradient"]
    if points is not None:
        rows.append(f"  points    {points.shape}" + (f", targets {points.targets_shape}" if targets else ""))
    return rows
