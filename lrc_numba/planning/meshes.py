r"""The stages of a plan one by one: points → mesh, mesh → × multiplier → mesh, mesh → points.

Between two stages there is an array of the nodes, which the user may look at and change; ``LRCPlan.convolve`` does the
same without it, several times as fast. The mode k = 0 travels beside the nodes, as exactly as in ``convolve``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import arguments
from ..engine import deconvolution, fourier, interpolation, spreading
from ..machine.alone import alone
from ..multipliers import Multiplier
from .calls import flat_values, refuse_complex

if TYPE_CHECKING:
    from ..engine.context import Ranks
    from ..engine.operator import Operator

__all__ = ["Mesh", "MeshStages"]


@dataclass(frozen=True)
class Mesh:
    """Numbers on the nodes of a plan's grid.

    Attributes
    ----------
    values : (C, *nodes) array, with B in front for snapshots
        After ``spread``, Σ_j f_j ψ(node − x_j) with the window ψ in cells of the grid; after ``filter``, what
        interpolation with ψ turns into u, but for the mean: both windows are corrected there.
    mean : (C,) array, with B in front for snapshots
        What belongs to k = 0: Σ_j f_j after ``spread``, φ̂(0) Σ_j f_j/V after ``filter``.
    filtered : bool
        Whether it comes from ``filter``.
    """

    values: np.ndarray
    mean: np.ndarray
    filtered: bool = False


class MeshStages:
    """The part of ``LRCPlan`` that goes from stage to stage."""

    _operator: Operator
    _points: Any
    dtype: np.dtype
    backend: str
    _ranks: Ranks | None = None  # that share the points, see ``distributed``

    @alone
    def spread(self, values) -> Mesh:
        """Spread values to the nodes: the first stage of ``convolve``.

        Parameters
        ----------
        values : (N,), (N, C), with B in front for snapshots, or None
            f; None is ones.

        Returns
        -------
        Mesh
            A new array.
        """
        points = self._set_points()
        refuse_complex(self.dtype, values=values)
        shape = points.shape[:-1]
        f, _, _ = flat_values("values", values, shape, self.dtype, self._operator.context.arrays)
        context, grid, channels = self._operator.context, self._operator.grid, f.shape[1]
        padded = np.zeros((points.batch, channels, *grid.layout.padded), dtype=grid.dtype)
        spreading.spread(context, points.sources, points.sources.gather(context, f), padded)
        first, second, last = grid.nodes
        nodes = padded[:, :, :first, :second, :last].copy()
        for start in range(last, padded.shape[4] if grid.folds_rows else 0, last):  # else they are there already
            beyond = padded[:, :, :first, :second, start : start + last]
            nodes[..., : beyond.shape[4]] += beyond
        nodes = context.over_ranks(nodes)
        sums = context.over_ranks(f.reshape(points.batch, len(f) // max(points.batch, 1), channels).sum(axis=1))
        front = shape[:-1]
        return Mesh(nodes.reshape(*front, channels, *grid.n), sums.reshape(*front, channels))

    @alone
    def filter(self, mesh: Mesh, multiplier: Multiplier) -> Mesh:
        """Multiply the modes of a mesh, and correct for both windows: the second stage of ``convolve``.

        Parameters
        ----------
        mesh : Mesh
            From ``spread``.
        multiplier : Multiplier
            φ̂, of shape (), (C_out,) or (C_out, C_in).

        Returns
        -------
        Mesh
            A new array of C_out channels.
        """
        grid, context = self._operator.grid, self._operator.context
        values, mean = self._checked(mesh, False)
        if not isinstance(multiplier, Multiplier):
            raise TypeError(f"multiplier: expected a Multiplier, got {type(multiplier).__name__}")
        table, (batch, channels) = deconvolution.MultiplierTable(multiplier, grid), mean.shape
        c_out = table.channels_out(channels)
        padded = np.zeros((batch, channels, *grid.layout.padded), dtype=grid.dtype)
        first, second, last = grid.nodes
        padded[:, :, :first, :second, :last] = values
        everywhere = np.ones((batch, *grid.layout.padded[:2]), dtype=bool)
        modes = fourier.analyse(context, padded, everywhere, channels)
        modes = deconvolution.multiply(context, modes, table, deconvolution.one_way(channels, c_out))
        padded = np.zeros((batch, c_out, *grid.layout.padded), dtype=grid.dtype)
        nodes = fourier.synthesise(context, modes, everywhere, padded)[:, :, :first, :second, :last]
        front = mesh.mean.shape[:-1]
        return Mesh(nodes.reshape(*front, c_out, *grid.n), table.mean_field(mean).reshape(*front, c_out), filtered=True)

    @alone
    def interpolate(self, mesh: Mesh) -> np.ndarray:
        """Interpolate at the points, or at the targets where there are any: the last stage of ``convolve``.

        Parameters
        ----------
        mesh : Mesh
            From ``filter``.

        Returns
        -------
        ndarray
            (N, C), or (T, C) with targets; B in front for snapshots.
        """
        points, (values, mean) = self._set_points(), self._checked(mesh, True)
        context, grid = self._operator.context, self._operator.grid
        if len(mean) != points.batch:
            raise ValueError(f"mesh: expected the {points.batch} snapshots of the points, got {len(mean)}")
        padded = np.zeros((*mean.shape, *grid.layout.padded), dtype=grid.dtype)
        first, second, last = grid.nodes
        columns = np.arange(padded.shape[4]) % last  # the padding of rows is what ``fill`` may leave to transforms
        padded[:, :, :first, :second] = values[..., columns]
        interpolation.fill(context, points.targets, padded)
        out = interpolation.interpolate(context, points.targets, padded, np.ascontiguousarray(mean))
        return out.reshape(*(points.targets_shape or points.shape)[:-1], mean.shape[1])

    def _set_points(self):
        """The points; an error where there are none, or where the nodes are on a device."""
        if self.backend != "cpu":
            raise NotImplementedError(
                f"backend: meshes are there for the CPU alone, and this plan has {self.backend!r}"
            )
        if self._points is None:
            raise ValueError("points: none are set; call set_points first")
        return self._points

    def _checked(self, mesh: Mesh, filtered: bool) -> tuple[np.ndarray, np.ndarray]:
        """Values (B, C, *nodes) and means (B, C) of a mesh of this plan."""
        self._set_points()
        if not isinstance(mesh, Mesh):
            raise TypeError(f"mesh: expected a Mesh, got {type(mesh).__name__}")
        if mesh.filtered != filtered:
            raise ValueError(f"mesh: expected one from {'filter' if filtered else 'spread'}, got one from the other")
        grid = self._operator.grid
        values = arguments.as_array("mesh.values", mesh.values, self.dtype)
        mean = arguments.as_array("mesh.mean", mesh.mean, self.dtype)
        if values.shape != (*mean.shape, *grid.n) or mean.ndim not in (1, 2):
            raise ValueError(f"mesh: expected shape {('C', *grid.n)}, with B in front or not, got {values.shape}")
        batch = prod(mean.shape[:-1])
        return values.reshape(batch, mean.shape[-1], *grid.nodes), mean.reshape(batch, mean.shape[-1])
