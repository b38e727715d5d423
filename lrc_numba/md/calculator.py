"""An ASE calculator around a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ..geometry.structures import Structures
from ..networks import EnergyNetwork

__all__ = ["LRCCalculator"]


class LRCCalculator(Calculator):
    """Energy, forces and stress of a network, for ASE's dynamics and optimisers.

    Units are those that the network learned: for ASE's own, eV and Å. Energies do not depend on velocities, so
    ``free_energy`` is the energy.

    Parameters
    ----------
    network : EnergyNetwork, str or Path
        Of three dimensions; or the file of a saved one.
    threads : int, optional
        For a network from a file.

    Raises
    ------
    ValueError
        Naming the structure and point that the network cannot take, such as a species it does not know.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012, as ASE has it

    def __init__(self, network: EnergyNetwork | str | Path, *, threads: int | None = None, **options):
        super().__init__(**options)
        if isinstance(network, (str, Path)):
            network = EnergyNetwork.load(network, threads=threads)
        if not isinstance(network, EnergyNetwork):
            raise TypeError(f"network: expected an EnergyNetwork or the file of one, got {type(network).__name__}")
        if network.dim != 3:
            raise ValueError(f"network: expected three dimensions, got {network.dim}")
        self.network = network
        self._held = self._numbers()  # those of the network that results are of

    def check_state(self, atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last call; "parameters" where those of the network have.

        Parameters
        ----------
        atoms : ase.Atoms
            One structure.
        tol : float
            Up to which numbers of it are the same.
        """
        changes = list(super().check_state(atoms, tol))
        return changes if np.array_equal(self._held, self._numbers()) else [*changes, "parameters"]

    def _numbers(self) -> np.ndarray:
        """All that is learned, a copy in double precision."""
        references = self.network.references
        fitted = np.zeros(0) if references is None else references.energies
        return np.concatenate([self.network.parameters.flat, fitted])

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        """Fill ``results``; called by ASE.

        Parameters
        ----------
        atoms : ase.Atoms
            One structure.
        properties : sequence of str
            What is wanted; energies and forces are always made.
        system_changes : sequence of str
            What changed since the last call.
        """
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        structure = Structures.from_arrays(
            self.atoms.positions,
            np.asarray(self.atoms.cell),
            periodic=np.asarray(self.atoms.pbc, dtype=bool),
            species=self.atoms.numbers,
            charges=self.atoms.get_initial_charges(),
        )
        made = self.network.predict(structure, stress="stress" in properties)
        self._held = self._numbers()
        energy = float(made.energies[0])
        self.results = {"energy": energy, "free_energy": energy, "energies": made.potentials}
        self.results["forces"] = np.asarray(made.forces, dtype=np.float64)
        if made.stress is not None:
            self.results["stress"] = full_3x3_to_voigt_6_stress(made.stress[0])
