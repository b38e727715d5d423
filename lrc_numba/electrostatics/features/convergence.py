"""How features converge with what they are computed with: numbers for a figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..potentials import Potential
from .lode import LodeFeatures, lode_by_quadrature

__all__ = ["lode_convergence"]

TIGHT = 1e-12


def lode_convergence(
    potential: Potential,
    radius: float,
    structure: tuple[np.ndarray, np.ndarray, np.ndarray],
    *,
    eps: Sequence[float] = (1e-2, 1e-4, 1e-6, 1e-8),
    k_cutoffs: Sequence[float] = (),
    nodes: Sequence[tuple[int, int]] = ((4, 3), (6, 5), (8, 7)),
) -> dict[str, list[tuple[float, float]]]:
    """Relative ℓ² errors of features by what was varied, against all of it tight.

    Parameters
    ----------
    potential, radius
        As for ``LodeFeatures``.
    structure : tuple
        Positions, charges and cell.
    eps : sequence of float
        Of the mesh, with as many modes as belong to it.
    k_cutoffs : sequence of float
        Modes up to there, inverse length, on a tight mesh.
    nodes : sequence of two ints
        Radial and angular nodes of quadratures, on a tight mesh.

    Returns
    -------
    dict of str to list of (float, float)
        "eps", "k_cutoff" and "quadrature" (by the number of nodes around an atom): pairs of setting and error.
    """
    tight = LodeFeatures(potential, radius, eps=TIGHT)
    exact = tight.compute(*structure)

    def error(found: np.ndarray) -> float:
        """Relative to all features."""
        return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))

    rows: dict[str, list[tuple[float, float]]] = {"eps": [], "k_cutoff": [], "quadrature": []}
    for value in eps:
        rows["eps"].append((value, error(LodeFeatures(potential, radius, eps=value).compute(*structure))))
    for value in k_cutoffs:
        cut = LodeFeatures(potential, radius, eps=TIGHT, k_cutoff=value)
        rows["k_cutoff"].append((value, error(cut.compute(*structure))))
    for radial, angular in nodes:
        count = radial * angular * 2 * angular
        rows["quadrature"].append((count, error(lode_by_quadrature(tight, *structure, radial, angular))))
    return rows
