"""Structures of one cell and one number of points: their sums over modes, and all that follows, at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...geometry.structures import Structures
from ..checks import in_structure, net_charge
from ..pair_sum import PairSum

__all__ = ["done_together"]


def done_together(
    calculator: Any, structures: Structures, charges: np.ndarray, near: PairSum, forces: bool, stress: bool
) -> dict[int, tuple]:
    """V (n, C), E, F (n, 3), ∂E/∂ε and plan of structures that share a periodic cell and a number of points.

    By the number of each structure.

    Parameters
    ----------
    calculator : Calculator
        Whose energies have no other parts than those of ``Calculator``, and whose plans take several structures.
    structures, charges, near, forces, stress
        As for ``Calculator._of_structure``.
    """
    groups: dict[tuple, list[int]] = {}
    along, counts = np.all(structures.periodic, axis=1).tolist(), structures.counts.tolist()
    for b, count in enumerate(counts):
        if count and along[b]:
            groups.setdefault((structures.cell[b].tobytes(), count), []).append(b)
    parts: dict[int, tuple] = {}
    for members in groups.values():
        if len(members) > 1:
            parts |= _of_group(calculator, structures, members, charges, near, forces, stress)
    return parts


def _rows(structures: Structures, members: list[int]) -> slice | np.ndarray:
    """Which points they have: a slice, where that is possible, as of what it takes nothing is copied."""
    begins, count = structures.offsets[:-1][members], int(structures.counts[members[0]])
    if members[-1] - members[0] == len(members) - 1:
        return slice(int(begins[0]), int(begins[-1]) + count)
    return (begins[:, None] + np.arange(count)).reshape(-1)


def _of_group(
    calculator: Any, structures: Structures, members: list[int], charges: np.ndarray, near: PairSum, *wanted: bool
) -> dict[int, tuple]:
    """The same of structures with the same cell and number of points."""
    forces, stress = wanted
    potential, cell, periodic = calculator.potential, structures.cell[members[0]], structures.periodic[members[0]]
    rows = _rows(structures, members)
    shape = (len(members), len(charges[rows]) // len(members), -1)
    q = charges[rows].reshape(shape)
    net = net_charge(q)
    for b, own in zip(members, net, strict=True):
        try:
            potential.check_net_charge(own)
        except ValueError as error:
            raise in_structure(error, b, len(structures)) from error
    try:
        far = calculator.long_range(structures.positions[rows].reshape(shape), cell, periodic)
    except (ValueError, MemoryError) as error:
        raise in_structure(error, members[0], len(structures)) from error
    wrt = [name for name, is_wanted in (("points", forces), ("cells", stress)) if is_wanted]
    made = far.plan.energy(q.astype(far.plan.dtype, copy=False), far.kernel, wrt=wrt)
    background = potential.background / abs(float(np.linalg.det(cell))) if potential.background else 0.0
    twice = near.potential[rows].reshape(shape) + made.output
    twice -= potential.value_at_r0 * q
    if background:
        twice -= background * net[:, None]
    energies = 0.5 * np.einsum("bnc,bnc->b", q, twice, dtype=np.float64)
    twice *= 0.5
    moved = [None] * len(members)
    if forces:
        moved = near.gradient[rows].reshape(shape) + made.points
        np.negative(moved, out=moved)
    strains = [None] * len(members)
    if stress and near.strain is not None:
        squares = 0.5 * background * np.einsum("bc,bc->b", net, net)
        strains = near.strain[members] + made.cell + squares[:, None, None] * np.eye(3)
    return {b: (twice[i], energies[i], moved[i], strains[i], far) for i, b in enumerate(members)}
