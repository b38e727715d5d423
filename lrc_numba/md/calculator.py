"""An ASE calculator around a network, or around charges with an electrostatic energy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import units
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ..electrostatics import Calculator as ChargeCalculator
from ..geometry.structures import Structures
from ..networks import EnergyNetwork, MessagePassingNetwork

__all__ = ["COULOMB", "LRCCalculator"]

COULOMB = units.Hartree * units.Bohr
"""e²/4πε₀ = 14.3996… eV Å: the prefactor of a potential between charges in e, for energies in eV."""


class LRCCalculator(Calculator):
    """Energy, forces and stress of a network or of point charges, for ASE's dynamics and optimisers.

    Units are those that a network learned, and for charges those of the potential: ASE's own, eV and Å, come from
    ``CoulombPotential(prefactor=COULOMB)``. Nothing is converted here. Energies do not depend on velocities, so
    ``free_energy`` is the energy.

    Parameters
    ----------
    network : EnergyNetwork, str or Path, or a calculator of ``lrc_numba.electrostatics``
        Of three dimensions; or the file of a saved network. Charges of a calculator are the initial charges of the
        atoms, and it takes atoms that are periodic along any of their axes; with a skin it looks for neighbours only
        where atoms have moved by half of that. What it keeps belongs to this one afterwards.
    threads : int, optional
        For a network from a file.

    Raises
    ------
    ValueError
        Naming the structure and point that the network cannot take, such as a species it does not know; atoms without
        initial charges, for charges and for networks that read them.
    PropertyNotImplementedError
        For a stress of atoms that are not periodic along all axes, as ASE expects it; for charges of a network that has
        not learned one for each atom.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress", "charges"]  # noqa: RUF012

    def __init__(
        self, network: EnergyNetwork | ChargeCalculator | str | Path, *, threads: int | None = None, **options
    ):
        super().__init__(**options)
        if isinstance(network, (str, Path)):
            network = EnergyNetwork.load(network, threads=threads)
        if not isinstance(network, (EnergyNetwork, ChargeCalculator)):
            raise TypeError(
                "network: expected an EnergyNetwork, the file of one or a calculator of charges, got "
                f"{type(network).__name__}"
            )
        if isinstance(network, EnergyNetwork) and network.dim != 3:
            raise ValueError(f"network: expected three dimensions, got {network.dim}")
        self.network = network
        self._state = _state_of(network)  # that of the results

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
        return changes if _state_of(self.network) == self._state else [*changes, "parameters"]

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
        if self.atoms is None:
            raise ValueError("atoms: expected a structure, got none")
        structure = Structures.from_arrays(
            self.atoms.positions,
            np.asarray(self.atoms.cell),
            periodic=np.asarray(self.atoms.pbc, dtype=bool),
            species=self.atoms.numbers,
            charges=self.atoms.get_initial_charges() if self.atoms.has("initial_charges") else None,
        )
        self._state = _state_of(self.network)
        stress = "stress" in properties
        if stress and not structure.periodic.all():
            raise PropertyNotImplementedError(
                f"stress: expected atoms that are periodic along all axes, got pbc={structure.periodic[0].tolist()}"
            )
        if isinstance(self.network, EnergyNetwork):
            self.results = _of_network(self.network, structure, stress)
            if "charges" in properties:
                self.results["charges"] = _learned_charges(self.network, structure)
            return
        if structure.charges is None:
            raise ValueError("charges: expected initial charges of the atoms, got none; see set_initial_charges")
        self.results = _of_charges(self.network, structure, structure.charges, stress)


def _state_of(network: EnergyNetwork | ChargeCalculator) -> tuple:
    """All that energies of the same atoms depend on."""
    if not isinstance(network, EnergyNetwork):
        return network.potential.key()
    references = b"" if network.references is None else network.references.energies.tobytes()
    return network.parameters.flat.tobytes(), references


def _of_network(network: EnergyNetwork, structure: Structures, stress: bool) -> dict[str, Any]:
    """What ASE wants of a network; a stress only where it was asked for."""
    made = network.predict(structure, stress=stress)
    energy = float(made.energies[0])
    results: dict[str, Any] = {"energy": energy, "free_energy": energy, "energies": made.potentials}
    results["forces"] = np.asarray(made.forces, dtype=np.float64)
    if made.stress is not None:
        results["stress"] = full_3x3_to_voigt_6_stress(made.stress[0])
    return results


def _learned_charges(network: EnergyNetwork, structure: Structures) -> np.ndarray:
    """One for each atom."""
    if isinstance(network, MessagePassingNetwork) and network.has_learned_charges:
        charges = network.learned_charges(structure)
        if charges.shape[1] == 1:
            return charges[:, 0].astype(np.float64)
    raise PropertyNotImplementedError("charges: expected a network that learned one charge for each atom")


def _of_charges(
    calculator: ChargeCalculator, structure: Structures, charges: np.ndarray, stress: bool
) -> dict[str, Any]:
    """The same of charges; their energies are shared out as q V."""
    made = calculator.compute(structure, charges, forces=True, stress=stress)
    energy = float(np.asarray(made.energy)[0])
    results: dict[str, Any] = {"energy": energy, "free_energy": energy, "charges": charges}
    results["energies"] = charges * np.asarray(made.potential, dtype=np.float64)
    results["forces"] = np.asarray(made.forces, dtype=np.float64)
    if made.stress is not None:
        results["stress"] = full_3x3_to_voigt_6_stress(made.stress[0])
    return results
