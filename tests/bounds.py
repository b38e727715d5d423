"""Fourier sums of u and of a gradient, and two sizes that bound their errors for any points, values and kernel.

With Ψ_k(x) = e^{ik·x} (1 + A_k(x)) the plane wave that the window makes of mode k, the operator that is computed is

    K̃(x, y) = (1/V) Σ_{k≠0} φ̂(k) Ψ_k(x) conj Ψ_k(y),   |A_k| ≤ (1 + eps/6)^d − 1

as the aliases of a window are at most eps/6 of a mode along each axis. So |K̃ − K| ≤ eps φ₁, with φ_p the p-norm of
φ̂/V over the modes k ≠ 0; and with ik between, as "spectral" has it, the same of |k_a| φ̂ along axis a. The slope of a
window, which "exact" takes, carries alias m with its own wavenumber, for the highest mode K on n nodes n/K − 1 times as
large, and for the others with less of it, because the window has a double zero at each m ≠ 0. That, with the aliases of
the other window and axes, is (n/K − 1 + 2d − 1)/6 times eps, or 5 where far aliases add to it.

``…_bound`` is that for every point. ``gradient_terms`` is an ℓ² size: a wavenumber times that of the energies g u + f v
when phases are independent of each other, or as it is where it is larger, or of what points do to themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from strategies import LAYOUTS, Problem, layout

from lrc_numba import ExponentialKernel, Gaussian, InversePower, Multiplier, Table, Yukawa

CASES = {1: 120, 2: 80, 3: 40}
TIMES = {"spectral": 1, "exact": 5}


@dataclass(frozen=True)
class Sums:
    """The gradient of Σ g·u by the points: g_i ∇u_i + f_i ∇v_i, with v the convolution of g (φ̂ real, one channel).

    Attributes
    ----------
    problem : Problem
        Points (N, d), values f (N,), a box with right angles, a multiplier without channels.
    g : (N,) array
        The cotangent.
    """

    problem: Problem
    g: np.ndarray

    @cached_property
    def phi(self) -> np.ndarray:
        """φ̂/V on the stored modes, zero at k = 0, which does not go over the grid and is exact."""
        modes = self.problem.mode_set
        return np.where(modes.k2 > 0, self.problem.multiplier.values(modes), 0.0) / self.problem.cell.volume

    @cached_property
    def _sums(self) -> tuple:
        """u and v (N,), ∇u and ∇v (N, d), without k = 0."""
        modes = self.problem.mode_set
        waves = np.exp(2j * np.pi * self.problem.cell.fractional(self.problem.points) @ modes.numbers.T)
        strength = (self.phi * modes.weights)[:, None] * (waves.conj().T @ np.stack([self.problem.values, self.g], 1))
        return *(waves @ strength).real.T, *((waves @ (1j * modes.k * s[:, None])).real for s in strength.T)

    @property
    def gradient(self) -> np.ndarray:
        """(N, d), the derivative of the Fourier sum."""
        _, _, du, dv = self._sums
        return self.g[:, None] * du + self.problem.values[:, None] * dv

    def _norms(self, factor=1.0) -> tuple[float, float]:
        """φ₁ and φ₂, of ``factor`` times φ̂."""
        phi, weights = self.phi * factor, self.problem.mode_set.weights
        return float(np.abs(phi) @ weights), float(np.sqrt(phi**2 @ weights))

    def u_bound(self) -> float:
        """φ₁ ‖f‖₁."""
        return self._norms()[0] * float(np.abs(self.problem.values).sum())

    def gradient_bound(self) -> np.ndarray:
        """(N, d), of "spectral"."""
        f, g = np.abs(self.problem.values), np.abs(self.g)
        along = [self._norms(k)[0] for k in self.problem.mode_set.k.T]
        return np.outer(g * f.sum() + f * g.sum(), along)

    def gradient_terms(self, sides: tuple[int, ...] | None = None) -> float:
        """‖·‖₂, of "exact" on a grid with these sides, else of "spectral"."""
        f, g, (u, v, _, _), norm = np.abs(self.problem.values), np.abs(self.g), self._sums, np.linalg.norm
        first, second = self._norms()
        size = max(
            norm(g * np.abs(u) + f * np.abs(v)),
            second * norm(g * norm(f) + f * norm(g)),
            first * 2 * norm(f * g),
        )
        highest = self.problem.mode_set.norm.max()
        if sides is not None:
            highest = np.max(2 * np.pi * np.array(sides) / np.diag(self.problem.cell.matrix))
        return float(highest * size)


def _kernel(name: str, problem: Problem, length: float) -> Multiplier:
    """A kernel that reaches as far as ``length``, or one that has only the highest modes, the worst of all."""
    dim, side = problem.dim, float(problem.cell.heights.min())
    if name == "highest":
        top = np.abs(problem.mode_set.numbers) == np.array([(m - 1) // 2 for m in problem.modes])
        return Table(top.any(axis=1).reshape(problem.mode_set.shape).astype(float), dim)
    if name == "power":
        return InversePower(0.9 * dim, min(length, 0.2 * side))
    return {"yukawa": Yukawa(1.0, 1 / length), "exponential": ExponentialKernel(1 / length)}.get(
        name, Gaussian(min(length, 0.3 * side))
    )


def sweep(dim: int) -> Iterator[Sums]:
    """One point to forty of every layout; random values, neutral ones and ones; a cotangent, half of them f/2."""
    rng, modes = np.random.default_rng(dim), {1: (31,), 2: (12, 9), 3: (7, 8, 7)}[dim]
    for case in range(CASES[dim]):
        problem = Problem(
            rng.choice([0.3, 1.0, 20.0]) * rng.uniform(0.8, 1.2, dim), modes, np.zeros((1, dim)), None, Yukawa()
        )
        points = layout(LAYOUTS[case % len(LAYOUTS)], int(rng.choice([1, 2, 3, 5, 17, 40])), problem.cell, rng)
        f = np.ones(len(points)) if case % 3 == 0 else rng.standard_normal(len(points))
        f = f - f.mean() if case % 3 == 1 and len(f) > 1 else f
        g = f / 2 if case % 2 else rng.standard_normal(len(points))
        name = str(rng.choice(["yukawa", "gaussian", "exponential", "power", "highest"]))
        kernel = _kernel(name, problem, problem.cell.heights.min() * 10 ** rng.uniform(-1.7, 0.5))
        yield Sums(problem.change(points=points, values=f, multiplier=kernel), g)
