r"""Signs, normalisation and mode order: every factor of 2π and of the volume V is decided here.

Cell with edge vectors a_1 … a_d (the rows of ``cell.matrix``), volume V. A mode is an integer vector n, its wavevector
k = 2π A⁻¹ n satisfies k·a_i = 2π n_i. Analysis carries the sign −, synthesis the sign +:

    F(k) = Σ_j f_j e^{−ik·x_j}          u(x) = (1/V) Σ_k φ̂(k) F(k) e^{+ik·x}

over all n with |n_a| ≤ (M_a − 1) // 2. Since everything is real, only the half with n_d ≥ 0 is stored, in the order of
``numpy.fft.rfftn``: every axis but the last runs 0, 1, …, K, −K, …, −1, the last one 0, 1, …, K. A mode with n_d > 0
stands for itself and for −n and so has weight 2; modes with n_d = 0 are all stored and have weight 1:

    u(x) = (1/V) Σ_{half} weight · Re( φ̂(k) F(k) e^{+ik·x} )
"""

from __future__ import annotations

from functools import cached_property
from math import prod

import numpy as np

from .cell import Cell

__all__ = ["ModeSet", "highest_mode", "mode_numbers"]


def highest_mode(modes: int) -> int:
    """The largest |n| kept along an axis with ``modes`` modes: an even count keeps one mode fewer."""
    return (modes - 1) // 2


def mode_numbers(modes: int, *, half: bool = False) -> np.ndarray:
    """The integers n kept along one axis, (2K + 1,) int64 in FFT order, or (K + 1,) with ``half=True``."""
    top = highest_mode(modes)
    positive = np.arange(top + 1)
    return positive if half else np.concatenate([positive, np.arange(-top, 0)])


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


class ModeSet:
    """The stored half of the modes of a cell, with their wavevectors.

    Parameters
    ----------
    cell : Cell
        The periodic cell.
    modes : tuple of int
        Number of modes M_a along each of the d axes.

    Attributes
    ----------
    shape : tuple of int
        (2K_1 + 1, …, 2K_{d−1} + 1, K_d + 1), the layout of ``numpy.fft.rfftn``.
    size : int
        Number of stored modes.
    numbers : (size, d) int64
        The integer vectors n.
    k : (size, d) float64
        Wavevectors, radians per unit length.
    k2, norm : (size,) float64
        |k|² and |k|.
    weights : (size,) float64
        How many modes of the full set each stored one stands for, 1 or 2.

    Notes
    -----
    All users of a plan share these arrays, so they cannot be written to; copies and pickles make their own.
    """

    def __init__(self, cell: Cell, modes: tuple[int, ...]):
        self.cell, self.modes, self.dim = cell, tuple(modes), cell.dim
        tops = [highest_mode(m) for m in self.modes]
        self.shape = (*(2 * top + 1 for top in tops[:-1]), tops[-1] + 1)
        self.size = prod(self.shape)

    def __getstate__(self) -> dict:
        return {name: self.__dict__[name] for name in ("cell", "modes", "dim", "shape", "size")}

    def with_cell(self, cell: Cell) -> ModeSet:
        """The same modes of another cell of as many dimensions; what depends on no lattice is shared.

        Parameters
        ----------
        cell : Cell
            The other cell.
        """
        new = ModeSet(cell, self.modes)
        new.__dict__ |= {name: self.__dict__[name] for name in ("axes", "weights") if name in self.__dict__}
        return new

    @cached_property
    def axes(self) -> list[np.ndarray]:
        """The integers n along each axis."""
        return [mode_numbers(m, half=a == self.dim - 1) for a, m in enumerate(self.modes)]

    @property
    def numbers(self) -> np.ndarray:
        """The integer vectors n, (size, d), a new array."""
        return np.stack(np.meshgrid(*self.axes, indexing="ij"), axis=-1).reshape(self.size, self.dim)

    @cached_property
    def k(self) -> np.ndarray:
        """Wavevectors, (size, d)."""
        return _read_only(self.numbers @ self.cell.reciprocal)

    @cached_property
    def k2(self) -> np.ndarray:
        """Summed axis by axis, so that no (size, d) array is needed for it when the cell is a box."""
        if not self.cell.orthogonal:
            return _read_only(np.einsum("md,md->m", self.k, self.k))
        squares = []
        for a, axis in enumerate(self.axes):
            along = axis * self.cell.reciprocal[a, a]
            squares.append(np.multiply(along, along, out=along))
        total = squares[0]
        for square in squares[1:]:
            total = total[..., None] + square
        return _read_only(total.reshape(self.size))

    @cached_property
    def norm(self) -> np.ndarray:
        """|k|, (size,)."""
        return _read_only(np.sqrt(self.k2))

    @cached_property
    def weights(self) -> np.ndarray:
        """Modes of the full set that each stored one stands for, (size,)."""
        last = np.where(self.axes[-1] == 0, 1.0, 2.0)
        # In memory of its own also where one number stands for all: sums over strides of 0 are rounded differently.
        return _read_only(np.ascontiguousarray(np.broadcast_to(last, self.shape)).reshape(self.size))
