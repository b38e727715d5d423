"""Energies of one set of values at other and other points, on a grid that is one tile."""

from __future__ import annotations

from math import prod

import numpy as np

from ..machine.cpu.recording import Recording
from . import fourier
from .deconvolution import MultiplierTable
from .operator import Operator

__all__ = ["RepeatedEnergy", "may_repeat"]


def may_repeat(operator: Operator, batch: int, with_table: bool) -> bool:
    """Whether loops and their arguments do not depend on where points are: all of one tile, and none left out.

    Parameters
    ----------
    operator : Operator
        Of a plan.
    batch : int
        Snapshots.
    with_table : bool
        Whether S is wanted.
    """
    if with_table and not fourier.gives_powers(operator.context):
        return False
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
    tangents : (L, n_modes), optional
        Of φ̂/V, times V, on the stored modes.

    Attributes
    ----------
    output : (N, C)
        u, overwritten by every call.
    gradient : (N, d)
        That of ½ Σ f·u by the points, likewise.
    along : (L,)
        How ½ Σ f·u changes along ``tangents``, likewise.
    """

    def __init__(
        self, operator: Operator, table: MultiplierTable, points: np.ndarray, f: np.ndarray, tangents: np.ndarray | None
    ):
        self._recording, self._points, grid = Recording(), points.copy(), operator.grid
        own = Operator(grid, operator.context.threads, False, parallel=self._recording)
        wanted = {"points"} if tangents is None else {"points", "table"}
        result = own.energy(own.sort("points", self._points, 1), table, f.copy(), wanted)
        self.output, self.gradient, self._tangents = result.output, result.sources, tangents
        if tangents is not None:
            self.along, self._of_table = tangents @ result.table, result.table
            self._powers = own.space.take("powers", (1, *grid.stored), grid.dtype).reshape(-1)
            self._factors, self._at_k0 = own.of_powers(np.ones((1, *grid.stored)), slice(None)) / 2, result.table[0]

    def __call__(self, points: np.ndarray) -> None:
        """Compute ``output`` and ``gradient`` anew.

        Parameters
        ----------
        points : (N, d)
            Other positions: finite, and within 2^51 times the cell.
        """
        self._points[...] = points
        self._recording.again()
        if self._tangents is not None:
            np.multiply(self._powers, self._factors, out=self._of_table)
            self._of_table[0] = self._at_k0
            self.along = self._tangents @ self._of_table
