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

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...multipliers.multiplier import Multiplier
from ..context import Context
from ..grid import Grid

__all__ = ["ModeProduct", "MultiplierTable", "both_ways", "differentiate", "multiply", "multiply_vjp", "one_way"]


class MultiplierTable:
    """φ̂ on the stored modes, in the layout that the loops read.

    Parameters
    ----------
    multiplier : Multiplier
        What to tabulate.
    grid : Grid
        Modes and dtype.

    Attributes
    ----------
    table : (C_out or 1, C_in or 1, ·, ·, ·) array
        φ̂/V, 0 at k = 0.
    value_at_k0, value_at_r0 : (C_out or 1, C_in or 1) arrays
        φ̂(0)/V, and φ(r = 0) of the band-limited kernel.
    squares : float
        Σ |φ̂/V|² over the stored modes; infinite where that overflows.

    Raises
    ------
    TypeError
        As ``Multiplier.checked_values``.
    ValueError
        Likewise, and where they are beyond the range of the dtype.
    """

    def __init__(self, multiplier: Multiplier, grid: Grid):
        values = multiplier.checked_values(grid.mode_set)
        self.shape, self._volume, self._mode_weights = values.shape[:-1], grid.cell.volume, grid.mode_set.weights
        volume, kind = grid.cell.volume, grid.complex_dtype if np.iscomplexobj(values) else grid.dtype
        self.table = np.empty((*self._matrix_shape(), *grid.stored), dtype=kind)
        with np.errstate(over="ignore"):
            np.divide(values.reshape(self.table.shape), volume, out=self.table, casting="same_kind")
            self.value_at_k0 = np.array(self.table[..., 0, 0, 0].real, order="C")
            at_zero = values.real @ grid.mode_set.weights / volume
            self.value_at_r0 = np.asarray(at_zero, dtype=grid.dtype).reshape(self._matrix_shape())
        del values, at_zero
        with np.errstate(over="ignore"):
            self.squares = float(np.vdot(self.table, self.table).real)
        if not (np.isfinite(self.squares) or np.isfinite(self.table).all()) or not np.isfinite(self.value_at_r0).all():
            raise ValueError(
                f"multiplier: {multiplier!r} over the volume {volume:g} is too large for {grid.dtype.name}"
            )
        self.table[..., 0, 0, 0] = 0.0
        arrays = (self.table, self.value_at_k0, self.value_at_r0)
        self.table, self.value_at_k0, self.value_at_r0 = (grid.backend.arrays.asarray(array) for array in arrays)

    def _matrix_shape(self) -> tuple[int, int]:
        return (1, 1) if self.shape == () else (self.shape[0], self.shape[1] if len(self.shape) == 2 else 1)

    @property
    def maps(self) -> int:
        """Pairs of an input and an output channel for which there are values."""
        return self.table.shape[0] * self.table.shape[1]

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

    def own_cotangent(self, own) -> np.ndarray:
        """What Σ g_i f_i of points that leave themselves out contributes to the cotangent of φ̂, (*shape, n_modes)."""
        return np.reshape(own, self.shape)[..., None] / self._volume * self._mode_weights

    def mean_field(self, sums: np.ndarray, *, adjoint: bool = False) -> np.ndarray:
        """The mode k = 0 of u, φ̂(0) Σ_j f_j / V in every snapshot: (B, C_out).

        Parameters
        ----------
        sums : (B, C_in)
            Σ_j f_j.
        adjoint : bool
            From C_out to C_in instead.
        """
        if self.per_channel:
            return sums * self.value_at_k0[0, 0]
        # Snapshot by snapshot: several at once are added up in another order than one alone.
        return (sums[:, None] @ (self.value_at_k0 if adjoint else self.value_at_k0.T))[:, 0]

    def self_interaction(self, values: np.ndarray, *, adjoint: bool = False) -> np.ndarray:
        """φ(0) f_i, the term of u_i that i contributes to itself: (B·N, C_in) to (B·N, C_out), or back."""
        if self.per_channel:
            return values * self.value_at_r0[0, 0]
        return values @ (self.value_at_r0 if adjoint else self.value_at_r0.T)


