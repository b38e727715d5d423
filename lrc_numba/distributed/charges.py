r"""Electrostatics of charges that are shared out over processes.

    V_i = ½ [ Σ′ q_j v_SR(r_ij) + u_i − q_i v_LR(0) − B Q/V ]

u comes from a ``DistributedPlan``; pairs are those of own points with each other and with ghosts, and each rank adds up
the half of every pair that its own point has. Energies, net charges and strains are summed over ranks.
"""

from __future__ import annotations

from copy import copy

import numpy as np

from ..electrostatics import MeshCalculator
from ..electrostatics.calculators.result import Result
from ..electrostatics.pair_sum import PairSum
from ..electrostatics.radial_form import RadialForm
from ..electrostatics.short_range import near_sum
from ..geometry.neighbours import NeighbourList
from ..geometry.structures import Structures
from .halo import Halo
from .plan import DistributedPlan
from .ranks import Ranks

__all__ = ["DistributedCalculator"]


class DistributedCalculator(MeshCalculator):
    """A ``MeshCalculator`` of one structure whose points are shared out over ranks.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
        The processes; all of them make the same calculator and call it together. None is ``COMM_WORLD``.
    calculator : MeshCalculator
        With the settings wanted, such as ``tune`` returns it; copied.

    Raises
    ------
    TypeError
        For other calculators.
    ImportError
        Where there is no MPI.

    Notes
    -----
    Structures are periodic along all axes. Positions and charges are those of the rank, and so are potentials, forces
    and charge gradients; energy, strain, stress and gradients by parameters are those of the structure. Points may be
    anywhere; the nearer those of a rank are to each other, the fewer ghosts there are. Lists of neighbours are made
    anew in each call.
    """

    takes_snapshots = False
    is_plain = False  # no linear map of the charges of one process

    def __init__(self, comm, calculator: MeshCalculator):
        self.ranks = comm if isinstance(comm, Ranks) else Ranks(comm)
        with self.ranks.together("DistributedCalculator"):
            if type(calculator) is not MeshCalculator:
                raise TypeError(f"calculator: expected a MeshCalculator, got {type(calculator).__name__}")
            self.__dict__.update(copy(calculator).__dict__)
            self.explicit_sums, self._far, self._used = False, {}, None
            if not isinstance(self.form, RadialForm):
                raise NotImplementedError(
                    "calculator: pairs on several ranks need a potential whose short range is a sum of powers, without "
                    f"exclusions, got {self.potential!r}"
                )
            self.neighbours = NeighbourList(self.neighbours.cutoff, full=True, threads=self.threads)
            self.ranks.agree("calculator", repr(self))

    def _described(self) -> list[str]:
        lines = super()._described()
        return [lines[0] + f", on {self.ranks.size} rank(s)", *lines[1:]]

    def compute(self, positions, charges=None, cell=None, *, periodic=True, **wanted) -> Result:
        """Potentials and energy of charges, and derivatives where they are wanted.

        Parameters
        ----------
        positions : (N, 3) array
            Of the points of this rank, units of length; none as well.
        charges : (N,) or (N, C) array
            q.
        cell : float, (3,) or (3, 3) array
            Length(s), or lattice vectors as rows; the same on all ranks.
        periodic : bool or 3 bools
            Along which there are images; all of them here.
        **wanted
            ``forces``, ``stress``, ``charge_gradient``, as for ``Calculator.compute``.

        Raises
        ------
        NotImplementedError
            For ``parameter_gradient``, which is made of sums over the pairs of one process; for sets of structures, and
            for structures that are not periodic along all axes.
        ValueError, TypeError, MemoryError
            As ``Calculator.compute``, on all ranks; where ranks have other cells or meshes, or want something else.
        """
        with self.ranks.together("compute"):
            if wanted.get("parameter_gradient"):
                raise NotImplementedError(
                    "parameter_gradient: not for points on several ranks, as it is made of sums over the pairs of one "
                    "process; compute it on one"
                )
            if isinstance(positions, Structures) or not np.all(periodic) or cell is None:
                raise NotImplementedError(
                    "positions, periodic: expected arrays of one structure with a cell, periodic along all axes; sets "
                    "of structures are shared out as wholes"
                )
            self.ranks.agree(
                "cell, and what is wanted,", (np.asarray(cell, dtype=float).tolist(), sorted(wanted.items()))
            )
            frozen = None if self._frozen is None else (self._frozen[0].tolist(), *self._frozen[1:])
            self.ranks.agree("mesh of freeze_mesh", frozen)
            return super().compute(positions, charges, cell, periodic=periodic, **wanted)

    def _over_points(self, sums):
        return self.ranks.sum(sums)

    def _pairs(self, structures: Structures, charges: np.ndarray, strain: bool) -> PairSum:
        cell, own = structures.cell[0], len(charges)
        halo = Halo(self.ranks, structures.positions, cell, self.neighbours.cutoff)
        positions, every = halo.extend(structures.positions), halo.extend(charges)
        self.neighbours.search(positions, cell, periodic=structures.periodic[0])
        near = near_sum(self.neighbours, self.form, every, virial=strain, own=own)
        return PairSum(near.potential[:own], near.gradient[:own], near.strain)

    def _new_plan(self, cell: np.ndarray, modes: tuple[int, int, int], few: int | None) -> DistributedPlan:
        window = "kaiser_bessel" if self.window is None else self.window
        settings = {"eps": self.eps, "nodes": self._nodes(cell, modes), "dtype": self.dtype, "threads": self.threads}
        return DistributedPlan(self.ranks, cell, modes, window=window, **settings)
