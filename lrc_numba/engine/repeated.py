"""Energies of one set of values at other and other points, on a grid that is one tile."""

from __future__ import annotations

from math import prod

import numpy as np

from ..machine.cpu.recording import Recording
from .deconvolution import MultiplierTable
from .operator import Operator

__all__ = ["RepeatedEnergy", "may_repeat"]


def may_repeat(operator: Operator, batch: int) -> bool:
    """Whether loops and their arguments do not depend on where points are: all of one tile, and none left out.

    Parameters
    ----------
    operator : Operator
        Of a plan.
    batch : int
        Snapshots.
    """
    grid = operator.grid
    one_tile = batch == 1 and prod(grid.layout.tiles) == 1
    alone = operator.context.ranks is None
    return alone and one_tile and grid.backend.name == "cpu" and grid.dim > 1 and grid.smooth and not operator.spectral


class RepeatedEnergy:
    """``Operator.sort`` and ``Operator.energy`` with the gradient; after the first time the loops alone.

    Parameters
    ----------
    operator : Operator
        Whose grid, threads and loops; the memory between them is not shared with it.
    table : MultiplierTable
        φ̂.
    points : (N, d)
        Where the points are the first time, units of length.
    f : (N, C)
        Values.

    Attributes
    ----------
    output : (N, C)
        u, overwritten by every call.
    gradient : (N, d)
        That of ½ Σ f·u by the points, likewise.
    """

    def __init__(self, operator: Operator, table: MultiplierTable, points: np.ndarray, f: np.ndarray):
        self._recording, self._points = Recording(), points.copy()
        own = Operator(operator.grid, operator.context.threads, False, parallel=self._recording)
        result = own.energy(own.sort("points", self._points, 1), table, f.copy(), {"points"})
        self.output, self.gradient = result.output, result.sources

    def __call__(self, points: np.ndarray) -> None:
        """Compute ``output`` and ``gradient`` anew.

        Parameters
        ----------
        points : (N, d)
            Other positions: finite, and within 2^51 times the cell.
        """
        self._points[...] = points
        self._recording.again()
