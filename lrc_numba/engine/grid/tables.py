"""The arrays of a grid that loops read, where the back end works on them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ...machine.cpu.lanes import vector_lanes

if TYPE_CHECKING:
    from .grid import Grid

__all__ = ["Tables"]

WITHOUT_CELL = (
    "lanes",
    "polynomials",
    "corrections",
    "mode_weights",
    "of_powers",
    "kept",
)  # tables that depend on no lattice


def _kept_indices(kept: int, nodes: int) -> np.ndarray:
    """Where the kept modes stand among ``nodes`` frequencies: 0, 1, …, K, −K, …, −1."""
    top = kept // 2
    return np.concatenate([np.arange(top + 1), np.arange(nodes - top, nodes)])


class Tables:
    """Made from the sizes and the window of a grid, each when it is first asked for.

    Parameters
    ----------
    grid : Grid
        Sizes, window, cell and back end.
    old : Tables, optional
        Of a grid that differs in the cell alone: what does not depend on it is shared, as far as it was made.
    """

    def __init__(self, grid: Grid, old: Tables | None = None) -> None:
        self._grid = grid
        if old is not None:
            self.__dict__ |= {name: old.__dict__[name] for name in WITHOUT_CELL if name in old.__dict__}

    def _asarray(self, array: np.ndarray) -> np.ndarray:
        return self._grid.backend.arrays.asarray(array)

    @cached_property
    def to_grid(self) -> np.ndarray:
        """(d, d) matrix J: a displacement dx is dx @ J grid cells."""
        return self._asarray(np.ascontiguousarray(self._grid.cell.inverse * np.array(self._grid.n)))

    @cached_property
    def inverse(self) -> np.ndarray:
        """(d, d): points @ inverse are fractional coordinates."""
        return self._asarray(self._grid.cell.inverse)

    @cached_property
    def lanes(self) -> int:
        """Numbers per row of ``polynomials``."""
        return vector_lanes(self._grid.window.width)

    @cached_property
    def polynomials(self) -> np.ndarray:
        """(degree + 1, lanes) coefficients of ψ, highest power first."""
        table = self._grid.window.coefficients
        out = np.zeros((len(table), self.lanes), dtype=self._grid.dtype)
        out[:, : self._grid.window.width] = table
        return self._asarray(out)

    @cached_property
    def corrections(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Per axis 1/ψ̂² on the kept modes in stored order."""
        grid = self._grid
        axes = [np.ones(1, dtype=grid.dtype)] * (3 - grid.dim)
        for axis, n in zip(grid.mode_set.axes, grid.n, strict=True):
            correction = grid.window.transform(axis / n)
            axes.append(np.power(correction, -2.0, out=correction).astype(grid.dtype, copy=False))
        first, second, last = (self._asarray(axis) for axis in axes)
        return first, second, last

    @cached_property
    def mode_weights(self) -> np.ndarray:
        """How many modes each index of the last axis stands for, (m,)."""
        mode_set = self._grid.mode_set
        return self._asarray(mode_set.weights[: mode_set.shape[-1]].astype(self._grid.dtype))

    @cached_property
    def of_powers(self) -> np.ndarray:
        """By what squares of modes of spread values are multiplied for those of the values, every mode counted."""
        first, second, last = self.corrections
        return first[:, None, None] * second[:, None] * (last * self.mode_weights)

    @cached_property
    def wavevectors(self) -> np.ndarray:
        """k of the stored modes, (m, m, m, d), radians per unit length."""
        grid = self._grid
        return self._asarray(grid.mode_set.k.reshape(*grid.stored, grid.dim).astype(grid.dtype))

    @cached_property
    def kept(self) -> tuple:
        """Where the kept modes stand in (B, C, ·, ·, ·), the transform of whole grids."""
        grid = self._grid
        lengths = zip(grid.stored[:2], grid.nodes[:2], strict=True)
        first, second = (self._asarray(_kept_indices(kept, n)) for kept, n in lengths)
        return slice(None), slice(None), first[:, None], second, slice(grid.mode_set.shape[-1])
