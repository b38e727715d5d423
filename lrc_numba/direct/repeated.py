"""Energies of the same values at other and other points by explicit sums over modes, for few points."""

from __future__ import annotations

import numpy as np

from ..geometry.modes import ModeSet
from ..machine.cpu import arrays
from . import loops

__all__ = ["RepeatedSums"]


class RepeatedSums:
    """``DirectPlan.energy`` with the gradient by points; what does not depend on them is made once.

    Parameters
    ----------
    mode_set : ModeSet
        Stored modes.
    tops, stops : arrays
        See ``loops``.
    table : (modes,)
        φ̂/V.
    points : (N, d)
        Units of length.
    f : (N, C)
        Values.
    tangents : (L, modes), optional
        Of φ̂/V, times V.

    Attributes
    ----------
    output : (N, C)
        u, overwritten by every call.
    gradient : (N, d)
        That of ½ Σ f·u by the points, likewise.
    along : (L,)
        How ½ Σ f·u changes along ``tangents``, likewise.
    """

    def __init__(self, mode_set: ModeSet, tops, stops, table: np.ndarray, points: np.ndarray, f: np.ndarray, tangents):
        (count, channels), self._dim, self._width = f.shape, mode_set.dim, loops.lanes_of(len(f))
        self._inverse, self._turn = mode_set.cell.inverse, 2 * np.pi * mode_set.cell.inverse.T
        self._tops, self._stops, self._f, self._weighted = tops, stops, f.copy(), (table * mode_set.weights)[:, None]
        self._values = np.zeros((channels, self._width))
        self._values[:, :count] = f.T
        self._phases = arrays.empty(2 * (int(tops.sum()) + 3) * self._width, np.float64)
        self._spectrum = np.zeros((mode_set.size, channels), dtype=np.complex128)
        self._product = np.zeros_like(self._spectrum)
        self._out = np.zeros((channels, 4, self._width))
        self._tangents = None if tangents is None else tangents * (mode_set.weights / (2 * mode_set.cell.volume))
        self(points)

    def __call__(self, points: np.ndarray) -> None:
        """Compute ``output`` and ``gradient`` anew.

        Parameters
        ----------
        points : (N, d)
            Other positions, finite.
        """
        width, where = self._width, (self._tops, self._phases, self._stops)
        loops.fill_phases(points @ self._inverse, self._tops, width, self._phases)
        loops.analyse(*where, self._values, width, self._spectrum)
        np.multiply(self._weighted, self._spectrum, out=self._product)
        if self._tangents is not None:
            parts = self._spectrum.view(np.float64)
            self.along = self._tangents @ np.einsum("mc,mc->m", parts, parts)
        self._out.fill(0.0)
        numbers = self._product.view(np.float64).reshape(-1)
        loops.synthesise(*where, numbers, width, True, self._out.reshape(-1))
        rows = self._out[:, :, : len(points)]
        self.output = rows[:, 0].T
        slopes = rows[:, 4 - self._dim :].transpose(2, 0, 1) @ self._turn
        self.gradient = np.einsum("nc,nca->na", self._f, slopes)
