"""What a calculator returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...geometry.structures import Structures

__all__ = ["Result", "joined", "wanted"]


@dataclass
class Result:
    """Potentials, energy and its derivatives; what was not asked for is None.

    Attributes
    ----------
    potential : (N,) or (N, C)
        V_i, with the factor ½, of the shape of the charges.
    energy : float, or (B,) for structures
        E = Σ q_i V_i, all channels together.
    forces : (N, 3)
        −∂E/∂x.
    strain : (3, 3), or (B, 3, 3) for structures
        ∂E/∂ε under x → x (1 + ε), a → a (1 + ε) for the rows a of the cell, symmetric.
    stress : (3, 3), or (B, 3, 3) for structures
        ``strain`` over the volume of the cell.
    charge_gradient : (N,) or (N, C)
        ∂E/∂q = 2 V.
    parameter_gradient : dict of str to array
        ∂E/∂θ by the name of a parameter of the potential, of its shape, () or (M,); with (B,) in front for structures.
    """

    potential: np.ndarray
    energy: float | np.ndarray
    forces: np.ndarray | None = None
    strain: np.ndarray | None = None
    stress: np.ndarray | None = None
    charge_gradient: np.ndarray | None = None
    parameter_gradient: dict[str, np.ndarray] | None = None


def wanted(result: Result, forces: bool, charge_gradient: bool) -> Result:
    """The same result with forces and the gradient by charges where they are wanted, and without where not.

    Parameters
    ----------
    result : Result
        With forces, where they are wanted.
    forces, charge_gradient : bool
        As for ``Calculator.compute``.
    """
    result.forces = result.forces if forces else None
    result.charge_gradient = 2 * result.potential if charge_gradient else None
    return result


def joined(parts, structures: Structures, shape, batch: bool, forces: bool, stress: bool, dtype) -> Result:
    """The result of all structures.

    Parameters
    ----------
    parts : list of tuples
        V, E, F, ∂E/∂ε and more of each, as ``Calculator._of_structure`` returns them.
    structures : Structures
        Which they are.
    shape : tuple of int
        Of the charges.
    batch : bool
        Whether structures came, or the positions of one.
    forces, stress : bool
        What is wanted.
    dtype : dtype
        Of potentials and forces.
    """
    if not parts:
        return _of_none(shape, forces, stress, dtype)
    potential = np.concatenate([part[0] for part in parts]).astype(dtype).reshape(shape)
    result = Result(potential, np.array([part[1] for part in parts]))
    if forces:
        result.forces = np.concatenate([part[2] for part in parts]).astype(dtype)
    if stress:
        result.strain = np.stack([part[3] for part in parts])
        if structures.periodic.all():
            result.stress = result.strain / structures.volume[:, None, None]
    if not batch:
        result.energy = float(parts[0][1])
        result.strain = None if result.strain is None else result.strain[0]
        result.stress = None if result.stress is None else result.stress[0]
    return result


def _of_none(shape, forces: bool, stress: bool, dtype) -> Result:
    """The result of a set without structures."""
    result = Result(np.zeros(shape, dtype=dtype), np.zeros(0))
    if forces:
        result.forces = np.zeros((0, 3), dtype=dtype)
    if stress:
        result.strain, result.stress = np.zeros((0, 3, 3)), np.zeros((0, 3, 3))
    return result
