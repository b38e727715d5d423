"""Particle mesh Ewald with Lagrange polynomials (Darden, York, Pedersen 1993)."""

from __future__ import annotations

import numpy as np

from ..potentials import Potential
from .classical import ClassicalMesh, ClassicalMeshCalculator

__all__ = ["PMECalculator"]


class PMECalculator(ClassicalMeshCalculator):
    """Particle mesh Ewald: Lagrange interpolation to and from a mesh, v̂ as it is. For comparisons; see Notes.

    Parameters
    ----------
    potential, cutoff, skin, dtype, threads
        As for ``Calculator``.
    mesh_spacing : float or None
        Largest distance of nodes along a lattice vector, units of length. The mesh of a lattice vector of length L has
        the smallest even number of nodes from L/mesh_spacing on that is a product of 2, 3 and 5. (torch-pme takes the
        next power of two from 2 L/mesh_spacing + 1 on: half to a quarter of the distance that it is told.)
    interpolation_nodes : int
        Nodes m of the Lagrange polynomials along each axis, 3 to 7.
    nodes : int or 3 ints, optional
        Sizes of the mesh, 4 or more, even or odd, instead of ``mesh_spacing``; for a cell that changes.
    remove_self_interaction : bool
        Take off what the mesh makes a charge do to itself.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.

    Notes
    -----
    ``MeshCalculator`` is more accurate at the same cost, and its energies are C¹. Forces are minus the derivative of
    the computed energy here too. With an even m energies are continuous and forces jump where points pass nodes; with
    an odd m energies jump, too, half-way between them, by about the error, and there no derivative says so. Errors of
    energies fall as h^m with the spacing h, and those of forces as h^(m−1). Of an even number of nodes the highest
    wave, which has no sign, is left out; v̂ has to be small there in any case.
    """

    def __init__(
        self,
        potential: Potential,
        cutoff: float,
        mesh_spacing: float | None = None,
        interpolation_nodes: int = 4,
        *,
        nodes=None,
        remove_self_interaction: bool = False,
        skin: float = 0.0,
        dtype=np.float64,
        threads: int | None = None,
    ):
        mesh = ClassicalMesh("lagrange", "none", interpolation_nodes, mesh_spacing, nodes, remove_self_interaction)
        super().__init__(potential, cutoff, mesh, skin=skin, dtype=dtype, threads=threads)