class ModeProduct(NamedTuple):
    """Which channels of some modes are multiplied with φ̂, and where the products go.

    Attributes
    ----------
    read : range
        Channels read.
    write : range
        Channels written.
    adjoint : bool
        Multiply by the conjugate transpose of φ̂ instead.
    """

    read: range
    write: range
    adjoint: bool = False

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """The same for the loops: first channel and number of channels read, and written."""
        return self.read.start, len(self.read), self.write.start, len(self.write)


@lru_cache(maxsize=64)
def one_way(c_in: int, c_out: int) -> tuple[ModeProduct, ...]:
    """φ̂ from the ``c_in`` channels of f to the ``c_out`` of u."""
    return (ModeProduct(range(c_in), range(c_out)),)


def both_ways(table: MultiplierTable, c_in: int, c_out: int) -> tuple[ModeProduct, ...]:
    """φ̂ from f to u and, behind it, its adjoint from g to f̄: at once where φ̂ is its own adjoint.

    Parameters
    ----------
    table : MultiplierTable
        φ̂.
    c_in, c_out : int
        Channels of f and of u.
    """
    if table.self_adjoint:
        return (ModeProduct(range(c_in + c_out), range(c_out + c_in)),)
    back = ModeProduct(range(c_in, c_in + c_out), range(c_out, c_out + c_in), adjoint=True)
    return (*one_way(c_in, c_out), back)


def multiply(
    context: Context, modes: np.ndarray, table: MultiplierTable, products: Sequence[ModeProduct]
) -> np.ndarray:
    """Modes of u from the transforms of spread values: (B, C, ·, ·, ·) to (B, C′, ·, ·, ·) complex.

    Parameters
    ----------
    context : Context
        Corrections, threads, memory.
    modes : complex array
        Transforms of the spread values.
    table : MultiplierTable
        φ̂.
    products : sequence of ModeProduct
        Which channels of ``modes`` become which channels of the result; the last of them come last.

    Returns
    -------
    complex array
        In the workspace: valid until the next call.
    """
    channels, loops = products[-1].write.stop, context.loops(__package__)
    out = context.space.take("multiplied", (modes.shape[0], channels, *modes.shape[2:]), modes.dtype)
    corrections, rows = context.grid.tables.corrections, _rows(context, modes)
    for product in products:
        how = (table.per_channel, product.adjoint, product.channels)
        context.parallel.run(loops.multiply, rows, modes, table.table, corrections, *how, out)
    return out


def multiply_vjp(
    context: Context, modes: np.ndarray, table: MultiplierTable, values: range, cotangents: range
) -> np.ndarray:
    """The cotangent S of φ̂, see the module's docstring: (*shape, n_modes) complex.

    Parameters
    ----------
    context : Context
        Corrections, threads.
    modes : (B, C, ·, ·, ·) complex array
        Transforms of the spread values and, in other channels, of the spread cotangents.
    table : MultiplierTable
        Says the shape.
    values, cotangents : range
        Channels of the values, and of the cotangents.
    """
    grid, loops = context.grid, context.loops(__package__)
    out = context.xp.zeros(table.table.shape, dtype=modes.dtype)
    channels = (values.start, len(values), cotangents.start, len(cotangents))
    weights = (grid.tables.corrections, grid.tables.mode_weights)
    context.parallel.run(loops.correlate, _rows(context, modes), modes, *weights, table.per_channel, channels, out)
    return (out / grid.cell.volume).reshape(*table.shape, grid.mode_set.size)


def differentiate(context: Context, modes: np.ndarray, *, transposed: bool = False) -> np.ndarray:
    """Multiply by ik: (B, C, …) to (B, C·d, …), or back with the sum over axes if ``transposed``.

    Parameters
    ----------
    context : Context
        Wavevectors, threads.
    modes : complex array
        Modes.
    transposed : bool
        Contract instead of expand.
    """
    grid, loops = context.grid, context.loops(__package__)
    channels = modes.shape[1] // grid.dim if transposed else modes.shape[1] * grid.dim
    out = context.xp.empty((modes.shape[0], channels, *modes.shape[2:]), dtype=modes.dtype)
    wavevectors, rows = grid.tables.wavevectors, _rows(context, modes)
    context.parallel.run(loops.differentiate, rows, modes, wavevectors, transposed, out)
    return out


def _rows(context: Context, modes: np.ndarray) -> list[int]:
    """Ranges of the first mode axis."""
    per_row = modes.size // max(modes.shape[2], 1)
    return context.even(modes.shape[2], 1 + context.parallel.WORTH_A_THREAD // max(per_row, 1))
