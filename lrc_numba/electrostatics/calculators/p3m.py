"""Particle–particle particle–mesh: splines, and the influence function that makes the least error."""

from __future__ import annotations

import numpy as np

from ... import arguments
from ..potentials import Potential
from .classical import ClassicalMesh, ClassicalMeshCalculator
from .influence import INFLUENCES

__all__ = ["P3MCalculator"]


class P3MCalculator(ClassicalMeshCalculator):
    """Particle–particle particle–mesh, of which smooth particle mesh Ewald is a kind. For comparisons; see Notes.

    Parameters
    ----------
    potential, cutoff, skin, dtype, threads
        As for ``Calculator``.
    mesh_spacing, nodes, remove_self_interaction
        As for ``PMECalculator``.
    interpolation_nodes : int
        Order m of the splines, as many nodes along each axis, 3 to 7.
    influence : {"optimal", "energy", "ik", "spme", "plain"}
        "optimal" has the least error of forces that are the derivative of the energy, as those here are; "energy" that
        of energies; "ik" is made for forces by gradients in Fourier space (Deserno, Holm 1998), for comparison. These
        three count the aliases of v̂. "spme" has v̂ over the squares of spline sums (Essmann et al. 1995), "plain" v̂ over
        those of the window. See ``influence`` for formulas.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.

    Notes
    -----
    Energies are m − 2 times continuously differentiable, and forces minus their derivative. Where v̂ has died away on
    the mesh, errors of energies fall as h^m with the spacing h and those of forces as h^(m−1). Of an even number of
    nodes the highest wave, which has no sign, is left out: that costs v̂ there, no more than the aliases of the others.
    All influence functions work with slabs, wires and free space; there a strain along an open axis strains the padded
    cell with its mesh, while a new calculator pads anew, and both agree to the error of the mesh.

    The influence functions differ where the mesh is coarse, spacings from σ on: there, without self-interaction,
    "optimal" has 0.8 of the force error of "spme". Taking the self-interaction off makes forces 1.5 to 3 times as
    accurate where charges are disordered; in crystals that fit the mesh it may do the opposite, as errors of a charge
    by itself and by its neighbours cancel there.
    """

    def __init__(
        self,
        potential: Potential,
        cutoff: float,
        mesh_spacing: float | None = None,
        interpolation_nodes: int = 4,
        *,
        influence: str = "optimal",
        nodes=None,
        remove_self_interaction: bool = False,
        skin: float = 0.0,
        dtype=np.float64,
        threads: int | None = None,
    ):
        influence = arguments.as_choice("influence", influence, INFLUENCES)
        mesh = ClassicalMesh("bspline", influence, interpolation_nodes, mesh_spacing, nodes, remove_self_interaction)
        super().__init__(potential, cutoff, mesh, skin=skin, dtype=dtype, threads=threads)
