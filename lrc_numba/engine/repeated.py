"""Energies of one set of values at other and other points, on a grid that is one tile."""

from __future__ import annotations

from math import prod

import numpy as np

from ..machine.cpu.recording import Recording
from . import fourier
from .deconvolution import MultiplierTable
from .operator import Operator

__all__ = ["RepeatedEnergy", "may_repeat"]


def may_repeat(operator: Operator) -> bool:
    """Whether loops and their arguments do not depend on where points are, and there is nothing between the loops.

    So it is where all of the grid is one tile, none left out, and modes are not written down between its transforms.

    Parameters
    ----------
    operator : Operator
        Of a plan.
    """
    grid = operator.grid
    one_tile = prod(grid.layout.tiles) == 1 and grid.backend.name == "cpu"
    return one_tile and fourier.gives_powers(operator.context) and not operator.spectral


class RepeatedEnergy:
    """``Operator.sort`` and ``Operator.energy`` with the gradient; after the first time the loops alone.

    Parameters
    ----------
    operator : Operator
        Whose grid, threads and loops; the memory between them is not shared with it.
    table : MultiplierTable
        φ̂.
    points : (N, d) or (B, N, d)
        Where the points are the first time, units of length.
    f : (B·N, C)
        Values.
    tangents : (L, n_modes), optional
        Of φ̂/V, times V, on the stored modes.

    Attributes
    ----------
    output : (B·N, C)
        u, overwritten by every call.
    gradient : (B·N, d)
        That of ½ Σ f·u by the points, likewise.
    along : (L,)
        How ½ Σ f·u, of all snapshots, changes along ``tangents``, likewise.
    """

    def __init__(
        self, operator: Operator, table: MultiplierTable, points: np.ndarray, f: np.ndarray, tangents: np.ndarray | None
    ):
        self._recording, grid, batch = Recording(), operator.grid, 1 if points.ndim == 2 else len(points)
        self._points = points.reshape(-1, points.shape[-1]).copy()
        own = Operator(grid, operator.context.threads, False, parallel=self._recording)
        wanted = {"points"} if tangents is None else {"points", "table"}
        result = own.energy(own.sort("points", self._points, batch), table, f.copy(), wanted)
        self.output, self.gradient, self._tangents = result.output, result.sources, tangents
        if tangents is not None:
            self.along = tangents @ result.table
            self._powers = own.space.take("powers", (batch, *grid.stored), grid.dtype)
            self._factors, self._at_k0 = own.of_powers(np.ones((1, *grid.stored)), slice(None)) / 2, result.table[0]

    def __call__(self, points: np.ndarray) -> None:
        """Compute ``output`` and ``gradient`` anew.

        Parameters
        ----------
        points : (B·N, d)
            Other positions: finite, and within 2^51 times the cell.
        """
        self._points[...] = points
        self._recording.again()
        if self._tangents is not None:
            powers = self._powers[0] if len(self._powers) == 1 else self._powers.sum(axis=0)
            of_table = powers.reshape(-1) * self._factors
            of_table[0] = self._at_k0
            self.along = self._tangents @ of_table
