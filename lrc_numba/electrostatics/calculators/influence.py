r"""Influence functions of the classical meshes: what stands for v̂ where a window with aliases meets a mesh.

A charge is shared among the nodes of a mesh by a window with transform U, which makes of the wave n also its aliases

    k_j = 2π A⁻¹ ν_j,   ν_j = n + j∘K,   U_j = Π_a U(ν_ja/K_a)        j whole numbers, K_a nodes along axis a

all of them on integers, so that any lattice will do. With G the influence function, the potential of a mesh is

    u(x_i) = (1/V) Σ_n G(n) S̃(n) conj(w̃_i(n)),   S̃ = Σ_i q_i w̃_i,   w̃_i(n) = Σ_l w_l(x_i) e^{−2πi n·l/K}

and the functions here differ in G (sums over j without bounds are closed expressions, as U = sinc^m for splines):

    none       v̂                                          Lagrange polynomials: they interpolate what is smooth
    plain      v̂/U₀²                                      the window taken off, its aliases left
    spme       v̂/(Σ_j Π_a sinc^m(ν_ja/K_a))²              waves by splines through the nodes (Essmann et al. 1995)
    energy     Σ U_j² v̂_j/(Σ U_j²)²                       least error of energies (Hockney, Eastwood 1988)
    ik         Σ U_j² v̂_j k·k_j/(k² (Σ U_j²)²)            least error of forces whose gradient is taken in Fourier space
    optimal    Σ U_j² k_j² v̂_j/(Σ U_j² Σ U_j² k_j²)       least error of forces that are the energy's derivative

Essmann's sum has phases that vanish at the highest wave of an odd m, where it puts knots of the spline on nodes; here
knots are half-way between nodes then, as the window has them, and the sum is positive.

A strain turns k_j into k_j − ε k_j and leaves n, j, K and U as they are, which gives exact derivatives by the cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from math import pi

import numpy as np

from ...geometry.cell import Cell
from ...geometry.modes import ModeSet
from ...multipliers import Multiplier
from ...plan import WindowShape
from ..boundaries import LongRangeKernel

__all__ = ["INFLUENCES", "InfluenceKernel", "aliases"]

INFLUENCES = ("optimal", "energy", "ik", "spme", "plain")
NEGLIGIBLE = 1e-14  # of v̂ k²: aliases from there on are left out


class Waves(ModeSet):
    """Some waves of a lattice, for kernels, which ask for no more than this of a ``ModeSet``.

    Parameters
    ----------
    k : (size, 3) float64
        Wavevectors, inverse length.
    k2 : (size,) float64
        Their squares.
    cell : Cell
        Of the lattice.
    """

    def __init__(self, k: np.ndarray, k2: np.ndarray, cell: Cell):
        self.cell, self.dim, self.size = cell, cell.dim, len(k2)
        self.__dict__ |= {"k": k, "k2": k2}  # which a set of modes computes


def aliases(modes: ModeSet, steps: tuple[int, ...], highest: float) -> Iterator[tuple[tuple, np.ndarray, Waves]]:
    """The waves n + j∘K for j = 0, and for every other j those that are not too short.

    Parameters
    ----------
    modes : ModeSet
        n.
    steps : three ints
        K.
    highest : float
        Up to which wavenumber, inverse length.

    Yields
    ------
    j : three ints
        (0, 0, 0) comes first.
    index : (size,) int64
        Which n.
    waves : Waves
        Their wavevectors.
    """
    yield (0, 0, 0), np.arange(modes.size), Waves(modes.k, modes.k2, modes.cell)
    # |ν_a| = |k·a_a|/2π is at most |k| |a_a|/2π, whatever the lattice.
    reach = highest * np.linalg.norm(modes.cell.matrix, axis=1) / (2 * pi)
    tops = [int(axis.max()) for axis in modes.axes]
    furthest = [int((top + far) / step) for top, far, step in zip(tops, reach, steps, strict=True)]
    for j in product(*(range(-far, far + 1) for far in furthest)):
        if not any(j):
            continue
        k = modes.k + (np.array(j) * steps) @ modes.cell.reciprocal
        k2 = np.einsum("ma,ma->m", k, k)
        index = np.flatnonzero(k2 <= highest**2)
        if len(index):
            yield j, index, Waves(k[index], k2[index], modes.cell)


class InfluenceKernel(Multiplier):
    """φ̂ = U₀² G for a plan with a given window, whose correction takes U₀² off again.

    Parameters
    ----------
    base : LongRangeKernel
        v̂, of any boundary.
    nodes : three ints
        K.
    window : WindowShape
        ψ; a spline but for "none" and "plain".
    influence : str
        One of ``INFLUENCES``, or "none".
    """

    def __init__(self, base: LongRangeKernel, nodes: tuple[int, ...], window: WindowShape, influence: str):
        super().__init__()
        self.base, self.nodes, self.window, self.influence = base, tuple(nodes), window, influence
        self._tabulated: tuple | None = None

    def state(self) -> tuple:
        return InfluenceKernel, self.influence, self.nodes, self.window, self.base.state()

    @property
    def has_aliases(self) -> bool:
        """Whether G is a sum over aliases."""
        return self.influence in ("energy", "ik", "optimal")

    def _highest(self) -> float:
        return self.base.potential.highest_wavenumber(NEGLIGIBLE)

    # ------------------------------------------------------------------ values
    def values(self, modes: ModeSet) -> np.ndarray:
        key = self.state(), modes.cell.matrix.tobytes(), modes.modes
        if self._tabulated is None or self._tabulated[0] != key:
            values = self.window_squared(modes) * self._numerator(modes) / self._denominator(modes)
            self._tabulated = key, values
        return self._tabulated[1]

    def window_squared(self, modes: ModeSet) -> np.ndarray:
        """U₀², (size,): what the correction of a plan takes off."""
        return _outer(self.window.transform(n / K) ** 2 for n, K in zip(modes.axes, self.nodes, strict=True))

    def _numerator(self, modes: ModeSet) -> np.ndarray:
        """Σ_j c_j U_j² v̂_j, with c_j = 1, k·k_j/k² or k_j²; v̂ where n = 0 or there is no such sum."""
        total = np.zeros(modes.size)
        for j, index, waves in self._terms(modes):
            total[index] += self._factor(modes, j, index, waves) * self.base.values(waves)
        return total

    def _terms(self, modes: ModeSet) -> Iterator[tuple[tuple, np.ndarray, Waves]]:
        terms = aliases(modes, self.nodes, self._highest())
        return terms if self.has_aliases else iter([next(terms)])

    def _factor(self, modes: ModeSet, j: tuple, index: np.ndarray, waves: Waves) -> np.ndarray:
        """c_j U_j² of some waves; 1 for n = 0, j = 0, as U_j is 0 for every other j."""
        if not self.has_aliases:
            return np.ones(len(index))
        squares = self._spline_squared(modes, j)[index]
        if self.influence == "optimal":
            squares = squares * waves.k2
        elif self.influence == "ik":
            k, k2 = modes.k[index], np.where(modes.k2[index] > 0, modes.k2[index], 1.0)
            squares = squares * np.einsum("ma,ma->m", k, waves.k) / k2
        return np.where(modes.k2[index] > 0, squares, 1.0 if not any(j) else 0.0)

    def _spline_squared(self, modes: ModeSet, j: tuple) -> np.ndarray:
        """U_j² of a spline, (size,)."""
        order = 2 * self.window.width
        return _outer(np.sinc(n / K + shift) ** order for n, K, shift in zip(modes.axes, self.nodes, j, strict=True))

    def _denominator(self, modes: ModeSet) -> np.ndarray:
        """What Σ_j c_j U_j² v̂_j is divided by; 1 for n = 0."""
        m, kappas = self.window.width, [n / K for n, K in zip(modes.axes, self.nodes, strict=True)]
        if self.influence == "none":
            return np.ones(modes.size)
        if self.influence == "plain":
            return self.window_squared(modes)
        if self.influence == "spme":
            return _outer(_sum(m, kappa) ** 2 for kappa in kappas)
        sums = _outer(_sum(2 * m, kappa) for kappa in kappas)
        if self.influence == "optimal":
            return np.where(modes.k2 > 0, sums * self._squares(modes), 1.0)
        return sums**2

    def _moments(self, modes: ModeSet) -> Iterator[tuple[int, int, np.ndarray]]:
        """(a, b, Σ_j U_j² ν_ja ν_jb) for a ≤ b, from sums along single axes."""
        m, nodes = self.window.width, self.nodes
        kappas = [n / K for n, K in zip(modes.axes, nodes, strict=True)]
        sums = [_sum(2 * m, kappa) for kappa in kappas]
        firsts = [K * _first_moment(2 * m, kappa) for kappa, K in zip(kappas, nodes, strict=True)]
        # ν² sinc^{2m} = sin²(πν)/π² sinc^{2m−2}, and sin² is the same for all aliases
        seconds = [
            (K * np.sin(pi * kappa) / pi) ** 2 * _sum(2 * m - 2, kappa) for kappa, K in zip(kappas, nodes, strict=True)
        ]
        for a in range(3):
            for b in range(a, 3):
                axes = list(sums)
                axes[a], axes[b] = (seconds[a], seconds[a]) if a == b else (firsts[a], firsts[b])
                yield a, b, _outer(axes)

    def _squares(self, modes: ModeSet) -> np.ndarray:
        """Σ_j U_j² k_j², (size,)."""
        metric = modes.cell.reciprocal @ modes.cell.reciprocal.T
        return sum((metric[a, b] * (1 if a == b else 2) * moment for a, b, moment in self._moments(modes)), np.zeros(1))

    # ------------------------------------------------------------------ derivative by the cell
    def cell_vjp(self, modes: ModeSet, cotangent: np.ndarray) -> np.ndarray:
        weights = self.window_squared(modes) * np.real(cotangent) / self._denominator(modes)
        strain = np.zeros((3, 3))
        for j, index, waves in self._terms(modes):
            some = weights[index]
            strain += self.base.cell_vjp(waves, some * self._factor(modes, j, index, waves))
            strain += self._by_factor(modes, j, index, waves, some)
        if self.influence == "optimal":
            strain += self._by_squares(modes, np.real(cotangent) * self.values(modes))
        return strain

    def _by_factor(self, modes: ModeSet, j: tuple, index: np.ndarray, waves: Waves, weights: np.ndarray) -> np.ndarray:
        """Σ weights v̂_j U_j² dc_j/dε, with dk = −ε k for every wave."""
        if self.influence not in ("optimal", "ik"):
            return np.zeros((3, 3))
        moving = modes.k2[index] > 0
        weights = np.where(moving, weights * self._spline_squared(modes, j)[index] * self.base.values(waves), 0.0)
        if self.influence == "optimal":
            return -2.0 * (waves.k.T * weights) @ waves.k
        k, k2 = modes.k[index], np.where(moving, modes.k2[index], 1.0)
        mixed = (k.T * (weights / k2)) @ waves.k
        both = np.einsum("ma,ma->m", k, waves.k)
        return 2.0 * (k.T * (weights * both / k2**2)) @ k - mixed - mixed.T

    def _by_squares(self, modes: ModeSet, weights: np.ndarray) -> np.ndarray:
        """What Σ U_j² k_j² in the denominator contributes: 2 Σ weights Σ_j U_j² k_j k_j / Σ_j U_j² k_j²."""
        weights = np.where(modes.k2 > 0, weights / np.where(modes.k2 > 0, self._squares(modes), 1.0), 0.0)
        moments = np.zeros((3, 3))
        for a, b, moment in self._moments(modes):
            moments[a, b] = moments[b, a] = float(weights @ moment)
        return 2.0 * modes.cell.reciprocal.T @ moments @ modes.cell.reciprocal


def _outer(axes) -> np.ndarray:
    """Products of numbers along three axes, in the order of the modes."""
    first, second, last = axes
    return (first[:, None, None] * second[:, None] * last).ravel()


@lru_cache(maxsize=64)
def _spline(order: int, x: float) -> float:
    """The cardinal B-spline of an order, centred."""
    if order == 1:
        return float(-0.5 <= x < 0.5)
    half = order / 2
    return ((half + x) * _spline(order - 1, x + 0.5) + (half - x) * _spline(order - 1, x - 0.5)) / (order - 1)


def _sum(order: int, kappa: np.ndarray) -> np.ndarray:
    """Σ_j sinc^order(κ + j) = Σ_l M_order(l) cos 2πκl, by Poisson's formula."""
    total = np.full(kappa.shape, _spline(order, 0.0))
    for node in range(1, (order + 1) // 2):
        total += 2 * _spline(order, float(node)) * np.cos(2 * pi * node * kappa)
    return total


def _first_moment(order: int, kappa: np.ndarray) -> np.ndarray:
    """Σ_j (κ + j) sinc^order(κ + j) = −(1/π) Σ_{l>0} M′_order(l) sin 2πκl, likewise."""
    total = np.zeros(kappa.shape)
    for node in range(1, (order + 1) // 2):
        slope = _spline(order - 1, node + 0.5) - _spline(order - 1, node - 0.5)
        total -= slope / pi * np.sin(2 * pi * node * kappa)
    return total
