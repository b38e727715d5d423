r"""Modes × multiplier: φ̂(k) F(k) / (V ψ̂(k)²), the two window corrections and the multiplier in one pass.

The mode k = 0 does not go over the grid: φ̂(0) Σ_j f_j / V is the same at every target and is added exactly
(``MultiplierTable.mean_field``). Where charges cancel and φ̂ is largest at k = 0, as for a weakly screened kernel in a
neutral system, what aliases into that mode would be the largest error of all.

The transform of the spread values is ψ̂(k) F(k), and interpolation multiplies by ψ̂(k) once more, hence ψ̂².

    jvp   the same operator on the tangent modes
    vjp   with the conjugate transpose of φ̂ on the cotangent modes; and with respect to φ̂ itself, for
          L = Σ_i g_i·u_i with modes G of g:  dL = Σ_{half} Re(dφ̂^{oc} S^{oc}),  S^{oc} = weight F^c conj(G^o) / V
"""

from __future__ import annotations

import numpy as np

from ...multipliers.multiplier import Multiplier
from ..grid.grid import Grid

__all__ = ["MultiplierTable", "differentiate", "multiply", "multiply_vjp"]


class MultiplierTable:
    """φ̂ on the stored modes, in the layout that the loops read.

    Parameters
    ----------
    multiplier : Multiplier
        What to tabulate.
    grid : Grid
        Modes and dtype.

    Raises
    ------
    TypeError
        When its values are not numbers.
    ValueError
        When its values have the wrong shape or are not finite.
    """

    def __init__(self, multiplier: Multiplier, grid: Grid):
        size, name = grid.mode_set.size, f"{type(multiplier).__name__}.values"
        values = multiplier.values(grid.mode_set)
        try:
            values = np.asarray(values)
        except ValueError:
            raise ValueError(f"multiplier: {name} must return shape (*channels, {size}), got {values!r}") from None
        if values.dtype.kind not in "biufc":
            raise TypeError(f"multiplier: {name} must return real or complex numbers, got dtype {values.dtype}")
        if values.shape[-1:] != (size,) or values.ndim > 3:
            raise ValueError(f"multiplier: {name} must return shape (*channels, {size}), got {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"multiplier: {multiplier!r} is not finite on all modes")
        self.shape = values.shape[:-1]
        volume, kind = grid.cell.volume, grid.complex if np.iscomplexobj(values) else grid.dtype
        self.table = np.empty((*self._matrix_shape(), *grid.stored), dtype=kind)
        with np.errstate(over="ignore"):
            np.divide(values.reshape(self.table.shape), volume, out=self.table, casting="same_kind")
            self.mean = np.array(self.table[..., 0, 0, 0].real, order="C")
            at_zero = values.real @ grid.mode_set.weights / volume
            self.at_zero = np.asarray(at_zero, dtype=grid.dtype).reshape(self._matrix_shape())
        del values, at_zero
        if not (np.isfinite(self.table).all() and np.isfinite(self.at_zero).all()):
            raise ValueError(
                f"multiplier: {multiplier!r} over the volume {volume:g} is too large for {grid.dtype.name}"
            )
        self.table[..., 0, 0, 0] = 0.0
        arrays = (self.table, self.mean, self.at_zero)
        self.table, self.mean, self.at_zero = (grid.backend.arrays.asarray(array) for array in arrays)

    def _matrix_shape(self) -> tuple[int, int]:
        return (1, 1) if self.shape == () else (self.shape[0], self.shape[1] if len(self.shape) == 2 else 1)

    @property
    def per_channel(self) -> bool:
        """One kernel for every channel alike."""
        return self.shape == ()

    @property
    def self_adjoint(self) -> bool:
        """Whether the conjugate transpose of φ̂ is φ̂ itself, channel by channel."""
        return self.per_channel and self.table.dtype.kind == "f"

    def channels_out(self, channels: int) -> int:
        """C_out for C_in = ``channels``; a ValueError where they do not fit."""
        if self.per_channel:
            return channels
        if self.table.shape[1] != channels:
            raise ValueError(
                f"multiplier: expected a multiplier for {channels} input channel(s), as values has, got one of shape "
                f"{self.shape}, which takes {self.table.shape[1]}"
            )
        return self.table.shape[0]

    def mean_field(self, values: np.ndarray, batch: int, *, adjoint: bool = False) -> np.ndarray:
        """The mode k = 0 of u, φ̂(0) Σ_j f_j / V in every snapshot: (B, C_out).

        Parameters
        ----------
        values : (B·N, C_in)
            f.
        batch : int
            B.
        adjoint : bool
            From C_out to C_in instead.
        """
        sums = values.reshape(batch, len(values) // max(batch, 1), values.shape[1]).sum(axis=1)
        if self.per_channel:
            return sums * self.mean[0, 0]
        # Snapshot by snapshot: several at once are added up in another order than one alone.
        return (sums[:, None] @ (self.mean if adjoint else self.mean.T))[:, 0]

    def self_interaction(self, values: np.ndarray) -> np.ndarray:
        """φ(0) f_i, the term of u_i that i contributes to itself: (B·N, C_in) to (B·N, C_out)."""
        return values * self.at_zero[0, 0] if self.per_channel else values @ self.at_zero.T


def multiply(
    modes: np.ndarray,
    table: MultiplierTable,
    grid: Grid,
    threads: int,
    out: np.ndarray,
    channels: tuple[int, ...],
    *,
    adjoint: bool = False,
) -> None:
    """Modes of u from the transforms of spread values.

    Parameters
    ----------
    modes : (B, C, ·, ·, ·) complex
        Transforms of the spread values.
    table : MultiplierTable
        φ̂.
    grid : Grid
        Corrections.
    threads : int
        At most so many.
    out : (B, C′, ·, ·, ·) complex
        Written.
    channels : (int, int, int, int)
        First channel and number of channels to read, and to write.
    adjoint : bool
        Multiply by the conjugate transpose of φ̂ instead.
    """
    rest = (grid.corrections, table.per_channel, adjoint, channels, out)
    grid.backend.parallel.run(
        grid.backend.deconvolution.multiply, _rows(modes, grid, threads), modes, table.table, *rest
    )


def multiply_vjp(
    modes: np.ndarray, table: MultiplierTable, grid: Grid, threads: int, channels: tuple[int, int, int, int]
) -> np.ndarray:
    """S of the module's docstring, (*shape, n_modes) complex.

    Parameters
    ----------
    modes : (B, C, ·, ·, ·) complex array
        Transforms of the spread values and, in other channels, of the spread cotangents.
    table : MultiplierTable
        Says the shape.
    grid, threads
        As for ``multiply``.
    channels : (int, int, int, int)
        First channel and number of channels of the values, and of the cotangents.
    """
    out = grid.backend.arrays.xp.zeros(table.table.shape, dtype=modes.dtype)
    rest = (grid.corrections, grid.mode_weights, table.per_channel, channels, out)
    grid.backend.parallel.run(grid.backend.deconvolution.correlate, _rows(modes, grid, threads), modes, *rest)
    return (out / grid.cell.volume).reshape(*table.shape, grid.mode_set.size)


def differentiate(modes: np.ndarray, grid: Grid, threads: int, *, transposed: bool = False) -> np.ndarray:
    """Multiply by ik: (B, C, …) to (B, C·d, …), or back with the sum over axes if ``transposed``.

    Parameters
    ----------
    modes : complex array
        Modes.
    grid, threads
        As for ``multiply``.
    transposed : bool
        Contract instead of expand.
    """
    channels = modes.shape[1] // grid.dim if transposed else modes.shape[1] * grid.dim
    shape, parallel = (modes.shape[0], channels, *modes.shape[2:]), grid.backend.parallel
    out, rows = grid.backend.arrays.xp.empty(shape, dtype=modes.dtype), _rows(modes, grid, threads)
    parallel.run(grid.backend.deconvolution.differentiate, rows, modes, grid.wavevectors, transposed, out)
    return out


def _rows(modes: np.ndarray, grid: Grid, threads: int) -> list[int]:
    """Ranges of the first mode axis."""
    parallel = grid.backend.parallel
    per_row = modes.size // max(modes.shape[2], 1)
    return parallel.even(modes.shape[2], threads, 1 + parallel.WORTH_A_THREAD // max(per_row, 1))
