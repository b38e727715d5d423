r"""Errors of forces of PME and P3M, as of ``estimates`` but with all aliases (Hockney, Eastwood 1988).

    I = (1/V) Σ_k [S₀ − 2GA + G²D]     S₀ = k² v̂²,   A = U₀² k² v̂,   D = Σ_j U_j² Σ_j U_j² k_j²

for forces that are the exact gradient, with G = v̂ for Lagrange polynomials and G = A/D for splines. What v̂ has beyond
the highest wave of the mesh is the term of the modes that are left out. A mesh has a spacing, so the search is done on
a cube of so many nodes of it, and the choice on the real lattice.
"""

from __future__ import annotations

from math import pi

import numpy as np

from ...plan import WindowShape
from ..calculators.classical import ClassicalMesh
from ..potentials import Potential

__all__ = ["ORDERS", "classical_term", "classical_window", "coarsest", "nodes_of", "rounding_term"]

ORDERS = (4, 5, 6, 7)
SHIFTS = np.arange(-3, 4)
CUBE = 14  # nodes along its edges
STEPS = 8  # of a bisection
LONGEST = 6  # waves along each axis
ROUNDING = 1e-15  # of a wave's term: what is left of differences below that is rounding


def classical_window(method: str, order: int) -> WindowShape:
    """That of a calculator.

    Parameters
    ----------
    method : {"p3m", "pme"}
        Which.
    order : int
        Nodes along an axis.
    """
    return WindowShape("bspline" if method == "p3m" else "lagrange", order)


def nodes_of(method: str, order: int, spacing: float, cell: np.ndarray) -> tuple[int, ...]:
    """Nodes that a calculator takes for a spacing.

    Parameters
    ----------
    method, order
        As for ``classical_window``.
    spacing : float
        Units of length.
    cell : (3, 3)
        Lattice vectors of the modes.
    """
    return ClassicalMesh(classical_window(method, order).name, "none", order, spacing, None, True).sizes(cell)


def classical_term(potential: Potential, cell: np.ndarray, nodes: tuple[int, ...], window: WindowShape) -> float:
    """I.

    Parameters
    ----------
    potential : Potential
        Divided.
    cell : (3, 3)
        Lattice vectors of the modes.
    nodes : three ints
        Of the mesh.
    window : WindowShape
        A spline, for which G is optimal, or Lagrange's polynomials.
    """
    tops = [(n - 1) // 2 for n in nodes]
    axes = [np.arange(-tops[0], tops[0] + 1), np.arange(-tops[1], tops[1] + 1), np.arange(tops[2] + 1)]
    volume, reciprocal = abs(float(np.linalg.det(cell))), 2 * pi * np.linalg.inv(cell).T
    metric, moments, main = reciprocal @ reciprocal.T, [], []
    for n, count in zip(axes, nodes, strict=True):
        images = window.transform(n[:, None] / count + SHIFTS) ** 2
        waves = n[:, None] + count * SHIFTS
        moments.append([(images * waves**power).sum(axis=1) for power in (0, 1, 2)])
        main.append(images[:, len(SHIFTS) // 2])
    k2 = squares = np.zeros(1)
    for a in range(3):
        for b in range(3):
            powers = np.eye(3, dtype=int)[a] + np.eye(3, dtype=int)[b]
            k2 = k2 + metric[a, b] * _outer([n**power for n, power in zip(axes, powers, strict=True)])
            squares = squares + metric[a, b] * _outer([moments[c][powers[c]] for c in range(3)])
    k2, squares = np.ravel(k2), np.ravel(squares)
    total = squares * _outer([moment[0] for moment in moments]).ravel()  # D
    weights = np.broadcast_to(np.where(axes[2] > 0, 2.0, 1.0), tuple(len(n) for n in axes)).ravel()
    kept = k2 > 1e-12 * k2.max()
    k2, total, u2, weights = k2[kept], total[kept], _outer(main).ravel()[kept], weights[kept]
    relative = 1 - u2**2 * k2 / total if window.name == "bspline" else 1 - 2 * u2 + total / k2
    values = potential.fourier(k2)
    return float(np.sum(weights * k2 * values**2 * np.maximum(relative, ROUNDING))) / volume


def rounding_term(potential: Potential, cell: np.ndarray) -> float:
    """What ``classical_term`` has at least, from the longest waves, however fine the mesh.

    Parameters
    ----------
    potential : Potential
        Divided.
    cell : (3, 3)
        Lattice vectors of the modes.
    """
    axis = np.arange(-LONGEST, LONGEST + 1)
    k = 2 * pi * np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3) @ np.linalg.inv(cell).T
    k2 = (k**2).sum(axis=1)
    k2 = k2[k2 > 0]
    return ROUNDING * float(np.sum(k2 * potential.fourier(k2) ** 2)) / abs(float(np.linalg.det(cell)))


def _outer(factors) -> np.ndarray:
    first, second, third = factors
    return first[:, None, None] * second[:, None] * third


def coarsest(potential: Potential, method: str, order: int, limit: float, widest: float) -> float | None:
    """The largest spacing with I below a limit, where all directions are alike; None where none is.

    Parameters
    ----------
    potential : Potential
        Divided.
    method, order
        As for ``classical_window``.
    limit : float
        Of I.
    widest : float
        Spacing to begin with.
    """
    window, low, high = classical_window(method, order), 0.02 * widest, widest

    def keeps(spacing: float) -> bool:
        """Whether I is within the limit."""
        return classical_term(potential, CUBE * spacing * np.eye(3), (CUBE,) * 3, window) <= limit

    if not keeps(low):
        return None
    for _ in range(STEPS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if keeps(middle) else (low, middle)
    return low
