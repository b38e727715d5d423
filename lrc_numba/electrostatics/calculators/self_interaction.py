r"""What a charge does to itself on a mesh, and its derivatives.

    s_i = (1/V) Σ_n G(n) Π_a |w̃_ia(n_a)|² = Σ_D g(D) Π_a C_a(D_a; x_i)       C_a(D) = Σ_l w_l w_{l+D},   |D_a| < m

with g the influence function G on the nodes. Where the nodes lie makes s_i depend on x_i, and so a charge is pushed
about by itself; without a mesh it is s = (1/V) Σ_k v̂ wherever the charge is. Potentials change by −½ q_i (s_i − s),
energies by −½ Σ q_i² (s_i − s), and derivatives are of that (Ballenegger et al. 2012).

C_a is even in D, so that D ≥ 0 will do with g summed over signs; it is a polynomial in where a point is in its cell of
the mesh, the correlation of the polynomials of the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.polynomial import polynomial

from ...geometry.modes import ModeSet
from .influence import NEGLIGIBLE, InfluenceKernel, aliases

__all__ = ["SelfInteraction"]


@dataclass(frozen=True)
class SelfInteraction:
    """s_i − s for the points of a cell.

    Attributes
    ----------
    kernel : InfluenceKernel
        G, and v̂.
    modes : ModeSet
        Of the plan.
    correlations : (m, 2m − 1) float64
        C(D) for D ≥ 0 as powers of τ ∈ [−1, 1], lowest first.
    table : (m, m, m) float64
        g for D ≥ 0, summed over signs.
    exact : float
        s.
    """

    kernel: InfluenceKernel
    modes: ModeSet
    correlations: np.ndarray
    table: np.ndarray
    exact: float

    @classmethod
    def of(cls, kernel: InfluenceKernel, modes: ModeSet) -> SelfInteraction:
        """That of a mesh.

        Parameters
        ----------
        kernel : InfluenceKernel
            G, nodes and window.
        modes : ModeSet
            Of the plan; its cell.
        """
        powers = kernel.window.window(0.25).coefficients[::-1].T  # of weights, (m, m), lowest first
        m, volume = len(powers), modes.cell.volume
        correlations = np.zeros((m, 2 * powers.shape[1] - 1))
        for distance in range(m):
            for node in range(m - distance):
                correlations[distance] += polynomial.polymul(powers[node], powers[node + distance])
        influence = modes.weights * kernel.values(modes) / kernel.window_squared(modes) / volume
        first, second, last = _waves(modes, kernel.nodes, m)
        table = np.einsum("xyz,xa,yb,zc->abc", influence.reshape(modes.shape), first, second, last, optimize=True)
        exact = sum(float(modes.weights[index] @ kernel.base.values(waves)) for index, waves in _all(kernel, modes))
        return cls(kernel, modes, correlations, table, exact / volume)

    def at(self, positions: np.ndarray, slopes: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """s_i − s, (N,), and its derivative by the position, (N, 3).

        Parameters
        ----------
        positions : (N, 3)
            Units of length.
        slopes : bool
            Whether the derivative is wanted, None otherwise.
        """
        taus = self._in_cells(positions)
        parts = [polynomial.polyval(tau, self.correlations.T).T for tau in taus]
        value = self._contracted(parts) - self.exact
        if not slopes:
            return value, None
        by_node = []
        for a, tau in enumerate(taus):
            by_tau = polynomial.polyval(tau, polynomial.polyder(self.correlations.T)).T
            by_node.append(2.0 * self._contracted([*parts[:a], by_tau, *parts[a + 1 :]]))
        return value, (np.stack(by_node, axis=1) * self.kernel.nodes) @ self.modes.cell.inverse.T

    def strain(self, positions: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """½ Σ q_i² (s_i − s) differentiated by a strain, (3, 3).

        Parameters
        ----------
        positions : (N, 3)
            Units of length.
        squares : (N,)
            q_i², all channels together.
        """
        kernel, modes = self.kernel, self.modes
        parts = [polynomial.polyval(tau, self.correlations.T).T for tau in self._in_cells(positions)]
        together = np.einsum("n,na,nb,nc->abc", squares, *parts, optimize=True)
        waves = _waves(modes, kernel.nodes, len(together))
        spread = np.einsum("abc,xa,yb,zc->xyz", together, *waves, optimize=True).ravel()
        half = 0.5 / modes.cell.volume
        strain = kernel.cell_vjp(modes, half * modes.weights * spread / kernel.window_squared(modes))
        strain -= 0.5 * float(squares @ (self._contracted(parts) - self.exact)) * np.eye(3)
        total = float(squares.sum()) * half
        for index, images in _all(kernel, modes):
            strain -= kernel.base.cell_vjp(images, total * modes.weights[index])
        return strain

    def _in_cells(self, positions: np.ndarray) -> list[np.ndarray]:
        """τ of the points along each axis of the mesh, (N,) each."""
        fractions = np.asarray(positions, dtype=np.float64) @ self.modes.cell.inverse
        grid = fractions * self.kernel.nodes + (1.0 - len(self.correlations) / 2)
        return list((2.0 * (grid - np.floor(grid)) - 1.0).T)

    def _contracted(self, parts: list[np.ndarray]) -> np.ndarray:
        """Σ_D g(D) Π_a of three (N, m), (N,)."""
        m, (first, second, last) = len(self.table), parts
        rows = (first @ self.table.reshape(m, -1)).reshape(-1, m, m)
        return np.einsum("nbc,nb,nc->n", rows, second, last)


def _waves(modes: ModeSet, nodes: tuple[int, ...], m: int) -> list[np.ndarray]:
    """cos 2πDn/K along each axis, (n, D), twice that for D > 0, which stands for −D too."""
    twice = np.where(np.arange(m) > 0, 2.0, 1.0)
    return [twice * np.cos(2 * pi / K * np.outer(n, np.arange(m))) for n, K in zip(modes.axes, nodes, strict=True)]


def _all(kernel: InfluenceKernel, modes: ModeSet):
    """Which modes, and their images: every wave of the lattice that carries something, once."""
    steps = tuple(2 * int(axis.max()) + 1 for axis in modes.axes)
    highest = kernel.base.potential.highest_wavenumber(NEGLIGIBLE)
    for _, index, waves in aliases(modes, steps, highest):
        yield index, waves
